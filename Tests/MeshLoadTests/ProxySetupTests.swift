// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import MeshLoad

@Suite struct ProxyChoiceTests {
    @Test func labelAndPathAreOptional() throws {
        #expect(try ProxyChoice("apus") == ProxyChoice(kind: .apus))
        #expect(try ProxyChoice("envoy=/opt/envoy") == ProxyChoice(kind: .envoy, path: "/opt/envoy"))
        #expect(try ProxyChoice("apus@before=/tmp/a=b") == ProxyChoice(kind: .apus, label: "before", path: "/tmp/a=b"))
    }

    @Test(arguments: ["squid", "apus@", "apus@a/b", "apus=", ""])
    func whatIsNoneSaysWhatIsAllowed(text: String) {
        #expect(throws: ScenarioError.self) { try ProxyChoice(text) }
    }

    private func search(_ programs: Set<String>, _ variables: [String: String] = [:]) -> ProxySearch {
        ProxySearch(
            variable: { variables[$0] }, isProgram: { programs.contains($0) },
            matches: { pattern in programs.filter { pattern.hasSuffix("_bin/envoy") && $0.hasSuffix("_bin/envoy") }.sorted() },
            ownFolder: "/build", workingFolder: "/work")
    }

    @Test func placesAreLookedAtInOrder() throws {
        #expect(try search(["/build/apus", "/usr/bin/apus"], ["PATH": "/usr/bin"]).find(ProxyChoice(kind: .apus)) == "/build/apus")
        #expect(try search(["/usr/bin/nginx"], ["PATH": "/usr/bin"]).find(ProxyChoice(kind: .nginx)) == "/usr/bin/nginx")
        #expect(try search(["/usr/sbin/haproxy"], ["PATH": "/usr/bin"]).find(ProxyChoice(kind: .haproxy)) == "/usr/sbin/haproxy")
        let packaged = "/work/.venv/lib/python3.11/site-packages/envoy/_bin/envoy"
        #expect(try search([packaged, "/usr/bin/envoy"], ["PATH": "/usr/bin"]).find(ProxyChoice(kind: .envoy)) == packaged)
        #expect(try search([], [:]).find(ProxyChoice(kind: .nghttpx)) == nil)
    }

    @Test func aNamedBinaryMustBeThere() throws {
        #expect(try search(["/x/envoy"], ["ENVOY_BINARY": "/x/envoy"]).find(ProxyChoice(kind: .envoy)) == "/x/envoy")
        #expect(throws: ScenarioError.self) { try search([], ["ENVOY_BINARY": "/x/envoy"]).find(ProxyChoice(kind: .envoy)) }
        #expect(throws: ScenarioError.self) { try search([]).find(ProxyChoice(kind: .envoy, path: "/x")) }
    }
}

@Suite struct ProxySetupTests {
    private func setup(_ kind: ProxyKind, _ door: Door, routes: Int = 1) -> ProxySetup {
        ProxySetup(
            kind: kind, door: door, port: 20_001, adminPort: 20_002, upstreamPort: 20_003, folder: "/run/p", certificates: "/run/c",
            routes: routes)
    }

    static let pairs = ProxyKind.allCases.flatMap { kind in Door.allCases.filter { kind.serves($0) }.map { (kind, $0) } }

