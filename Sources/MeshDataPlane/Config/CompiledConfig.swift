// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshHTTP2
import MeshIO
package import MeshModel
import MeshStats
import MeshTLS

package typealias ListenerID = SlotID<CompiledListener>
package typealias ChainID = SlotID<CompiledChain>
package typealias RoutesID = SlotID<CompiledRoutes>
package typealias ClusterID = SlotID<CompiledCluster>

/// A listener ready to run: its sockets by worker, its compiled chain choice, its chains by slot.
package final class CompiledListener: Sendable {
    package let listener: Listener
    let matcher: FilterChainTable
    /// By position in `listener.filterChains`; the default chain last, when there is one.
    let chains: [ChainID]
    let defaultChain: ChainID?
    /// One list of sockets per worker, one socket per address; empty for a listener that is not bound.
    let sockets: [[ListeningSocket]]
    let stats: ListenerStats
    let accessLogs: CompiledAccessLogs
    let filtersTimeout: UInt64
    let filterStats: ListenerFilterStats
    /// Shared by all workers; nil without a limit.
    let connectionLimit: ConnectionLimit?

    init(
        listener: Listener, matcher: FilterChainTable, chains: [ChainID], defaultChain: ChainID?,
        sockets: [[ListeningSocket]], stats: ListenerStats, filterStats: ListenerFilterStats,
        accessLogs: CompiledAccessLogs
    ) {
        self.listener = listener
        self.matcher = matcher
        self.chains = chains
        self.defaultChain = defaultChain
        self.sockets = sockets
        self.stats = stats
        self.accessLogs = accessLogs
        self.filterStats = filterStats
        connectionLimit = listener.connectionLimit.map { ConnectionLimit(limit: $0) }
        filtersTimeout = listener.listenerFiltersTimeout.timeoutNanoseconds
    }
}

/// One filter chain, compiled.
package final class CompiledChain: Sendable {
    enum Terminal: Sendable {
        case http(CompiledHTTP)
        case tcp(CompiledTCP)
    }

    let name: String
    let metadata: MetadataTable
    let terminal: Terminal
    /// Bytes a connection may have waiting in one direction (`per_connection_buffer_limit_bytes`).
    let bufferLimit: Int
    /// Nil for a plain chain.
    package let tls: CompiledDownstreamTLS?
    /// How long a handshake may take (`transport_socket_connect_timeout`). - Unit: nanoseconds; 0 for no limit.
    let transportTimeout: UInt64
    /// How the chain writes its clients into x-forwarded-client-cert; nil where it does not.
    let forwardedElement: ForwardedClientCertificate?

    init(
        name: String, metadata: MetadataTable = MetadataTable(), terminal: Terminal, bufferLimit: Int,
        tls: CompiledDownstreamTLS? = nil, transportTimeout: UInt64 = 0
    ) {
        self.name = name
        self.metadata = metadata
        self.terminal = terminal
        self.bufferLimit = bufferLimit
        self.tls = tls
        self.transportTimeout = transportTimeout
        if case .http(let http) = terminal {
            forwardedElement = ForwardedClientCertificate(http.terminal.forwardClientCertificate)
        } else {
            forwardedElement = nil
        }
    }

    /// The same chain with another TLS context.
    func with(_ tls: CompiledDownstreamTLS) -> CompiledChain {
        CompiledChain(
            name: name, metadata: metadata, terminal: terminal, bufferLimit: bufferLimit, tls: tls,
            transportTimeout: transportTimeout)
    }
}

