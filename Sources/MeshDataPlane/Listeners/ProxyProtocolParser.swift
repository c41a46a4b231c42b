// SPDX-License-Identifier: Apache-2.0
import MeshIO
import MeshModel
import MeshStats

/// Reads the PROXY protocol header that a load balancer puts in front of a connection, in its text form (version 1) and
/// its binary form (version 2).
///
/// - Source: the PROXY protocol specification of HAProxy, "proxy-protocol.txt";
///   `envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol`.
/// - It keeps no state: a header is short, or says its length in its first 16 bytes.
struct ProxyProtocolParser {
    enum Version: UInt8 {
        case one = 1
        case two = 2
    }

    /// The two ends of the connection, as the header names them.
    struct Addresses: Equatable {
        var source: Address
        var destination: Address
    }

    enum Failure: Equatable {
        /// No header, and it is required.
        case missing
        /// A header of a version that the configuration does not accept.
        case disallowed(Version)
        case malformed(Version)
    }

    enum Outcome: Equatable {
        /// At least so many bytes, counted from the start of the connection, are needed.
        case needMore(Int)
        /// The connection begins with something else, which is allowed; nothing is to be consumed.
        case noHeader
        /// A whole header of `length` bytes. No addresses: `LOCAL`, `UNKNOWN`, or a family that is not IP; those of the
        /// socket hold.
        case header(Version, length: Int, Addresses?)
        case failed(Failure)
    }

    let options: ProxyProtocolOptions

    private static let textSignature: StaticString = "PROXY "
    private static let binarySignature: StaticString = "\r\n\r\n\0\r\nQUIT\n"
    /// Longest text header, CRLF included: "PROXY UNKNOWN" with two full IPv6 addresses and ports.
    static let maxTextLength = 107
    /// Signature, version and command, family and transport, length.
    private static let binaryHeaderLength = 16

    /// Looks at all bytes received so far.
    func parse(_ bytes: UnsafeRawBufferPointer) -> Outcome {
        guard bytes.count > 0 else { return .needMore(1) }
        if Self.begins(bytes, with: Self.binarySignature) {
            guard bytes.count >= Self.binarySignature.utf8CodeUnitCount else { return .needMore(bytes.count + 1) }
            return options.acceptsVersion2 ? parseBinary(bytes) : refuse(.two)
        }
        if Self.begins(bytes, with: Self.textSignature) {
            guard bytes.count >= Self.textSignature.utf8CodeUnitCount else { return .needMore(bytes.count + 1) }
            return options.acceptsVersion1 ? parseText(bytes) : refuse(.one)
        }
        return options.allowWithoutHeader ? .noHeader : .failed(.missing)
    }

    /// A header of a version that is not accepted is no header, where none is needed.
    private func refuse(_ version: Version) -> Outcome {
        options.allowWithoutHeader ? .noHeader : .failed(.disallowed(version))
    }

    private static func begins(_ bytes: UnsafeRawBufferPointer, with signature: StaticString) -> Bool {
        UnsafeRawBufferPointer(rebasing: bytes[..<min(bytes.count, signature.utf8CodeUnitCount)]).isPrefix(of: signature)
    }

    // MARK: Version 1

    private func parseText(_ bytes: UnsafeRawBufferPointer) -> Outcome {
        let line = UnsafeRawBufferPointer(rebasing: bytes[..<min(bytes.count, Self.maxTextLength)])
        guard let end = line.firstIndex(of: UInt8(ascii: "\n")) else {
            return bytes.count < Self.maxTextLength ? .needMore(bytes.count + 1) : .failed(.malformed(.one))
        }
        guard line[end - 1] == UInt8(ascii: "\r") else { return .failed(.malformed(.one)) }
        let text = UnsafeRawBufferPointer(rebasing: line[Self.textSignature.utf8CodeUnitCount..<(end - 1)])
        let fields = text.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
        // What stands behind UNKNOWN is to be ignored.
        if let first = fields.first, first.elementsEqual("UNKNOWN".utf8) { return .header(.one, length: end + 1, nil) }
        guard fields.count == 5, let sourcePort = Self.port(fields[3]), let destinationPort = Self.port(fields[4]),
            let source = Address(ip: String(decoding: fields[1], as: UTF8.self), port: sourcePort),
            let destination = Address(ip: String(decoding: fields[2], as: UTF8.self), port: destinationPort)
        else { return .failed(.malformed(.one)) }
        switch (source, destination) {
        case (.ipv4, .ipv4) where fields[0].elementsEqual("TCP4".utf8),
            (.ipv6, .ipv6) where fields[0].elementsEqual("TCP6".utf8):
            return .header(.one, length: end + 1, Addresses(source: source, destination: destination))
        default:
            return .failed(.malformed(.one))
        }
    }

