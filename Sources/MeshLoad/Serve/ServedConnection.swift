// SPDX-License-Identifier: Apache-2.0
import MeshIO
import MeshTLS

/// One client of the test server: says which protocol it speaks, and hands on what comes.
final class ServedConnection: StreamHandler, Hashable {
    private enum Speaker {
        case unknown
        case http1(ServedHTTP1)
        case http2(ServedHTTP2)
        case webSocket(ServedWebSocket)
        case tcp(TCPAnswer)
    }

    private unowned(unsafe) let worker: ServedWorker
    let stream: ByteStream
    private var speaker: Speaker
    /// The client does not take what it gets: nothing more is written, nor read.
    private(set) var isBlocked = false
    private var isClosing = false
    /// Nothing came yet.
    private var isNew = true

    // What is echoed (TCP, a WebSocket) waits in the input until it is due.
    private var held = HeldInput()
    /// - Unit: nanoseconds.
    private var delay: UInt64
    private var isWakePlanned = false
    private var isHoldingBack = false
    /// The client has ended its side while something of it waited.
    private var hasEnded = false

    /// What an HTTP/2 client sends first (RFC 9113 §3.4); three bytes tell it from any HTTP/1 method.
    private static let preface: [UInt8] = Array("PRI".utf8)
    /// What a source keeps ready for its client. - Unit: bytes.
    private static let sourceChunk = 1 << 18
    /// Bytes that may wait for a client that does not read; then it is not read from either. As many may wait for their time.
    private static let bufferLimit = 1 << 20

    init(_ worker: ServedWorker, _ stream: ByteStream, speaksTCP: Bool) {
        self.worker = worker
        self.stream = stream
        delay = worker.behaviour.delay
        speaker = speaksTCP ? .tcp(worker.behaviour.tcpAnswer) : .unknown
        super.init()
        stream.setBufferLimit(ServedConnection.bufferLimit)
    }

    static func == (one: ServedConnection, other: ServedConnection) -> Bool { one === other }
    func hash(into hasher: inout Hasher) { hasher.combine(ObjectIdentifier(self)) }

    /// Takes the stream over.
    func start() {
        stream.start(handler: self)
        if case .tcp(.source) = speaker {
            // Its client sends nothing; the first byte would be ours.
            isNew = false
            if worker.drawsError() { return close() }
            stream.reportsDrained = true
            writeSource()
        }
    }

    override func onInput(_ stream: ByteStream) {
        switch speaker {
        case .unknown:
            guard stream.input.count >= ServedConnection.preface.count else { return }
            if stream.input.readable.starts(with: ServedConnection.preface) {
                speaker = .http2(ServedHTTP2(worker, self))
            } else {
                speaker = .http1(ServedHTTP1(worker, self))
            }
            onInput(stream)
        case .http1(let served): served.onInput(stream)
        case .http2(let served): served.onInput(stream)
        case .webSocket, .tcp:
            if case .tcp = speaker, isNew {
                isNew = false
                if worker.drawsError() { return close() }
            }
            guard worker.behaviour.waits(delay: delay) else {
                _ = take(stream.input.count)
                return
            }
            let now = BenchClock.now()
            held.arrived(stream.input.count, due: worker.due(at: now, delay: delay))
            answerHeld(now)
        }
    }

    /// The client asked for a WebSocket and got it. - Parameter delay: of every message, in nanoseconds.
    func becameWebSocket(delay: UInt64) {
        self.delay = delay
        speaker = .webSocket(ServedWebSocket(worker, self))
        onInput(stream)
    }

    // MARK: Echo

    /// Answers the first `available` bytes of the input and returns how many it took.
    private func take(_ available: Int) -> Int {
        switch speaker {
        case .webSocket(let served): return served.take(available, stream)
        case .tcp(let answer):
            if answer == .echo { stream.write(copying: UnsafeRawBufferPointer(rebasing: stream.input.readable[..<available])) }
            stream.input.consume(available)
            return available
        case .unknown, .http1, .http2: return 0
        }
    }

    /// Answers what is due and comes back for the rest.
    private func answerHeld(_ now: UInt64) {
        held.release(at: now)
        if held.released > 0, !isBlocked { held.consumed(take(held.released)) }
        guard !stream.isClosed else { return }
        if hasEnded, held.held == 0 { return inputEnded() }
        holdBack(held.held >= ServedConnection.bufferLimit)
        guard let next = held.next, !isWakePlanned else { return }
        isWakePlanned = true
        worker.delayed.add(at: next) { [self] in
            isWakePlanned = false
            if !stream.isClosed { answerHeld(BenchClock.now()) }
        }
    }

    /// Stops reading, or goes on.
    private func holdBack(_ wanted: Bool) {
        guard wanted != isHoldingBack else { return }
        isHoldingBack = wanted
        if wanted { stream.pauseReading() } else { stream.resumeReading() }
    }

    override func onAboveHighWatermark(_ stream: ByteStream) {
        switch speaker {
        case .webSocket, .tcp(.echo):
            isBlocked = true
            stream.pauseReading()
        case .unknown, .http1, .http2, .tcp: break
        }
    }

    override func onBelowLowWatermark(_ stream: ByteStream) {
        if isBlocked {
            isBlocked = false
            // What waits is delivered then, and what was released with it.
            stream.resumeReading()
        }
        if case .http2(let served) = speaker { served.scheduleFlush() }
    }

    override func onDrained(_ stream: ByteStream) {
        if isClosing { return close() }
        if case .tcp(.source) = speaker { writeSource() }
    }

    private func writeSource() {
        worker.answers.withFiller(ServedConnection.sourceChunk) { stream.write($0) }
    }

    // MARK: End

    override func onEndOfInput(_ stream: ByteStream) {
        if held.held > 0 { hasEnded = true } else { inputEnded() }
    }

    /// What the client has asked for before it ended its side still goes out.
    private func inputEnded() {
        if case .tcp(.source) = speaker { return close() }
        if stream.output.isEmpty { return close() }
        isClosing = true
        stream.reportsDrained = true
        stream.closeWrite()
    }

    override func onClosed(_ stream: ByteStream, _ reason: StreamCloseReason) { worker.ended(self) }

    func close() {
        stream.close()
        worker.ended(self)
    }
}
