// SPDX-License-Identifier: Apache-2.0
import MeshIO

/// What the framing and connection fields of a head say (RFC 9112 §6), strictly.
enum HTTP1Framing {
    /// Content-Length and Transfer-Encoding together.
    ///
    /// - Returns: nil framing where neither field is there.
    static func parse(
        _ headers: inout HeaderBlock, version: HTTPVersion, allowsChunkedLength: Bool
    ) throws(HTTP1Failure) -> BodyFraming? {
        let encoding = headers.firstIndex(of: .transferEncoding)
        let length = headers.firstIndex(of: .contentLength)
        if encoding < 0 {
            return length < 0 ? nil : .length(try contentLength(headers, length))
        }
        if length >= 0 {
            guard allowsChunkedLength else { throw .lengthAndChunked }
            headers.removeAll(.contentLength)
        }
        if version == .http10 { throw .transferEncodingNotAllowed }
        // Two fields are one list, and no list that contains chunked twice or first is allowed.
        if headers.nextIndex(of: .transferEncoding, after: encoding) >= 0 { throw .malformedTransferEncoding }
        let value = headers.value(at: encoding)
        if value.equalsIgnoringCase("chunked") { return .chunked }
        throw refusal(of: value)
    }

    /// One plain decimal number. Leading zeros, signs and lists are refused, equal duplicates too (attack ledger 2–4).
    private static func contentLength(_ headers: borrowing HeaderBlock, _ index: Int) throws(HTTP1Failure) -> UInt64 {
        if headers.nextIndex(of: .contentLength, after: index) >= 0 { throw .duplicateLength }
        let value = headers.value(at: index)
        if value.count > 1, value[0] == UInt8(ascii: "0") { throw .badLength }
        guard let length = DecimalText.parse(value), length <= UInt64(Int64.max) else {
            throw value.contains(UInt8(ascii: ",")) ? .duplicateLength : .badLength
        }
        return length
    }

    /// Why a Transfer-Encoding other than `chunked` is refused: not a list of codings, or a coding not spoken here.
    private static func refusal(of value: UnsafeRawBufferPointer) -> HTTP1Failure {
        var list = FieldList(value)
        var codings = 0
        var unknown = false
        while let coding = list.next() {
            if !coding.isToken { return .malformedTransferEncoding }
            codings &+= 1
            if !coding.equalsIgnoringCase("chunked") { unknown = true }
        }
        return codings > 0 && unknown ? .unknownTransferEncoding : .malformedTransferEncoding
    }

    /// What `Connection` says, over all its fields.
    struct Connection {
        var closes = false
        var keepsAlive = false
        var upgrades = false
    }

    /// Reads `Connection`. Fails when it nominates a field whose removal would change what the message means or hide
    /// where it came from (attack ledger 30).
    static func connection(_ headers: borrowing HeaderBlock) throws(HTTP1Failure) -> Connection {
        var result = Connection()
        var index = headers.firstIndex(of: .connection)
        while index >= 0 {
            let value = headers.value(at: index)
            if value.equals("keep-alive") {
                result.keepsAlive = true
                index = headers.nextIndex(of: .connection, after: index)
                continue
            }
            var list = FieldList(value)
            while let option = list.next() {
                if option.equalsIgnoringCase("close") {
                    result.closes = true
                } else if option.equalsIgnoringCase("keep-alive") {
                    result.keepsAlive = true
                } else if option.equalsIgnoringCase("upgrade") {
                    result.upgrades = true
                } else if isProtected(option) {
                    throw .badConnection
                }
            }
            index = headers.nextIndex(of: .connection, after: index)
        }
        return result
    }

    private static func isProtected(_ option: UnsafeRawBufferPointer) -> Bool {
        guard option.count > 0 else { return false }
        if option[0] == UInt8(ascii: ":") { return true }
        return option.equalsIgnoringCase("host") || option.equalsIgnoringCase("content-length")
            || option.equalsIgnoringCase("transfer-encoding") || option.equalsIgnoringCase("x-forwarded-for")
            || option.equalsIgnoringCase("x-forwarded-host") || option.equalsIgnoringCase("x-forwarded-proto")
    }

    /// Whether `Upgrade` names something that may be switched to: anything but h2c, which is ignored (attack ledger 55).
    static func upgrades(_ headers: borrowing HeaderBlock) -> Bool {
        var index = headers.firstIndex(of: .upgrade)
        var found = false
        while index >= 0 {
            var list = FieldList(headers.value(at: index))
            while let name = list.next() {
                if name.equalsIgnoringCase("h2c") { return false }
                if name.count > 0 { found = true }
            }
            index = headers.nextIndex(of: .upgrade, after: index)
        }
        return found
    }
}
