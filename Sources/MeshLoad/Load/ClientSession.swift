// SPDX-License-Identifier: Apache-2.0
import MeshIO
import MeshTLS

/// One connection of the load, and the requests on it. Subclasses speak a protocol.
///
/// Invariants:
/// - the worker calls `send` only for a slot that the session gave it by `slotFreed` or when it became ready;
/// - every `send` ends in one `worker.answered`, `worker.failed` or `worker.putBack`.
class ClientSession: StreamHandler {
    unowned(unsafe) let worker: LoadWorker
    /// Requests at once.
    let width: Int
    /// Position among the worker's sessions.
    final var place = 0
    private(set) var stream: ByteStream?
    /// Whether requests can be sent.
    private(set) var isReady = false
    /// Tells the slots of one connection from those of the next.
    private(set) var generation: UInt32 = 0
    private var connectStarted: UInt64 = 0
    /// In a connection of its own: the request that waits for it.
    private var waiting: (request: Int, planned: UInt64)?

    init(worker: LoadWorker, width: Int) {
        self.worker = worker
        self.width = width
        super.init()
    }

    /// Whether each request has a connection of its own.
    final var isSingleUse: Bool { worker.scenario.connectsPerRequest }

    // MARK: Connection

    /// Begins to connect.
    final func open() {
        guard stream == nil else { return }
        connectStarted = BenchClock.now()
        generation &+= 1
        stream = worker.connect(self)
    }

    override final func onConnected(_ stream: ByteStream) {
        if let wanted = worker.scenario.loadProtocol.alpn, let chosen = (stream as? TLSStream)?.parameters?.applicationProtocol,
            chosen != wanted, !(chosen.isEmpty && wanted == Array("http/1.1".utf8))
        {
            let name = chosen.isEmpty ? "no protocol" : String(decoding: chosen, as: UTF8.self)
            worker.noteConnectError("TLS: the server chose \(name) by ALPN; wanted: \(String(decoding: wanted, as: UTF8.self))")
            return ended(.tls)
        }
        opened(stream)
    }

    /// The connection can be used; a subclass says so when its own handshake is over.
    final func becameReady() {
        guard let stream, !isReady else { return }
        isReady = true
        let resumed = (stream as? TLSStream)?.parameters?.isResumed ?? false
        worker.connected(after: BenchClock.now() - connectStarted, resumed: resumed)
        if let waiting {
            self.waiting = nil
            transmit(waiting.request, planned: waiting.planned)
        } else {
            worker.sessionReady(self)
        }
    }

    override final func onClosed(_ stream: ByteStream, _ reason: StreamCloseReason) {
        let kind: FailureKind =
            switch reason {
            case .connectFailed: .connect
            case .tlsFailed: .tls
            case .reset: .closed
            }
        if !isReady { worker.noteConnectError(Self.text(of: reason, stream)) }
        ended(kind)
    }

    override final func onEndOfInput(_ stream: ByteStream) {
        inputEnded(stream)
        if self.stream === stream { ended(isReady ? .closed : .connect) }
    }

    /// The connection is over: its requests failed, another one takes its place.
    final func ended(_ kind: FailureKind) {
        let wasReady = isReady
        dropStream()
        if let waiting {
            self.waiting = nil
            worker.failed(kind, planned: waiting.planned, sent: waiting.planned)
            worker.slotFreed(self)
            return
        }
        failAll(kind)
        worker.sessionEnded(self, wasReady: wasReady, kind)
    }

    /// The run is over: what still waits has failed.
    final func giveUp() {
        if let waiting {
            self.waiting = nil
            worker.failed(.unanswered, planned: waiting.planned, sent: waiting.planned)
        }
        failAll(.unanswered)
        dropStream()
    }

    /// Closes the connection without a word about its requests.
    final func dropStream() {
        isReady = false
        guard let stream else { return }
        worker.loop.keepUntilEndOfTurn(stream)
        stream.close()
        self.stream = nil
        closed()
    }

    private static func text(of reason: StreamCloseReason, _ stream: ByteStream) -> String {
        switch reason {
        case .connectFailed(let code), .reset(let code): SystemError.text(code)
        case .tlsFailed: (stream as? TLSStream)?.failure.map { "TLS: \($0.description)" } ?? "TLS failed"
        }
    }

    // MARK: Requests

    /// Sends a request; in a connection of its own, makes that first.
    final func send(_ request: Int, planned: UInt64) {
        if isSingleUse, !isReady {
            waiting = (request, planned)
            open()
        } else {
            transmit(request, planned: planned)
        }
    }

    /// A request ended and the connection can take another.
    final func slotEnded() {
        if isSingleUse { dropStream() }
        worker.slotFreed(self)
    }

    /// The connection takes no more requests; what is on its way may finish.
    final func retireSlots() { generation &+= 1 }

    /// Fails what began before `time`: a connection that was not made in time, or requests.
    final func expire(before time: UInt64) {
        guard stream != nil else { return }
        if isReady {
            expire(sentBefore: time)
        } else if connectStarted < time {
            worker.noteConnectError("the connection was not made in time")
            ended(.timeout)
        }
    }

    // MARK: What a subclass provides

    /// The connection is made, and TLS with it. Calls `becameReady`, now or later.
    func opened(_ stream: ByteStream) { becameReady() }
    /// The connection is gone; forget what belonged to it. Requests are failed by `failAll`.
    func closed() {}
    /// The peer's FIN came; an answer may end with it.
    func inputEnded(_ stream: ByteStream) {}
    /// Writes a request.
    func transmit(_ request: Int, planned: UInt64) {}
    /// Fails everything that waits for an answer.
    func failAll(_ kind: FailureKind) {}
    /// Fails what was sent before `time`; a protocol without streams gives the connection up for it.
    func expire(sentBefore time: UInt64) {}
}

@available(*, unavailable) extension ClientSession: Sendable {}
