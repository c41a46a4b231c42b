// SPDX-License-Identifier: Apache-2.0
import MeshIO

/// A WebSocket of the test server: every frame of a message goes back as it comes, unmasked.
final class ServedWebSocket {
    private unowned(unsafe) let connection: ServedConnection
    private var reader = WebSocketReader()
    private var head: WebSocketReader.Head?
    /// Payload of a control frame, which goes back whole.
    private var control: [UInt8] = []

    init(_ connection: ServedConnection) { self.connection = connection }

    func onInput(_ stream: ByteStream) {
        while !stream.isClosed, !stream.isReadingPaused {
            switch reader.next(stream.input.readable) {
            case .needMore: return
            case .failed: return connection.close()
            case .head(let head, let consumed):
                stream.input.consume(consumed)
                // A client must mask (RFC 6455 §5.1).
                guard head.mask != nil else { return connection.close() }
                self.head = head
                control.removeAll(keepingCapacity: true)
                if head.opcode.rawValue < 8 { writeHead(head.opcode, head.isFinal, Int(head.length), stream) }
                if head.length == 0 { frameEnded(head, stream) }
            case .payload(let count, let offset, let isLast):
                guard let head, let mask = head.mask, let source = stream.input.readable.baseAddress else { return connection.close() }
                if head.opcode.rawValue < 8 {
                    echo(source, count, mask, offset, stream)
                } else {
                    var bytes = [UInt8](repeating: 0, count: count)
                    bytes.withUnsafeMutableBytes { if let base = $0.baseAddress { WebSocketWriter.copy(source, count, mask: mask, offset: offset, to: base) } }
                    control += bytes
                }
                stream.input.consume(count)
                if isLast { frameEnded(head, stream) }
            }
        }
    }

    private func echo(_ source: UnsafeRawPointer, _ count: Int, _ mask: UInt32, _ offset: UInt64, _ stream: ByteStream) {
        var done = 0
        while done < count {
            let piece = min(count - done, SlabPool.standardCapacity)
            WebSocketWriter.copy(source + done, piece, mask: mask, offset: offset + UInt64(done), to: stream.reserve(piece))
            stream.commit(piece)
            done += piece
        }
    }

    private func writeHead(_ opcode: WebSocketReader.Opcode, _ isFinal: Bool, _ length: Int, _ stream: ByteStream) {
        let room = stream.reserve(WebSocketWriter.longestHead)
        stream.commit(WebSocketWriter.writeHead(opcode, isFinal: isFinal, length: length, mask: nil, to: room))
    }

    private func frameEnded(_ head: WebSocketReader.Head, _ stream: ByteStream) {
        guard head.opcode == .ping || head.opcode == .close else { return }
        writeHead(head.opcode == .ping ? .pong : .close, true, control.count, stream)
        control.withUnsafeBytes { stream.write(copying: $0) }
        if head.opcode == .close { stream.closeWrite() }
    }
}
