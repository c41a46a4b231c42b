// SPDX-License-Identifier: Apache-2.0
import MeshModel
import MeshTestKit
import Testing

struct GRPCMessageTests {
    private func encode(_ bytes: [UInt8]) -> String {
        var result: [UInt8] = []
        withUnsafeTemporaryAllocation(byteCount: bytes.count * GRPCMessage.expansion, alignment: 1) { buffer in
            let count = bytes.withUnsafeBytes { GRPCMessage.encode($0, to: buffer) }
            result = Array(buffer[..<count])
        }
        return String(decoding: result, as: UTF8.self)
    }

    @Test(arguments: [
        ("", ""), ("plain text", "plain text"), ("100% é\n", "100%25 %C3%A9%0A"), ("~}", "%7E}"), ("\u{7f}\u{0}", "%7F%00"),
        ("\u{FFFF}", "%EF%BF%BF"), ("a\tb", "a%09b"),
    ])
    func textIsPercentEncoded(text: String, encoded: String) { #expect(encode(Array(text.utf8)) == encoded) }

    /// A naive decoder gives back what was encoded, and what stands between are printable characters.
    @Test(arguments: 0..<50) func anyBytesComeBack(seed: Int) {
        var random = SeededRandom(seed: UInt64(seed))
        let bytes = (0..<random.below(300)).map { _ in UInt8(truncatingIfNeeded: random.below(256)) }
        let encoded = Array(encode(bytes).utf8)
        var decoded: [UInt8] = []
        var index = 0
        while index < encoded.count {
            #expect(encoded[index] >= 0x20 && encoded[index] < 0x7E)
            if encoded[index] == UInt8(ascii: "%") {
                decoded.append(UInt8(String(decoding: encoded[(index + 1)...(index + 2)], as: UTF8.self), radix: 16) ?? 0)
                index += 3
            } else {
                decoded.append(encoded[index])
                index += 1
            }
        }
        #expect(decoded == bytes)
    }
}
