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

            Example:
              meshbench find http://127.0.0.1:8080/ --keep 'p99<5ms' --start 1000 \\
                --duration 5s -c 50
            """)

    @OptionGroup var load: LoadOptions
    @Option(help: "What must hold: 'p99<5ms', 'errors<0.1%'. May be repeated.")
    var keep: [String] = ["p99<10ms"]
    @Option(help: "The first rate that is tried.")
    var start = 1000.0
    @Option(help: "Rates above it are not tried.")
    var ceiling = 10_000_000.0
    @Option(help: "How close the answer is to the truth, as a share of it.")
    var precision = 0.05

    func run() throws {
        let conditions = try keep.map { text in
            do throws(ScenarioError) { return try Threshold(text) } catch { throw ValidationError(error) }
        }
        guard start > 0, ceiling >= start, precision > 0 else {
            throw ValidationError("allowed: --start above 0 and at most --ceiling, --precision above 0")
        }
        var isOwnLimit = false
        var search = RateSearch(start: start, ceiling: ceiling, precision: precision)
        while let rate = search.next {
            let run = LoadRun(try load.scenario(.open(.constant(rate))))
            let result: LoadResult
            do throws(ScenarioError) { result = try run.run() } catch { throw RunFailure(error.description) }
            let summary = RunSummary(result)
            let holds = conditions.allSatisfy { !$0.isMissed(by: summary) }
            print(
                "  \(DurationText.count(rate))/s: p50 \(DurationText.text(UInt64(summary.latencyNanoseconds(50)))), "
                    + "p99 \(DurationText.text(UInt64(summary.latencyNanoseconds(99)))), errors \(DurationText.fixed(summary.errorShare * 100, 2)) %"
                    + (holds ? "" : "  ✗") + (summary.warning.isEmpty ? "" : "  (\(summary.warning))"))
            if !holds, !summary.warning.isEmpty { isOwnLimit = true }
            search.add(holds: holds)
        }
        guard search.highestGood > 0 else { throw RunFailure("no rate kept \(keep.joined(separator: " and "))") }
        if isOwnLimit { print("WARNING: where the condition broke the generator had no time left: the limit may be that of the load tester") }
        print("highest rate that keeps \(keep.joined(separator: " and ")): \(DurationText.count(search.highestGood))/s")
    }
}
