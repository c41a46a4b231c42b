// SPDX-License-Identifier: Apache-2.0
import MeshIO
import MeshTLS

/// One connection of the load, and the requests on it. Subclasses speak a protocol.
///
/// Invariants:
/// - the worker calls `send` only for a slot that the session gave it by `slotFreed` or at `opened`;
/// - every `send` ends in one `worker.answered` or `worker.failed`.
class ClientSession: StreamHandler {
    unowned(unsafe) let worker: LoadWorker
    /// Requests at once.
    let width: Int
    /// Position among the worker's sessions.
    final var place = 0
    private(set) var stream: ByteStream?
    private(set) var isOpen = false
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
        isOpen = true
        let resumed = (stream as? TLSStream)?.parameters?.isResumed ?? false
        worker.connected(after: BenchClock.now() - connectStarted, resumed: resumed)
        opened(stream)
        if let waiting {
            self.waiting = nil
            transmit(waiting.request, planned: waiting.planned)
        } else {
            worker.sessionOpened(self)
        }
    }

    override final func onClosed(_ stream: ByteStream, _ reason: StreamCloseReason) {
        let kind: FailureKind =
            switch reason {
            case .connectFailed: .connect
            case .tlsFailed: .tls
            case .reset: .closed
            }
        if !isOpen { worker.noteConnectError(Self.text(of: reason, stream)) }
        ended(kind)
    }

    override final func onEndOfInput(_ stream: ByteStream) {
        inputEnded(stream)
        if self.stream === stream { ended(isOpen ? .closed : .connect) }
    }

    /// The connection is over: its requests failed, another one takes its place.
    final func ended(_ kind: FailureKind) {
        let wasOpen = isOpen
        dropStream()
        if let waiting {
            self.waiting = nil
            worker.failed(kind, planned: waiting.planned, sent: waiting.planned)
            worker.slotFreed(self)
            return
        }
        failAll(kind)
        worker.sessionEnded(self, wasOpen: wasOpen, kind)
    }

    /// Closes the connection without a word about its requests.
    final func dropStream() {
        isOpen = false
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
        if isSingleUse, !isOpen {
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

    // MARK: What a subclass provides

    /// The connection can be used.
    func opened(_ stream: ByteStream) {}
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
