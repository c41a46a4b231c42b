// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshHTTP2
package import MeshIO
package import MeshModel
package import MeshStats

/// What other threads may tell a worker. Everything that enters a worker's thread is one of these.
package enum WorkerCommand: Sendable {
    /// Apply a configuration change.
    case apply(ConfigDelta)
    /// First half of a listener's end: no new connection begins, those that have begun still arrive.
    case stopHandshakes(ListenerScope)
    /// Second half: take what the kernel holds and close the listening sockets.
    case closeListeners(ListenerScope)
    /// Tell the clients of listeners to go away.
    case drain(ListenerScope, DrainWindow)
    /// Report when no connection is left.
    case finish
    /// What the overload manager wants from now on.
    case overload(OverloadLevels)
    /// Reset the streams that hold most.
    case resetHeaviest(HeavyStreams)
    /// Give free memory back.
    case trim
    /// Most bytes of buffers in use at a time.
    case memoryBudget(Int)
    /// Whether `/healthcheck/fail` holds.
    case healthCheckFailed(Bool)
    /// Hand buffered access-log lines to the writer now.
    case flushLogs
    /// Close everything and stop the loop.
    case stop
}

/// Which listeners a drain is about.
package enum ListenerScope: Sendable {
    case all
    /// Those whose `traffic_direction` is INBOUND.
    case inbound

    func contains(_ listener: Listener) -> Bool { self == .all || listener.trafficDirection == .inbound }
}

/// What a worker tells the control thread.
package enum WorkerEvent: Sendable {
    /// Every change up to this generation is in force.
    case applied(worker: Int, generation: UInt64)
    /// After `finish`: no connection is left.
    case drained(worker: Int)
    /// The loop has ended.
    case stopped(worker: Int)
}

/// Where rendered access-log lines go. Called on worker threads; must not block.
package protocol AccessLogSink: AnyObject, Sendable {
    /// Takes whole lines for one file. Returns false when the queue is full and the lines were dropped.
    ///
    /// - Parameter byTimer: because the flush interval passed, not because there were many.
    func write(_ lines: [UInt8], to file: LogFileID, byTimer: Bool) -> Bool
}

extension AccessLogSink {
    package func write(_ lines: [UInt8], to file: LogFileID) -> Bool { write(lines, to: file, byTimer: false) }
}

/// The only reference to a worker that other threads hold.
package final class WorkerHandle: Sendable {
    let mailbox = Mailbox<WorkerCommand>()

    package init() {}

    /// Any thread.
    package func post(_ command: WorkerCommand) { mailbox.post(command) }
}

