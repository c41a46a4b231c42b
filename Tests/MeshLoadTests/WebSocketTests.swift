// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import MeshLoad

@Suite struct WebSocketTests {
    private func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

    /// The examples of FIPS 180-4 and of RFC 6455 §1.3.
    @Test func hashesAndKeysAreThoseOfTheStandards() {
        let digest = SHA1.hash(Array("abc".utf8)).map { String($0, radix: 16) }.joined(separator: " ")
        #expect(digest == "a9 99 3e 36 47 6 81 6a ba 3e 25 71 78 50 c2 6c 9c d0 d8 9d")
        let long = SHA1.hash([UInt8](repeating: UInt8(ascii: "a"), count: 1_000_000))
        #expect(long[0] == 0x34 && long[1] == 0xAA && long[19] == 0x6F)
        #expect(text(WebSocketKey.accept(Array("dGhlIHNhbXBsZSBub25jZQ==".utf8))) == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
        #expect(["", "f", "fo", "foo"].map { text(WebSocketKey.base64(Array($0.utf8))) } == ["", "Zg==", "Zm8=", "Zm9v"])
    }

    /// RFC 6455 §5.7: a masked "Hello".
    @Test func aMaskedFrameOfTheStandardIsRead() {
        let frame: [UInt8] = [0x81, 0x85, 0x37, 0xFA, 0x21, 0x3D, 0x7F, 0x9F, 0x4D, 0x51, 0x58]
        var reader = WebSocketReader()
        frame.withUnsafeBytes { bytes in
            let step = reader.next(bytes)
            guard case .head(let head, let consumed) = step, let mask = head.mask else { return #expect(Bool(false), "\(step)") }
            #expect(head.opcode == .text && head.isFinal && head.length == 5 && consumed == 6)
            let rest = UnsafeRawBufferPointer(rebasing: bytes[consumed...])
            #expect(reader.next(rest) == .payload(count: 5, offset: 0, isLast: true))
            var plain = [UInt8](repeating: 0, count: 5)
            plain.withUnsafeMutableBytes { target in
                if let source = rest.baseAddress, let base = target.baseAddress {
                    WebSocketWriter.copy(source, 5, mask: mask, offset: 0, to: base)
                }
            }
            #expect(text(plain) == "Hello")
        }
    }

    /// What is written is what is read, however the bytes are cut.
    @Test(arguments: [0, 1, 125, 126, 65_535, 65_536]) func framesOfEverySizeComeBackInAnyPieces(_ size: Int) {
        var random = SplitMix(state: UInt64(size))
        let payload = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        for mask in [nil, UInt32(0xA1B2_C3D4)] {
            var wire = [UInt8](repeating: 0, count: WebSocketWriter.longestHead + size)
            let length = wire.withUnsafeMutableBytes { target -> Int in
                guard let base = target.baseAddress else { return 0 }
                let head = WebSocketWriter.writeHead(.binary, isFinal: true, length: size, mask: mask, to: base)
                payload.withUnsafeBytes { if let source = $0.baseAddress { WebSocketWriter.copy(source, size, mask: mask ?? 0, offset: 0, to: base + head) } }
                return head + size
            }
            var reader = WebSocketReader()
            var waiting: [UInt8] = []
            var fed = 0
            var read: [UInt8] = []
            var found: WebSocketReader.Head?
            while fed < length {
                let count = min(length - fed, 1 + Int(random.next() % 3_000))
                waiting += wire[fed..<(fed + count)]
                fed += count
                var isHungry = false
                while !isHungry {
                    switch waiting.withUnsafeBytes({ reader.next($0) }) {
                    case .needMore: isHungry = true
                    case .failed: return #expect(Bool(false), "a sound frame was refused")
                    case .head(let head, let consumed):
                        found = head
                        waiting.removeFirst(consumed)
                        isHungry = head.length == 0
                    case .payload(let count, let offset, _):
                        var plain = [UInt8](repeating: 0, count: count)
                        plain.withUnsafeMutableBytes { target in
                            waiting.withUnsafeBytes { source in
                                if let from = source.baseAddress, let to = target.baseAddress {
                                    WebSocketWriter.copy(from, count, mask: mask ?? 0, offset: offset, to: to)
                                }
                            }
                        }
                        read += plain
                        waiting.removeFirst(count)
                    }
                }
            }
            #expect(found == WebSocketReader.Head(isFinal: true, opcode: .binary, length: UInt64(size), mask: mask))
            #expect(read == payload && waiting.isEmpty)
        }
    }

    @Test(arguments: [
        [0xC1, 0x00], [0x83, 0x00], [0x09, 0x00], [0x89, 0x7E, 0x00, 0x7E], [0x82, 0x7F, 0xFF, 0, 0, 0, 0, 0, 0, 0],
    ] as [[UInt8]]) func whatIsNoFrameIsRefused(_ bytes: [UInt8]) {
        var reader = WebSocketReader()
        #expect(bytes.withUnsafeBytes { reader.next($0) } == .failed)
    }
}

@Suite struct GRPCMessageTests {
    @Test func messagesAreCountedHoweverTheBytesAreCut() {
        let sizes = [0, 1, 300, 0, 70_000]
        let body = sizes.flatMap { GRPCMessageCounter.prefix($0) + [UInt8](repeating: 9, count: $0) }
        for step in [1, 3, 4, 5, 6, 1_000, 1_000_000] {
            var counter = GRPCMessageCounter()
            for start in stride(from: 0, to: body.count, by: step) {
                body.withUnsafeBytes { counter.add(UnsafeRawBufferPointer(rebasing: $0[start..<min(start + step, body.count)])) }
            }
            #expect(counter.count == 5 && counter.isWhole)
        }
        var cut = GRPCMessageCounter()
        body.withUnsafeBytes { cut.add(UnsafeRawBufferPointer(rebasing: $0[..<(body.count - 1)])) }
        #expect(cut.count == 4 && !cut.isWhole)
    }

    @Test(arguments: [
        ("/meshbench.Echo/Collect", ServedMethod.collect), ("/a/Repeat?messages=3", .repeated), ("/a/Echo", .echo), ("Collect", .collect),
        ("", .echo), ("/Collect/x", .echo),
    ]) func theLastPartOfAPathIsTheMethod(_ path: String, _ method: ServedMethod) {
        #expect(Array(path.utf8).withUnsafeBytes { ServedMethod(path: $0) } == method)
    }
}
