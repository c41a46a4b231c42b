// SPDX-License-Identifier: Apache-2.0
import MeshProto
import Testing

struct ConfigTextTests {
    struct Wrong: CustomTestStringConvertible, Sendable {
        let what: String
        let name: String
        let text: String
        let error: String
        var testDescription: String { what }
    }

    static let wrong = [
        Wrong(
            what: "a key twice in JSON", name: "a.json", text: "{\"a\": 1,\n \"a\": 2}",
            error: "a.json: line 2 column 2: found a second \"a\"; allowed: each key once"),
        Wrong(
            what: "the ninth key again", name: "a.json",
            text: #"{"1":1,"2":1,"3":1,"4":1,"5":1,"6":1,"7":1,"8":1,"9":1,"9":1}"#,
            error: "a.json: line 1 column 56: found a second \"9\"; allowed: each key once"),
        Wrong(
            what: "an unfinished object", name: "a.json", text: "{\"a\": 1",
            error: "a.json: line 1 column 8: found the end; allowed: , or }"),
        Wrong(
            what: "a leading zero", name: "a.json", text: "[01]",
            error: "a.json: line 1 column 2: found 01; allowed: a number"),
        Wrong(
            what: "a bare word", name: "a.json", text: "{\"a\": yes}",
            error: "a.json: line 1 column 7: found \"y\"; allowed: a JSON value"),
        Wrong(
            what: "text after the document", name: "a.json", text: "{} {}",
            error: "a.json: line 1 column 4: found \"{\"; allowed: the end of the document"),
        Wrong(
            what: "a lone surrogate", name: "a.json", text: #"["\ud800x"]"#,
            error: "a.json: line 1 column 9: found a lone surrogate; allowed: a Unicode scalar value"),
        Wrong(
            what: "101 lists in JSON", name: "a.json", text: String(repeating: "[", count: 101),
            error: "a.json: line 1 column 102: found more; allowed: at most 100 levels of nesting"),
        Wrong(
            what: "a tab as indentation in YAML", name: "a.yaml", text: "a:\n\t- b",
            error:
                "a.yaml: line 2 column 1: found a syntax error (found character that cannot start any token); allowed: YAML"
        ),
    ]

    @Test(arguments: wrong)
    func wrongSyntaxIsNamedWithItsPlace(_ wrong: Wrong) {
        do {
            let value = try ConfigText.read(Array(wrong.text.utf8), source: wrong.name)
            Issue.record("taken as \(value)")
        } catch {
            #expect(error.description == wrong.error)
        }
    }

    @Test func aTrailingCommaIsAccepted() throws {
        #expect(
            try ConfigText.read(Array(#"{"a": [1, 2,],}"#.utf8), source: "a.json")
                == .object([.init("a", .array([.number("1"), .number("2")]))]))
    }

    @Test func plainScalarsAreTypedAndQuotedOnesAreText() throws {
        let text = "[true, y, Off, 12, -1.5e3, 1.2.3.4, 0x10, ~, null, '12', \"true\", !!str 5, nan, 08a]"
        #expect(
            try ConfigText.read(Array(text.utf8), source: "a.yaml")
                == .array([
                    .bool(true), .bool(true), .bool(false), .number("12"), .number("-1.5e3"), .string("1.2.3.4"),
                    .string("0x10"), .null, .null,
                    .string("12"), .string("true"), .string("5"), .string("nan"), .string("08a"),
                ]))
    }

    @Test(arguments: ["[", "{a: ", "- "])
    func deepNestingIsRefusedAndDoesNotTrap(opener: String) {
        for count in [101, 900, 5000, 200_000] {
            let text = String(repeating: opener, count: count)
            #expect(throws: ConfigError.self) { try ConfigText.read(Array(text.utf8), source: "a.yaml") }
        }
    }

    @Test func aliasesDoNotMultiplyBeyondTheLimit() {
        var text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
        for level in 1...9 {
            text += "a\(level): &a\(level) [" + (0..<10).map { _ in "*a\(level - 1)" }.joined(separator: ", ") + "]\n"
        }
        #expect(throws: ConfigError.self) { try ConfigText.read(Array(text.utf8), source: "a.yaml") }
    }

    @Test func anyBytesReturn() throws {
        var state: UInt64 = 42
        let wire = try Fixture.decode(Fixture.yaml).wire
        let seeds = [Array(Fixture.yaml.utf8), Array(Fixture.json.utf8), wire]
        for round in 0..<300 {
            var bytes = seeds[round % seeds.count]
            for _ in 0..<4 {
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                bytes[Int(state >> 33) % bytes.count] = UInt8(truncatingIfNeeded: state >> 24)
            }
            fuzzBootstrap(bytes)
        }
    }
}