/// One loop's world: its listeners, connections, clusters, and its private view of the configuration.
///
/// Everything it owns is made on its own thread and stays there.
package final class Worker: EndOfTurn {
    package let index: Int
    package let loop: EventLoop
    package let stats: StatPages
    let server: ServerStats
    let resetHeaviestCount: CounterID
    let http1Stats: HTTP1CodecStats
    let http2Stats: HTTP2CodecStats
    let replies: ReplyJournal
    /// Of every HTTP/2 session of the loop.
    let http2Memory = HTTP2Memory()
    let clusters: ClusterManager
    let logs: AccessLogBuffers
    /// The memory of CEL expressions.
    let expressions: CELScratch
    var dates = DateCache()
    /// Text under construction: paths, list values. Nobody keeps bytes in it across a call.
    let scratch = ByteSink(capacity: 4096)
    /// The body of a reply that `local_reply_config` made.
    let replyBody = ByteSink(capacity: 256)
    var random: RandomSource

    private(set) var chains = SlotTable<CompiledChain, CompiledChain>()
    private(set) var routes = SlotTable<CompiledRoutes, ActiveRoutes>()
    private(set) var listeners = SlotTable<CompiledListener, ActiveListener>()

    /// The same listeners by address, for hand-off by original destination.
    let listenersByAddress = ListenerSet()

    /// Connections of every listener, by their place.
    let connections = ConnectionRegistry()
    /// This machine's own address, as `x-forwarded-for` gives it for a peer on the same machine.
    let hostAddress: Address
    /// Process-wide connection limit and count, shared by all workers.
    let connectionLimit: ConnectionLimit
    /// Who may ask why a reply is what it is.
    let explanations: ReplyExplanations

    /// What overload and health demand of connections; `calm` is for listeners that bypass the overload manager.
    let pressure = WorkerPressure()
    let calm = WorkerPressure()

    /// Every stream there is; what keeps them alive.
    private(set) var streams: ContiguousArray<ActiveStream> = []
    /// Streams that are over and wait to be used again.
    private var freeStreams = UncountedStack<ActiveStream>(capacity: Worker.maxFreeStreams)
    /// Streams that finished in this turn.
    private var finishedStreams = UncountedStack<ActiveStream>()
    /// More free streams than this are given back to the allocator.
    private static let maxFreeStreams = 256

    private var reportsDrained = false
    /// Not before this is it tried again to get back to the budget.
    var nextReturn = MonotonicInstant(nanoseconds: 0)
    /// Since the last trim.
    private var endedConnections = 0
    private let mailbox: Mailbox<WorkerCommand>
    private let report: (WorkerEvent) -> Void
    private let stopLoop: () -> Void

    /// - Parameters:
    ///   - logFlushBytes: access log lines are handed to the sink at this many bytes (`--file-flush-min-size-kb`).
    ///   - logFlushInterval: or after this long (`--file-flush-interval-msec`). - Unit: nanoseconds.
    ///   - node: who this proxy is, for expressions.
    ///   - report: called on this worker's thread; hands an event to the control thread.
    ///   - stopLoop: ends the loop that runs this worker.
    package init(
        index: Int, loop: EventLoop, handle: WorkerHandle, stats: StatPages, declarations: WorkerStats,
        sink: any AccessLogSink, logFlushBytes: Int = 64 << 10, logFlushInterval: UInt64 = 1_000_000_000,
        node: NodeIdentity = NodeIdentity(), explanations: ReplyExplanations = .off, connectionLimit: ConnectionLimit, seed: UInt64, hostAddress: Address,
        report: @escaping (WorkerEvent) -> Void, stopLoop: @escaping () -> Void
    ) {
        self.index = index
        self.loop = loop
        self.stats = stats
        self.server = declarations.server
        resetHeaviestCount = declarations.resetHeaviestCount
        self.http1Stats = declarations.http1
        http2Stats = declarations.http2
        replies = declarations.replies
        self.connectionLimit = connectionLimit
        self.explanations = explanations
        self.report = report
        self.hostAddress = hostAddress
        expressions = CELScratch(node: node)
        self.stopLoop = stopLoop
        random = RandomSource(seed: seed)
        logs = AccessLogBuffers(
            loop: loop, sink: sink, flushBytes: logFlushBytes, flushInterval: logFlushInterval, seed: seed &+ 2)
        clusters = ClusterManager(
            loop: loop, stats: stats, http2Memory: http2Memory, seed: seed &+ 1)
        mailbox = handle.mailbox
        loop.onTrim = { [unowned self] in self.trim() }
        loop.onOverBudget = { [unowned self] in self.returnToBudget() }
        mailbox.attach(loop.makeWaker { [unowned self] in self.readMail() })
    }

    private func readMail() {
        for command in mailbox.takeAll() {
            switch command {
            case .apply(let delta): apply(delta)
            case .stopHandshakes(let scope): forEachListener(scope) { $0.stopHandshakes() }
            case .closeListeners(let scope): forEachListener(scope) { $0.closeSockets() }
            case .drain(let scope, let window): drain(scope, window)
            case .finish:
                reportsDrained = true
                reportIfDrained()
            case .overload(let levels): setOverload(levels)
            case .resetHeaviest(let choice): resetHeaviest(choice)
            case .trim: loop.trim()
            case .memoryBudget(let bytes): loop.memoryBudget = bytes
            case .healthCheckFailed(let isFailed):
                pressure.setHealthCheckFailed(isFailed)
                calm.setHealthCheckFailed(isFailed)
            case .flushLogs: logs.flush()
            case .stop: stop()
            }
        }
    }

    // MARK: Configuration

    /// Puts a change in force. Make before break: clusters, routes and chains come before the listeners that use them,
    /// and are taken away after them.
    package func apply(_ delta: ConfigDelta) {
        for (id, cluster) in delta.clusters where cluster != nil { clusters.set(id, cluster) }
        for (id, cluster) in delta.renewedClusters { clusters.renew(id, cluster) }
        for (id, endpoints) in delta.endpoints { clusters.set(id, endpoints) }
        for (id, compiled) in delta.routes where compiled != nil { _ = routes.set(id, compiled.map(ActiveRoutes.init)) }
        for (id, chain) in delta.chains where chain != nil { _ = chains.set(id, chain) }
        for (id, compiled) in delta.listeners {
            let started = compiled.map { ActiveListener(compiled: $0, worker: self) }
            let old = listeners.set(id, started)
            started?.start()
            old?.close()
        }
        for (id, chain) in delta.chains where chain == nil { _ = chains.set(id, nil) }
        for (id, compiled) in delta.routes where compiled == nil { _ = routes.set(id, nil) }
        for (id, cluster) in delta.clusters where cluster == nil { clusters.set(id, nil) }
        report(.applied(worker: index, generation: delta.generation))
    }

    // MARK: Streams

    /// A clean stream, from the pool when there is one. It lives until some turn after it was given back.
    func takeStream() -> Unmanaged<ActiveStream> {
        if let free = freeStreams.pop() { return free }
        let stream = ActiveStream(worker: self)
        stream.place = streams.count
        streams.append(stream)
        return Unmanaged.passUnretained(stream)
    }

    /// The stream is over; at the end of the turn it is cleared and can be used again.
    func streamFinished(_ stream: ActiveStream) {
        if finishedStreams.isEmpty { loop.atEndOfTurn(self) }
        finishedStreams.push(Unmanaged.passUnretained(stream))
    }

    package func onEndOfTurn() {
        while let stream = finishedStreams.pop() {
            stream._withUnsafeGuaranteedRef {
                $0.clear()
                giveBack($0)
            }
        }
    }

    /// Takes a clean stream back; the caller must not touch it again.
    func giveBack(_ stream: ActiveStream) {
        if freeStreams.count < Worker.maxFreeStreams {
            freeStreams.push(Unmanaged.passUnretained(stream))
            return
        }
        free(Unmanaged.passUnretained(stream))
    }

    /// Gives back what nobody needed since the last time: streams, and connections to upstreams. Says how much
    /// memory went back to the allocator then.
    private func trim() -> Int {
        endedConnections += clusters.trim()
        let unneeded = freeStreams.takeFewest()
        let freed = freeStreams.removeOldest(unneeded) { free($0) }
        loop.prepareToShrink()
        clusters.settle()
        defer { endedConnections = 0 }
        let tables = connections.shrink() + streams.shrink() + finishedStreams.shrink() + http2Memory.trim()
        return (freed + endedConnections) * Worker.estimatedObjectBytes + tables
    }

    /// Of a connection or a stream with what belongs to it. - Unit: bytes. It only has to tell a burst from the usual.
    private static let estimatedObjectBytes = 1_024

    /// The list of streams holds the only reference.
    private func free(_ unneeded: Unmanaged<ActiveStream>) {
        let stream = unneeded.takeUnretainedValue()
        stream.releaseTimers()
        let place = stream.place
        let last = streams.removeLast()
        guard last !== stream else { return }
        streams[place] = last
        last.place = place
    }

    // MARK: Drain and stop

    private func forEachListener(_ scope: ListenerScope, _ body: (ActiveListener) -> Void) {
        for listener in listeners.all where scope.contains(listener.compiled.listener) { body(listener) }
    }

    private func drain(_ scope: ListenerScope, _ window: DrainWindow) {
        forEachListener(scope) { $0.drain(window) }
        connections.forEach { $0.drain() }
    }

    /// Called whenever a connection ends.
    func connectionEnded() {
        endedConnections += 1
        if reportsDrained { reportIfDrained() }
    }

    private func reportIfDrained() {
        guard connections.count == 0 else { return }
        reportsDrained = false
        logs.flush()
        report(.drained(worker: index))
    }

    private func stop() {
        for listener in listeners.all { listener.close() }
        connections.forEach { $0.closeNow() }
        clusters.closeAll()
        logs.flush()
        report(.stopped(worker: index))
        stopLoop()
    }
}

@available(*, unavailable) extension Worker: Sendable {}
