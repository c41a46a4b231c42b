// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import MeshLoad

@Suite struct ExpectedAnswerTests {
    /// Whether an answer is taken, its body in pieces of that length.
    private func takes(_ body: [UInt8], status: UInt16 = 200, piece: Int, size: Int, content: String) -> Bool {
        let check = AnswerCheck(ExpectedAnswer(size: size, content: Array(content.utf8)))
        var seen = AnswerCheck.Body()
        body.withUnsafeBytes { bytes in
            for start in stride(from: 0, to: bytes.count, by: piece) {
                check.add(UnsafeRawBufferPointer(rebasing: bytes[start..<min(start + piece, bytes.count)]), to: &seen)
            }
        }
        return check.accepts(status: status, seen)
    }

    @Test(arguments: [1, 2, 3, 7, 4_096, 100_000]) func aBodyIsRightInAnyPieces(_ piece: Int) {
        let body = (0..<50_000).map { Array("abc".utf8)[$0 % 3] }
        #expect(takes(body, piece: piece, size: 50_000, content: "abc"))
        // One byte too few, too many, or wrong: the first, the last, and one in the middle.
        #expect(!takes(Array(body.dropLast()), piece: piece, size: 50_000, content: "abc"))
        #expect(!takes(body + [UInt8(ascii: "c")], piece: piece, size: 50_000, content: "abc"))
        for place in [0, 16_384, 49_999] {
            var wrong = body
            wrong[place] ^= 1
            #expect(!takes(wrong, piece: piece, size: 50_000, content: "abc"))
        }
    }

    @Test func anotherStatusIsWrong() {
        #expect(takes([120, 120], piece: 2, size: 2, content: "x"))
        #expect(!takes([120, 120], status: 204, piece: 2, size: 2, content: "x"))
        #expect(!takes([], piece: 1, size: 2, content: "x"))
        #expect(takes([], piece: 1, size: 0, content: "x"))
    }

    @Test func contentLongerThanAPieceIsGoneThroughAgain() {
        let content = (0..<20_000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        let repeated = RepeatedContent(content)
        for (offset, count) in [(0, 20_000), (19_990, 20), (5, 45_000), (40_001, 3)] {
            let piece = (offset..<offset + count).map { content[$0 % content.count] }
            #expect(piece.withUnsafeBytes { repeated.matches($0, at: offset) })
            #expect(!piece.withUnsafeBytes { repeated.matches($0, at: offset + 1) })
        }
    }

    @Test func everyScenarioKnowsItsAnswer() {
        for scenario in ComparisonScenario.all where scenario.load.loadProtocol != .tcp {
            #expect(scenario.load.expected?.size == scenario.load.answerSize)
        }
        let call = ComparisonScenario.all.first { $0.load.loadProtocol == .grpc }?.load.expected
        #expect(call?.content == [0, 0, 0, 0, 7] + Array("abcdefg".utf8))
    }
}
