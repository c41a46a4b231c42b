// SPDX-License-Identifier: Apache-2.0
import MeshIO
import MeshModel
import MeshStats

/// What one accepted connection counts towards: limits, gauges, its place in the registry. `end` takes everything back.
///
/// Invariants:
/// - the limits acquired here are released by exactly one `end`;
/// - `downstream_cx_active` contains the connection between `serve` and `end`.
final class ConnectionAccount: EndOfTurn {
    /// The listener whose filters, limits and stats hold now.
    private(set) var listener: ActiveListener
    /// When the connection was accepted.
    let start: MonotonicInstant
    /// `%CONNECTION_ID%`.
    let number = ConnectionNumber.next()
    private let countsGlobally: Bool
    private var isServed = false
    private var isEnded = false
    private var ended: DownstreamConnection?
    /// What the listener's own access log prints; a terminal that knows more than the connection's facts sets it before
    /// `end`.
    var record: ConnectionLogRecord?
    private var served: (stream: ByteStream, facts: ConnectionFacts, chain: String)?

    /// Counts a connection that `listener` accepted; nil, and counted as overflow, when a limit is reached.
    init?(accepting listener: ActiveListener) {
        let worker = listener.worker
        self.listener = listener
        start = worker.loop.now
        countsGlobally = !listener.compiled.listener.ignoreGlobalConnectionLimit
        if countsGlobally, !worker.connectionLimit.acquire() {
            worker.stats.add(listener.compiled.stats.connectionsGlobalOverflow)
            return nil
        }
        if !ConnectionAccount.admit(to: listener) {
            if countsGlobally { worker.connectionLimit.release() }
            return nil
        }
        worker.stats.increment(worker.server.totalConnections)
    }

    /// Acquires the listener's own limit.
    private static func admit(to listener: ActiveListener) -> Bool {
        guard let limit = listener.compiled.connectionLimit, !limit.acquire() else { return true }
        listener.worker.stats.add(listener.compiled.stats.connectionsOverflow)
        return false
    }

    /// Puts the connection under the limit of another listener; false, and counted there, when that is reached.
    func move(to target: ActiveListener) -> Bool {
        guard ConnectionAccount.admit(to: target) else { return false }
        listener.compiled.connectionLimit?.release()
        listener = target
        return true
    }

    /// A filter chain takes the connection: from now on it counts as one of the listener.
    func serve(_ stream: ByteStream, _ facts: ConnectionFacts, chain: CompiledChain) {
        isServed = true
        if needsRecord { served = (stream, facts, chain.name) }
        let worker = listener.worker
        worker.stats.add(listener.compiled.stats.connectionsTotal)
        worker.stats.increment(listener.compiled.stats.connectionsActive)
    }

    /// Whether the listener logs its connections.
    var needsRecord: Bool { !listener.compiled.accessLogs.isEmpty }

    /// The connection is over and its stream closed. Only the first call does anything.
    ///
    /// The object stays alive until the end of the turn, because its stream, which does not retain it, may be calling it.
    func end(_ connection: DownstreamConnection?) {
        guard !isEnded else { return }
        isEnded = true
        let worker = listener.worker
        let counts = listener.compiled.stats
        if isServed {
            worker.stats.decrement(counts.connectionsActive)
            worker.stats.add(counts.connectionsDestroyed)
            worker.stats.record(counts.connectionDuration, worker.loop.now.nanoseconds(since: start) / 1_000_000)
            log()
        }
        listener.compiled.connectionLimit?.release()
        if countsGlobally { worker.connectionLimit.release() }
        worker.stats.decrement(worker.server.totalConnections)
        if let connection {
            ended = connection
            worker.loop.atEndOfTurn(self)
            worker.connections.remove(connection)
        }
        worker.connectionEnded()
    }

    /// Envoy's listeners log every connection that got a chain, when it ends.
    private func log() {
        guard let served else { return }
        self.served = nil
        let record = self.record ?? ConnectionLogRecord(self, facts: served.facts)
        if self.record == nil {
            record.chainName = served.chain
            record.receivedBytes = served.stream.receivedBytes
            record.sentBytes = served.stream.sentBytes
        }
        listener.worker.logs.write(listener.compiled.accessLogs, record)
    }

    func onEndOfTurn() { ended = nil }
}

@available(*, unavailable) extension ConnectionAccount: Sendable {}
