// SPDX-License-Identifier: Apache-2.0
import MeshIO
import MeshModel
import Testing

@testable import MeshDataPlane

struct ProxyProtocolParserTests {
    typealias Outcome = ProxyProtocolParser.Outcome

    private func parse(_ bytes: some Collection<UInt8>, _ options: ProxyProtocolOptions = ProxyProtocolOptions()) -> Outcome {
        Array(bytes).withUnsafeBytes { ProxyProtocolParser(options: options).parse($0) }
    }

    private static let signature: [UInt8] = [13, 10, 13, 10, 0, 13, 10, 0x51, 0x55, 0x49, 0x54, 10]

    /// A version 2 header.
    private static func binary(_ command: UInt8, _ family: UInt8, _ payload: [UInt8]) -> [UInt8] {
        signature + [command, family, UInt8(payload.count >> 8), UInt8(payload.count & 255)] + payload
    }

    private static let v4Addresses: [UInt8] = [10, 0, 0, 1, 10, 0, 0, 2, 0x1F, 0x90, 0, 80]
    private static let v4Pair = ProxyProtocolParser.Addresses(
        source: .ipv4(0x0A00_0001, port: 8080), destination: .ipv4(0x0A00_0002, port: 80))

    struct Good: CustomTestStringConvertible, Sendable {
        let name: String
        let bytes: [UInt8]
        let version: ProxyProtocolParser.Version
        let addresses: ProxyProtocolParser.Addresses?
        var testDescription: String { name }
    }

    static let good: [Good] = [
        Good(
            name: "TCP4", bytes: Array("PROXY TCP4 10.0.0.1 10.0.0.2 8080 80\r\n".utf8), version: .one, addresses: v4Pair),
        Good(
            name: "TCP6", bytes: Array("PROXY TCP6 ::1 2001:db8::2 0 65535\r\n".utf8), version: .one,
            addresses: .init(
                source: .ipv6(high: 0, low: 1, port: 0, scope: 0),
                destination: .ipv6(high: 0x2001_0DB8_0000_0000, low: 2, port: 65535, scope: 0))),
        Good(name: "UNKNOWN", bytes: Array("PROXY UNKNOWN\r\n".utf8), version: .one, addresses: nil),
        Good(
            name: "UNKNOWN with words behind it", bytes: Array("PROXY UNKNOWN ff::1 x 1 2\r\n".utf8), version: .one,
            addresses: nil),
        Good(name: "binary IPv4", bytes: binary(0x21, 0x11, v4Addresses), version: .two, addresses: v4Pair),
        Good(
            name: "binary IPv4 with extensions", bytes: binary(0x21, 0x11, v4Addresses + [1, 0, 2, 104, 50, 4, 0, 0]),
            version: .two, addresses: v4Pair),
        Good(
            name: "binary IPv6",
            bytes: binary(
                0x21, 0x21,
                [0x20, 1, 0x0D, 0xB8] + [UInt8](repeating: 0, count: 11) + [1] + [UInt8](repeating: 0, count: 15)
                    + [1, 0, 1, 0, 2]),
            version: .two,
            addresses: .init(
                source: .ipv6(high: 0x2001_0DB8_0000_0000, low: 1, port: 1, scope: 0),
                destination: .ipv6(high: 0, low: 1, port: 2, scope: 0))),
        Good(
            name: "binary unix", bytes: binary(0x21, 0x31, [UInt8](repeating: 65, count: 216)), version: .two,
            addresses: nil),
        Good(name: "LOCAL", bytes: binary(0x20, 0, []), version: .two, addresses: nil),
        Good(name: "LOCAL with a payload", bytes: binary(0x20, 0x11, [1, 2, 3]), version: .two, addresses: nil),
        Good(name: "unspecified family", bytes: binary(0x21, 0, [9, 9]), version: .two, addresses: nil),
    ]

    @Test(arguments: good) func aWholeHeaderIsReadAndOnlyThat(_ example: Good) {
        let expected = Outcome.header(example.version, length: example.bytes.count, example.addresses)
        #expect(parse(example.bytes) == expected)
        #expect(parse(example.bytes + Array("GET / HTTP/1.1\r\n\r\n".utf8)) == expected)
    }

    @Test(arguments: good) func everyPrefixAsksForMore(_ example: Good) {
        for length in 0..<example.bytes.count {
            guard case .needMore(let count) = parse(example.bytes[..<length]) else {
                Issue.record("\(parse(example.bytes[..<length])) after \(length) bytes")
                continue
            }
            #expect(count > length && count <= example.bytes.count)
        }
    }

