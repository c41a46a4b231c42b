// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
package import MeshIO
package import MeshModel
import MeshProto
package import MeshStats

/// Opens listening sockets; the control thread's side of the operating system.
package protocol ListeningSocketSource: AnyObject {
    /// One socket per worker for one address of `listener`.
    ///
    /// - Throws: `ListenFailure` naming the address and what the kernel said.
    func open(_ address: ListenerAddress, for listener: Listener, workers: Int) throws(ListenFailure) -> [ListeningSocket]
    /// Closes sockets that no worker got.
    func close(_ sockets: [ListeningSocket])
}

/// A socket that could not be bound.
package struct ListenFailure: Error, Equatable, Sendable {
    package let reason: String
    package init(_ reason: String) { self.reason = reason }
}

/// Gives numbers to the files that access logs are written to.
package protocol LogFileSource: AnyObject {
    /// - Throws: `ListenFailure`-like text when the file cannot be opened for appending.
    func open(_ destination: AccessLogConfig.Destination) throws(LogFileFailure) -> LogFileID
}

/// A log file that could not be opened.
package struct LogFileFailure: Error, Equatable, Sendable {
    package let reason: String
    package init(_ reason: String) { self.reason = reason }
}

/// Turns resources into what workers run, on the control thread: decodes filters, compiles route tables and chain
/// matchers, declares stats, opens sockets. What it refuses it names, and what it accepted before stays in force.
package final class ConfigCompiler: ConfigSink {
    private let registry: FilterRegistry
    let catalog: StatCatalog
    private let workers: Int
    private let sockets: any ListeningSocketSource
    private let logFiles: any LogFileSource
    private let node: NodeIdentity
    let runtime: Runtime
    let pages: StatPages
    let contexts: TLSContextFactory
    /// What is counted of each host, for the admin endpoints.
    package let hosts: HostStatsTable
    var watch = TLSFileWatch()
    /// Chains in force with TLS, by listener, for a new context when their files change.
    var secureChains: [String: [SecureChain]] = [:]
    private let publish: (ConfigDelta) -> Void

    private var generation: UInt64 = 0
    private var clusterNames = SlotNames<CompiledCluster>()
    private var routeNames = SlotNames<CompiledRoutes>()
    private var chainNames = SlotNames<CompiledChain>()
    private var listenerNames = SlotNames<CompiledListener>()

    /// What is in force, for the admin endpoints.
    package private(set) var clusters: [String: CompiledCluster] = [:]
    package private(set) var listeners: [String: CompiledListener] = [:]

    /// - Parameters:
    ///   - pages: the control thread's own, for gauges that follow from configuration.
    ///   - node: who this proxy says it is.
    ///   - runtime: where keys of the runtime are looked up.
    package init(
        registry: FilterRegistry, catalog: StatCatalog, pages: StatPages, workers: Int, node: NodeIdentity,
        sockets: any ListeningSocketSource, logFiles: any LogFileSource, runtime: Runtime = Runtime(),
        publish: @escaping (ConfigDelta) -> Void
    ) {
        self.registry = registry
        self.catalog = catalog
        self.pages = pages
        contexts = TLSContextFactory(catalog: catalog)
        hosts = HostStatsTable(catalog: catalog)
        self.node = node
        self.runtime = runtime
        self.workers = workers
        self.sockets = sockets
        self.logFiles = logFiles
        self.publish = publish
    }

    /// Compiles the changes and hands them to every worker; returns what was refused.
    package func apply(_ changes: ChangeSet) -> [Rejection] {
        var delta = nextDelta()
        var rejections: [Rejection] = []
        for cluster in changes.clusters {
            do {
                try add(cluster, to: &delta)
            } catch {
                rejections.append(Rejection(kind: .cluster, name: cluster.name, reason: error.reason))
            }
        }
        for configuration in changes.routes {
            do {
                try add(configuration, to: &delta)
            } catch {
                rejections.append(Rejection(kind: .route, name: configuration.name, reason: error.reason))
            }
        }
        for listener in changes.listeners {
            do {
                try add(listener, to: &delta)
            } catch {
                rejections.append(Rejection(kind: .listener, name: listener.name, reason: error.reason))
            }
        }
        for name in changes.removedListeners { removeListener(name, from: &delta) }
        for name in changes.removedRoutes {
            if let id = routeNames.find(name) { delta.routes.append((id, nil)) }
            routeNames.forget(name)
        }
        for name in changes.removedClusters {
            guard clusters[name] != nil, let id = clusterNames.find(name) else { continue }
            clusters[name] = nil
            delta.clusters.append((id, nil))
            clusterNames.forget(name)
        }
        watchFiles()
        if !delta.isEmpty { publish(delta) }
        return rejections
    }

    /// An empty delta with the next generation.
    func nextDelta() -> ConfigDelta {
        generation += 1
        return ConfigDelta(generation: generation)
    }

    func publishDelta(_ delta: ConfigDelta) { publish(delta) }

    // MARK: Clusters and routes

    func clusterID(_ name: String) -> ClusterID? { clusterNames.find(name) }

    /// The same cluster with another TLS context.
    func replace(_ name: String, with compiled: CompiledCluster) { clusters[name] = compiled }

    private func add(_ cluster: Cluster, to delta: inout ConfigDelta) throws(Refusal) {
        let tls = try compileTLS(of: cluster)
        let id = clusters[cluster.name] == nil ? clusterNames.mention(cluster.name) : clusterNames.find(cluster.name)
        guard let id else { return }
        let stats = catalog.declare(.cluster(cluster.statName)) { ClusterStats(in: &$0) }
        let http2Stats = catalog.declare(StatScopeName.cluster(cluster.statName).appending("http2.")) {
            HTTP2CodecStats(in: &$0)
        }
        let compiled = CompiledCluster(
            cluster: cluster, stats: stats, http2Stats: http2Stats, hosts: hosts, tls: tls)
        clusters[cluster.name] = compiled
        setMembership(of: cluster, stats)
        delta.clusters.append((id, compiled))
    }

    /// Endpoints are known when a cluster is configured, whether or not anyone ever uses it.
    private func setMembership(of cluster: Cluster, _ stats: ClusterStats) {
        guard case .static(let set) = cluster.discovery else { return }
        let endpoints = set.allEndpoints
        pages.set(stats.membershipTotal, UInt64(endpoints.count))
        pages.set(stats.membershipHealthy, UInt64(endpoints.count { $0.health == .healthy }))
        pages.set(stats.membershipDegraded, UInt64(endpoints.count { $0.health == .degraded }))
    }

    struct Refusal: Error { let reason: String }

    private func compile(_ configuration: RouteConfiguration) throws(Refusal) -> CompiledRoutes {
        let table: RouteTable
        do {
            table = try RouteTable(configuration, runtime: runtime)
        } catch {
            throw Refusal(reason: error.description)
        }
        // Cluster slots exist by name from the first mention, so a route may come before its cluster.
        return CompiledRoutes(table: table, clusters: table.clusterNames.map { clusterNames.mention($0) })
    }

    private func add(_ configuration: RouteConfiguration, to delta: inout ConfigDelta) throws(Refusal) {
        let compiled = try compile(configuration)
        delta.routes.append((routeNames.find(configuration.name) ?? routeNames.mention(configuration.name), compiled))
    }

    // MARK: Listeners

    private func add(_ listener: Listener, to delta: inout ConfigDelta) throws(Refusal) {
        let statName = listener.statPrefix.isEmpty ? Self.statName(of: listener) : listener.statPrefix
        let matcher: FilterChainTable
        do {
            matcher = try FilterChainTable(listener.filterChains)
        } catch {
            throw Refusal(reason: error.description)
        }
        var pending = ConfigDelta(generation: generation)
        var chains: [ChainID] = []
        for (index, chain) in listener.filterChains.enumerated() {
            chains.append(
                try add(chain, named: "\(listener.name)/\(index)", of: listener, statName, to: &pending))
        }
        var defaultChain: ChainID?
        if let chain = listener.defaultFilterChain {
            defaultChain = try add(chain, named: "\(listener.name)/default", of: listener, statName, to: &pending)
        }
        let stats = catalog.declare(.listener(statName)) { ListenerStats(in: &$0) }
        let logs = try compile(listener.accessLogs)
        let opened = try openSockets(listener)
        let compiled = CompiledListener(
            listener: listener, matcher: matcher, chains: chains, defaultChain: defaultChain, sockets: opened,
            stats: stats, filterStats: ListenerFilterStats(listener, catalog: catalog), accessLogs: logs)
        let id = listenerNames.find(listener.name) ?? listenerNames.mention(listener.name)
        listeners[listener.name] = compiled
        keepSecureChains(of: listener, statName, pending.chains)
        delta.routes += pending.routes
        delta.chains += pending.chains
        delta.listeners.append((id, compiled))
    }

    private static func statName(of listener: Listener) -> String {
        guard let address = listener.addresses.first?.address else { return listener.name }
        return address.description.replacing(":", with: "_")
    }

    private func openSockets(_ listener: Listener) throws(Refusal) -> [[ListeningSocket]] {
        guard listener.bindToPort else { return [] }
        var byWorker = [[ListeningSocket]](repeating: [], count: workers)
        for address in listener.addresses {
            do {
                for (index, socket) in try sockets.open(address, for: listener, workers: workers).enumerated() {
                    byWorker[index].append(socket)
                }
            } catch {
                for opened in byWorker { sockets.close(opened) }
                throw Refusal(reason: error.reason)
            }
        }
        return byWorker
    }

    private func removeListener(_ name: String, from delta: inout ConfigDelta) {
        secureChains[name] = nil
        guard let compiled = listeners.removeValue(forKey: name), let id = listenerNames.find(name) else { return }
        delta.listeners.append((id, nil))
        for chain in compiled.chains + (compiled.defaultChain.map { [$0] } ?? []) { delta.chains.append((chain, nil)) }
        listenerNames.forget(name)
    }

    private func add(
        _ chain: FilterChain, named name: String, of listener: Listener, _ statName: String,
        to delta: inout ConfigDelta
    ) throws(Refusal) -> ChainID {
        if let filter = chain.networkFilters.first {
            throw Refusal(reason: "filter chain '\(chain.name)': unknown network filter '\(filter.name)' with type \(filter.typeURL)")
        }
        // First, for it is the part that files outside of the configuration can make fail.
        let tls = try compileTLS(of: chain, named: name, statName)
        let terminal: CompiledChain.Terminal
        switch chain.terminal {
        case .http(let http): terminal = .http(try compile(http, chain: name, statName, to: &delta))
        case .tcp(let tcp): terminal = .tcp(try compile(tcp))
        }
        let id = chainNames.find(name) ?? chainNames.mention(name)
        let compiled = CompiledChain(
            name: chain.name, metadata: chain.metadata, terminal: terminal, bufferLimit: Int(listener.bufferLimitBytes), tls: tls,
            transportTimeout: chain.transportConnectTimeout.timeoutNanoseconds)
        delta.chains.append((id, compiled))
        return id
    }

    private func compile(
        _ http: HTTPTerminal, chain: String, _ listener: String, to delta: inout ConfigDelta
    ) throws(Refusal) -> CompiledHTTP {
        let routes: RoutesID
        switch http.routes {
        case .dynamic(let name): routes = routeNames.find(name) ?? routeNames.mention(name)
        case .inline(let configuration):
            // An inline table belongs to its chain: two chains may have tables of one name.
            let name = "inline/" + chain
            routes = routeNames.find(name) ?? routeNames.mention(name)
            delta.routes.append((routes, try compile(configuration)))
        }
        var filters: [any HTTPFilterConfig] = []
        var router = RouterOptions()
        for (index, filter) in http.httpFilters.enumerated() {
            let isLast = index == http.httpFilters.count - 1
            let isRouter = filter.typeURL == FilterRegistry.routerTypeURL
            if isRouter != isLast {
                throw Refusal(
                    reason: isRouter
                        ? "HTTP filter '\(filter.name)': the router must be the last filter"
                        : "HTTP filter '\(filter.name)' is last; the last filter must be envoy.filters.http.router")
            }
            if filter.isDisabled { continue }
            if isRouter {
                router = try decodeRouter(filter)
                continue
            }
            do {
                if let config = try registry.decode(filter) { filters.append(config) }
            } catch {
                throw Refusal(reason: error.reason)
            }
        }
        if http.httpFilters.isEmpty {
            throw Refusal(reason: "http_filters is empty; the last filter must be envoy.filters.http.router")
        }
        let stats = catalog.declare(.http(http.statPrefix)) { HTTPConnectionManagerStats(in: &$0) }
        return CompiledHTTP(
            terminal: http, routes: routes, filters: filters, stats: stats,
            listenerStats: catalog.declare(.listenerHTTP(listener, http.statPrefix)) { HTTPListenerStats(in: &$0) }, accessLogs: try compile(http.accessLogs, http.accessLogOptions),
            router: router, node: node, runtime: runtime)
    }

    private func decodeRouter(_ filter: TypedConfig) throws(Refusal) -> RouterOptions {
        var options = RouterOptions()
        do {
            let message = try Envoy_Extensions_Filters_Http_Router_V3_Router(serializedBytes: filter.bytes)
            options.suppressEnvoyHeaders = message.suppressEnvoyHeaders
        } catch {
            throw Refusal(reason: "HTTP filter '\(filter.name)': not a valid Router message")
        }
        return options
    }

    private func compile(_ tcp: TCPTerminal) throws(Refusal) -> CompiledTCP {
        let stats = catalog.declare(.tcp(tcp.statPrefix)) { TCPProxyStats(in: &$0) }
        return CompiledTCP(
            terminal: tcp, clusters: tcp.clusters.map { clusterNames.mention($0.cluster) }, stats: stats,
            accessLogs: try compile(tcp.accessLogs, tcp.accessLogOptions))
    }

    private func compile(
        _ logs: [AccessLogConfig], _ options: AccessLogOptions = AccessLogOptions()
    ) throws(Refusal) -> CompiledAccessLogs {
        var compiled: ContiguousArray<CompiledAccessLog> = []
        for log in logs {
            do {
                let file = try logFiles.open(log.destination)
                compiled.append(CompiledAccessLog(file: file, format: log.format, filter: log.filter?.bound(to: runtime)))
            } catch {
                throw Refusal(reason: error.reason)
            }
        }
        return CompiledAccessLogs(compiled, options)
    }
}
