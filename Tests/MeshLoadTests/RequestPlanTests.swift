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
            method: "GET", hosts: ["a", "b"], paths: ["/{1..3}"], headers: [])
        #expect(plan.requests.count == 6)
        #expect(plan.requests.map { $0.authority + $0.path } == ["a/1", "b/2", "a/3", "b/1", "a/2", "b/3"])
    }

    @Test func headerValuesMayHoldRangesAndBraces() throws {
        let plan = try RequestPlan.expand(
            method: "GET", hosts: ["a"], paths: ["/"],
            headers: [HeaderText(name: "x-user", value: "u{1..2}"), HeaderText(name: "x-json", value: "{\"a\": 1}")])
        #expect(plan.requests.map { $0.headers.map(\.value) } == [["u1", "{\"a\": 1}"], ["u2", "{\"a\": 1}"]])
    }

    @Test func aFileOfRequestsIsReadLineByLine() throws {
        let text = """
            # a comment
            {"path": "/a"}

            {"method": "POST", "host": "b.test", "path": "/b", "headers": {"x": "1"}, "size": 10}
            """
        let plan = try RequestFile.parse(text, name: "f", method: "GET", authority: "a.test", headers: [HeaderText(name: "all", value: "yes")])
        #expect(plan.requests.count == 2)
        #expect(plan.requests[0] == PlannedRequest(authority: "a.test", path: "/a", headers: [HeaderText(name: "all", value: "yes")]))
        #expect(plan.requests[1].bodySize == 10 && plan.requests[1].authority == "b.test" && plan.requests[1].headers.count == 2)
    }

    @Test(arguments: ["{\"path\": \"a\"}", "{}", "GET /", "{\"path\": \"/\", \"size\": -1}", "# nothing"])
    func aFileThatHoldsNoRequestsIsAnErrorThatNamesIt(_ text: String) {
        #expect { try RequestFile.parse(text, name: "file.txt", method: "GET", authority: "a", headers: []) } throws: {
            "\($0)".contains("file.txt")
        }
    }
}
