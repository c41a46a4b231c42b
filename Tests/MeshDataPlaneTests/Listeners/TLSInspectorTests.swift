// SPDX-License-Identifier: Apache-2.0
import MeshTestKit
import Testing

@testable import MeshDataPlane

/// Envoy 1.40, given such bytes, counted what is said here, with two differences: it waits for five bytes before it calls
/// anything something else, and it closes a connection that begins with a close_notify alert.
struct TLSInspectorTests {
    private func verdict(_ bytes: [UInt8], maxBytes: Int = 16_384) -> TLSInspector.Verdict {
        var inspector = TLSInspector(maxBytes: maxBytes)
        return bytes.withUnsafeBytes { inspector.inspect($0) }
    }

    private func facts(_ hello: ClientHello) -> ClientHelloFacts? {
        if case .found(let facts) = verdict(hello.records()) { facts } else { nil }
    }

    private static func bytes(_ hex: String) -> [UInt8] {
        stride(from: 0, to: hex.utf8.count, by: 2).compactMap { UInt8(hex.dropFirst($0).prefix(2), radix: 16) }
    }

    // MARK: What is found

    @Test func readsNameAndProtocolsOfAClient() {
        // Captured from OpenSSL 3.0: name "Www.Example.TEST", protocols h2 and http/1.1, TLS 1.3; its padding left out.
        let hello = Self.bytes(
            """
            16030101310100012d03039830c2676b8fc8dce3a6a201d466c2a3811c875416ea3a6a9552e16bb75a2c55206eed64ad\
            697a5af217635d3bb0cf8331c78578be6e0805f4eb6bd9837a14f6490024130213031301c02cc030c02bc02fcca9cca8\
            c024c028c023c027009f009e006b006700ff010000c00000001500130000105777772e4578616d706c652e5445535400\
            0b000403000102000a00160014001d0017001e0019001801000101010201030104002300000010000e000c0268320868\
            7474702f312e310016000000170000000d002a0028040305030603080708080809080a080b0804080508060401050106\
            01030303010302040205020602002b00050403040303002d00020101003300260024001d00209401335a319f7406e391\
            c0d10ebb516e26d820da5f5c5115a94d8464b1cc7423
            """)
        guard case .found(let facts) = verdict(hello) else {
            Issue.record("\(verdict(hello))")
            return
        }
        #expect(facts.serverName == "www.example.test")
        #expect(facts.applicationProtocols == ["h2", "http/1.1"])
    }

    @Test func aHelloWithoutExtensionsHasNeitherNameNorProtocols() {
        let facts = facts(ClientHello())
        #expect(facts?.serverName == "")
        #expect(facts?.applicationProtocols == [])
    }

    @Test func aNameMayHoldAnythingButNUL() {
        #expect(facts(ClientHello(name: "B\u{FC}cher.test"))?.serverName == "b\u{FC}cher.test")
        #expect(facts(ClientHello(name: "XN--BCHER-KVA.TEST"))?.serverName == "xn--bcher-kva.test")
        #expect(facts(ClientHello(name: String(repeating: "a", count: 255)))?.serverName.utf8.count == 255)
        var latin = ClientHello()
        latin.extensions = [(0, ClientHello.nameList([0x61, 0xFC]))]
        #expect(facts(latin)?.serverName == "a\u{FFFD}")
    }

    @Test func malformedProtocolsAreLeftToTheHandshake() {
        let malformed: [[UInt8]] = [[], [0, 0], [0, 1, 0], [0, 3, 2, 0x68], [0, 3, 0, 1, 0x61], [0, 3, 2, 0x68, 0x32, 9]]
        for content in malformed {
            var hello = ClientHello(name: "a.test")
            hello.extensions.append((16, content))
            #expect(facts(hello)?.serverName == "a.test", "\(content)")
            #expect(facts(hello)?.applicationProtocols == [], "\(content)")
        }
    }

    @Test(arguments: [0x0200: false, 0x0300: false, 0x0301: true, 0x0303: true, 0x0304: true, 0x0305: false, 0xFEFD: false])
    func theVersionHasToBeOneOfTLS(version: Int, isFound: Bool) {
        var hello = ClientHello()
        hello.version = version
        #expect((facts(hello) != nil) == isFound)
        // The list of versions has no say.
        hello.extensions = [(43, ClientHello.block(1, [3, 4]))]
        #expect((facts(hello) != nil) == isFound)
    }

    @Test func whatTheHandshakeJudgesIsTLS() {
        var hello = ClientHello()
        hello.compressions = [1]
        #expect(facts(hello) != nil)
        for (type, content) in [(43, [0]), (10, [0]), (13, [0]), (23, [1]), (0xFF01, [1, 1]), (51, [1])] as [(Int, [UInt8])] {
            hello.extensions = [(type, content)]
            #expect(facts(hello) != nil, "\(type)")
        }
    }

    // MARK: What is not

    struct Wrong: CustomTestStringConvertible, Sendable {
        let testDescription: String
        let change: @Sendable (inout ClientHello) -> Void

        init(_ name: String, _ change: @escaping @Sendable (inout ClientHello) -> Void) {
            testDescription = name
            self.change = change
        }
    }

