// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshIO
import MeshTLS

/// One client of the test server: says which protocol it speaks, and hands on what comes.
final class ServedConnection: StreamHandler, Hashable {
    private enum Speaker {
        case unknown
        case http1(ServedHTTP1)
        case http2(ServedHTTP2)
        case tcp
    }

    private unowned(unsafe) let worker: ServedWorker
    let stream: ByteStream
    private var speaker: Speaker

    /// What an HTTP/2 client sends first (RFC 9113 §3.4); three bytes tell it from any HTTP/1 method.
    private static let preface: [UInt8] = Array("PRI".utf8)

    init(_ worker: ServedWorker, _ stream: ByteStream, speaksTCP: Bool) {
        self.worker = worker
        self.stream = stream
        speaker = speaksTCP ? .tcp : .unknown
        super.init()
    }

    static func == (one: ServedConnection, other: ServedConnection) -> Bool { one === other }
    func hash(into hasher: inout Hasher) { hasher.combine(ObjectIdentifier(self)) }

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
        case .tcp:
            stream.write(copying: stream.input.readable)
            stream.input.consume(stream.input.count)
        }
    }

    override func onBelowLowWatermark(_ stream: ByteStream) {
        if case .http2(let served) = speaker { served.scheduleFlush() }
    }

    override func onEndOfInput(_ stream: ByteStream) { close() }

    override func onClosed(_ stream: ByteStream, _ reason: StreamCloseReason) { worker.ended(self) }

    func close() {
        stream.close()
        worker.ended(self)
    }
}

/// HTTP/1.1 of the test server.
final class ServedHTTP1 {
    private unowned(unsafe) let worker: ServedWorker
    private unowned(unsafe) let connection: ServedConnection
    private var decoder = HTTP1RequestDecoder()
    private var head = RequestHead()
    private var trailers = HeaderBlock()
    /// An answer waits for its time; what follows waits behind it.
    private var isAnswering = false

    init(_ worker: ServedWorker, _ connection: ServedConnection) {
        self.worker = worker
        self.connection = connection
    }

    func onInput(_ stream: ByteStream) {
        while !isAnswering, !stream.isClosed {
            let step = decoder.next(stream.input.readable, head: &head, trailers: &trailers, pool: stream.pool)
            if step.consumed > 0 { stream.input.consume(step.consumed) }
            switch step.kind {
            case .needMore: return
            case .head: if head.expectsContinue { HTTP1Encoder.writeContinue(to: stream) }
            case .body, .trailers: break
            case .end: answer(stream)
            case .failed: return connection.close()
            }
        }
    }

    private func answer(_ stream: ByteStream) {
        let (answer, due) = worker.plan(head.headers.value(of: .path) ?? UnsafeRawBufferPointer(start: nil, count: 0))
        guard let due else { return write(answer, stream) }
        isAnswering = true
        worker.delayed.add(at: due) { [self, connection] in
            isAnswering = false
            guard !connection.stream.isClosed else { return }
            write(answer, connection.stream)
            onInput(connection.stream)
        }
    }

    private func write(_ answer: ServedAnswer, _ stream: ByteStream) {
        worker.answers.write(answer, isHead: head.method == .head, to: stream)
        let keepsAlive = head.isKeepAlive
        decoder.reset()
        head.reset()
        if !keepsAlive { stream.closeWrite() }
    }
}
