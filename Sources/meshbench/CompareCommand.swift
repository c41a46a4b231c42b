// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Foundation
import Glibc
import MeshLoad

/// `meshbench compare`.
struct CompareCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "compare",
        abstract: "Proxies side by side under the same load, in alternating rounds.",
        discussion: """
            Starts the proxies that are on this machine with equivalent \
            configurations, and an upstream of its own; loads them in turns \
            (A B A B …), the proxy alone on one CPU, upstream and load on another; \
            and compares what they cost within each round. A run in which other \
            programs used more than a quarter of a core is dropped and made up for. \
            Any failed request or wrong answer makes the verdict invalid.

            A proxy is apus, envoy, haproxy, nginx or nghttpx; @LABEL names it in \
            the report and =PATH names its binary, so that two builds of one proxy \
            can be compared.

            Scenarios: h1, h2, mtls, tls, tcp, routes, memory, soak; all (but the \
            soak); or one by its name, see --list.

            Examples:
              meshbench compare --quick
              meshbench compare --proxy apus --proxy envoy --proxy haproxy \\
                --scenario h1,h2,mtls,tcp,routes --html report.html
              meshbench compare --proxy apus --proxy apus@before=/tmp/old/apus \\
                --scenario h1-tiny --rounds 10 --duration 3s
            """)

    @Option(help: "One that takes part; may be repeated. The first one is what the others are compared with. (default: all that are found)")
    var proxy: [String] = []
    @Option(help: "Scenarios, separated by commas; may be repeated.")
    var scenario: [String] = ["h1,h2,mtls,tcp,routes"]
    @Option(help: "Alternating rounds; an open loop has three times as many. (default: 5)")
    var rounds: Int?
    @Option(help: "Length of a run; of an open loop half of it, at least half a second. (default: 1s)")
    var duration: Seconds?
    @Flag(help: "Two rounds of half a second: a look, not a measurement.")
    var quick = false
    @Option(help: "File with bounds to hold the result against: [{\"scenario\": \"h1-tiny\", \"metric\": \"cpu\", \"at_most\": 0.4, \"against\": \"envoy\"}]. Exit 2 when one is missed.")
    var bounds: String?
    @OptionGroup var reports: ReportOptions
    @Option(help: "Write the tables as Markdown.")
    var markdown: String?
    @OptionGroup var places: PlaceOptions
    @Flag(help: "List the scenarios and end.")
    var list = false

    func run() throws {
        if list {
            for scenario in ComparisonScenario.all { print("\(scenario.name)\(scenario.isNamedByGroup ? "" : " *")  [\(scenario.group)]  \(scenario.title)") }
            print("* not in its group: named alone, or by `all`")
            return
        }
        let choices: [ProxyChoice]
        let scenarios: [ComparisonScenario]
        var asked: [ComparisonBound] = []
        do throws(ScenarioError) {
            choices = try proxies()
            scenarios = try ComparisonScenario.choose(scenario.flatMap { $0.split(separator: ",").map(String.init) })
            if let bounds {
                guard let bytes = FileContents.bytes(bounds) else { throw ScenarioError("\(bounds): cannot be read") }
                asked = try ComparisonBound.read(bytes, path: bounds)
            }
        } catch { throw ValidationError(error) }
        try places.withFolder { try compare(choices, scenarios, asked, folder: $0) }
    }

    private func compare(
        _ choices: [ProxyChoice], _ scenarios: [ComparisonScenario], _ asked: [ComparisonBound], folder: String
    ) throws {
        let plan = ComparisonPlan(
            proxies: choices, scenarios: scenarios, rounds: rounds ?? (quick ? 2 : 5), seconds: duration?.value ?? (quick ? 0.5 : 1),
            warmUp: quick ? 0.3 : 0.5, proxyCPU: places.proxyCpu, loadCPU: places.loadCpu, folder: folder,
            command: "meshbench " + CommandLine.arguments.dropFirst().joined(separator: " "))
        let line = StepLine()
        var report: ComparisonReport
        do throws(ScenarioError) {
            let comparison = try Comparison(plan) { line.show($0) }
            // Who names no proxies means those that are there.
            if !proxy.isEmpty { for text in comparison.notFound { line.note(text) } }
            if places.writeOnly {
                return print(String(decoding: FileReport.json(try comparison.write()), as: UTF8.self), terminator: "")
            }
            report = try comparison.run()
        } catch {
            line.clear()
            throw RunFailure(error.description)
        }
        line.clear()
        report.hold(asked)
        print(ComparisonText.text(report), terminator: "")
        try reports.write(json: FileReport.json(report), csv: ComparisonText.csv(report), html: ComparisonPage.page(report))
        if let markdown { try FileContents.write(Array(ComparisonText.markdown(report).utf8), to: markdown) }
        if !report.isValid || !report.keepsItsBounds { throw ExitCode(2) }
    }

    private func proxies() throws(ScenarioError) -> [ProxyChoice] {
        guard !proxy.isEmpty else { return ProxyKind.allCases.map { ProxyChoice(kind: $0) } }
        var choices: [ProxyChoice] = []
        for text in proxy.flatMap({ $0.split(separator: ",").map(String.init) }) { choices.append(try ProxyChoice(text)) }
        return choices
    }
}

/// One line that is written over on a terminal; one line per step elsewhere.
final class StepLine {
    private let isTerminal = isatty(STDERR_FILENO) == 1
    private let begin = StepLine.seconds()

    func show(_ event: ComparisonEvent) {
        switch event {
        case .live(let done, let total, let text):
            if isTerminal { write("\r\u{1B}[K[\(done)/\(total)\(left(done, total))] \(text)") }
        case .step(let done, let total, let text):
            write((isTerminal ? "\r\u{1B}[K" : "") + "[\(done)/\(total)\(left(done, total))] \(text)\n")
        }
    }

    func note(_ text: String) { write("\(text)\n") }

    func clear() {
        if isTerminal { write("\r\u{1B}[K") }
    }

    private func left(_ done: Int, _ total: Int) -> String {
        guard done > 0 else { return "" }
        let seconds = (StepLine.seconds() - begin) / Double(done) * Double(max(0, total - done))
        return seconds > 90 ? ", \(Int((seconds / 60).rounded())) min left" : ", \(Int(seconds.rounded())) s left"
    }

    private static func seconds() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    private func write(_ text: String) {
        let bytes = Array(text.utf8)
        _ = Glibc.write(STDERR_FILENO, bytes, bytes.count)
    }
}