    static let wrong = [
        Wrong("an empty name") { $0.extensions = [(0, ClientHello.nameList([]))] },
        Wrong("a name with NUL") { $0.extensions = [(0, ClientHello.nameList([0x61, 0, 0x62]))] },
        Wrong("a name of 256 bytes") { $0.extensions = [(0, ClientHello.nameList([UInt8](repeating: 0x61, count: 256)))] },
        Wrong("a name of another type") { $0.extensions = [(0, [0, 4, 1, 0, 1, 0x61])] },
        Wrong("two names") { $0.extensions = [(0, [0, 8, 0, 0, 1, 0x61, 0, 0, 1, 0x62])] },
        Wrong("no list of names") { $0.extensions = [(0, [])] },
        Wrong("a byte behind the names") { $0.extensions = [(0, ClientHello.nameList([0x61]) + [0])] },
        Wrong("the name twice") { $0.extensions += $0.extensions },
        Wrong("protocols twice") { $0.extensions = [(16, [0, 2, 1, 0x61]), (16, [0, 2, 1, 0x61])] },
        Wrong("a session of 33 bytes") { $0.sessionID = [UInt8](repeating: 1, count: 33) },
        Wrong("no ciphers") { $0.ciphers = [] },
        Wrong("half a cipher") { $0.ciphers = [0x13, 1, 0x13] },
        Wrong("no compression") { $0.compressions = [] },
        Wrong("an unknown extension twice") { $0.extensions += [(0x2A2A, []), (9, []), (0x2A2A, [])] },
    ]

    @Test(arguments: wrong) func aHelloThatNoHandshakeCouldFollowIsNotTLS(_ example: Wrong) {
        var hello = ClientHello(name: "a.test")
        example.change(&hello)
        #expect(verdict(hello.records()) == .notTLS)
    }

    @Test func aHelloCutShortInsideItsLengthIsNotTLS() {
        let message = ClientHello(name: "a.test", protocols: ["h2"]).message
        for length in 4..<message.count {
            let body = Array(message[4..<length])
            let short = [1] + ClientHello.block(3, body)
            let found = verdict([22, 3, 1] + ClientHello.block(2, short))
            // Without its extensions it is whole again.
            #expect(found == .notTLS || found == verdict(ClientHello().records()), "\(length) bytes")
        }
    }

    @Test(arguments: [
        "GET / HTTP/1.1\r\n", "\u{16}\u{02}", "\u{17}\u{03}\u{03}", "\u{15}\u{03}\u{01}\u{0}\u{2}", "\u{0}",
    ])
    func anotherProtocolIsKnownByItsFirstBytes(text: String) {
        #expect(verdict(Array(text.utf8)) == .notTLS)
    }

    @Test func recordsOfAnotherLengthTypeOrMessageAreNotTLS() {
        #expect(verdict([22, 3, 1, 0x41, 0x41]) == .notTLS)
        #expect(verdict([22, 3, 1, 0, 4, 2, 0, 0, 0]) == .notTLS)
        #expect(verdict([22, 3, 1, 0, 4, 1, 0, 0x40, 1]) == .notTLS)
        #expect(verdict([22, 3, 1, 0, 1, 1, 23, 3, 1, 0, 1, 1]) == .notTLS)
    }

    // MARK: Size

    @Test func aHelloThatIsNotOverAtTheLimitIsTooLarge() {
        var hello = ClientHello(name: "a.test")
        hello.extensions.append((21, [UInt8](repeating: 0, count: 300)))
        let bytes = hello.records()
        #expect(verdict(bytes, maxBytes: bytes.count) == verdict(bytes))
        #expect(verdict(bytes, maxBytes: bytes.count - 1) == .tooLarge)
        #expect(verdict(Array(bytes.dropLast()), maxBytes: bytes.count) == .needMore(bytes.count))
    }

    @Test func aHelloOf16KiBIsTooLarge() {
        var hello = ClientHello(name: "a.test")
        let small = hello.records().count
        hello.extensions.append((21, [UInt8](repeating: 0, count: 16_384 - small - 4)))
        #expect(hello.records().count == 16_384)
        #expect(facts(hello)?.serverName == "a.test")
        hello.extensions[1].content.append(0)
        #expect(verdict(hello.records()) == .tooLarge)
    }

    @Test func recordsWithoutContentAreCounted() {
        let empty: [UInt8] = [22, 3, 1, 0, 0]
        let hello = ClientHello(name: "a.test").records()
        #expect(verdict((0..<32).flatMap { _ in empty } + hello) == verdict(hello))
        #expect(verdict((0..<33).flatMap { _ in empty } + hello) == .notTLS)
    }

    // MARK: Splits

    @Test func everySplitOfSegmentsAndRecordsSaysTheSame() {
        var hello = ClientHello(name: "Split.Test", protocols: ["h2", "http/1.1", "istio"])
        hello.sessionID = [UInt8](repeating: 7, count: 32)
        let expected = verdict(hello.records())
        #expect(facts(hello)?.applicationProtocols == ["h2", "http/1.1", "istio"])
        for recordLength in 1...hello.message.count {
            let bytes = hello.records(of: recordLength)
            #expect(verdict(bytes + [1, 2, 3]) == expected, "records of \(recordLength)")
            var inspector = TLSInspector()
            for length in 0..<bytes.count {
                let found = bytes[..<length].withUnsafeBytes { inspector.inspect($0) }
                guard case .needMore(let count) = found, count > length, count <= bytes.count else {
                    Issue.record("\(found) after \(length) of \(bytes.count) bytes in records of \(recordLength)")
                    return
                }
            }
            #expect(bytes.withUnsafeBytes { inspector.inspect($0) } == expected, "records of \(recordLength)")
        }
    }

    @Test func anyBytesGetOneVerdictHoweverTheyAreCut() {
        var random = SeededRandom(seed: 16)
        let base = ClientHello(name: "fuzz.test", protocols: ["h2"])
        for _ in 0..<20_000 {
            var bytes = base.records(of: 1 + random.below(base.message.count))
            for _ in 0..<random.below(4) { bytes[random.below(bytes.count)] = UInt8(random.below(256)) }
            bytes = Array(bytes.prefix(1 + random.below(bytes.count)))
            let head = [UInt8(random.below(256)), UInt8(random.below(2))]
            fuzzTLSInspector(head + bytes)
        }
    }
}
