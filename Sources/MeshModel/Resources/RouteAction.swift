// SPDX-License-Identifier: Apache-2.0

/// Forward to a cluster. Source: `envoy.config.route.v3.RouteAction`.
package struct RouteAction: Equatable, Sendable {
    package var target: Target
    /// Status when the cluster is unknown. Source: `cluster_not_found_response_code`. Default: 503.
    package var clusterNotFoundStatus: UInt16 = 503
    package var pathRewrite = PathRewrite.none
    package var hostRewrite = HostRewrite.none
    /// Keep the old host in x-forwarded-host when it is rewritten. Source: `append_x_forwarded_host`. Default: false.
    package var appendXForwardedHost = false
    /// From the end of the request to the end of the response. Source: `timeout`. Default: 15 s; nil disables.
    package var timeout: Duration? = .seconds(15)
    /// Overrides the manager's stream idle timeout. Source: `idle_timeout`. Default: inherit.
    package var idleTimeout = TimeoutOverride.inherit
    /// Source: `priority`. Default: default.
    package var priority = RoutingPriority.normal
    /// In order. Source: `hash_policy`.
    package var hashPolicies: [HashPolicy] = []
    /// Overrides the manager's upgrades by name. Source: `upgrade_configs`.
    package var upgrades: [UpgradeOption] = []
    package var maxStreamDuration = StreamDurationOptions()

    /// Source: oneof `cluster_specifier`.
    package enum Target: Equatable, Sendable {
        case cluster(String)
        /// The request header that names the cluster, lower case.
        case clusterHeader(String)
        case weighted(WeightedClusters)
    }

    package init(_ target: Target) { self.target = target }
    /// Forwards to one cluster with every default.
    package init(cluster: String) { self.init(.cluster(cluster)) }
}

/// Source: `envoy.config.core.v3.RoutingPriority`.
package enum RoutingPriority: UInt8, Sendable {
    case normal = 0
    case high = 1
}

/// A timeout that a more specific place may set, switch off or leave.
package enum TimeoutOverride: Equatable, Sendable {
    case inherit
    case disabled
    case after(Duration)
}

/// Bounds of a whole stream. Source: `RouteAction.MaxStreamDuration`, `RouteAction.max_grpc_timeout`.
package struct StreamDurationOptions: Equatable, Sendable {
    /// Whether `max_stream_duration` is there, even empty: then neither `timeout` nor the deprecated gRPC fields count.
    /// Default: false.
    package var isPresent = false
    /// Source: `max_stream_duration.max_stream_duration`. Default: inherit the manager's.
    package var limit = TimeoutOverride.inherit
    /// Use the `grpc-timeout` header: nil ignores it, 0 takes it as it is, else it is capped.
    /// Source: `grpc_timeout_header_max`. Default: nil.
    package var grpcTimeoutHeaderMax: Duration?
    /// Taken off the header's value. Source: `grpc_timeout_header_offset`, or the deprecated `grpc_timeout_offset`.
    /// Default: nil.
    package var grpcTimeoutHeaderOffset: Duration?
    /// The deprecated form of the above, for the route timeout. Source: `max_grpc_timeout`. Default: nil.
    package var maxGRPCTimeout: Duration?

    package init() {}
}

/// Several clusters by weight. Source: `envoy.config.route.v3.WeightedCluster`.
package struct WeightedClusters: Equatable, Sendable {
    package var clusters: [Entry]
    /// Header that carries the random value instead. Source: `header_name`. Default: empty.
    package var randomHeader = ""
    /// The runtime may give other weights, under the prefix, a dot and the cluster's name.
    /// Source: `runtime_key_prefix`. Default: empty.
    package var runtimeKeyPrefix = ""

    package struct Entry: Equatable, Sendable {
        /// Empty when `clusterHeader` names it.
        package var cluster: String
        /// Request header that names the cluster. Source: `cluster_header`. Default: empty.
        package var clusterHeader = ""
        package var weight: UInt32
        package var headers = HeaderMutations()
        /// Source: `host_rewrite_literal`. Default: nil.
        package var hostRewrite: String?
        package var perFilterConfigs: [TypedConfig] = []

        package init(cluster: String, weight: UInt32) {
            self.cluster = cluster
            self.weight = weight
        }
    }

    package init(_ clusters: [Entry]) { self.clusters = clusters }
}

/// What the upstream's path becomes. Source: `prefix_rewrite`, `regex_rewrite`.
package enum PathRewrite: Equatable, Sendable {
    case none
    /// The matched prefix, or the whole matched path, is replaced; the query is kept.
    case prefix(String)
    /// Every match of the pattern in the path, without its query, is replaced.
    case regex(RegexRewrite)
}

/// What the upstream's host becomes. Source: oneof `host_rewrite_specifier`.
package enum HostRewrite: Equatable, Sendable {
    case none
    case literal(String)
    /// The chosen endpoint's hostname.
    case automatic
    /// The value of this request header, lower case.
    case header(String)
    /// The path after this substitution.
    case pathRegex(RegexRewrite)
}

/// A pattern and its substitution, `\1` to `\9` being captures. Source: `RegexMatchAndSubstitute`.
package struct RegexRewrite: Hashable, Sendable {
    package var pattern: String
    package var substitution: String

    package init(pattern: String, substitution: String) {
        self.pattern = pattern
        self.substitution = substitution
    }
}

/// An input of the consistent hash. Source: `RouteAction.HashPolicy`.
package struct HashPolicy: Equatable, Sendable {
    package var input: Input
    /// Stop here once this yielded a hash. Source: `terminal`. Default: false.
    package var terminal = false

    package enum Input: Equatable, Sendable {
        case header(name: String, rewrite: RegexRewrite?)
        /// A nil lifetime makes no cookie; zero makes a session cookie.
        case cookie(name: String, lifetime: Duration?, path: String, attributes: [CookieAttribute])
        case sourceIP
        case queryParameter(String)
        case filterState(String)
    }

    package struct CookieAttribute: Equatable, Sendable {
        package var name: String
        package var value: String

        package init(name: String, value: String) {
            self.name = name
            self.value = value
        }
    }

    package init(_ input: Input, terminal: Bool = false) {
        self.input = input
        self.terminal = terminal
    }
}

/// Send the client elsewhere. Source: `envoy.config.route.v3.RedirectAction`.
package struct RedirectAction: Equatable, Sendable {
    package var scheme = Scheme.keep
    /// Source: `host_redirect`. Default: empty (kept).
    package var host = ""
    /// Source: `port_redirect`. Default: 0 (kept, unless the scheme changes and the port was the old scheme's).
    package var port: UInt32 = 0
    package var path = Path.keep
    /// 301, 302, 303, 307 or 308. Source: `response_code`. Default: 301.
    package var status: UInt16 = 301
    /// Source: `strip_query`. Default: false.
    package var stripQuery = false

    package enum Scheme: Equatable, Sendable {
        case keep
        case https
        case literal(String)
    }

    package enum Path: Equatable, Sendable {
        case keep
        /// The new path; with a `?` in it the request's query is dropped.
        case literal(String)
        case prefix(String)
        case regex(RegexRewrite)
    }

    package init() {}
}

/// Answer without an upstream. Source: `envoy.config.route.v3.DirectResponseAction`.
package struct DirectResponse: Equatable, Sendable {
    /// 200 to 599.
    package var status: UInt16
    /// Loaded by the translation. Default: empty.
    package var body: [UInt8]

    package init(status: UInt16, body: [UInt8] = []) {
        self.status = status
        self.body = body
    }
}
