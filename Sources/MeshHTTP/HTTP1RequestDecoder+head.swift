// SPDX-License-Identifier: Apache-2.0
import CBytes
import MeshIO

extension HTTP1RequestDecoder {
    enum LineOutcome {
        case line(Int)
        case needMore
        case failed(HTTP1Failure)
    }

    /// The longest method that is looked at before the line is refused; the registry's longest has 17 letters.
    private static var maxMethodLength: Int { 32 }
    /// `HTTP/1.1` and CRLF.
    private static var versionLength: Int { 10 }

    /// Reads method SP target SP version CRLF at `line`, all of it or nothing; what was looked at is remembered.
    mutating func readRequestLine(
        _ line: UnsafePointer<UInt8>, _ count: Int, head: inout RequestHead, pool: SlabPool
    ) -> LineOutcome {
        let end = line + count
        var found = apus_request_line()
        if fields.scanned == 0, apus_read_request_line(line, end, &found) != 0,
            found.method <= UInt32(HTTP1RequestDecoder.maxMethodLength)
        {
            head.version = .http11
        } else if let outcome = findRequestLine(line, count, head: &head, &found) {
            return outcome
        }
        let space = Int(found.method)
        let stop = space &+ 1 &+ Int(found.target)
        let length = stop &+ 1 &+ HTTP1RequestDecoder.versionLength
        fields.finishLine(length)
        if fields.headBytes > limits.maxHeadBytes { return .failed(.headTooLarge) }

        let method = UnsafeRawBufferPointer(start: line, count: space)
        guard let known = HTTPMethod.parse(method, allowsCustom: options.allowsCustomMethods) else {
            return .failed(.badMethod)
        }
        let version = head.version
        head.reset()
        head.version = version
        head.method = known
        let target = UnsafeRawBufferPointer(start: line + space + 1, count: stop &- space &- 1)
        let stored = head.headers.appendKnown(.method, ":method", value: line, valueLength: space, end: end, from: pool)
        guard stored else { return .failed(.headTooLarge) }
        let refused = readTarget(target, end: end, head: &head, pool: pool)
        return refused == .none ? .line(length) : .failed(refused)
    }

    /// Looks for the parts of a line that is not all there, is not right, or is not of the usual kind. Returns nil when it is
    /// whole.
    private mutating func findRequestLine(
        _ line: UnsafePointer<UInt8>, _ count: Int, head: inout RequestHead, _ found: inout apus_request_line
    ) -> LineOutcome? {
        let end = line + count
        var space = fields.mark
        var start = fields.scanned
        if space < 0 {
            space = apus_scan_token(line + start, end) - line
            if space > HTTP1RequestDecoder.maxMethodLength { return .failed(.badMethod) }
            if space == count { return suspend(mark: -1, scanned: space, length: count) }
            guard space > 0, line[space] == 0x20 else { return .failed(.malformedRequestLine) }
            start = space &+ 1
        }
        var stop = apus_scan_target(line + start, end) - line
        while stop < count, line[stop] == UInt8(ascii: "#") {
            hasFragment = true
            stop = apus_scan_target(line + stop + 1, end) - line
        }
        if stop == count { return suspend(mark: space, scanned: stop, length: count) }
        guard line[stop] == 0x20 else { return .failed(targetFailure(line[stop])) }
        guard stop > space &+ 1 else { return .failed(.malformedRequestLine) }

        let rest = count &- stop &- 1
        if rest < HTTP1RequestDecoder.versionLength {
            let tail = UnsafeBufferPointer(start: line + stop + 1, count: rest)
            if tail.contains(0x0A) { return .failed(.badVersion) }
            return suspend(mark: space, scanned: stop, length: count)
        }
        var failure = readVersion(line + stop + 1, &head)
        // HTTP/2's preface on an HTTP/1 connection is no request of a later version, it is none at all.
        if failure == .unsupportedVersion, UnsafeRawBufferPointer(start: line, count: space).equals("PRI") {
            failure = .badVersion
        }
        if failure != .none { return .failed(failure) }
        found = apus_request_line(
            method: UInt32(truncatingIfNeeded: space), target: UInt32(truncatingIfNeeded: stop &- space &- 1))
        return nil
    }

