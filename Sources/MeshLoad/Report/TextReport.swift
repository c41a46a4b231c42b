// SPDX-License-Identifier: Apache-2.0

/// A run as a table for the terminal.
public enum TextReport {
    public static func text(_ summary: RunSummary) -> String {
        var lines: [String] = []
        lines.append("\(summary.name): \(summary.loadProtocol.rawValue)\(summary.usesTLS ? " over TLS" : "") to \(summary.target), \(summary.shape)")
        lines.append(
            "  \(summary.connections) connections"
                + (summary.streams > 1 ? " × \(summary.streams) streams" : "")
                + ", \(summary.workers) worker\(summary.workers == 1 ? "" : "s"), "
                + "\(DurationText.digits(summary.durationSeconds)) s after \(DurationText.digits(summary.warmUpSeconds)) s of warm-up")
        lines.append("")
        lines.append(
            "  answers      \(summary.completed)   \(DurationText.count(summary.throughput.value))/s "
                + "(\(DurationText.count(summary.throughput.low)) – \(DurationText.count(summary.throughput.high))), "
                + "\(DurationText.bytes(UInt64(summary.bytesPerSecond)))/s received, "
                + "\(DurationText.bytes(UInt64(summary.bytesSentPerSecond)))/s sent")
        if summary.messagesPerSecond > 0 { lines.append("  messages     \(DurationText.count(summary.messagesPerSecond))/s, both ways together") }
        lines.append("  failures     " + failures(summary))
        if summary.isOpen {
            lines.append("  planned      \(summary.planned)   longest wait for a connection: \(summary.longestBacklog) requests")
        }
        if summary.connectionsMade > 0, let p50 = summary.connecting.first, let p99 = summary.connecting.first(where: { $0.percentile == 99 }) {
            lines.append(
                "  connections  \(summary.connectionsMade)   p50 \(time(p50.nanoseconds.value)), p99 \(time(p99.nanoseconds.value))"
                    + (summary.usesTLS ? ", \(summary.resumedSessions) resumed" : ""))
        }
        lines.append("")
        lines += latencyTable(summary)
        if let cost = summary.cost {
            lines.append("")
            lines.append(
                "  cost         \(DurationText.digits(cost.cpuMicrosecondsPerRequest)) µs of CPU per answer, "
                    + "\(DurationText.fixed(cost.cores, 2)) cores, \(DurationText.bytes(cost.residentBytes)) RSS "
                    + "(at most \(DurationText.bytes(cost.peakResidentBytes))), \(cost.peakDescriptors) descriptors, "
                    + "\(DurationText.fixed(cost.voluntarySwitchesPerRequest, 3)) + "
                    + "\(DurationText.fixed(cost.involuntarySwitchesPerRequest, 3)) context switches per answer")
        }
        lines.append("")
        lines.append(
            "  this program's busiest thread used \(Int((summary.generatorBusyShare * 100).rounded())) % of a core and waited for one "
                + "\(Int((summary.generatorWaitShare * 100).rounded())) % of the time")
        if !summary.warning.isEmpty { lines.append("  WARNING: \(summary.warning)") }
        return lines.joined(separator: "\n") + "\n"
    }

    private static func latencyTable(_ summary: RunSummary) -> [String] {
        let added = summary.added
        var lines = ["  latency      " + pad(summary.isOpen ? "from the plan" : "", 16) + pad("95 % confidence", 24) + pad("from sending", 16)
            + (added == nil ? "" : "beyond the baseline")]
        for (index, (planned, sent)) in zip(summary.latency, summary.serviceTime).enumerated() {
            var line = "    " + pad(label(planned.percentile), 9) + pad(time(planned.nanoseconds.value), 16)
                + pad(range(planned.nanoseconds), 24) + pad(time(sent.nanoseconds.value), 16)
            if let added { line += "\(signed(added[index].nanoseconds.value))  (\(signed(added[index].nanoseconds.low)) – \(signed(added[index].nanoseconds.high)))" }
            lines.append(line.trimmingTrailingSpaces)
        }
        if let baseline = summary.baseline {
            lines.append("  baseline     \(baseline.target): \(DurationText.count(baseline.throughput.value))/s, \(DurationText.fixed(baseline.errorShare * 100, 3)) % failures")
            if !baseline.warning.isEmpty { lines.append("  WARNING: baseline: \(baseline.warning)") }
        }
        return lines
    }

    static func label(_ percentile: Double) -> String { percentile == 100 ? "max" : "p" + trim(percentile) }

    static func range(_ interval: Interval) -> String { "\(time(interval.low)) – \(time(interval.high))" }

    /// A time with its sign: a difference.
    static func signed(_ nanoseconds: Double) -> String { (nanoseconds < 0 ? "-" : "+") + time(abs(nanoseconds)) }

    static func failures(_ summary: RunSummary) -> String {
        guard !summary.failures.isEmpty else { return "none" }
        let kinds = FailureKind.allCases.compactMap { kind in summary.failures[kind.name].map { "\(kind.name) \($0)" } }
        return "\(DurationText.fixed(summary.errorShare * 100, 3)) %: " + kinds.joined(separator: ", ")
    }

    static func time(_ nanoseconds: Double) -> String { DurationText.text(UInt64(max(0, nanoseconds))) }

    static func trim(_ value: Double) -> String { value == value.rounded() ? String(Int(value)) : String(value) }

    static func pad(_ text: String, _ width: Int) -> String {
        text.count >= width ? text + " " : text + String(repeating: " ", count: width - text.count)
    }

    /// Two runs side by side, the second against the first.
    public static func comparison(_ first: RunSummary, _ second: RunSummary) -> String {
        let rows = RunComparison(first, second).rows
        var lines = ["  " + pad("", 18) + pad("A", 12) + pad("B", 12) + pad("B / A", 8)]
        for row in rows {
            lines.append(("  " + pad(row.label, 18) + pad(row.firstText, 12) + pad(row.secondText, 12) + pad(row.ratioText, 8) + row.verdict).trimmingTrailingSpaces)
        }
        return "  A: \(first.name), \(first.target), \(first.shape)\n  B: \(second.name), \(second.target), \(second.shape)\n"
            + lines.joined(separator: "\n") + "\n"
            + [("A", first), ("B", second)].filter { !$0.1.warning.isEmpty }.map { "  WARNING: \($0.0): \($0.1.warning)\n" }.joined()
    }
}

extension String {
    /// Columns are padded; the last one need not be.
    var trimmingTrailingSpaces: String {
        var text = Substring(self)
        while text.last == " " { text.removeLast() }
        return String(text)
    }
}
