// SPDX-License-Identifier: Apache-2.0

/// Two runs on one page: what changed, and the curves on each other.
enum HTMLComparison {
    static func section(_ first: RunSummary, _ second: RunSummary) -> String {
        var out = "<section><h2>A and B</h2><p class=\"quiet\">A: \(describe(first))<br>B: \(describe(second))</p>"
        out += "<div class=\"wide\"><table><thead><tr><th></th><th>A</th><th>B</th><th>B / A</th><th></th></tr></thead><tbody>"
        for row in RunComparison(first, second).rows {
            out += "<tr><th>\(HTMLText.escape(row.label))</th><td>\(HTMLText.escape(row.firstText))</td><td>\(HTMLText.escape(row.secondText))</td>"
            out += "<td>\(row.ratioText)</td><td class=\"verdict\">\(row.verdict)</td></tr>"
        }
        out += "</tbody></table></div>"
        let latency = LinePlot(
            title: "Latency by percentile", xLabel: "percentile",
            lines: [("A", "a", first), ("B", "b", second)].map { name, colour, run in
                LinePlot.Line(name: name, colour: colour, points: run.curve.map { (HTMLReport.nines($0.percentile), Double($0.latency)) })
            }, xMarks: HTMLReport.nineMarks, yText: TextReport.time)
        let throughput = LinePlot(
            title: "Throughput over time", xLabel: "seconds",
            lines: [("A", "a", first), ("B", "b", second)].map { name, colour, run in
                LinePlot.Line(name: name, colour: colour, points: run.series.map { ($0.time, $0.throughput) })
            }, xMarks: LinePlot.timeMarks(max(first.durationSeconds, second.durationSeconds)), yText: DurationText.count)
        return out + "<div class=\"plots compared\">\(latency.svg())\(throughput.svg())</div></section>"
    }

    private static func describe(_ run: RunSummary) -> String {
        HTMLText.escape("\(run.name), \(run.target), \(run.shape)")
    }
}
