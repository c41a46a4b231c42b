// SPDX-License-Identifier: Apache-2.0
import CBytes
import MeshIO

extension HTTP1ResponseDecoder {
    /// `HTTP/1.1 200`
    private static var statusLength: Int { 12 }

    /// Reads HTTP-version SP 3DIGIT [SP reason] CRLF; the reason is checked and dropped (RFC 9112 §4).
    mutating func readStatusLine(
        _ line: UnsafePointer<UInt8>, _ count: Int, head: inout ResponseHead, pool: SlabPool
    ) -> HTTP1RequestDecoder.LineOutcome {
        // Garbage is told from HTTP by its first bytes, so that it does not wait for a line end that never comes.
        let known = min(count, 5)
        let prefix: StaticString = "HTTP/"
        guard apus_equal(line, prefix.utf8Start, known) != 0 else { return .failed(.malformedStatusLine) }

        let stop = apus_scan_value(line, line + fields.scanned, line + count) - line
        if stop == count { return suspend(stop, count) }
        guard line[stop] == 0x0D else { return .failed(.malformedStatusLine) }
        if stop &+ 1 == count { return suspend(stop, count) }
        guard line[stop &+ 1] == 0x0A, stop >= HTTP1ResponseDecoder.statusLength else { return .failed(.malformedStatusLine) }

        head.reset()
        switch apus_load64(line) {
        case HTTP1Version.http11: head.version = .http11
        case HTTP1Version.http10: head.version = .http10
        default: return .failed(.badVersion)
        }
        guard line[8] == 0x20, stop == HTTP1ResponseDecoder.statusLength || line[12] == 0x20 else {
            return .failed(.malformedStatusLine)
        }
        var status: UInt16 = 0
        for index in 9..<12 {
            let digit = line[index] &- UInt8(ascii: "0")
            guard digit <= 9 else { return .failed(.malformedStatusLine) }
            status = status &* 10 &+ UInt16(digit)
        }
        guard status >= 100 else { return .failed(.badStatus) }
        head.status = status
        fields.finishLine(stop &+ 2)
        if fields.headBytes > limits.maxHeadBytes { return .failed(.headTooLarge) }
        let stored = head.headers.appendKnown(
            .status, ":status", value: line + 9, valueLength: 3, end: line + count, from: pool)
        return stored ? .line(stop &+ 2) : .failed(.headTooLarge)
    }

    private mutating func suspend(_ scanned: Int, _ length: Int) -> HTTP1RequestDecoder.LineOutcome {
        let failure = fields.suspend(mark: -1, scanned: scanned, length: length, limits)
        return failure == .none ? .needMore : .failed(failure)
    }

    /// How the body arrives and whether the connection can be kept (RFC 9112 §6.3).
    mutating func finishHead(_ head: inout ResponseHead) -> HTTP1Failure {
        do throws(HTTP1Failure) {
            let framing = try HTTP1Framing.parse(
                &head.headers, version: head.version, allowsChunkedLength: options.allowsChunkedLength)
            var connection = HTTP1Framing.Connection()
            if head.headers.contains(.connection) { connection = try HTTP1Framing.connection(head.headers) }
            head.isKeepAlive = head.version == .http11 ? !connection.closes : connection.keepsAlive && !connection.closes
            head.framing = framing ?? .untilClose
            if head.status < 200 || head.status == 204 {
                // RFC 9112 §6.1, RFC 9110 §8.6: neither field may be there. A length of 0 is common and harmless.
                if framing == .chunked { throw .transferEncodingNotAllowed }
                if let framing, framing != .length(0) { throw .lengthNotAllowed }
                head.headers.removeAll(.contentLength)
                head.framing = .none
                head.isBodyless = true
            } else if head.status == 304 {
                if framing == nil || framing == .chunked { head.framing = .none }
                head.isBodyless = true
            } else if method == .head {
                head.isBodyless = true
            } else if method == .connect, head.status < 300 {
                // RFC 9112 §6.3: the tunnel begins at once, framing fields are ignored.
                head.headers.removeAll(.contentLength)
                head.headers.removeAll(.transferEncoding)
                head.framing = .none
                head.isBodyless = true
            }
            if head.status == 101 {
                if !expectsUpgrade { throw .unexpectedUpgrade }
                head.isUpgrade = true
            }
        } catch {
            return error
        }
        if head.framing == .untilClose, !head.isBodyless { head.isKeepAlive = false }
        return .none
    }
}