/// An HTTP connection manager's configuration in the form the request path reads.
package final class CompiledHTTP: Sendable {
    package let terminal: HTTPTerminal
    let routes: RoutesID
    let filters: [any HTTPFilterConfig]
    let stats: HTTPConnectionManagerStats
    let listenerStats: HTTPListenerStats
    let accessLogs: CompiledAccessLogs
    /// Whether anything reads heads once the response has begun: logs, filters.
    let keepsHeads: Bool
    /// Nil where local replies stay as they are.
    let localReplies: CompiledLocalReplies?
    let serverName: ConstantBytes
    let via: ConstantBytes
    let router: RouterOptions
    let decoderLimits: HTTP1Limits
    let decoderOptions: HTTP1ServerOptions
    private let defaultHost: ConstantBytes
    let http2Options: MeshHTTP2.HTTP2Options
    let pathNormalization: PathNormalization
    /// How names of response fields are written.
    let fieldNames: FieldNameCase
    /// The local node's cluster and ID, for `add_user_agent`.
    let nodeCluster: ConstantBytes
    let nodeID: ConstantBytes
    /// Timeouts in nanoseconds; 0 for none.
    let streamIdleTimeout: UInt64
    let requestTimeout: UInt64
    let requestHeadersTimeout: UInt64
    let idleTimeout: UInt64
    let maxConnectionDuration: UInt64
    let maxStreamDuration: UInt64
    let drainTimeout: UInt64
    let delayedCloseTimeout: UInt64
    /// 0 for no limit.
    let maxRequestsPerConnection: UInt32

    init(
        terminal: HTTPTerminal, routes: RoutesID, filters: [any HTTPFilterConfig], stats: HTTPConnectionManagerStats,
        listenerStats: HTTPListenerStats, accessLogs: CompiledAccessLogs, router: RouterOptions, node: NodeIdentity,
        runtime: Runtime
    ) {
        self.listenerStats = listenerStats
        self.terminal = terminal
        self.routes = routes
        self.filters = filters
        self.stats = stats
        self.accessLogs = accessLogs
        keepsHeads = !accessLogs.isEmpty || !filters.isEmpty
        localReplies = terminal.localReplies.map { CompiledLocalReplies($0, runtime: runtime) }
        self.router = router
        serverName = ConstantBytes(terminal.serverName)
        via = ConstantBytes(terminal.via)
        decoderLimits = HTTP1Limits(terminal.limits)
        defaultHost = ConstantBytes(terminal.http1.defaultHostForHTTP10)
        decoderOptions = HTTP1ServerOptions(terminal, defaultHost: defaultHost)
        http2Options = MeshHTTP2.HTTP2Options(terminal)
        pathNormalization = PathNormalization(terminal.paths)
        fieldNames = FieldNameCase(terminal.http1.keyFormat)
        nodeCluster = ConstantBytes(node.cluster)
        nodeID = ConstantBytes(node.id)
        streamIdleTimeout = terminal.timeouts.streamIdle.timeoutNanoseconds
        requestTimeout = terminal.timeouts.request.timeoutNanoseconds
        requestHeadersTimeout = terminal.timeouts.requestHeaders.timeoutNanoseconds
        idleTimeout = terminal.timeouts.idle.timeoutNanoseconds
        maxConnectionDuration = terminal.timeouts.maxConnectionDuration.timeoutNanoseconds
        maxStreamDuration = terminal.timeouts.maxStreamDuration.timeoutNanoseconds
        drainTimeout = terminal.timeouts.drain.timeoutNanoseconds
        delayedCloseTimeout = terminal.timeouts.delayedClose.timeoutNanoseconds
        maxRequestsPerConnection = terminal.maxRequestsPerConnection ?? 0
    }
}

/// Options of the router filter (`envoy.extensions.filters.http.router.v3.Router`).
package struct RouterOptions: Equatable, Sendable {
    /// Do not add `x-envoy-*` headers.
    package var suppressEnvoyHeaders = false
    package init() {}
}

/// A TCP proxy's configuration.
package final class CompiledTCP: Sendable {
    let terminal: TCPTerminal
    /// By position in `terminal.clusters`.
    let clusters: [ClusterID]
    let stats: TCPProxyStats
    let accessLogs: CompiledAccessLogs
    let idleTimeout: UInt64
    let maxDuration: UInt64

    init(terminal: TCPTerminal, clusters: [ClusterID], stats: TCPProxyStats, accessLogs: CompiledAccessLogs) {
        self.terminal = terminal
        self.clusters = clusters
        self.stats = stats
        self.accessLogs = accessLogs
        idleTimeout = terminal.idleTimeout.timeoutNanoseconds
        maxDuration = terminal.maxDuration.timeoutNanoseconds
    }
}

/// A route table with its clusters resolved to slots.
package final class CompiledRoutes: Sendable {
    let table: RouteTable
    /// By the table's interned cluster number.
    let clusters: [ClusterID]

    init(table: RouteTable, clusters: [ClusterID]) {
        self.table = table
        self.clusters = clusters
    }
}

