// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshIO

/// A connection that speaks HTTP/1.1, one request at a time.
final class HTTP1ClientSession: ClientSession {
    private var decoder = HTTP1ResponseDecoder()
    private var head = ResponseHead()
    private var trailers = HeaderBlock()
    private var isBusy = false
    private var planned: UInt64 = 0
    private var sent: UInt64 = 0
    private var received = 0
    private var sentBytes = 0

    override func closed() {
        decoder = HTTP1ResponseDecoder()
        head.reset()
    }

    override func transmit(_ request: Int, planned: UInt64) {
        guard let stream else { return worker.failed(.closed, planned: planned, sent: planned) }
        self.planned = planned
        sent = BenchClock.now()
        isBusy = true
        received = 0
        let shape = worker.prepared.shapes[request]
        decoder.expect(method: shape.method)
        sentBytes = worker.prepared.writeHead(request, to: stream) + shape.bodySize
        if shape.bodySize > 0 { worker.prepared.withBody(shape.bodySize) { stream.write($0) } }
    }

    override func onInput(_ stream: ByteStream) {
        while self.stream === stream {
            let step = decoder.next(stream.input.readable, head: &head, trailers: &trailers, pool: stream.pool)
            received += step.consumed
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

    private func answerEnded() {
        guard isBusy else { return }
        isBusy = false
        let closes = !head.isKeepAlive
        worker.answered(status: head.status, planned: planned, sent: sent, received: received, sentBytes: sentBytes, messages: 0)
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
        isBusy = false
        worker.answered(status: head.status, planned: planned, sent: sent, received: received, sentBytes: sentBytes, messages: 0)
        if isSingleUse { slotEnded() }
    }

    override func failAll(_ kind: FailureKind) {
        guard isBusy else { return }
        isBusy = false
        worker.failed(kind, planned: planned, sent: sent)
    }

    override func expire(sentBefore time: UInt64) {
        if isBusy, sent < time { ended(.timeout) }
    }
}
