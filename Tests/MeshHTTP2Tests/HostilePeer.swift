// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshHTTP2
import MeshIO
import MeshTestKit

/// A session against a peer that sends any bytes; what it answers is taken apart again.
final class HostilePeer {
    let pool = SlabPool()
    let memory = HTTP2Memory()
    let session: HTTP2Session
    var trace = HTTP2Trace()
    var now = MonotonicInstant(nanoseconds: 1)
    /// Frames the session sent: type, stream, payload.
    private(set) var frames: [(type: UInt8, stream: UInt32, payload: [UInt8])] = []
    private var sent: [UInt8] = []

    init(_ role: HTTP2Role = .server, options: HTTP2Options = HTTP2Options()) {
        session = HTTP2Session(role: role, options: options, memory: memory, pool: pool)
        session.start()
        answer()
    }

    /// Gives bytes to the session and takes its answer.
    func send(_ script: HTTP2Script, answers: Bool = true) {
        var rest = script.bytes[...]
        while !rest.isEmpty {
            let piece = rest.prefix(SlabPool.standardCapacity)
            rest = rest.dropFirst(piece.count)
            let slab = pool.take(piece.count)
            piece.withUnsafeBytes { if let start = $0.baseAddress { slab.bytes.copyMemory(from: start, byteCount: $0.count) } }
            let slice = SlabSlice(retaining: slab, offset: 0, length: piece.count)
            slab.release()
            session.receive(slice, now: now)
            trace.drain(session)
        }
        if answers { answer() }
    }

    func answer() {
        var queue = OutputQueue()
        session.flush(into: &queue)
        trace.drain(session)
        while queue.byteCount > 0 {
            sent += Array(queue.firstPiece)
            queue.consume(queue.firstPiece.count)
        }
        while sent.count >= 9 {
            let length = Int(sent[0]) << 16 | Int(sent[1]) << 8 | Int(sent[2])
            // The client's preface looks like a frame of a kind nobody knows.
            if sent.starts(with: Array("PRI ".utf8)) {
                sent.removeFirst(24)
                continue
            }
            guard sent.count >= 9 + length else { return }
            let stream = sent[5..<9].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
            frames.append((sent[3], stream, Array(sent[9..<9 + length])))
            sent.removeFirst(9 + length)
        }
    }

    /// Bytes to send, in a slab of their own.
    func slice(_ count: Int) -> SlabSlice {
        let slab = pool.take(count)
        slab.bytes.initializeMemory(as: UInt8.self, repeating: 1, count: count)
        let slice = SlabSlice(retaining: slab, offset: 0, length: count)
        slab.release()
        return slice
    }

    /// The code of the RST_STREAM that was sent for a stream.
    func resetCode(_ stream: UInt32) -> HTTP2ErrorCode? {
        frames.first { $0.type == 3 && $0.stream == stream }.map { HostilePeer.code($0.payload[0...]) }
    }

    /// The code of the last GOAWAY that was sent.
    var goAwayCode: HTTP2ErrorCode? { frames.last { $0.type == 7 }.map { HostilePeer.code($0.payload[4...]) } }

    private static func code(_ bytes: ArraySlice<UInt8>) -> HTTP2ErrorCode {
        HTTP2ErrorCode(rawValue: bytes.prefix(4).reduce(UInt32(0)) { $0 << 8 | UInt32($1) })
    }

    /// The failure of the first `closed` record.
    var streamFailure: HTTP2Failure? { trace.closed.first?.failure }

    /// Streams whose head was delivered.
    var heads: Int { trace.events.filter { $0.contains(" head") }.count }
}
