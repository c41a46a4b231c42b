// SPDX-License-Identifier: Apache-2.0
import MeshRegex
import Testing

private func bytes<Result>(_ text: String, _ body: (UnsafeRawBufferPointer) -> Result) -> Result {
    Array(text.utf8).withUnsafeBytes { body($0) }
}

struct RegexTests {
    private func regex(_ pattern: String) throws -> Regex {
        try #require(Regex(try RegexProgram(pattern)))
    }

    @Test(arguments: [
        ("a+", "aaa", true), ("a+", "aab", false), ("a+", "", false), ("", "", true), ("/x/[0-9]+", "/x/12", true),
        ("/x/[0-9]+", "/x/12/", false), ("a|ab", "ab", true), ("(?i)abc", "ABC", true), (".*", "a\nb", false),
    ])
    func matchesTheWholeText(pattern: String, text: String, expected: Bool) throws {
        #expect(bytes(text) { try? regex(pattern).matchesAll(of: $0) } == expected)
    }

    @Test func dotDoesNotMatchAStrayByteUnlessLatin1() throws {
        let stray: [UInt8] = [0x61, 0xFF]
        let utf8 = try #require(Regex(try RegexProgram("a.")))
        let latin1 = try #require(Regex(try RegexProgram("a.", isLatin1: true)))
        #expect(!stray.withUnsafeBytes { utf8.matchesAll(of: $0) })
        #expect(stray.withUnsafeBytes { latin1.matchesAll(of: $0) })
    }

    @Test func searchReportsCaptures() throws {
        let regex = try regex("(b)(c)?")
        var groups = [Int32](repeating: 7, count: 8)
        let found = bytes("aab") { text in groups.withUnsafeMutableBufferPointer { regex.search(text, groups: $0) } }
        #expect(found)
        #expect(groups == [2, 3, 2, 3, -1, -1, -1, -1])
    }

    @Test(arguments: [
        ("b+", "x", "abbcb", "axcx"), ("(/a)(/b)", "\\2\\1", "/a/b/c", "/b/a/c"), ("^/", "/v1/", "/x", "/v1/x"),
        ("z", "y", "abc", "abc"), ("a", "\\0\\0", "ba", "baa"),
    ])
    func replacesEveryMatch(pattern: String, substitution: String, text: String, expected: String) throws {
        let regex = try regex(pattern)
        var result = ""
        bytes(text) { text in
            bytes(substitution) { substitution in
                regex.replacingAll(in: text, with: substitution) { result = String(decoding: $0, as: UTF8.self) }
            }
        }
        #expect(result == expected)
    }
}

struct RegexProgramTests {
    @Test(arguments: ["(", "[a", "a**", "(?=a)", "\\1", "x{2000}"])
    func invalidPatternIsRefusedWithAReason(pattern: String) {
        let error = #expect(throws: RegexError.self) { try RegexProgram(pattern) }
        #expect(error?.description.isEmpty == false)
    }

    @Test func tooLargeAProgramIsRefused() throws {
        let pattern = "/[a-z]{2,120}/(foo|bar|baz)+"
        _ = try RegexProgram(pattern)
        #expect(throws: RegexError.self) {
            try RegexProgram(pattern, maxProgramSize: RegexProgram.defaultMaxProgramSize)
        }
    }

    @Test func substitutionMayOnlyNameGroupsThatExist() throws {
        let program = try RegexProgram("(a)b")
        try program.check(substitution: "x\\1\\0")
        #expect(throws: RegexError.self) { try program.check(substitution: "\\2") }
    }

    @Test(arguments: [
        ("/abc/.*", "/abc/"), ("/abc", "/abc"), ("/ab?c", "/a"), ("/ab*", "/a"), ("/ab+", "/ab"), ("/ab{2}", "/a"),
        ("/a|/b", ""), ("/(a|b)", "/"), ("/a[|]b", "/a"), ("/a[]|]b", "/a"), ("/a[[:alpha:]|]|x", ""),
        ("/a\\.b", "/a.b"),
        ("/a\\db", "/a"), ("^/a$", "/a"), (".*", ""), ("(?i)/a", ""), ("/\\Qa|b\\E", ""), ("/é+", "/"),
        ("/a[\\]|]", "/a"),
        ("/a(|b", "/a"),
    ])
    func literalPrefixIsWhatEveryMatchBeginsWith(pattern: String, prefix: String) {
        guard let program = try? RegexProgram(pattern) else { return }
        #expect(program.literalPrefix == Array(prefix.utf8))
    }
}

struct RegexPoolTests {
    @Test func setNamesThePatternsThatMatch() throws {
        let programs = try ["/a/.*", "/.*/x", "/b"].map { try RegexProgram($0) }
        let pool = RegexPool(programs: programs, sets: [[0, 1, 2], [2]])
        #expect(bytes("/a/x") { pool.matches(ofSet: 0, in: $0).map { $0.sorted() } } == [0, 1])
        #expect(bytes("/b") { pool.matches(ofSet: 0, in: $0).map { $0.sorted() } } == [2])
        #expect(bytes("/b") { pool.matches(ofSet: 1, in: $0).map { $0.sorted() } } == [0])
        #expect(bytes("/c") { pool.matches(ofSet: 0, in: $0).map { $0.count } } == 0)
        #expect(bytes("/b") { pool.matchesAll(2, of: $0) })
        #expect(!bytes("/bb") { pool.matchesAll(2, of: $0) })
    }
}
