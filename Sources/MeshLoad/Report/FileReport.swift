// SPDX-License-Identifier: Apache-2.0
import Foundation

/// Results as files that programs read.
public enum FileReport {
    /// JSON, keys sorted, so that two results can be compared line by line.
    public static func json(_ result: some Encodable) -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        // Numbers and texts only: this cannot fail.
        return Array((try? encoder.encode(result)) ?? Data()) + [UInt8(ascii: "\n")]
    }

    /// - Throws: `ScenarioError` for what is not a run of this format.
    public static func read(_ bytes: [UInt8], path: String) throws(ScenarioError) -> RunSummary {
        let summary: RunSummary
        do {
            summary = try JSONDecoder().decode(RunSummary.self, from: Data(bytes))
        } catch {
            throw ScenarioError("\(path): not a result of meshbench: \(error)")
        }
        guard summary.format == RunSummary.currentFormat else {
            throw ScenarioError("\(path): found format \(summary.format); allowed: \(RunSummary.currentFormat)")
        }
        return summary
    }

    /// One line for each stretch of the run.
    public static func csv(_ summary: RunSummary) -> String {
        var lines = ["seconds,answers_per_second,failures_per_second,p50_ns,p99_ns"]
        for point in summary.series {
            lines.append(
                "\(DurationText.fixed(point.time, 3)),\(DurationText.fixed(point.throughput, 1)),"
                    + "\(DurationText.fixed(point.failuresPerSecond, 1)),\(point.p50),\(point.p99)")
        }
        return lines.joined(separator: "\n") + "\n"
    }

    /// One line for each figure of both runs.
    public static func csv(_ comparison: RunComparison) -> String {
        var lines = ["figure,a,a_low,a_high,b,b_low,b_high,ratio,verdict"]
        for row in comparison.rows {
            let figures = [row.first, row.second].flatMap { [$0.value, $0.low, $0.high] }.map { "\($0)" }
            lines.append("\"\(row.label)\",\(figures.joined(separator: ",")),\(row.ratio.map { "\($0)" } ?? ""),\(row.verdict)")
        }
        return lines.joined(separator: "\n") + "\n"
    }

    /// One line for each trial of a search, in their order.
    public static func csv(_ search: SearchReport) -> String {
        var lines = ["rate,holds,answers_per_second,p50_ns,p99_ns,error_share,cpu_us,warning"]
        for trial in search.trials {
            let run = trial.summary
            lines.append(
                "\(trial.rate),\(trial.holds),\(run.throughput.value),\(UInt64(run.latencyNanoseconds(50))),\(UInt64(run.latencyNanoseconds(99))),"
                    + "\(run.errorShare),\(run.cost.map { "\($0.cpuMicrosecondsPerRequest)" } ?? ""),\"\(run.warning)\"")
        }
        return lines.joined(separator: "\n") + "\n"
    }
}
