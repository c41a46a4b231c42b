// SPDX-License-Identifier: Apache-2.0

/// Two runs, figure by figure.
enum RunComparison {
    struct Row: Equatable {
        let label: String
        let first: String
        let second: String
        /// The second over the first.
        let ratio: String
        /// Whether the confidence intervals are apart; empty where there are none.
        let verdict: String
    }

    static func rows(_ first: RunSummary, _ second: RunSummary) -> [Row] {
        var rows = [measured("answers a second", first.throughput, second.throughput, DurationText.count)]
        for percentile in [50.0, 90, 99, 99.9] {
            guard let a = first.latency.first(where: { $0.percentile == percentile })?.nanoseconds,
                let b = second.latency.first(where: { $0.percentile == percentile })?.nanoseconds
            else { continue }
            rows.append(measured("latency \(TextReport.label(percentile))", a, b, TextReport.time))
        }
        rows.append(counted("failures, %", first.errorShare * 100, second.errorShare * 100) { DurationText.fixed($0, 3) })
        if let a = first.cost, let b = second.cost {
            rows.append(counted("CPU per answer", a.cpuMicrosecondsPerRequest * 1e3, b.cpuMicrosecondsPerRequest * 1e3, TextReport.time))
            rows.append(counted("RSS", Double(a.residentBytes), Double(b.residentBytes)) { DurationText.bytes(UInt64($0)) })
        }
        return rows
    }

    private static func measured(_ label: String, _ a: Interval, _ b: Interval, _ text: (Double) -> String) -> Row {
        let isApart = a.high < b.low || b.high < a.low
        return Row(
            label: label, first: text(a.value), second: text(b.value), ratio: ratio(a.value, b.value),
            verdict: isApart ? (b.value > a.value ? "higher" : "lower") : "within the noise")
    }

    private static func counted(_ label: String, _ a: Double, _ b: Double, _ text: (Double) -> String) -> Row {
        Row(label: label, first: text(a), second: text(b), ratio: ratio(a, b), verdict: "")
    }

    /// Two digits behind the point, and four where those would hide it.
    private static func ratio(_ a: Double, _ b: Double) -> String {
        guard a > 0 else { return "-" }
        return DurationText.fixed(b / a, b > 0 && b / a < 0.1 ? 4 : 2)
    }
}
