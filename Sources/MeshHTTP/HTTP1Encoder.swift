// SPDX-License-Identifier: Apache-2.0
import CBytes
package import MeshIO

/// Writes HTTP/1 messages to a stream. Heads come from values that were checked when they were read; the encoder adds the
/// framing field and nothing else decides how long a body is.
///
/// Hop-by-hop fields are the caller's to remove (`HopByHop`). Field order is kept: Host first, Content-Length where it was,
/// Transfer-Encoding and `connection: close` last.
package enum HTTP1Encoder {
    /// `chunked` framing: the longest chunk head, 16 digits and CRLF.
    package static var maxChunkHeadLength: Int { 18 }

    /// Writes a request head as HTTP/1.1.
    ///
    /// - `framing` `.length`: `content-length`; `.chunked`: `transfer-encoding: chunked`; `.none`: neither, but
    ///   `content-length: 0` for methods that usually have a body (RFC 9110 §8.6).
    /// - `isUpgrade`: `connection: upgrade` is added where the head has no Connection field.
    package static func writeRequestHead(
        _ head: borrowing RequestHead, to stream: ByteStream, names: FieldNameCase = .lower
    ) {
        var writer = HeadWriter(stream, bound: bound(of: head.headers), names: names)
        if let method = head.headers.value(of: .method) { writer.write(method) }
        writer.write(0x20)
        let isConnect = head.method == .connect
        if let target = head.headers.value(of: isConnect ? .authority : .path) { writer.write(target) }
        writer.write(" HTTP/1.1\r\n")
        if let authority = head.headers.value(of: .authority) {
            writer.writeHostName(head.headers.hostCase)
            writer.write(authority)
            writer.writeLineEnd()
        }
        let isBare = head.framing == .none
        let wrote = writer.writeFields(
            of: head.headers, framing: head.framing, keepsDeclaredLength: false, keepsConnection: head.isUpgrade)
        if isBare, !head.method.isBodyless, !head.isUpgrade {
            writer.write(field: "content-length: 0\r\n", nameLength: 14)
        } else if !wrote {
            writer.writeFraming(head.framing)
        }
        if head.isUpgrade, !head.headers.contains(.connection) {
            writer.write(field: "connection: upgrade\r\n", nameLength: 10)
        }
        writer.writeLineEnd()
        writer.commit(to: stream)
    }

    /// Writes a response head.
    ///
    /// - Parameters:
    ///   - closes: `connection: close` is sent; the caller closes after the message.
    ///   - version: of the request: an HTTP/1.0 client is answered in HTTP/1.0, with `connection: keep-alive` where the
    ///     connection stays. It is never sent chunks; a body of unknown length needs `closes` then (see `framing(_:for:)`).
    package static func writeResponseHead(
        _ head: borrowing ResponseHead, to stream: ByteStream, closes: Bool, version: HTTPVersion = .http11,
        names: FieldNameCase = .lower
    ) {
        var writer = HeadWriter(stream, bound: bound(of: head.headers), names: names)
        if head.status == 200, version != .http10 {
            writer.write("HTTP/1.1 200 OK\r\n")
        } else {
            writer.write(version == .http10 ? "HTTP/1.0 " : "HTTP/1.1 ")
            writer.write(status: head.status)
            writer.write(0x20)
            writer.write(ReasonPhrase.text(head.status))
            writer.writeLineEnd()
        }
        let framing = framing(head.framing, for: version)
        let wrote = writer.writeFields(
            of: head.headers, framing: framing, keepsDeclaredLength: head.isBodyless && head.status != 204,
            keepsConnection: head.isUpgrade)
        if closes, !head.isUpgrade {
            writer.write(field: "connection: close\r\n", nameLength: 10)
        } else if version == .http10, !head.isUpgrade {
            writer.write(field: "connection: keep-alive\r\n", nameLength: 10)
        } else if head.isUpgrade, !head.headers.contains(.connection) {
            writer.write(field: "connection: upgrade\r\n", nameLength: 10)
        }
        if !wrote {
            if framing != .none {
                writer.writeFraming(framing)
            } else if !head.isBodyless, head.status >= 200, head.status != 204, head.status != 304 {
                writer.write(field: "content-length: 0\r\n", nameLength: 14)
            }
        }
        writer.writeLineEnd()
        writer.commit(to: stream)
    }

    /// Bytes of a response head that are no field: the status line and the empty one.
    package static func bytesAboutFields(ofResponse status: UInt16) -> Int {
        "HTTP/1.1 200 ".utf8.count + ReasonPhrase.text(status).utf8CodeUnitCount + 4
    }

    /// As above, of a request head.
    package static func bytesAboutFields(of head: borrowing RequestHead) -> Int {
        let target = head.headers.value(of: head.method == .connect ? .authority : .path)
        return (head.headers.value(of: .method)?.count ?? 0) + (target?.count ?? 0) + "  HTTP/1.1".utf8.count + 4
    }

    /// How a body is framed towards a client of `version`: of unknown length it is chunked for HTTP/1.1, and runs to the
    /// close for HTTP/1.0.
    package static func framing(_ framing: BodyFraming, for version: HTTPVersion) -> BodyFraming {
        switch framing {
        case .none, .length: framing
        case .chunked, .untilClose: version == .http10 ? .untilClose : .chunked
        }
    }

    /// Writes the head of a chunk of `length` bytes (more than 0); the chunk's bytes and `writeChunkEnd` follow.
    package static func writeChunkHead(_ length: Int, to stream: ByteStream) {
        assert(length > 0, "an empty chunk would end the body")
        let place = stream.reserve(maxChunkHeadLength).assumingMemoryBound(to: UInt8.self)
        var shift = 60
        while shift > 0, length >> shift == 0 { shift -= 4 }
        var used = 0
        while shift >= 0 {
            let digit = UInt8(truncatingIfNeeded: length >> shift) & 0xF
            place[used] = HexText.lower(digit)
            used &+= 1
            shift -= 4
        }
        place[used] = 0x0D
        place[used &+ 1] = 0x0A
        stream.commit(used &+ 2)
    }

    /// Writes the line end behind a chunk's bytes.
    package static func writeChunkEnd(to stream: ByteStream) { write("\r\n", to: stream) }

    /// Writes `bytes` as one chunk, copied; nothing for no bytes.
    package static func writeChunk(copying bytes: UnsafeRawBufferPointer, to stream: ByteStream) {
        guard bytes.count > 0 else { return }
        writeChunkHead(bytes.count, to: stream)
        stream.write(copying: bytes)
        writeChunkEnd(to: stream)
    }

    /// Writes a slice as one chunk; its bytes are not copied unless they are short.
    package static func writeChunk(_ slice: consuming SlabSlice, to stream: ByteStream) {
        guard slice.count > 0 else { return }
        writeChunkHead(slice.count, to: stream)
        stream.write(slice)
        writeChunkEnd(to: stream)
    }

    /// Ends a chunked body without trailers.
    package static func writeLastChunk(to stream: ByteStream) { write("0\r\n\r\n", to: stream) }

    /// Ends a chunked body with these trailers.
    package static func writeLastChunk(trailers: borrowing HeaderBlock, to stream: ByteStream) {
        var writer = HeadWriter(stream, bound: bound(of: trailers))
        writer.write("0\r\n")
        _ = writer.writeFields(of: trailers, framing: .none, keepsDeclaredLength: false, keepsConnection: false)
        writer.writeLineEnd()
        writer.commit(to: stream)
    }

    /// `HTTP/1.1 100 Continue`, or another 1xx without fields.
    package static func writeContinue(to stream: ByteStream) { write("HTTP/1.1 100 Continue\r\n\r\n", to: stream) }

    private static func write(_ text: StaticString, to stream: ByteStream) {
        stream.write(copying: UnsafeRawBufferPointer(text))
    }

    /// Room that a head surely fits into: its fields, the longest start line around method, target and reason, and the fields
    /// that may be added.
    private static func bound(of headers: borrowing HeaderBlock) -> Int {
        headers.byteCount &+ 256 &+ (headers.value(of: .authority)?.count ?? 0)
    }
}
