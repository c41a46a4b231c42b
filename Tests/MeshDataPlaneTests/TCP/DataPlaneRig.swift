// SPDX-License-Identifier: Apache-2.0
import MeshIO
import MeshModel
import MeshStats
import MeshTestKit
import Synchronization
import Testing

@testable import MeshDataPlane

/// A worker on a `ManualLoop`, configured through the real compiler.
final class DataPlaneRig: ListeningSocketSource, LogFileSource {
    let loop = ManualLoop()
    let catalog = StatCatalog()
    let worker: Worker
    private let sink = LineSink()
    private(set) var compiler: ConfigCompiler?

    static let listenAddress = Address.ipv4(0x7F00_0001, port: 8080)
    static let endpointAddress = Address.ipv4(0x0A01_0001, port: 9000)

    /// A worker without listeners.
    init(unconfiguredWithGlobalLimit globalLimit: UInt64?) {
        worker = Worker(
            index: 0, loop: loop, handle: WorkerHandle(), stats: catalog.makePages(),
            declarations: WorkerStats(catalog: catalog), sink: sink, connectionLimit: ConnectionLimit(limit: globalLimit),
            seed: 42, hostAddress: .ipv4(0x0A00_0001, port: 0), report: { _ in }, stopLoop: {})
        let worker = worker
        compiler = ConfigCompiler(
            registry: FilterRegistry(http: []), catalog: catalog, pages: catalog.makePages(), workers: 1,
            node: NodeIdentity(), sockets: self, logFiles: self,
            publish: { worker.apply($0) })
        TestRoots.keep(self)
    }

    /// One listener at `listenAddress` with one TCP chain to one endpoint, after `change`.
    convenience init(
        tcp changeTerminal: (inout TCPTerminal) -> Void = { _ in }, cluster changeCluster: (inout Cluster) -> Void = { _ in },
        listener changeListener: (inout Listener) -> Void = { _ in }, globalLimit: UInt64? = nil
    ) {
        self.init(unconfiguredWithGlobalLimit: globalLimit)
        var cluster = DataPlaneRig.cluster("up", [DataPlaneRig.endpointAddress])
        changeCluster(&cluster)
        var listener = DataPlaneRig.listener(changeTerminal)
        changeListener(&listener)
        apply(clusters: [cluster], listeners: [listener])
    }

    static func cluster(_ name: String, _ endpoints: [Address]) -> Cluster {
        Cluster(name: name, discovery: .static(EndpointSet(endpoints: endpoints.map { Endpoint($0) })))
    }

    static let logFormat = """
        %RESPONSE_FLAGS% %BYTES_RECEIVED% %BYTES_SENT% %DURATION% %UPSTREAM_HOST% %UPSTREAM_CLUSTER% \
        %DOWNSTREAM_REMOTE_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% %RESPONSE_CODE% %RESPONSE_CODE_DETAILS%

        """

    static func log() -> [AccessLogConfig] {
        guard let format = try? FormatTemplate.compile(logFormat) else { return [] }
        return [AccessLogConfig(.standardOutput, format: format)]
    }

    static func chain(_ name: String, to cluster: String) -> FilterChain {
        var terminal = TCPTerminal(statPrefix: "t", clusters: [WeightedTarget(cluster: cluster)])
        terminal.accessLogs = log()
        return FilterChain(name: name, terminal: .tcp(terminal))
    }

    static func listener(_ change: (inout TCPTerminal) -> Void = { _ in }) -> Listener {
        var terminal = TCPTerminal(statPrefix: "t", clusters: [WeightedTarget(cluster: "up")])
        terminal.accessLogs = log()
        change(&terminal)
        var listener = Listener(name: "l", addresses: [ListenerAddress(listenAddress)])
        listener.filterChains = [FilterChain(terminal: .tcp(terminal))]
        return listener
    }

    func apply(clusters: [Cluster] = [], listeners: [Listener] = [], removedListeners: [String] = []) {
        var changes = ChangeSet()
        changes.clusters = clusters
        changes.listeners = listeners
        changes.removedListeners = removedListeners
        for cluster in clusters {
            if case .static(let set) = cluster.discovery { for host in set.allEndpoints { accept(at: host.address) } }
        }
        let rejections = compiler?.apply(changes) ?? []
        #expect(rejections.isEmpty, "\(rejections)")
        loop.turn()
    }

    // MARK: Peers

    /// Upstream ends of the connections to `endpointAddress` and whatever else was registered, in order.
    private(set) var upstreams: [Peer] = []

    /// Lets connections to `address` be made.
    func accept(at address: Address) {
        loop.register(address, .accept { [unowned self] in upstreams.append(Peer($0)) })
    }

    /// A client of the listener at `address`.
    func client(
        of address: Address = listenAddress, from remote: Address = .ipv4(0x0A00_0009, port: 5555),
        redirectedFrom original: Address? = nil
    ) throws -> Peer {
        let client = Peer(try #require(loop.connectClient(to: address, from: remote, redirectedFrom: original)))
        clients.append(client)
        loop.turn()
        return client
    }
    private var clients: [Peer] = []

    /// A client, and the upstream end of its connection.
    func pair() throws -> (client: Peer, upstream: Peer) {
        let client = try client()
        return (client, try #require(upstreams.last))
    }

    // MARK: What can be observed

    /// The value of a stat by its whole name; 0 when it was never touched.
    func stat(_ name: String) -> Int64 { catalog.value(named: name) ?? 0 }

    /// Access-log lines written so far.
    var lines: [String] {
        worker.logs.flush()
        return sink.text.withLock { $0 }.split(separator: "\n").map(String.init)
    }

    /// Nothing is left of any connection: no place, no gauge, no slab, no armed timer of theirs.
    func expectNothingLeft(_ comment: Comment? = nil, location: SourceLocation = #_sourceLocation) {
        loop.turn()
        #expect(worker.connections.count == 0, comment, sourceLocation: location)
        #expect(stat("listener.127.0.0.1_8080.downstream_cx_active") == 0, comment, sourceLocation: location)
        #expect(stat("listener.127.0.0.1_8080.downstream_pre_cx_active") == 0, comment, sourceLocation: location)
        #expect(stat("server.total_connections") == 0, comment, sourceLocation: location)
        #expect(stat("cluster.up.upstream_cx_active") == 0, comment, sourceLocation: location)
        #expect(stat("cluster.up.upstream_rq_active") == 0, comment, sourceLocation: location)
        #expect(stat("cluster.up.upstream_rq_pending_active") == 0, comment, sourceLocation: location)
        #expect(worker.connectionLimit.count == 0, comment, sourceLocation: location)
        for peer in clients + upstreams { peer.stream.close() }
        loop.turn()
        #expect(loop.pool.outstandingSlabs == 0, comment, sourceLocation: location)
    }

    // MARK: What the compiler asks for

    func open(_ address: ListenerAddress, for listener: Listener, workers: Int) throws(ListenFailure) -> [ListeningSocket] {
        (0..<workers).map { _ in ListeningSocket(descriptor: -1, address: address.address, isShared: false) }
    }

    func close(_ sockets: [ListeningSocket]) {}

    func open(_ destination: AccessLogConfig.Destination) throws(LogFileFailure) -> LogFileID { LogFileID(rawValue: 0) }
}

/// Gathers access-log lines.
final class LineSink: AccessLogSink {
    let text = Mutex("")

    func write(_ lines: [UInt8], to file: LogFileID, byTimer: Bool) -> Bool {
        text.withLock { $0 += String(decoding: lines, as: UTF8.self) }
        return true
    }
}
