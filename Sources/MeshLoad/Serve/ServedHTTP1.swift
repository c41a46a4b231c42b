// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshIO

/// HTTP/1.1 of the test server, and the way to a WebSocket.
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
            case .end:
                if head.isUpgrade, let accept = webSocketAccept() { upgrade(accept, stream) } else { answer(stream) }
            case .failed: return connection.close()
            }
        }
    }

    /// The answer to a WebSocket's key; nil where the request does not ask for one.
    private func webSocketAccept() -> [UInt8]? {
        guard head.headers.value(of: .upgrade)?.elementsEqual("websocket".utf8) ?? false else { return nil }
        let place = Array("sec-websocket-key".utf8).withUnsafeBytes { head.headers.firstIndex(named: $0) }
        return place < 0 ? nil : WebSocketKey.accept(Array(head.headers.value(at: place)))
    }

    /// The share of errors is one of messages; the path can ask for another status, and for a delay of every message.
    private func upgrade(_ accept: [UInt8], _ stream: ByteStream) {
        let asked = ServedAnswer(path: head.headers.value(of: .path) ?? UnsafeRawBufferPointer(start: nil, count: 0), worker.behaviour)
        guard asked.status == 200 else { return write(asked, stream) }
        let text = "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: "
        (Array(text.utf8) + accept + Array("\r\n\r\n".utf8)).withUnsafeBytes { stream.write(copying: $0) }
        worker.loop.keepUntilEndOfTurn(self)
        isAnswering = true
        connection.becameWebSocket(delay: asked.delay)
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
