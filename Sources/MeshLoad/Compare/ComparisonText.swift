// SPDX-License-Identifier: Apache-2.0

/// A comparison for the terminal, and as text files.
public enum ComparisonText {
    /// The tables, and a sentence for each scenario.
    public static func text(_ report: ComparisonReport) -> String {
        var out = ""
        for scenario in report.scenarios { out += text(scenario) + "\n" }
        for missing in report.missing { out += "  \(missing)\n" }
        return out
    }

    public static func text(_ scenario: ScenarioOutcome) -> String {
        var out = "\(scenario.name): \(scenario.title)\n"
        for row in aligned(table(scenario)) { out += "  \(row)\n" }
        out += "  → \(scenario.verdict)\n"
        for bound in scenario.bounds { out += "  → \(bound.asked): \(bound.measured), \(bound.verdict)\n" }
        for remark in scenario.remarks { out += "  · \(remark)\n" }
        return out
    }

    /// Head and rows of a scenario's table. The figures are medians of the runs that count; behind them stands the paired
    /// ratio of the row's subject to the row.
    static func table(_ scenario: ScenarioOutcome) -> [[String]] {
        let metrics = scenario.metrics.compactMap(ComparisonMetric.init(rawValue:))
        guard let main = metrics.first else { return [] }
        let compared = scenario.comparedMetric ?? main
        let title = scenario.subjects.first.flatMap { $0.split(separator: ",").first } ?? ""
        var rows = [[""] + metrics.map(\.title) + ["\(title) / this", "runs"]]
        for (variant, subject) in zip(scenario.variants, scenario.subjects) {
            var row = [variant]
            for metric in metrics {
                row.append(scenario.median(variant, metric.rawValue).map(metric.text) ?? "–")
            }
            if variant == subject {
                row.append("1")
            } else if let ratio = scenario.ratio(subject, variant, compared.rawValue) {
                row.append(interval(ratio))
            } else {
                row.append("–")
            }
            row.append(String(scenario.kept(variant).count))
            rows.append(row)
        }
        return rows
    }

    static func interval(_ ratio: PairedRatio) -> String {
        let text = self.ratio(ratio.median.value)
        guard ratio.ratios.count > 1 else { return text }
        return "\(text) (\(self.ratio(ratio.median.low))–\(self.ratio(ratio.median.high)))"
    }

    /// Two places, and more where those would be zeros.
    static func ratio(_ value: Double) -> String { DurationText.fixed(value, value >= 0.1 ? 2 : value >= 0.01 ? 3 : 4) }

    /// Columns as wide as their widest cell.
    static func aligned(_ rows: [[String]]) -> [String] {
        guard let head = rows.first else { return [] }
        let widths = head.indices.map { column in rows.map { column < $0.count ? $0[column].count : 0 }.max() ?? 0 }
        return rows.map { row in
            var line = ""
            for (column, cell) in row.enumerated() {
                let space = String(repeating: " ", count: widths[column] - cell.count)
                line += column == 0 ? cell + space : "  " + space + cell
            }
            return line
        }
    }

    /// One line for each run and figure.
    public static func csv(_ report: ComparisonReport) -> String {
        var out = "scenario,variant,round,dropped,completed,failed,metric,value\n"
        for scenario in report.scenarios {
            for run in scenario.runs {
                for (metric, value) in run.metrics.sorted(by: { $0.key < $1.key }) {
                    out += "\(scenario.name),\"\(run.variant)\",\(run.round),\(run.isDropped),\(run.completed),\(run.failed),\(metric),\(value)\n"
                }
            }
        }
        return out
    }

    /// Tables as documents hold them.
    public static func markdown(_ report: ComparisonReport) -> String {
        var out = "# \(report.participants.map(\.label).joined(separator: ", ")): \(report.date)\n\n"
        out += "\(report.machine). `\(report.command)`: \(report.extent), "
        out += "the proxy alone on one CPU, upstream and load on another. Medians; ratios within rounds with 95 % confidence.\n\n"
        for scenario in report.scenarios {
            out += "## \(scenario.name)\n\n\(scenario.title)\n\n"
            let rows = table(scenario)
            for (index, row) in rows.enumerated() {
                out += "| " + row.joined(separator: " | ") + " |\n"
                if index == 0 { out += "|" + String(repeating: "---|", count: row.count) + "\n" }
            }
            out += "\n**\(scenario.verdict)**\n\n"
            if !scenario.bounds.isEmpty {
                out += "| asked | measured | |\n|---|---|---|\n"
                for bound in scenario.bounds { out += "| \(bound.asked) | \(bound.measured) | \(bound.verdict) |\n" }
                out += "\n"
            }
            for remark in scenario.remarks { out += "- \(remark)\n" }
            if !scenario.remarks.isEmpty { out += "\n" }
        }
        for one in report.participants { out += "- \(one.label): \(one.version)\n" }
        for missing in report.missing { out += "- \(missing)\n" }
        return out
    }
}

extension ScenarioOutcome {
    /// The figure that its ratios are of.
    var comparedMetric: ComparisonMetric? {
        ComparisonScenario.all.first { $0.name == name }?.mainMetric ?? ratios.first.flatMap { ComparisonMetric(rawValue: $0.metric) }
    }
}
