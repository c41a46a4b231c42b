// SPDX-License-Identifier: Apache-2.0
import MeshIO

/// The handler of the stream below a `TLSStream`, which cannot be one itself.
///
/// Holds the stream it belongs to for the length of an event, because the owner may drop it in answer to one.
final class TransportPort: StreamHandler {
    private unowned(unsafe) let owner: TLSStream

    init(owner: TLSStream) { self.owner = owner }

    private func tell(_ body: (TLSStream) -> Void) {
        let stream = owner
        guard !stream.isClosed else { return }
        withExtendedLifetime(stream) { body(stream) }
    }

    override func onConnected(_ stream: ByteStream) { tell { $0.transportConnected() } }
    override func onInput(_ stream: ByteStream) { tell { $0.transportHasInput() } }
    override func onEndOfInput(_ stream: ByteStream) { tell { $0.transportEnded() } }
    override func onBelowLowWatermark(_ stream: ByteStream) { tell { $0.transportHasRoom() } }
    override func onDrained(_ stream: ByteStream) { tell { $0.transportDrained() } }
    override func onClosed(_ stream: ByteStream, _ reason: StreamCloseReason) { tell { $0.transportClosed(reason) } }
}
