// SPDX-License-Identifier: Apache-2.0
import MeshIO

/// A connection that sends a block and waits for it to come back.
final class TCPClientSession: SerialClientSession {
    private var expected = 0
    private var isRight = true

    override func transmit(_ request: Int, planned: UInt64) {
        guard let stream else { return worker.failed(.closed, planned: planned, sent: planned) }
        begin(planned: planned)
        isRight = true
        expected = max(1, worker.prepared.shapes[request].bodySize)
        sentBytes = expected
        worker.prepared.withBody(expected) { stream.write($0) }
    }

    override func onInput(_ stream: ByteStream) {
        if !worker.prepared.content.matches(stream.input.readable, at: received) { isRight = false }
        received += stream.input.count
        stream.input.consume(stream.input.count)
        guard isBusy else { return received > 0 ? ended(.malformed) : () }
        guard received >= expected else { return }
        guard received == expected else { return ended(.malformed) }
        answered(isRight: isRight)
        slotEnded()
    }
}
