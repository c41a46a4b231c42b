// SPDX-License-Identifier: Apache-2.0

/// A comparison as one page that needs nothing else.
public enum ComparisonPage {
    public static func page(_ report: ComparisonReport) -> String {
        var body = "<p class=\"quiet\">\(HTMLText.escape(report.date)) · \(HTMLText.escape(report.machine)) · <code>\(HTMLText.escape(report.command))</code> · "
        body += "\(report.extent), the proxy alone on one CPU, upstream and load on another. "
        body += "Bars are medians, whiskers the lowest and highest run; ratios are taken within rounds, with 95 % confidence.</p>"
        body += summary(report)
        for scenario in report.scenarios { body += section(scenario) }
        body += "<h2>Proxies</h2><div class=\"wide\"><table><tbody>"
        for one in report.participants {
            body += "<tr><th>\(HTMLText.escape(one.label))</th><td>\(HTMLText.escape(one.version))</td><td>\(HTMLText.escape(one.path))</td></tr>"
        }
        body += "</tbody></table></div>"
        for missing in report.missing { body += "<p class=\"warning\">\(HTMLText.escape(missing))</p>" }
        return HTMLReport.document(title: "meshbench compare", body: body)
    }

    private static func summary(_ report: ComparisonReport) -> String {
        var out = "<ul class=\"verdicts\">"
        for scenario in report.scenarios {
            out += "<li\(scenario.isValid ? "" : " class=\"bad\"")><a href=\"#\(HTMLText.escape(scenario.name))\">\(HTMLText.escape(scenario.name))</a> "
            out += "\(HTMLText.escape(scenario.verdict))</li>"
        }
        return out + "</ul>"
    }

    private static func section(_ scenario: ScenarioOutcome) -> String {
        var out = "<section id=\"\(HTMLText.escape(scenario.name))\"><h2>\(HTMLText.escape(scenario.name))</h2>"
        out += "<p class=\"quiet\">\(HTMLText.escape(scenario.title))</p>"
        out += "<p class=\"\(scenario.isValid ? "verdict" : "warning")\">\(HTMLText.escape(scenario.verdict))</p>"
        out += "<div class=\"plots\">" + plots(scenario).map { $0.svg() }.joined() + "</div>"
        out += table(ComparisonText.table(scenario))
        if !scenario.bounds.isEmpty {
            out += table([["asked", "measured", ""]] + scenario.bounds.map { [$0.asked, $0.measured, $0.verdict] })
        }
        if !scenario.remarks.isEmpty {
            out += "<ul class=\"quiet\">" + scenario.remarks.map { "<li>\(HTMLText.escape($0))</li>" }.joined() + "</ul>"
        }
        return out + "</section>"
    }

    /// One plot for each figure that is compared; of memory scenarios one for each column.
    static func plots(_ scenario: ScenarioOutcome) -> [BarPlot] {
        let known = ComparisonScenario.all.first { $0.name == scenario.name }
        let wanted: [ComparisonMetric] =
            known.map { $0.isMemory ? $0.tableMetrics.filter { $0 != .change } : $0.comparedMetrics.filter { $0 != .p99 } + [.throughput] }
            ?? scenario.metrics.compactMap(ComparisonMetric.init(rawValue:))
        return wanted.map { metric in
            BarPlot(
                title: metric.title,
                bars: scenario.variants.enumerated().map { place, variant in
                    BarPlot.Bar(name: variant, values: scenario.values(variant, metric.rawValue), isSubject: place == 0)
                }, text: metric.text)
        }
    }

    static func table(_ rows: [[String]]) -> String {
        guard let head = rows.first else { return "" }
        var out = "<div class=\"wide\"><table><thead><tr>" + head.map { "<th>\(HTMLText.escape($0))</th>" }.joined() + "</tr></thead><tbody>"
        for row in rows.dropFirst() {
            out += "<tr><th>\(HTMLText.escape(row.first ?? ""))</th>" + row.dropFirst().map { "<td>\(HTMLText.escape($0))</td>" }.joined() + "</tr>"
        }
        return out + "</tbody></table></div>"
    }
}
