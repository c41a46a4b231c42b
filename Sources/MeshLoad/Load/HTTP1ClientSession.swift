// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshIO

/// A connection that speaks HTTP/1.1, one request at a time.
final class HTTP1ClientSession: SerialClientSession {
    private var decoder = HTTP1ResponseDecoder()
    private var head = ResponseHead()
    private var trailers = HeaderBlock()
    private var body = AnswerCheck.Body()

    override func closed() {
        decoder = HTTP1ResponseDecoder()
        head.reset()
    }

    override func transmit(_ request: Int, planned: UInt64) {
        guard let stream else { return worker.failed(.closed, planned: planned, sent: planned) }
        begin(planned: planned)
        body = AnswerCheck.Body()
        let shape = worker.prepared.shapes[request]
        decoder.expect(method: shape.method)
        sentBytes = worker.prepared.writeHead(request, to: stream) + shape.bodySize
        if shape.bodySize > 0 { worker.prepared.withBody(shape.bodySize) { stream.write($0) } }
    }

    override func onInput(_ stream: ByteStream) {
        while self.stream === stream {
            let step = decoder.next(stream.input.readable, head: &head, trailers: &trailers, pool: stream.pool)
            received += step.consumed
            if step.kind == .body, let check = worker.check {
                check.add(UnsafeRawBufferPointer(rebasing: stream.input.readable[step.bodyOffset..<step.bodyOffset + step.bodyLength]), to: &body)
            }
            if step.consumed > 0 { stream.input.consume(step.consumed) }
            switch step.kind {
            case .needMore: return
            case .head, .body, .trailers: break
            case .end: answerEnded()
            case .failed:
                ended(.malformed)
                return
            }
        }
    }

    private var isRight: Bool { worker.check?.accepts(status: head.status, body) ?? true }

    private func answerEnded() {
        guard isBusy else { return }
        let closes = !head.isKeepAlive
        answered(status: head.status, isRight: isRight)
        guard stream != nil else { return }
        if closes, !isSingleUse {
            ended(.closed)
        } else {
            slotEnded()
        }
    }

    override func inputEnded(_ stream: ByteStream) {
        guard isBusy, decoder.endOfInput().kind == .end else { return }
        // The answer ran to the end of the connection, which `onEndOfInput` takes care of.
        answered(status: head.status, isRight: isRight)
        if isSingleUse { slotEnded() }
    }
}
