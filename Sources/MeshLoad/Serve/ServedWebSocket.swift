// SPDX-License-Identifier: Apache-2.0
import MeshIO

/// A WebSocket of the test server: every frame of a message goes back as it comes, unmasked; or the message is one of the share
/// of errors, and a close with 1011 goes back.
final class ServedWebSocket {
    private unowned(unsafe) let worker: ServedWorker
    private unowned(unsafe) let connection: ServedConnection
    private var reader = WebSocketReader()
    private var head: WebSocketReader.Head?
    /// Payload of a control frame, which goes back whole.
    private var control: [UInt8] = []
    /// A close went out: nothing that comes is answered any more.
    private var isOver = false

    init(_ worker: ServedWorker, _ connection: ServedConnection) {
        self.worker = worker
        self.connection = connection
    }

    /// Answers what stands in the first `available` bytes of the input.
    /// - Returns: how many of them it took.
    func take(_ available: Int, _ stream: ByteStream) -> Int {
        var taken = 0
        while !stream.isClosed, !connection.isBlocked {
            if isOver {
                stream.input.consume(available - taken)
                return available
            }
            switch reader.next(UnsafeRawBufferPointer(rebasing: stream.input.readable[..<(available - taken)])) {
            case .needMore: return taken
            case .failed:
                connection.close()
                return taken
            case .head(let head, let consumed):
                stream.input.consume(consumed)
                taken += consumed
                // A client must mask (RFC 6455 §5.1).
                guard head.mask != nil else {
                    connection.close()
                    return taken
                }
                self.head = head
                control.removeAll(keepingCapacity: true)
                if head.opcode == .text || head.opcode == .binary, worker.drawsError() {
                    endWithError(stream)
                    continue
                }
                if head.opcode.rawValue < 8 { writeHead(head.opcode, head.isFinal, Int(head.length), stream) }
                if head.length == 0 { frameEnded(head, stream) }
            case .payload(let count, let offset, let isLast):
                guard let head, let mask = head.mask, let source = stream.input.readable.baseAddress else {
                    connection.close()
                    return taken
                }
                if head.opcode.rawValue < 8 {
                    echo(source, count, mask, offset, stream)
                } else {
                    var bytes = [UInt8](repeating: 0, count: count)
                    bytes.withUnsafeMutableBytes { if let base = $0.baseAddress { WebSocketWriter.copy(source, count, mask: mask, offset: offset, to: base) } }
                    control += bytes
                }
                stream.input.consume(count)
                taken += count
                if isLast { frameEnded(head, stream) }
            }
        }
        return taken
    }

    /// "Internal error": the server met something that it cannot go on with (RFC 6455 §7.4.1).
    private func endWithError(_ stream: ByteStream) {
        writeHead(.close, true, 2, stream)
        [UInt8(1011 >> 8), UInt8(1011 & 255)].withUnsafeBytes { stream.write(copying: $0) }
        end(stream)
    }

    private func end(_ stream: ByteStream) {
        isOver = true
        stream.closeWrite()
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
        if head.opcode == .close { end(stream) }
    }
}
