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
    private var isPaused = false
    private var isClosing = false

    /// What an HTTP/2 client sends first (RFC 9113 §3.4); three bytes tell it from any HTTP/1 method.
    private static let preface: [UInt8] = Array("PRI".utf8)
    /// What a source keeps ready for its client. - Unit: bytes.
    private static let sourceChunk = 1 << 18
    /// Bytes that may wait for a client that does not read; then it is not read from either.
    private static let bufferLimit = 1 << 20

    init(_ worker: ServedWorker, _ stream: ByteStream, speaksTCP: Bool) {
        self.worker = worker
        self.stream = stream
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
        case .webSocket(let served): served.onInput(stream)
        case .tcp(let answer):
            if answer == .echo { stream.write(copying: stream.input.readable) }
            stream.input.consume(stream.input.count)
        }
    }

    /// The client asked for a WebSocket and got it.
    func becameWebSocket() {
        speaker = .webSocket(ServedWebSocket(self))
        onInput(stream)
    }

    override func onAboveHighWatermark(_ stream: ByteStream) {
        switch speaker {
        case .webSocket, .tcp(.echo):
            isPaused = true
            stream.pauseReading()
        case .unknown, .http1, .http2, .tcp: break
        }
    }

    override func onBelowLowWatermark(_ stream: ByteStream) {
        if isPaused {
            isPaused = false
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

    /// What the client has asked for before it ended its side still goes out.
    override func onEndOfInput(_ stream: ByteStream) {
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
