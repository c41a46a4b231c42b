// SPDX-License-Identifier: Apache-2.0

/// What the search for the highest rate found, trial by trial.
public struct SearchReport: Equatable, Sendable, Codable {
    /// Of this form; a reader refuses others.
    public static let currentFormat = 1

    /// An open loop at one rate.
    public struct Trial: Equatable, Sendable, Codable {
        /// - Unit: requests per second.
        public let rate: Double
        /// Whether all conditions held.
        public let holds: Bool
        public let summary: RunSummary
    }

    public var format = SearchReport.currentFormat
    public let target: String
    /// What had to hold, as the user wrote it.
    public let conditions: [String]
    /// The highest rate that kept the conditions; 0 where none did. - Unit: requests per second.
    public private(set) var highestRate = 0.0
    /// The lowest rate that broke one; nil where none did.
    public private(set) var lowestBrokenRate: Double?
    /// Empty when the limit is the target's.
    public private(set) var warning = ""
    public private(set) var trials: [Trial] = []

    public init(target: String, conditions: [Threshold]) {
        self.target = target
        self.conditions = conditions.map(\.description)
    }

    /// Takes a trial in.
    public mutating func add(_ summary: RunSummary, rate: Double, holds: Bool) {
        trials.append(Trial(rate: rate, holds: holds, summary: summary))
        if holds {
            highestRate = max(highestRate, rate)
        } else {
            lowestBrokenRate = min(lowestBrokenRate ?? rate, rate)
            if !summary.warning.isEmpty {
                warning = "where the condition broke the generator had no time left: the limit may be that of the load tester"
            }
        }
    }

    // MARK: For people

    private var wanted: String { conditions.joined(separator: " and ") }

    /// The outcome in one sentence.
    public var verdict: String {
        highestRate > 0 ? "highest rate that keeps \(wanted): \(DurationText.count(highestRate))/s" : "no rate kept \(wanted)"
    }

    /// A trial on one line.
    public static func text(_ trial: Trial) -> String {
        let run = trial.summary
        return "  \(DurationText.count(trial.rate))/s: p50 \(TextReport.time(run.latencyNanoseconds(50))), p99 \(TextReport.time(run.latencyNanoseconds(99))), "
            + "errors \(DurationText.fixed(run.errorShare * 100, 2)) %"
            + (run.cost.map { ", \(DurationText.digits($0.cpuMicrosecondsPerRequest)) µs of CPU per answer" } ?? "")
            + (trial.holds ? "" : "  ✗") + (run.warning.isEmpty ? "" : "  (\(run.warning))")
    }

    public var page: String {
        var body = "<p class=\"quiet\">\(HTMLText.escape(target)), \(trials.count) trials</p>"
        body += "<p class=\"\(highestRate > 0 ? "verdict" : "warning")\">\(HTMLText.escape(verdict))</p>"
        if !warning.isEmpty { body += "<p class=\"warning\">\(HTMLText.escape(warning))</p>" }
        let sorted = trials.sorted { $0.rate < $1.rate }
        let marks = LinePlot.timeMarks(sorted.last?.rate ?? 1).map { ($0.x, DurationText.count($0.x)) }
        func plot(_ title: String, _ lines: [(String, String, (Trial) -> Double?)], _ text: @escaping (Double) -> String) -> String {
            let drawn = lines.map { name, colour, value in
                LinePlot.Line(name: name, colour: colour, points: sorted.compactMap { trial in value(trial).map { (trial.rate, $0) } })
            }
            // One trial is no line.
            guard drawn.contains(where: { $0.points.count > 1 }) else { return "" }
            return LinePlot(title: title, xLabel: "requests a second", lines: drawn, xMarks: marks, yText: text).svg()
        }
        body += "<div class=\"plots\">"
        // Where a condition broke, latency is that of overload and would flatten all that matters.
        body += plot(
            "Latency by rate, where the condition held",
            [("p50", "a", { $0.holds ? $0.summary.latencyNanoseconds(50) : nil }), ("p99", "b", { $0.holds ? $0.summary.latencyNanoseconds(99) : nil })],
            TextReport.time)
        body += plot("Answers a second by rate", [("answered", "a", { $0.summary.throughput.value })], DurationText.count)
        if trials.contains(where: { $0.summary.cost != nil }) {
            body += plot("CPU per answer", [("µs", "a", { $0.summary.cost?.cpuMicrosecondsPerRequest })]) { DurationText.digits($0) + " µs" }
        }
        body += "</div>" + ComparisonPage.table(table)
        return HTMLReport.document(title: "meshbench find", body: body)
    }

    private var table: [[String]] {
        [["requests a second", "kept", "answered", "p50", "p99", "failures", "CPU per answer"]]
            + trials.map { trial in
                let run = trial.summary
                return [
                    DurationText.count(trial.rate), trial.holds ? "yes" : "no", DurationText.count(run.throughput.value) + "/s",
                    TextReport.time(run.latencyNanoseconds(50)), TextReport.time(run.latencyNanoseconds(99)),
                    "\(DurationText.fixed(run.errorShare * 100, 2)) %",
                    run.cost.map { DurationText.digits($0.cpuMicrosecondsPerRequest) + " µs" } ?? "–",
                ]
            }
    }
}
