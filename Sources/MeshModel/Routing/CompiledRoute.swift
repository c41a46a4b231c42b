// SPDX-License-Identifier: Apache-2.0
package import MeshHTTP

/// A route in the form that requests meet: numbers and ranges into the tables of its `RouteTable`, nothing counted.
package struct CompiledRoute: BitwiseCopyable, Sendable {
    // MARK: Condition

    var pathKind = PathKind.prefix
    /// The prefix or path; lower case when case does not matter.
    var pathText = TableRange()
    /// Program of a regex path; -1 for none.
    var regex: Int32 = -1
    /// 0 means no fraction.
    var fractionDenominator: UInt32 = 0
    var fractionNumerator: UInt32 = 0
    /// Index into the table's runtime values, of the key that may override the fraction; -1 for none.
    var fractionRuntime: Int32 = -1
    var headers = TableRange()
    var queries = TableRange()

    enum PathKind: UInt8 { case prefix, exact, separatedPrefix, regex, connect }

    /// Whether the tree alone decides.
    var isDecidedByPath: Bool { fractionDenominator == 0 && headers.isEmpty && queries.isEmpty && regex < 0 }

    // MARK: Action

    /// What to do.
    package var action = Action.forward
    /// Index of the virtual host.
    package var virtualHost: Int32 = 0
    /// Index into `RouteTable.clusterNames`; -1 when a header or weights name the cluster.
    package var cluster: Int32 = -1
    /// The request header that names the cluster.
    package var clusterHeader = HeaderName()
    /// `WeightedTarget`s of the table; empty unless the route is weighted.
    package var weighted = TableRange()
    /// Sum of the weights.
    package var totalWeight: UInt64 = 0
    /// The runtime may give other weights.
    var asksRuntimeForWeights = false
    /// Header that carries the random value of the weighted pick.
    package var weightHeader = HeaderName()
    /// Status when the cluster is unknown; of a redirect or direct response: its own status.
    package var status: UInt16 = 503
    /// Body of a direct response.
    package var body = TableRange()
    /// Milliseconds; 0 disables, and is what a route with `limitsDuration` has.
    package var timeoutMilliseconds: Int64 = 15_000
    /// Milliseconds; 0 disables, -1 leaves the manager's.
    package var idleTimeoutMilliseconds: Int64 = -1
    /// Milliseconds; 0 disables, -1 leaves the manager's.
    package var maxStreamDurationMilliseconds: Int64 = -1
    /// The whole stream is bounded in place of the upstream's part (`max_stream_duration` is there, even empty).
    package var limitsDuration = false
    /// Milliseconds; -1 ignores the `grpc-timeout` header, 0 takes it uncapped. It bounds the stream with
    /// `limitsDuration`, else it is the timeout.
    package var grpcTimeoutMaxMilliseconds: Int64 = -1
    /// Milliseconds taken off the `grpc-timeout` header.
    package var grpcTimeoutOffsetMilliseconds: Int64 = 0
    package var isHighPriority = false
    /// Index of the retry policy, the route's or its virtual host's; -1 for none.
    var retryPolicy: Int32 = -1
    /// Whether a policy or the client's headers may make requests again.
    package var hasRetryPolicy: Bool { retryPolicy >= 0 }
    /// Body that is kept to send it again, in bytes; -1 for what the listener's connections buffer.
    package var requestBufferLimit: Int64 = -1
    /// `requestBufferLimit` is bounded by the listener's.
    package var requestBufferLimitIsBounded = false
    package var appendsXForwardedHost = false
    package var hostRewrite = HostRewriteKind.none
    /// The literal host or the substitution of a path regex.
    package var hostText = TableRange()
    package var hostHeader = HeaderName()
    var hostRegex: Int32 = -1
    var pathRewrite = PathRewriteKind.none
    /// The new prefix or the regex substitution.
    var rewriteText = TableRange()
    var rewriteRegex: Int32 = -1
    /// Index of the redirect's own options; -1 for other actions.
    var redirect: Int32 = -1
    /// Upgrade overrides, in the table's list.
    package var upgrades = TableRange()

    // MARK: Around it

    /// Route name for logs and stats.
    package var name = TableRange()
    /// Index into `RouteTable.metadata`; -1 for none.
    package var metadata: Int32 = -1
    /// Value of x-envoy-decorator-operation; empty sets none.
    package var decoratorOperation = TableRange()
    package var decoratorPropagates = true
    package var statPrefix = TableRange()
    var requestOperations = TableRange()
    var responseOperations = TableRange()

    package enum Action: UInt8, BitwiseCopyable, Sendable { case forward, redirect, directResponse }
    package enum HostRewriteKind: UInt8, BitwiseCopyable, Sendable { case none, literal, automatic, header, pathRegex }
    enum PathRewriteKind: UInt8 { case none, prefix, regex }
}

/// A header's name in a table.
package struct HeaderName: BitwiseCopyable, Sendable {
    package var token = HeaderToken.none
    /// Lower case; empty means no header.
    package var text = TableRange()
}

/// A virtual host's compiled form.
package struct CompiledVirtualHost: BitwiseCopyable, Sendable {
    package var name = TableRange()
    /// Index into `RouteTable.metadata`; -1 for none.
    package var metadata: Int32 = -1
    package var tlsRequirement = TLSRequirement.none
    package var includesAttemptCount = false
    package var includesAttemptCountInResponse = false
    package var includesIsTimeoutRetry = false
    /// Of the table's virtual clusters.
    package var virtualClusters = TableRange()
    /// Root of the tree of case-sensitive paths; -1 when it has none.
    var root: Int32 = -1
    /// Root of the tree of lower-case paths.
    var lowerCaseRoot: Int32 = -1
    /// Routes for CONNECT, in order.
    var connectRoutes = TableRange()
    var requestOperations = TableRange()
    var responseOperations = TableRange()
}

/// A virtual cluster.
package struct CompiledVirtualCluster: BitwiseCopyable, Sendable {
    package var name = TableRange()
    var headers = TableRange()
}

/// One cluster of a weighted route.
package struct CompiledTarget: BitwiseCopyable, Sendable {
    /// Index into `RouteTable.clusterNames`; -1 when a header names it.
    package var cluster: Int32 = -1
    package var clusterHeader = HeaderName()
    /// Sum of the weights up to this one, included.
    var upperBound: UInt64 = 0
    var weight: UInt32 = 0
    /// Index into the table's runtime values, where the route asks for weights; else -1.
    var runtime: Int32 = -1
    package var rewritesHost = false
    package var host = TableRange()
    var requestOperations = TableRange()
    var responseOperations = TableRange()
}

/// A redirect's options.
struct CompiledRedirect: BitwiseCopyable {
    /// Empty keeps the request's.
    var scheme = TableRange()
    var host = TableRange()
    /// `:8443`; empty for none.
    var port = TableRange()
    var path = TableRange()
    var replacesPath = false
    var pathHasQuery = false
    var stripsQuery = false
}

/// An upgrade a route allows or forbids.
package struct CompiledUpgrade: BitwiseCopyable, Sendable {
    /// Lower case.
    package var name = TableRange()
    package var isEnabled = true
    package var terminatesConnect = false
    package var allowsPost = false
}
