// SPDX-License-Identifier: Apache-2.0
import MeshIO

/// A connection that sends so many bytes and waits for as many to come back.
final class TCPClientSession: ClientSession {
    private var isBusy = false
    private var planned: UInt64 = 0
    private var sent: UInt64 = 0
    private var expected = 0
    private var received = 0

    override func transmit(_ request: Int, planned: UInt64) {
        guard let stream else { return worker.failed(.closed, planned: planned, sent: planned) }
        self.planned = planned
        sent = BenchClock.now()
        isBusy = true
        received = 0
        expected = max(1, worker.prepared.shapes[request].bodySize)
        worker.prepared.withBody(expected) { stream.write($0) }
    }

    override func onInput(_ stream: ByteStream) {
        received += stream.input.count
        stream.input.consume(stream.input.count)
        guard isBusy else { return received > 0 ? ended(.malformed) : () }
        guard received >= expected else { return }
        isBusy = false
        let isWhole = received == expected
        if isWhole {
            worker.answered(status: 200, planned: planned, sent: sent, received: received, sentBytes: expected, messages: 0)
            slotEnded()
        } else {
            worker.failed(.malformed, planned: planned, sent: sent)
            ended(.malformed)
        }
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
