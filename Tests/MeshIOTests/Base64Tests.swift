// SPDX-License-Identifier: Apache-2.0
import MeshIO
import Testing

/// RFC 4648 §10 has the vectors.
@Suite struct Base64Tests {
    @Test(arguments: [
        ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="), ("foobar", "Zm9vYmFy"),
    ])
    func vectorsOfTheStandard(plain: String, encoded: String) {
        #expect(Base64.encode(plain.utf8) == encoded)
        #expect(Base64.decode(encoded) == Array(plain.utf8))
    }

    @Test func bothAlphabetsAreReadAndPaddingIsOptional() {
        #expect(Base64.encode([0xFB, 0xFF]) == "+/8=")
        for text in ["+/8=", "-_8=", "+/8", "-_8"] { #expect(Base64.decode(text) == [0xFB, 0xFF]) }
    }

    @Test(arguments: ["A", "AAAAA", "AA=", "A===", "AAA==", "=AAA", "AA=A", "AA A", "ä"])
    func whatIsNoBase64IsRefused(text: String) {
        #expect(Base64.decode(text) == nil)
    }
}