    private mutating func suspend(mark: Int, scanned: Int, length: Int) -> LineOutcome {
        let failure = fields.suspend(mark: mark, scanned: scanned, length: length, limits)
        return failure == .none ? .needMore : .failed(failure)
    }

    private func targetFailure(_ byte: UInt8) -> HTTP1Failure {
        switch byte {
        case 0x0D, 0x0A: .malformedRequestLine
        case 0x80...: .malformedTarget
        default: .invalidCharacter
        }
    }

    /// `HTTP/` DIGIT `.` DIGIT CRLF: 1.0 and 1.1 pass; a later major version is told so (RFC 9110 §15.6.6).
    private func readVersion(_ bytes: UnsafePointer<UInt8>, _ head: inout RequestHead) -> HTTP1Failure {
        guard bytes[8] == 0x0D, bytes[9] == 0x0A else { return .badVersion }
        let text = apus_load64(bytes)
        if text == HTTP1Version.http11 {
            head.version = .http11
            return .none
        }
        if text == HTTP1Version.http10 {
            head.version = .http10
            return .none
        }
        let major = bytes[5] &- UInt8(ascii: "0")
        let isVersion = UnsafeRawBufferPointer(start: bytes, count: 5).equals("HTTP/") && bytes[6] == UInt8(ascii: ".")
            && bytes[7] &- UInt8(ascii: "0") <= 9
        return isVersion && major >= 2 && major <= 9 ? .unsupportedVersion : .badVersion
    }

    /// Everything that needs the whole head: framing, connection, version and Host.
    mutating func finishHead(_ head: inout RequestHead, _ pool: SlabPool) -> HTTP1Failure {
        do throws(HTTP1Failure) {
            let framing = try HTTP1Framing.parse(
                &head.headers, version: head.version, allowsChunkedLength: options.allowsChunkedLength)
            if head.method == .connect {
                // RFC 9110 §9.3.6 gives a CONNECT body no meaning: it would be taken for tunnel bytes. A length of 0 is harmless.
                if let framing, framing != .length(0) { throw .bodyNotAllowed }
                head.headers.removeAll(.contentLength)
                head.framing = .none
            } else {
                head.framing = framing ?? .none
            }
            var connection = HTTP1Framing.Connection()
            if head.headers.contains(.connection) { connection = try HTTP1Framing.connection(head.headers) }
            if head.version == .http11 {
                head.isKeepAlive = !connection.closes
                head.isUpgrade = connection.upgrades && HTTP1Framing.upgrades(head.headers)
                if let value = head.headers.value(of: .expect) {
                    head.expectsContinue = value.equalsIgnoringCase("100-continue")
                }
            } else {
                head.isKeepAlive = connection.keepsAlive && !connection.closes
                if !options.acceptsHTTP10 { throw .lowVersion }
            }
        } catch {
            return error
        }
        return fields.hostCount > 0 ? fragmentFailure : hostIsMissing(&head, pool)
    }

    private var fragmentFailure: HTTP1Failure { hasFragment && !options.stripsFragment ? .fragmentInPath : .none }

    private func hostIsMissing(_ head: inout RequestHead, _ pool: SlabPool) -> HTTP1Failure {
        if head.version == .http10 {
            if head.headers.contains(.authority) { return fragmentFailure }
            if !options.defaultHostForHTTP10.isEmpty {
                head.headers.append(.authority, options.defaultHostForHTTP10, from: pool)
                return fragmentFailure
            }
        }
        return .missingHost
    }
}

/// Versions as eight bytes in memory order.
enum HTTP1Version {
    static var http11: UInt64 { 0x312E_312F_5054_5448 }
    static var http10: UInt64 { 0x302E_312F_5054_5448 }
}
