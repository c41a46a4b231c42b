// SPDX-License-Identifier: Apache-2.0
import Foundation

/// A run as files that programs read.
public enum FileReport {
    /// JSON, keys sorted, so that two runs can be compared line by line.
    public static func json(_ summary: RunSummary) -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        // Numbers and texts only: this cannot fail.
        return Array((try? encoder.encode(summary)) ?? Data()) + [UInt8(ascii: "\n")]
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
}