    @Test(arguments: pairs)
    func everyConfigurationListensAndGoesOnToItsUpstream(kind: ProxyKind, door: Door) throws {
        let command = setup(kind, door).command("/bin/proxy", nginxStream: "/m/stream.so")
        let text = try #require(command.files.values.first)
        #expect(command.arguments.first == "/bin/proxy")
        let named = try #require(command.files.keys.first)
        #expect(command.arguments.contains { $0.hasSuffix("/run/p/\(named)") })
        #expect(text.contains("20001") && text.contains("20003"))
        // Nothing that Swift would have had to fill in, and TLS files where there is TLS alone.
        #expect(!text.contains("\\(") && !text.contains("Optional("))
        let isTLS = door == .mtls || door == .toMTLS || kind == .nghttpx
        #expect(text.contains("/run/c/") == isTLS)
        for line in text.split(separator: "\n") { #expect(!line.hasSuffix(" ")) }
    }

    @Test func apusAndEnvoyReadTheSameText() {
        for door in Door.allCases {
            #expect(setup(.apus, door).command("a").files == setup(.envoy, door).command("b").files)
        }
    }

    @Test func onlyTheLastRouteMatchesThePath() {
        let matches = (0..<1_000).map(RouteTable.match)
        #expect(matches.filter { $0.contains("safe_regex") }.count == 100)
        let path = RouteTable.lastPath(1_000)
        let prefixes = matches.enumerated().filter { _, match in
            guard match.hasPrefix("prefix: ") else { return false }
            return path.hasPrefix(match.dropFirst("prefix: \"".count).dropLast())
        }
        #expect(prefixes.map(\.offset) == [999])
    }

    @Test func aRouteTableHasTheRoutesThatWereAskedFor() throws {
        let text = try #require(setup(.apus, .http, routes: 10).command("a").files.values.first)
        #expect(text.components(of: "- { match:") == 10)
    }
}

@Suite struct ComparisonScenarioTests {
    @Test func namesAreUniqueAndGroupsHaveAMainScenario() {
        let all = ComparisonScenario.all
        #expect(Set(all.map(\.name)).count == all.count)
        for group in Set(all.map(\.group)) { #expect(all.contains { $0.group == group && $0.isNamedByGroup }) }
    }

    @Test func scenariosAreChosenByNameGroupAndAll() throws {
        #expect(try ComparisonScenario.choose(["h1", "mtls"]).map(\.name) == ["h1-tiny", "h1-mtls-h2", "mtls-h2-h1"])
        #expect(try ComparisonScenario.choose(["h1-8000"]).map(\.name) == ["h1-8000"])
        #expect(try ComparisonScenario.choose(["all"]) == ComparisonScenario.all.filter { $0.group != "soak" })
        let error = #expect(throws: ScenarioError.self) { try ComparisonScenario.choose(["h3"]) }
        #expect(error?.description.contains("h1, h2, mtls") == true)
    }

    @Test func onlyThoseThatServeADoorTakePart() throws {
        let proxies = ProxyKind.allCases.map { ProxyChoice(kind: $0) }
        func labels(_ name: String) throws -> [String] {
            try #require(ComparisonScenario.choose([name]).first).variants(proxies).map(\.label)
        }
        #expect(try labels("h1-tiny") == ["apus", "envoy", "haproxy", "nginx"])
        #expect(try labels("h2-tiny") == ["apus", "envoy", "haproxy", "nghttpx"])
        #expect(try labels("h1-logged") == ["apus", "apus, no log", "envoy"])
        #expect(try labels("routes").suffix(2) == ["apus, 10000 routes", "envoy, 10000 routes"])
    }

    @Test func theLongestRouteTableIsHeldAgainstTheShortestAndTheOthers() throws {
        let scenario = try #require(ComparisonScenario.choose(["routes"]).first)
        let variants = scenario.variants([ProxyChoice(kind: .apus), ProxyChoice(kind: .envoy)])
        #expect(scenario.judged(variants) == ["apus, 10000 routes", "apus, 10 routes", "envoy, 10000 routes"])
        #expect(scenario.subjects(variants)[3] == "apus, 1000 routes")
    }
}

@Suite struct ComparisonReportTests {
    private func outcome(_ cpu: [String: [Double]]) throws -> ScenarioOutcome {
        let scenario = try #require(ComparisonScenario.choose(["h1-tiny"]).first)
        let names = ["apus", "envoy", "nginx"]
        let runs = names.flatMap { name in
            (cpu[name] ?? []).enumerated().map { round, value in
                ComparisonRunRecord(variant: name, round: round, metrics: ["cpu": value, "throughput": 1e6 / value], completed: 10)
            }
        }
        let variants = scenario.variants([ProxyChoice(kind: .apus), ProxyChoice(kind: .envoy), ProxyChoice(kind: .nginx)])
        return ScenarioOutcome(scenario, variants: variants, runs: runs, broken: [:])
    }

    private func bound(_ limit: Double, _ against: String?) -> ComparisonBound {
        ComparisonBound(scenario: "h1-tiny", metric: "cpu", atMost: limit, against: against, of: nil)
    }

    @Test func boundsAreHeldAgainstTheMedianOfThePairedRatios() throws {
        let outcome = try outcome(["apus": [4, 8], "envoy": [10, 20], "nginx": [5, 10]])
        #expect(bound(0.4, "envoy").result(outcome).isKept)
        #expect(bound(0.2, "envoy").result(outcome).verdict == "missed by 100 %")
        #expect(bound(1, "best").result(outcome).asked == "apus: CPU per request at most 1.00 × the best of the others (nginx)")
        #expect(bound(0.7, "best").result(outcome).verdict == "missed by 15 %")
        #expect(bound(7, nil).result(outcome).isKept)
        #expect(!bound(1, "haproxy").result(outcome).isKept)
    }

    @Test func filesHoldWhatWasMeasured() throws {
        var report = ComparisonReport(
            date: "2026-01-01T00:00:00Z", machine: "a <machine>", command: "meshbench compare", rounds: 2, secondsPerRun: 1,
            participants: [ComparisonParticipant(label: "apus", kind: .apus, path: "/a", version: "1 & 2")],
            missing: ["nginx was not found: <get it>"],
            scenarios: [try outcome(["apus": [4, 8], "envoy": [10, 20], "nginx": [5, 10]])])
        report.hold([bound(0.4, "envoy")])
        #expect(report.keepsItsBounds && report.isValid)
        #expect(try ComparisonReport.read(FileReport.json(report), path: "x") == report)
        #expect(throws: ScenarioError.self) { try ComparisonReport.read(Array("{}".utf8), path: "x") }
        let csv = ComparisonText.csv(report).split(separator: "\n")
        #expect(csv.count == 1 + 6 * 2)
        let text = ComparisonText.text(report)
        #expect(text.contains("→ apus: CPU per request 6.00 µs, 0.40 × that of envoy (0.40–0.40)"))
        #expect(text.contains("nginx was not found"))
        let page = ComparisonPage.page(report)
        #expect(page.contains("a &lt;machine&gt;") && !page.contains("<script") && !page.contains("http://"))
        #expect(page.components(of: "<rect ") == 6)
        #expect(ComparisonText.markdown(report).contains("| apus | 6.00 µs |"))
    }

    @Test func aBoundOnNothingIsRefused() {
        let wrong = [#"[{"scenario":"h9","metric":"cpu","at_most":1}]"#, #"[{"scenario":"h1-tiny","metric":"speed","at_most":1}]"#, "{}"]
        for text in wrong { #expect(throws: ScenarioError.self) { try ComparisonBound.read(Array(text.utf8), path: "b.json") } }
    }
}

extension String {
    /// How often a text stands in this one.
    func components(of part: String) -> Int {
        var count = 0
        var rest = self[...]
        while let found = rest.firstRange(of: part) {
            count += 1
            rest = rest[found.upperBound...]
        }
        return count
    }
}
