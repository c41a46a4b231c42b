// SPDX-License-Identifier: Apache-2.0
import MeshModel
import MeshTestKit
import Testing

struct FuzzMatcherTests {
    /// Random lines of the fuzzer's language: it traps where tree and list disagree.
    @Test(arguments: UInt64(1)...20)
    func treeAndListAgreeOnRandomBytes(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        let letters = Array("perspPES/aabA.*[]|()?+\\;#é\n\n/ab".utf8)
        for _ in 0..<200 {
            fuzzMatcher((0..<random.below(120)).map { _ in letters[random.below(letters.count)] })
        }
    }
}