    /// Decimal digits without sign or leading zero, 0 to 65535.
    private static func port(_ digits: Slice<UnsafeRawBufferPointer>) -> UInt16? {
        guard let first = digits.first, digits.count <= 5, digits.count == 1 || first != UInt8(ascii: "0") else {
            return nil
        }
        var value: UInt32 = 0
        for digit in digits {
            guard digit &- UInt8(ascii: "0") <= 9 else { return nil }
            value = value &* 10 &+ UInt32(digit &- UInt8(ascii: "0"))
        }
        return UInt16(exactly: value)
    }

    // MARK: Version 2

    private func parseBinary(_ bytes: UnsafeRawBufferPointer) -> Outcome {
        let bad = Outcome.failed(.malformed(.two))
        let fixed = Self.binaryHeaderLength
        if bytes.count > 12, bytes[12] >> 4 != 2 || bytes[12] & 15 > 1 { return bad }
        guard bytes.count >= fixed else { return .needMore(fixed) }
        let isLocal = bytes[12] & 15 == 0
        let family = bytes[13] >> 4
        let transport = bytes[13] & 15
        let length = Int(bytes[14]) << 8 | Int(bytes[15])
        let addressLength: Int
        switch (isLocal, family, transport) {
        // Nothing behind the length has a meaning for a connection the balancer made for itself.
        case (true, _, _), (false, 0, 0): addressLength = -1
        case (false, 1, 1): addressLength = 12
        case (false, 2, 1): addressLength = 36
        case (false, 3, 1): addressLength = 216
        default: return bad
        }
        if length < addressLength { return bad }
        guard bytes.count >= fixed + length else { return .needMore(fixed + length) }
        if addressLength < 0 { return .header(.two, length: fixed + length, nil) }
        let extensions = UnsafeRawBufferPointer(rebasing: bytes[(fixed + addressLength)..<(fixed + length)])
        guard Self.isWellFormed(extensions) else { return bad }
        return .header(.two, length: fixed + length, Self.addresses(bytes, family: family))
    }

    private static func addresses(_ bytes: UnsafeRawBufferPointer, family: UInt8) -> Addresses? {
        func number(_ offset: Int, _ size: Int) -> UInt64 {
            var value: UInt64 = 0
            for index in 0..<size { value = value << 8 | UInt64(bytes[binaryHeaderLength + offset + index]) }
            return value
        }
        func port(_ offset: Int) -> UInt16 { UInt16(truncatingIfNeeded: number(offset, 2)) }
        switch family {
        case 1:
            return Addresses(
                source: .ipv4(UInt32(truncatingIfNeeded: number(0, 4)), port: port(8)),
                destination: .ipv4(UInt32(truncatingIfNeeded: number(4, 4)), port: port(10)))
        case 2:
            return Addresses(
                source: .ipv6(high: number(0, 8), low: number(8, 8), port: port(32), scope: 0),
                destination: .ipv6(high: number(16, 8), low: number(24, 8), port: port(34), scope: 0))
        default:
            return nil
        }
    }

    /// Type, length and value after each other, with nothing left over.
    private static func isWellFormed(_ extensions: UnsafeRawBufferPointer) -> Bool {
        var position = 0
        while position < extensions.count {
            guard extensions.count - position >= 3 else { return false }
            position += 3 + (Int(extensions[position + 1]) << 8 | Int(extensions[position + 2]))
        }
        return position == extensions.count
    }
}