/// A cluster with its stat rows.
package final class CompiledCluster: Sendable {
    package let cluster: Cluster
    let catalog: StatCatalog
    private let lazyStats: LazyStats<ClusterStats>
    private let lazyHTTP2Stats: LazyStats<HTTP2CodecStats>
    let updateStats: ClusterUpdateStats
    let membership: ClusterMembershipStats
    let connectTimeout: UInt64
    /// No idle timeout of its own was configured: connections that nobody needs may be closed before it.
    let closesSurplus: Bool
    let idleTimeout: UInt64
    let maxConnectionDuration: UInt64
    /// 0 for no limit.
    let maxRequestsPerConnection: UInt32
    let name: ConstantBytes
    /// How names of request fields are written.
    let fieldNames: FieldNameCase
    let http2Options: MeshHTTP2.HTTP2Options

    /// Limits for requests of routing priority DEFAULT, and of HIGH. Shared by all workers.
    let breakers: CircuitBreakers
    let highBreakers: CircuitBreakers

    /// Nil for a plain cluster.
    package let tls: CompiledUpstreamTLS?
    /// Where its hosts are counted.
    let hosts: HostStatsTable

    init(
        cluster: Cluster, catalog: StatCatalog, breakers: CircuitBreakers, highBreakers: CircuitBreakers, hosts: HostStatsTable,
        tls: CompiledUpstreamTLS? = nil
    ) {
        self.catalog = catalog
        updateStats = catalog.declare(.cluster(cluster.statName)) { ClusterUpdateStats(in: &$0) }
        membership = catalog.declare(.cluster(cluster.statName))
        self.breakers = breakers
        self.highBreakers = highBreakers
        self.hosts = hosts
        let scope = StatScopeName.cluster(cluster.statName)
        lazyStats = LazyStats(catalog, scope, isListed: true)
        // As in Envoy there are none until a connection speaks it.
        lazyHTTP2Stats = LazyStats(catalog, scope.appending("http2."), isListed: false)
        self.tls = tls
        self.cluster = cluster
        name = ConstantBytes(cluster.name)
        fieldNames = FieldNameCase(cluster.http.http1.keyFormat)
        var options = MeshHTTP2.HTTP2Options(cluster.http.http2)
        options.maxHeaderFields = Int(cluster.http.maxResponseHeadersCount)
        options.streamBufferLimit = min(options.streamBufferLimit, max(Int(cluster.bufferLimitBytes), 1))
        http2Options = options
        connectTimeout = cluster.connectTimeout.nanoseconds
        closesSurplus = cluster.http.idleTimeout == UpstreamHTTPOptions().idleTimeout
        idleTimeout = cluster.http.idleTimeout.timeoutNanoseconds
        maxConnectionDuration = cluster.http.maxConnectionDuration.timeoutNanoseconds
        maxRequestsPerConnection = cluster.http.maxRequestsPerConnection ?? 0
    }

    /// The same cluster with another TLS context.
    func with(_ tls: CompiledUpstreamTLS) -> CompiledCluster {
        CompiledCluster(
            cluster: cluster, catalog: catalog, breakers: breakers, highBreakers: highBreakers, hosts: hosts, tls: tls)
    }

    /// Rows of the cluster's traffic: made by the first worker that uses it.
    var stats: ClusterStats { lazyStats.value }
    /// Rows of its HTTP/2 connections: made by the first of them.
    var http2Stats: HTTP2CodecStats { lazyHTTP2Stats.value }
}

/// One access log: where it goes, how a line looks, and which records it takes.
package struct CompiledAccessLog: Sendable {
    let file: LogFileID
    let format: AccessLogFormat
    let filter: AccessLogFilter?
}

/// The access logs of a listener, connection manager or TCP proxy, and when they get records besides the last.
package struct CompiledAccessLogs: Sendable {
    let logs: ContiguousArray<CompiledAccessLog>
    /// 0 for never. - Unit: nanoseconds.
    let flushInterval: UInt64
    let options: AccessLogOptions
    /// Whether a format asks how many bytes heads had.
    let countsHeads: Bool

    init(_ logs: ContiguousArray<CompiledAccessLog>, _ options: AccessLogOptions = AccessLogOptions()) {
        self.logs = logs
        self.options = options
        countsHeads = logs.contains { $0.format.template.asksForHeadBytes }
        flushInterval = logs.isEmpty ? 0 : options.flushInterval.timeoutNanoseconds
    }

    var isEmpty: Bool { logs.isEmpty }
}

/// A destination of the log writer, by number.
package struct LogFileID: Hashable, Sendable {
    package let rawValue: Int
    package init(rawValue: Int) { self.rawValue = rawValue }
}

/// What changed: only the slots named here are touched by a worker, whatever the size of the configuration.
package struct ConfigDelta: Sendable {
    /// Grows with every delta; a worker answers with it when the delta is applied.
    package let generation: UInt64
    var clusters: [(ClusterID, CompiledCluster?)] = []
    /// Clusters that only have another TLS context, and keep their endpoints and connections.
    var renewedClusters: [(ClusterID, CompiledCluster)] = []
    /// Other endpoints for clusters that are there.
    var endpoints: [(ClusterID, EndpointSet)] = []
    var routes: [(RoutesID, CompiledRoutes?)] = []
    var chains: [(ChainID, CompiledChain?)] = []
    var listeners: [(ListenerID, CompiledListener?)] = []

    init(generation: UInt64) { self.generation = generation }

    package var isEmpty: Bool {
        clusters.isEmpty && renewedClusters.isEmpty && endpoints.isEmpty && routes.isEmpty && chains.isEmpty
            && listeners.isEmpty
    }
}
