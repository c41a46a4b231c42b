// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshIO

/// A WebSocket (RFC 6455) that sends a message and waits for it to come back.
final class WebSocketClientSession: SerialClientSession {
    private var decoder = HTTP1ResponseDecoder()
    private var head = ResponseHead()
    private var trailers = HeaderBlock()
    private var isUpgraded = false
    private var wantedAccept: [UInt8] = []
    private var reader = WebSocketReader()
    /// The frame being read: a piece of the answer, or of what is skipped.
    private var opcode = WebSocketReader.Opcode.binary
    private var isFinal = false
    private var pingPayload: [UInt8] = []

    private var expected = 0
    private var isRight = true

    // MARK: Handshake

    override func opened(_ stream: ByteStream) {
        let key = WebSocketKey.make(&worker.random)
        wantedAccept = WebSocketKey.accept(key)
        decoder.expect(method: .get, isUpgrade: true)
        worker.prepared.writeUpgrade(place % worker.prepared.plan.count, key: key, to: stream)
    }

    override func closed() {
        decoder = HTTP1ResponseDecoder()
        head.reset()
        reader = WebSocketReader()
        isUpgraded = false
    }

    private func readHandshake(_ stream: ByteStream) {
        while !isUpgraded, self.stream === stream {
            let step = decoder.next(stream.input.readable, head: &head, trailers: &trailers, pool: stream.pool)
            if step.consumed > 0 { stream.input.consume(step.consumed) }
            switch step.kind {
            case .needMore: return
            case .head:
                guard head.status == 101 else {
                    worker.noteConnectError("WebSocket: the server answered \(head.status) to the upgrade")
                    return ended(head.status >= 500 ? .status5xx : head.status >= 400 ? .status4xx : .malformed)
                }
            case .body, .trailers: break
            case .end:
                let place = Array("sec-websocket-accept".utf8).withUnsafeBytes { head.headers.firstIndex(named: $0) }
                guard place >= 0, head.headers.value(at: place).elementsEqual(wantedAccept) else {
                    worker.noteConnectError("WebSocket: sec-websocket-accept is wrong")
                    return ended(.malformed)
                }
                isUpgraded = true
                becameReady()
            case .failed: return ended(.malformed)
            }
        }
    }

    // MARK: Messages

    override func transmit(_ request: Int, planned: UInt64) {
        guard let stream else { return worker.failed(.closed, planned: planned, sent: planned) }
        begin(planned: planned)
        isRight = true
        expected = worker.prepared.shapes[request].bodySize
        sentBytes = writeFrame(.binary, expected, to: stream)
    }

    /// Writes one frame, masked as a client's must be. Returns its length.
    private func writeFrame(_ opcode: WebSocketReader.Opcode, _ size: Int, to stream: ByteStream) -> Int {
        let mask = UInt32(truncatingIfNeeded: worker.random.next())
        let headLength = WebSocketWriter.writeHead(
            opcode, isFinal: true, length: size, mask: mask, to: stream.reserve(WebSocketWriter.longestHead))
        stream.commit(headLength)
        var offset = 0
        worker.prepared.withBody(size) { slice in
            let count = slice.count
            guard let source = slice.bytes.baseAddress else { return }
            WebSocketWriter.copy(source, count, mask: mask, offset: UInt64(offset), to: stream.reserve(count))
            stream.commit(count)
            offset += count
        }
        return headLength + size
    }

    override func onInput(_ stream: ByteStream) {
        if !isUpgraded { readHandshake(stream) }
        while isUpgraded, self.stream === stream {
            switch reader.next(stream.input.readable) {
            case .needMore: return
            case .failed: return ended(.malformed)
            case .head(let head, let consumed):
                stream.input.consume(consumed)
                // A server must not mask (§5.1).
                if head.mask != nil { return ended(.malformed) }
                opcode = head.opcode
                isFinal = head.isFinal
                if opcode == .ping { pingPayload.removeAll(keepingCapacity: true) }
                if head.length == 0 { frameEnded(stream) }
            case .payload(let count, _, let isLast):
                if opcode == .ping { pingPayload += stream.input.readable[..<count] }
                if opcode.rawValue < 8 {
                    let piece = UnsafeRawBufferPointer(rebasing: stream.input.readable[..<count])
                    if !worker.prepared.content.matches(piece, at: received) { isRight = false }
                    received += count
                }
                stream.input.consume(count)
                if isLast { frameEnded(stream) }
            }
        }
    }

    private func frameEnded(_ stream: ByteStream) {
        switch opcode {
        case .close: ended(.closed)
        case .ping: answerPing(stream)
        case .pong: break
        case .continuation, .text, .binary: if isFinal { messageEnded() }
        }
    }

    private func answerPing(_ stream: ByteStream) {
        let mask = UInt32(truncatingIfNeeded: worker.random.next())
        let room = stream.reserve(WebSocketWriter.longestHead + pingPayload.count)
        let length = WebSocketWriter.writeHead(.pong, isFinal: true, length: pingPayload.count, mask: mask, to: room)
        pingPayload.withUnsafeBytes { bytes in
            if let base = bytes.baseAddress { WebSocketWriter.copy(base, bytes.count, mask: mask, offset: 0, to: room + length) }
        }
        stream.commit(length + pingPayload.count)
    }

    private func messageEnded() {
        guard isBusy, received == expected else { return ended(.malformed) }
        answered(isRight: isRight, messages: 1)
        slotEnded()
    }
}
