// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshHTTP2
import MeshIO
import MeshTestKit

/// What a session said, readable and comparable. Takes heads, bodies and trailers as a driver does.
struct SessionLog {
    var lines: [String] = []
    var keys: [HTTP2StreamKey] = []
    var bodies: [Int32: [UInt8]] = [:]
    var closed: [HTTP2Record] = []
    var failed: HTTP2Record?
    /// Body bytes are told to be consumed as they come.
    var consumes = true

    mutating func drain(_ session: HTTP2Session) {
        while let record = session.nextRecord() {
            let key = session.key(of: record)
            let id = session.streamID(key)
            let end = record.endStream ? " end" : ""
            switch record.kind {
            case .head where session.role == .server:
                var head = RequestHead()
                session.takeRequestHead(record, into: &head)
                lines.append("\(id) head\(end)\n\(head.trace)")
                keys.append(key)
            case .head, .informationalHead:
                var head = ResponseHead()
                session.takeResponseHead(record, into: &head)
                lines.append("\(id) \(record.kind)\(end)\n\(head.trace)")
            case .body:
                guard let slice = session.takeBody(record) else {
                    lines.append("\(id) body lost")
                    continue
                }
                bodies[id, default: []] += Array(slice.bytes)
                if consumes { session.consume(key, slice.count) }
                if record.endStream { lines.append("\(id) end") }
            case .trailers:
                var trailers = HeaderBlock()
                session.takeTrailers(record, into: &trailers)
                lines.append("\(id) trailers\(end)\n\(trailers.trace)")
            case .end: lines.append("\(id) end")
            case .closed:
                lines.append("\(id) closed \(record.first) \(record.failure)")
                closed.append(record)
            case .writable: lines.append("\(id) writable")
            case .goAway: lines.append("goaway \(Int32(bitPattern: record.first)) \(record.second)")
            case .settings: lines.append("settings")
            case .pingAcknowledged: lines.append("ping")
            case .connectionFailed:
                lines.append("failed \(session.failure) \(record.first)")
                failed = record
            }
        }
    }

    /// Lines without what every connection says.
    var events: [String] { lines.filter { $0 != "settings" } }
}

/// A client's and a server's session with memory between them.
final class SessionPair {
    let pool = SlabPool()
    let memory = HTTP2Memory()
    let client: HTTP2Session
    let server: HTTP2Session
    var clientLog = SessionLog()
    var serverLog = SessionLog()
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
