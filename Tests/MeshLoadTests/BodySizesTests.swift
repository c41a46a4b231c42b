// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import MeshLoad

@Suite struct BodySizesTests {
    @Test(arguments: [
        ("1000", BodySizes.fixed(1000)), ("0", .fixed(0)), ("100*9,2000", .weighted([100, 2000], weights: [9, 1])),
        ("uniform:10-20", .uniform(10...20)), ("exp:500", .exponential(mean: 500)), ("lognormal:2000:1.5", .logNormal(median: 2000, sigma: 1.5)),
    ]) func textsAreRead(_ text: String, _ sizes: BodySizes) throws { #expect(try BodySizes(text) == sizes) }

    @Test(arguments: ["", "-1", "x", "1073741825", "uniform:5", "uniform:9-5", "exp:", "exp:-3", "lognormal:5", "1*0", "1,", "1*2*3", "gauss:5:1"])
    func whatIsNoSizeIsAnErrorThatNamesIt(_ text: String) {
        #expect { try BodySizes(text) } throws: { "\($0)".contains("'\(text)'") && "\($0)".contains("allowed") }
    }

    @Test func weightsAreKeptExactly() {
        let sizes = BodySizes.weighted([1, 2], weights: [9, 1]).sample(1000, seed: 3)
        #expect(sizes.filter { $0 == 1 }.count == 900)
        // Dealt out: no tenth of them is without the rarer one.
        #expect((0..<10).allSatisfy { sizes[($0 * 100)..<($0 * 100 + 100)].contains(2) })
    }

    @Test func distributionsHaveTheirMeanAndMedian() {
        let exponential = BodySizes.exponential(mean: 5000).sample(1000, seed: 1)
        #expect(abs(exponential.reduce(0, +) / 1000 - 5000) < 50)
        let normal = BodySizes.logNormal(median: 2000, sigma: 1).sample(1001, seed: 1).sorted()
        #expect(abs(normal[500] - 2000) <= 1)
        // One sigma above: e times as much.
        #expect(abs(Double(normal[842]) / 2000 - 2.718) < 0.05)
        let even = BodySizes.uniform(10...19).sample(1000, seed: 1)
        #expect((10...19).allSatisfy { size in even.filter { $0 == size }.count == 100 })
    }

    @Test func sizesThatDifferAreDealtOutOverRepetitionsOfThePlan() throws {
        let plan = try RequestPlan.expand(
            method: "POST", hosts: ["a"], paths: ["/{1..3}"], headers: [], bodies: .weighted([5, 6], weights: [1, 1]), seed: 1)
        #expect(plan.requests.count == 1002)
        #expect(plan.requests.filter { $0.bodySize == 5 }.count == 501)
        #expect(plan.requests[4].path == "/2")
    }
}
