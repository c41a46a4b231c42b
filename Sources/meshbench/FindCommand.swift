// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import MeshLoad

/// `meshbench find`.
struct FindCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "find",
        abstract: "Finds the highest rate that keeps a condition.",
        discussion: """
            Doubles the rate until the condition breaks, then halves the gap. Every trial \
            is an open-loop run of --duration.

            Examples:
              meshbench find http://127.0.0.1:8080/ --keep 'p99<5ms' --start 1000 \\
                --duration 5s -c 50
              meshbench find http://127.0.0.1:8080/ --keep 'p99<5ms' \\
                --keep 'errors<0.1%' --observe 4711 --json found.json --html found.html
            """)

    @OptionGroup var load: LoadOptions
    @Option(help: "What must hold: 'p99<5ms', 'errors<0.1%', 'cpu<20us'. May be repeated.")
    var keep: [String] = ["p99<10ms"]
    @Option(help: "The first rate that is tried.")
    var start = 1000.0
    @Option(help: "Rates above it are not tried.")
    var ceiling = 10_000_000.0
    @Option(help: "How close the answer is to the truth, as a share of it.")
    var precision = 0.05
    @OptionGroup var observing: ObserveOptions
    @OptionGroup var reports: ReportOptions
    @Flag(help: "Print no progress within a trial.")
    var quiet = false

    func run() throws {
        let conditions = try keep.map { text in
            do throws(ScenarioError) { return try Threshold(text) } catch { throw ValidationError(error) }
        }
        guard start > 0, ceiling >= start, precision > 0 else {
            throw ValidationError("allowed: --start above 0 and at most --ceiling, --precision above 0")
        }
        let line = ProgressLine(isQuiet: quiet)
        var search = RateSearch(start: start, ceiling: ceiling, precision: precision)
        var report = SearchReport(target: load.target, conditions: conditions)
        while let rate = search.next {
            let scenario = try load.scenario(.open(.constant(rate)))
            let summary = RunSummary(try line.follow(LoadRun(scenario, observed: observing.subject)))
            let holds = conditions.allSatisfy { !$0.isMissed(by: summary) }
            search.add(holds: holds)
            report.add(summary, rate: rate, holds: holds)
            if let trial = report.trials.last { print(SearchReport.text(trial)) }
        }
        try reports.write(json: FileReport.json(report), csv: FileReport.csv(report), html: report.page)
        if !report.warning.isEmpty { print("WARNING: \(report.warning)") }
        guard report.highestRate > 0 else { throw RunFailure(report.verdict) }
        print(report.verdict)
    }
}
