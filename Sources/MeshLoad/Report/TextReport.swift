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
                + "\(DurationText.bytes(UInt64(summary.bytesPerSecond)))/s")
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
        lines.append("  latency      " + pad(summary.isOpen ? "from the plan" : "", 16) + pad("95 % confidence", 24) + "from sending")
        for (planned, sent) in zip(summary.latency, summary.serviceTime) {
            let label = planned.percentile == 100 ? "max" : "p" + trim(planned.percentile)
            lines.append(
                "    " + pad(label, 9) + pad(time(planned.nanoseconds.value), 16)
                    + pad("\(time(planned.nanoseconds.low)) – \(time(planned.nanoseconds.high))", 24) + time(sent.nanoseconds.value))
        }
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
        lines.append("  this program's busiest thread used \(Int((summary.generatorBusyShare * 100).rounded())) % of a core")
        if !summary.warning.isEmpty { lines.append("  WARNING: \(summary.warning)") }
        return lines.joined(separator: "\n") + "\n"
    }

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
        var lines = ["  " + pad("", 22) + pad("A", 14) + pad("B", 14) + "B / A"]
        func row(_ label: String, _ a: Double, _ b: Double, _ text: (Double) -> String) {
            lines.append(
                "  " + pad(label, 22) + pad(text(a), 14) + pad(text(b), 14) + (a > 0 ? DurationText.fixed(b / a, 2) : "-"))
        }
        row("answers a second", first.throughput.value, second.throughput.value, DurationText.count)
        for percentile in [50.0, 90, 99, 99.9] {
            row("latency p\(trim(percentile))", first.latencyNanoseconds(percentile), second.latencyNanoseconds(percentile), time)
        }
        row("errors, %", first.errorShare * 100, second.errorShare * 100) { DurationText.fixed($0, 3) }
        if let a = first.cost, let b = second.cost {
            row("CPU per answer", a.cpuMicrosecondsPerRequest * 1e3, b.cpuMicrosecondsPerRequest * 1e3, time)
            row("RSS", Double(a.residentBytes), Double(b.residentBytes)) { DurationText.bytes(UInt64($0)) }
        }
        return "  A: \(first.name), \(first.target), \(first.shape)\n  B: \(second.name), \(second.target), \(second.shape)\n"
            + lines.joined(separator: "\n") + "\n"
    }
}
