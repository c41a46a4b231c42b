// SPDX-License-Identifier: Apache-2.0
package import MeshIO
import MeshModel
import MeshStats
import MeshTLS

/// One listener on one worker: accepts, counts, and gives every connection to the filter chain it is for.
///
/// It lives as long as the worker's table or one of its connections holds it, so the connections of a replaced listener
/// end under the limits and stats they began with.
package final class ActiveListener: ListenHandler {
    let compiled: CompiledListener
    let worker: Worker
    /// The configured filters, and for `use_original_dst` one more at the end, where Envoy adds it.
    let filters: [ListenerFilterConfig]
    /// When the clients of this listener are asked to go away; nil while they are not.
    private(set) var drainWindow: DrainWindow?
    private var sockets: [StreamListener] = []
    /// What connections of this listener look at.
    let pressure: WorkerPressure

    /// Connections accepted per wake without a `max_connections_to_accept_per_socket_event`: enough to empty a burst in
    /// few wakes, few enough that connections already open wait less than a millisecond for their turn (about 10 µs each).
    static let defaultAcceptsPerWake = 64

    init(compiled: CompiledListener, worker: Worker) {
        self.compiled = compiled
        self.worker = worker
        var filters = compiled.listener.listenerFilters
        if compiled.listener.useOriginalDestination {
            filters.append(ListenerFilterConfig(name: "use_original_dst", kind: .originalDestination))
        }
        self.filters = filters
        pressure = compiled.listener.bypassesOverloadManager ? worker.calm : worker.pressure
        super.init()
    }

    // MARK: Life

    /// Can be found from now on, and accepts on this worker's sockets, when there are any.
    func start() {
        worker.listenersByAddress.insert(self)
        guard worker.index < compiled.sockets.count else { return }
        let configured = compiled.listener.acceptsPerSocketEvent ?? 0
        let budget = configured > 0 ? Int(configured) : ActiveListener.defaultAcceptsPerWake
        for socket in compiled.sockets[worker.index] {
            sockets.append(worker.loop.listen(socket, acceptsPerWake: budget, handler: self))
        }
        if pressure.levels.stopsConnections { setPaused(true) }
    }

    /// No new connection begins; those that have begun still arrive. `closeSockets` follows when they have.
    func stopHandshakes() { for socket in sockets { socket.stopHandshakes(siblings: compiled.sockets.count) } }

    /// Clients are asked to go away from now on.
    func drain(_ window: DrainWindow) { drainWindow = window }

    /// `stop_accepting_connections`: clients wait in the kernel's queue.
    func setPaused(_ isPaused: Bool) {
        for socket in sockets {
            if isPaused { socket.pause() } else { socket.resume() }
        }
    }

    /// Stops accepting and cannot be found any more. Connections go on.
    func close() {
        worker.listenersByAddress.remove(self)
        closeSockets()
    }

    /// Takes what the kernel holds and stops accepting.
    func closeSockets() {
        // Closing accepts what the kernel has queued, which calls back.
        let closing = sockets
        sockets = []
        for socket in closing { socket.close() }
    }

    // MARK: Connections

    override package func onAccept(_ stream: ByteStream) {
        if !pressure.isCalm, OverloadLevels.happens(pressure.levels.rejectConnections, random: worker.random.next()) {
            worker.stats.add(compiled.stats.connectionsOverloadReject)
            stream.close()
            return
        }
        guard let account = ConnectionAccount(accepting: self) else {
            stream.close()
            return
        }
        let facts = ConnectionFacts(localAddress: stream.localAddress, remoteAddress: stream.remoteAddress)
        if filters.isEmpty {
            serve(stream, facts, account: account, replacing: nil)
        } else {
            AcceptedConnection(stream: stream, facts: facts, account: account).begin()
        }
    }

    /// Chooses the filter chain and starts its terminal, which takes over the stream with what it has received.
    ///
    /// - Parameter predecessor: the connection in its listener filters, whose place in the registry the terminal gets.
    func serve(
        _ stream: ByteStream, _ facts: ConnectionFacts, account: ConnectionAccount,
        replacing predecessor: AcceptedConnection?
    ) {
        guard let id = compiled.chain(for: facts), let chain = worker.chains[id] else {
            refuse(stream, facts, account: account)
            account.end(predecessor)
            return
        }
        guard let tls = chain.tls else {
            account.serve(stream, facts, chain: chain)
            startTerminal(stream, facts, account: account, chain: chain, replacing: predecessor)
            return
        }
        let secure = TLSStream(
            accepting: stream, context: tls.context, workspace: worker.clusters.tls.workspace, policy: tls.policy)
        account.serve(secure, facts, chain: chain)
        let handshake = TLSHandshake(
            listener: self, chain: chain, tls: tls, stream: secure, facts: facts, account: account)
        register(handshake, replacing: predecessor)
        handshake.begin()
    }

    /// Hands a connection to the terminal of its chain. The stream carries the terminal's bytes: plain, or decrypted.
    ///
    /// - Parameter predecessor: the connection in its listener filters or handshake, whose place the terminal gets.
    func startTerminal(
        _ stream: ByteStream, _ facts: ConnectionFacts, account: ConnectionAccount, chain: CompiledChain,
        replacing predecessor: DownstreamConnection?
    ) {
        switch chain.terminal {
        case .http(let config):
            let manager = HTTPConnectionManager(
                worker: worker, listener: self, chain: chain, config: config, stream: stream, facts: facts,
                account: account)
            enter(manager, stream, replacing: predecessor)
            manager.begin()
        case .tcp(let config):
            let proxy = TCPProxy(
                worker: worker, listener: self, chain: chain, config: config, stream: stream, facts: facts,
                account: account)
            enter(proxy, stream, replacing: predecessor)
            proxy.begin()
        }
    }

    private func enter(
        _ connection: DownstreamConnection, _ stream: ByteStream, replacing predecessor: DownstreamConnection?
    ) {
        register(connection, replacing: predecessor)
        stream.start(handler: connection)
    }

    private func register(_ connection: DownstreamConnection, replacing predecessor: DownstreamConnection?) {
        if let predecessor {
            worker.connections.replace(predecessor, with: connection)
        } else {
            worker.connections.insert(connection)
        }
    }

    /// No chain is for this connection.
    private func refuse(_ stream: ByteStream, _ facts: ConnectionFacts, account: ConnectionAccount) {
        worker.stats.add(compiled.stats.noFilterChainMatch)
        if !compiled.accessLogs.isEmpty {
            let record = ConnectionLogRecord(account, facts: facts)
            record.flags = .noRouteFound
            record.details = "filter_chain_not_found"
            record.receivedBytes = stream.receivedBytes
            worker.logs.write(compiled.accessLogs, record)
        }
        stream.close()
    }
}

@available(*, unavailable) extension ActiveListener: Sendable {}
