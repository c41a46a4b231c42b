// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import MeshLoad

@Suite struct RequestPlanTests {
    @Test func aRangeStandsForItsNumbers() throws {
        #expect(try RequestPlan.expand(template: "/a/{2..4}", what: "path") == ["/a/2", "/a/3", "/a/4"])
        #expect(try RequestPlan.expand(template: "/{1..2}/{8..9}", what: "path") == ["/1/8", "/1/9", "/2/8", "/2/9"])
        #expect(try RequestPlan.expand(template: "/plain", what: "path") == ["/plain"])
    }

    @Test(arguments: ["/{1}", "/{4..2}", "/{a..b}", "/{..}", "/{1..2..3}", "/{1..999999}", "/{1..1000}/{1..1000}"])
    func whatIsNoRangeIsAnErrorThatNamesIt(_ template: String) {
        #expect(throws: ScenarioError.self) { try RequestPlan.expand(template: template, what: "path") }
    }

    @Test func hostsPathsAndSizesAreWalkedSideBySide() throws {
        let plan = try RequestPlan.expand(
            method: "GET", hosts: ["a", "b"], paths: ["/{1..3}"], headers: [], bodySizes: [])
        #expect(plan.requests.count == 6)
        #expect(plan.requests.map { $0.authority + $0.path } == ["a/1", "b/2", "a/3", "b/1", "a/2", "b/3"])
    }
}
