// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import MeshModel

@Suite struct QueryTextTests {
    private func value(_ name: String, _ query: String) -> String? {
        let sink = ByteSink()
        let found = withBytes(name) { name in withBytes(query) { QueryText.appendValue(of: name, in: $0, to: sink) } }
        return found ? String(decoding: sink.bytes, as: UTF8.self) : nil
    }

    @Test(arguments: [
        ("x", "x=1&x=2", "1"), ("x", "y=1&x", ""), ("x", "x=", ""), ("a b", "a%20b=c%20d", "c d"), ("x", "%78=%41%4", "A%4"),
        ("x", "x=%zz%", "%zz%"), ("x", "x=a=b", "a=b"),
    ]) func aValueIsFoundByItsDecodedNameAndDecoded(name: String, query: String, expected: String) {
        #expect(value(name, query) == expected)
    }

    @Test(arguments: ["", "y=x", "xx=1", "%=1", "&&"]) func whatIsNotThereHasNoValue(query: String) {
        #expect(value("x", query) == nil)
    }

    @Test(arguments: [
        ("a=%41%7e%2F", "a=A~/"), ("a=%20%00%ff%3c%7C", "a=%20%00%ff%3c%7C"), ("a=%zz", "a=zz"), ("a=%4", "a=%4"), ("%%41", "A"),
        ("%%%", "%%"), ("", ""),
    ]) func plainCharactersLoseTheirEscapes(query: String, expected: String) {
        let sink = ByteSink()
        withBytes(query) { QueryText.appendDecoded($0, to: sink) }
        #expect(String(decoding: sink.bytes, as: UTF8.self) == expected)
    }
}
