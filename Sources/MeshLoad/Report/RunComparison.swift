// SPDX-License-Identifier: Apache-2.0

/// Two runs, figure by figure.
public struct RunComparison: Equatable, Sendable, Codable {
    /// One figure of both.
    public struct Row: Equatable, Sendable, Codable {
        public let label: String
        /// Nanoseconds, bytes, percent or answers a second, by the label. Without an interval its bounds are the value.
        public let first: Interval
        public let second: Interval
        /// The second over the first; nil where the first is nothing.
        public let ratio: Double?
        /// Whether the confidence intervals are apart; empty where there are none.
        public let verdict: String
        /// As people read them.
        let firstText: String
        let secondText: String

        /// Two digits behind the point, and four where those would hide it.
        var ratioText: String {
            guard let ratio else { return "-" }
            return DurationText.fixed(ratio, ratio > 0 && ratio < 0.1 ? 4 : 2)
        }

        enum CodingKeys: String, CodingKey {
            case label, first, second, ratio, verdict
            case firstText = "first_text"
            case secondText = "second_text"
        }
    }

    /// Names of the runs.
    public let first: String
    public let second: String
    public let rows: [Row]

    public init(_ first: RunSummary, _ second: RunSummary) {
        self.first = first.name
        self.second = second.name
        var rows = [RunComparison.measured("answers a second", first.throughput, second.throughput, DurationText.count)]
        for percentile in [50.0, 90, 99, 99.9] {
            guard let a = first.latency.first(where: { $0.percentile == percentile })?.nanoseconds,
                let b = second.latency.first(where: { $0.percentile == percentile })?.nanoseconds
            else { continue }
            rows.append(RunComparison.measured("latency \(TextReport.label(percentile))", a, b, TextReport.time))
        }
        rows.append(RunComparison.counted("failures, %", first.errorShare * 100, second.errorShare * 100) { DurationText.fixed($0, 3) })
        if let a = first.cost, let b = second.cost {
            rows.append(RunComparison.counted("CPU per answer", a.cpuMicrosecondsPerRequest * 1e3, b.cpuMicrosecondsPerRequest * 1e3, TextReport.time))
            rows.append(RunComparison.counted("RSS", Double(a.residentBytes), Double(b.residentBytes)) { DurationText.bytes(UInt64($0)) })
        }
        self.rows = rows
    }

    private static func measured(_ label: String, _ a: Interval, _ b: Interval, _ text: (Double) -> String) -> Row {
        let isApart = a.high < b.low || b.high < a.low
        return Row(
            label: label, first: a, second: b, ratio: a.value > 0 ? b.value / a.value : nil,
            verdict: isApart ? (b.value > a.value ? "higher" : "lower") : "within the noise", firstText: text(a.value),
            secondText: text(b.value))
    }

    private static func counted(_ label: String, _ a: Double, _ b: Double, _ text: (Double) -> String) -> Row {
        Row(
            label: label, first: Interval(value: a, low: a, high: a), second: Interval(value: b, low: b, high: b),
            ratio: a > 0 ? b / a : nil, verdict: "", firstText: text(a), secondText: text(b))
    }
}
