// SPDX-License-Identifier: Apache-2.0
package import MeshIO
import MeshModel
import MeshStats
import MeshTLS

/// A connection in its TLS handshake: its filter chain is chosen, its terminal has not begun.
///
/// Invariants:
/// - exactly one of success (the terminal takes the stream over) and `end` happens;
/// - the registry holds it from `begin` on, and the stream calls it until then.
package final class TLSHandshake: DownstreamConnection, TimerTarget {
    private let listener: ActiveListener
    private let chain: CompiledChain
    private let tls: CompiledDownstreamTLS
    private let stream: TLSStream
    private var facts: ConnectionFacts
    private let account: ConnectionAccount
    private var timer = TimerID.none
    private var isOver = false

    init(
        listener: ActiveListener, chain: CompiledChain, tls: CompiledDownstreamTLS, stream: TLSStream,
        facts: ConnectionFacts, account: ConnectionAccount
    ) {
        self.listener = listener
        self.chain = chain
        self.tls = tls
        self.stream = stream
        self.facts = facts
        self.account = account
        super.init()
    }

    private var worker: Worker { listener.worker }

    /// The registry holds this object already.
    func begin() {
        if chain.transportTimeout > 0 {
            timer = worker.loop.timers.make(target: self)
            let timeout = listener.pressure.levels.timers.transportConnect.scaled(chain.transportTimeout)
            worker.loop.timers.arm(timer, at: worker.loop.now.advanced(byNanoseconds: timeout))
        }
        stream.start(handler: self)
    }

    // MARK: Events

    override package func onConnected(_ stream: ByteStream) {
        guard !isOver else { return }
        leave()
        worker.clusters.tls.counters.handshake(self.stream, tls.stats)
        let session = ConnectionTLS(self.stream, element: chain.forwardedElement)
        facts.tls = session
        facts.negotiatedProtocol = session.applicationProtocol
        // The stream is in the middle of calling this object, which the registry lets go of now.
        worker.loop.keepUntilEndOfTurn(self)
        listener.startTerminal(stream, facts, account: account, chain: chain, replacing: self)
    }

    override package func onClosed(_ stream: ByteStream, _ reason: StreamCloseReason) {
        guard !isOver else { return }
        worker.clusters.tls.counters.failure(self.stream.failure, tls.stats)
        end(TLSReason.code(self.stream.failure))
    }

    /// `transport_socket_connect_timeout` is over.
    package func onTimer(_ tag: UInt32) {
        guard !isOver else { return }
        worker.stats.add(listener.compiled.stats.transportSocketTimeout)
        end(TLSReason.timeout)
    }

    override func closeNow() {
        guard !isOver else { return }
        end(TLSReason.peerLeft)
    }

    // MARK: End

    private func leave() {
        isOver = true
        worker.loop.timers.free(&timer)
    }

    private func end(_ reason: Int32) {
        leave()
        if account.needsRecord {
            let record = ConnectionLogRecord(account, facts: facts)
            record.chainName = chain.name
            record.transportFailure = reason
            account.record = record
        }
        stream.close()
        account.end(self)
    }
}

@available(*, unavailable) extension TLSHandshake: Sendable {}
