// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshHTTP2
import MeshIO
import MeshTestKit

/// A client's and a server's session with memory between them.
final class SessionPair {
    let pool = SlabPool()
    let memory = HTTP2Memory()
    let client: HTTP2Session
    let server: HTTP2Session
    var clientLog = HTTP2Trace()
    var serverLog = HTTP2Trace()
    var now = MonotonicInstant(nanoseconds: 1_000_000_000)

    init(client: HTTP2Options = HTTP2Options(), server: HTTP2Options = HTTP2Options()) {
        self.client = HTTP2Session(role: .client, options: client, memory: memory, pool: pool)
        self.server = HTTP2Session(role: .server, options: server, memory: memory, pool: pool)
        self.client.start()
        self.server.start()
    }

    /// What a session has to send.
    func output(_ session: HTTP2Session) -> [UInt8] {
        var queue = OutputQueue()
        session.flush(into: &queue)
        var bytes: [UInt8] = []
        while queue.byteCount > 0 {
            bytes += Array(queue.firstPiece)
            queue.consume(queue.firstPiece.count)
        }
        return bytes
    }

    /// Gives bytes to a session, in slabs of a loop.
    func feed(_ session: HTTP2Session, _ bytes: [UInt8]) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let piece = rest.prefix(SlabPool.standardCapacity)
            rest = rest.dropFirst(piece.count)
            let slab = pool.take(piece.count)
            piece.withUnsafeBytes { slab.bytes.copyMemory(from: $0.baseAddress ?? UnsafeRawPointer(slab.bytes), byteCount: $0.count) }
            let slice = SlabSlice(retaining: slab, offset: 0, length: piece.count)
            slab.release()
            session.receive(slice, now: now)
        }
    }

    /// Carries bytes both ways until nothing moves.
    func run() {
        for _ in 0..<1000 {
            let up = output(client)
            clientLog.drain(client)
            feed(server, up)
            serverLog.drain(server)
            let down = output(server)
            serverLog.drain(server)
            feed(client, down)
            clientLog.drain(client)
            if up.isEmpty, down.isEmpty { return }
        }
    }

    func slice(_ bytes: [UInt8]) -> SlabSlice {
        let slab = pool.take(bytes.count)
        bytes.withUnsafeBytes { if let start = $0.baseAddress { slab.bytes.copyMemory(from: start, byteCount: $0.count) } }
        let slice = SlabSlice(retaining: slab, offset: 0, length: bytes.count)
        slab.release()
        return slice
    }

    @discardableResult
    func request(_ method: String = "GET", _ path: String = "/", extra: [(String, String)] = [], endStream: Bool = true) -> HTTP2StreamKey {
        var head = RequestHead()
        head.method = bytes(method) { HTTPMethod.parse($0, allowsCustom: true) } ?? .other
        append(&head.headers, [(":method", method), (":scheme", "http"), (":authority", "a.test"), (":path", path)] + extra)
        return client.sendRequest(head, endStream: endStream, owner: nil, now: now) ?? .none
    }

    func respond(_ key: HTTP2StreamKey, _ status: UInt16 = 200, extra: [(String, String)] = [], endStream: Bool = true) {
        var head = ResponseHead()
        head.status = status
        append(&head.headers, extra)
        server.sendResponse(key, head, endStream: endStream)
    }

    func append(_ block: inout HeaderBlock, _ fields: [(String, String)]) {
        for (name, value) in fields {
            bytes(name) { name in bytes(value) { value in _ = block.append(name: name, value: value, from: pool) } }
        }
    }

    private func bytes<R>(_ text: String, _ body: (UnsafeRawBufferPointer) -> R) -> R {
        Array(text.utf8).withUnsafeBytes(body)
    }
}
