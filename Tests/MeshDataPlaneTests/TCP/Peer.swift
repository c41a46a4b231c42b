// SPDX-License-Identifier: Apache-2.0
import MeshIO
import MeshTestKit

/// The other end of a connection of the proxy: a client or an upstream that the test plays.
final class Peer: StreamHandler {
    let stream: PipeStream
    private(set) var received: [UInt8] = []
    private(set) var sawEnd = false
    private(set) var sawReset = false
    /// Stops reading after every read, until `stream.resumeReading()`.
    var readsOnce = false

    /// Takes over an end of a pipe and begins to read.
    init(_ stream: PipeStream) {
        self.stream = stream
        super.init()
        stream.start(handler: self)
    }

    var text: String { String(decoding: received, as: UTF8.self) }

    func send(_ text: String) { send(Array(text.utf8)) }
    func send(_ bytes: [UInt8]) { bytes.withUnsafeBytes { stream.write(copying: $0) } }
    func sendEnd() { stream.closeWrite() }
    func sendReset() { stream.reset() }

    override func onInput(_ stream: ByteStream) {
        received += Array(stream.input.readable)
        stream.input.consume(stream.input.count)
        if readsOnce { stream.pauseReading() }
    }

    override func onEndOfInput(_ stream: ByteStream) { sawEnd = true }
    override func onClosed(_ stream: ByteStream, _ reason: StreamCloseReason) { sawReset = true }
}
