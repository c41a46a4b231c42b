// SPDX-License-Identifier: Apache-2.0
import Glibc
import MeshIO
import Testing

struct AddressTests {
    struct Case: CustomTestStringConvertible {
        let address: Address
        let text: String
        let host: String
        var testDescription: String { text }
    }

    @Test(arguments: [
        Case(address: .ipv4(0x7F00_0001, port: 80), text: "127.0.0.1:80", host: "127.0.0.1"),
        Case(address: .ipv4(0xFFFF_FFFF, port: 65_535), text: "255.255.255.255:65535", host: "255.255.255.255"),
        Case(address: .ipv6(high: 0, low: 1, port: 443, scope: 0), text: "[::1]:443", host: "::1"),
        Case(
            address: .ipv6(high: 0x2001_0DB8_0000_0000, low: 0xFFFF_FFFF_FFFF_FFFF, port: 0, scope: 0),
            text: "[2001:db8::ffff:ffff:ffff:ffff]:0", host: "2001:db8::ffff:ffff:ffff:ffff"),
        Case(address: .pipe("/tmp/a"), text: "/tmp/a", host: "/tmp/a"),
        Case(address: .pipe("@name"), text: "@name", host: "@name"),
        Case(address: .internal("inner"), text: "envoy://inner/", host: "inner"),
    ])
    func isWrittenAsEnvoyDoes(item: Case) {
        #expect(item.address.description == item.text)
        #expect(item.address.hostText == item.host)
    }

    @Test(arguments: [
        Address.ipv4(0x0102_0304, port: 5), .ipv6(high: 7, low: 9, port: 11, scope: 3), .pipe("/tmp/x"), .pipe("@y"),
    ])
    func survivesTheKernelsForm(address: Address) {
        let back = address.withSocketAddress { Address($0, length: Int($1)) }
        #expect(back == .some(address))
    }

    @Test func anIPv4PeerOfADualStackSocketIsIPv4() {
        let mapped = Address.ipv6(high: 0, low: 0xFFFF_0A00_0001, port: 7, scope: 0)
        #expect(mapped.withSocketAddress { Address($0, length: Int($1)) } == .some(.ipv4(0x0A00_0001, port: 7)))
    }

    @Test func aPathThatIsTooLongHasNoKernelForm() {
        #expect(Address.pipe("/" + String(repeating: "x", count: 107)).withSocketAddress { _, _ in 1 } == nil)
        #expect(Address.pipe("/" + String(repeating: "x", count: 106)).withSocketAddress { _, _ in 1 } == 1)
        #expect(Address.internal("x").withSocketAddress { _, _ in 1 } == nil)
    }

    @Test func literalsParseAndNamesDoNot() {
        #expect(Address(ip: "10.1.2.3", port: 4) == .ipv4(0x0A01_0203, port: 4))
        #expect(Address(ip: "::1", port: 4) == .ipv6(high: 0, low: 1, port: 4, scope: 0))
        for text in ["", "localhost", "1.2.3", "1.2.3.4.5", "256.1.1.1", "[::1]", "::g"] {
            #expect(Address(ip: text, port: 1) == nil, "\(text)")
        }
    }
}
