// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
package import MeshHTTP2
package import MeshIO

/// Frames as bytes, right or wrong, for a peer that is not ours. Fields are HPACK literals without indexing.
package struct HTTP2Script {
    package private(set) var bytes: [UInt8] = []

    /// Empty; for a server's input begin with `preface`.
    package init() {}

    /// The client's preface and empty SETTINGS.
    package static var client: HTTP2Script {
        var script = HTTP2Script()
        script.bytes = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)
        script.frame(4, 0, 0)
        return script
    }

    /// A server's first SETTINGS.
    package static var server: HTTP2Script {
        var script = HTTP2Script()
        script.frame(4, 0, 0)
        return script
    }

    /// Any frame. - Parameter length: what the header says, where it lies about the payload.
    package mutating func frame(_ type: UInt8, _ flags: UInt8, _ stream: UInt32, _ payload: [UInt8] = [], length: Int? = nil) {
        let count = length ?? payload.count
        bytes += [UInt8(count >> 16 & 255), UInt8(count >> 8 & 255), UInt8(count & 255), type, flags]
        bytes += HTTP2Script.word(stream)
        bytes += payload
    }

    /// Bytes as they are.
    package mutating func raw(_ more: [UInt8]) { bytes += more }

    /// HEADERS. - Parameter flags: 4 END_HEADERS, 1 END_STREAM.
    package mutating func headers(_ stream: UInt32, _ fields: [(String, String)], flags: UInt8 = 5) {
        frame(1, flags, stream, HTTP2Script.block(fields))
    }

    package mutating func data(_ stream: UInt32, _ payload: [UInt8], end: Bool = false) { frame(0, end ? 1 : 0, stream, payload) }

    package mutating func reset(_ stream: UInt32, _ code: UInt32 = 8) { frame(3, 0, stream, HTTP2Script.word(code)) }

    package mutating func windowUpdate(_ stream: UInt32, _ increment: UInt32) { frame(8, 0, stream, HTTP2Script.word(increment)) }

    /// A request's pseudo-headers with changes and more fields.
    package static func request(
        method: String = "GET", path: String = "/", scheme: String = "http", authority: String = "a.test",
        _ extra: [(String, String)] = []
    ) -> [(String, String)] {
        [(":method", method), (":scheme", scheme), (":authority", authority), (":path", path)] + extra
    }

    /// A header block of literals. Latin-1: a scalar is a byte.
    package static func block(_ fields: [(String, String)]) -> [UInt8] {
        var block: [UInt8] = []
        for (name, value) in fields {
            block.append(0)
            block += text(name) + text(value)
        }
        return block
    }

    private static func text(_ string: String) -> [UInt8] {
        let bytes = string.unicodeScalars.map { UInt8(truncatingIfNeeded: $0.value) }
        return integer(bytes.count, prefix: 7) + bytes
    }

    /// An HPACK integer (RFC 7541 §5.1) with zeros above its prefix.
    package static func integer(_ value: Int, prefix: Int) -> [UInt8] {
        let most = (1 << prefix) - 1
        if value < most { return [UInt8(value)] }
        var bytes = [UInt8(most)]
        var rest = value - most
        while rest >= 128 {
            bytes.append(UInt8(rest & 127 | 128))
            rest >>= 7
        }
        return bytes + [UInt8(rest)]
    }

    package static func word(_ value: UInt32) -> [UInt8] {
        [UInt8(value >> 24), UInt8(value >> 16 & 255), UInt8(value >> 8 & 255), UInt8(value & 255)]
    }
}

/// A request for tests of the client's role.
package enum HTTP2Request {
    case get, head, post

    /// Sends it; POST stays open.
    package func send(on session: HTTP2Session, _ pool: SlabPool, _ now: MonotonicInstant) -> HTTP2StreamKey? {
        var head = RequestHead()
        head.method = self == .get ? .get : self == .head ? .head : .post
        head.headers.append(.method, self == .get ? "GET" : self == .head ? "HEAD" : "POST", from: pool)
        head.headers.append(.scheme, "http", from: pool)
        head.headers.append(.authority, "a.test", from: pool)
        head.headers.append(.path, "/", from: pool)
        return session.sendRequest(head, endStream: self != .post, owner: nil, now: now)
    }
}