    static let badText = [
        "PROXY \r\n", "PROXY TCP4\r\n", "PROXY TCP4 10.0.0.1 10.0.0.2 8080\r\n", "PROXY TCP4 10.0.0.1 10.0.0.2 8080 80 1\r\n",
        "PROXY TCP4  10.0.0.1 10.0.0.2 8080 80\r\n", "PROXY TCP4 10.0.0.1 10.0.0.2 65536 80\r\n",
        "PROXY TCP4 10.0.0.1 10.0.0.2 -1 80\r\n", "PROXY TCP4 10.0.0.1 10.0.0.2 08 80\r\n",
        "PROXY TCP4 10.0.0.1 10.0.0.2  80\r\n", "PROXY TCP4 10.0.0 10.0.0.2 8080 80\r\n",
        "PROXY TCP4 ::1 ::2 8080 80\r\n", "PROXY TCP6 10.0.0.1 10.0.0.2 8080 80\r\n", "PROXY TCP6 ::1 10.0.0.2 1 2\r\n",
        "PROXY UDP4 10.0.0.1 10.0.0.2 8080 80\r\n", "PROXY TCP4 10.0.0.1 10.0.0.2 8080 80\n",
        "PROXY UNKNOWNX\r\n", "PROXY tcp4 10.0.0.1 10.0.0.2 8080 80\r\n",
    ]

    @Test(arguments: badText) func aMalformedTextHeaderFails(_ text: String) {
        #expect(parse(text.utf8) == .failed(.malformed(.one)))
    }

    @Test func aTextHeaderWithoutEndFailsAtItsLongestLength() {
        let bytes = Array("PROXY UNKNOWN ".utf8) + [UInt8](repeating: 65, count: 200)
        #expect(parse(bytes[..<106]) == .needMore(107))
        #expect(parse(bytes[..<107]) == .failed(.malformed(.one)))
    }

    static let badBinary: [[UInt8]] = [
        binary(0x11, 0x11, v4Addresses), binary(0x31, 0x11, v4Addresses), binary(0x22, 0x11, v4Addresses),
        binary(0x21, 0x12, v4Addresses), binary(0x21, 0x41, v4Addresses), binary(0x21, 0x10, v4Addresses),
        binary(0x21, 0x11, Array(v4Addresses.dropLast())), binary(0x21, 0x21, v4Addresses),
        binary(0x21, 0x31, v4Addresses), binary(0x21, 0x11, v4Addresses + [1]),
        binary(0x21, 0x11, v4Addresses + [1, 0, 2, 9]),
    ]

    @Test(arguments: badBinary) func aMalformedBinaryHeaderFails(_ bytes: [UInt8]) {
        #expect(parse(bytes) == .failed(.malformed(.two)))
    }

    @Test func aWrongCommandFailsBeforeTheRestArrives() {
        #expect(parse(Self.signature + [0x51]) == .failed(.malformed(.two)))
    }

    @Test func theLongestBinaryHeaderIsWaitedForAndRead() {
        let extensions: [UInt8] = [1, 0xFF, 0xF0] + [UInt8](repeating: 7, count: 0xFFF0)
        let bytes = Self.binary(0x21, 0x11, Self.v4Addresses + extensions)
        #expect(parse(bytes[..<1000]) == .needMore(bytes.count))
        #expect(parse(bytes) == .header(.two, length: bytes.count, Self.v4Pair))
    }

    @Test func aConnectionWithoutHeaderNeedsPermission() {
        var lenient = ProxyProtocolOptions()
        lenient.allowWithoutHeader = true
        for text in ["G", "POST /", "PROXX", "\r\n\r\nX"] {
            #expect(parse(text.utf8) == .failed(.missing))
            #expect(parse(text.utf8, lenient) == .noHeader)
        }
        #expect(parse("PRO".utf8, lenient) == .needMore(4))
    }

    @Test func aDisallowedVersionFailsOrCountsAsNoHeader() {
        var options = ProxyProtocolOptions()
        options.acceptsVersion1 = false
        options.acceptsVersion2 = false
        #expect(parse("PROXY TCP4 ".utf8, options) == .failed(.disallowed(.one)))
        #expect(parse(Self.signature, options) == .failed(.disallowed(.two)))
        options.allowWithoutHeader = true
        #expect(parse("PROXY TCP4 ".utf8, options) == .noHeader)
        #expect(parse(Self.signature, options) == .noHeader)
    }
}
