// SPDX-License-Identifier: Apache-2.0
import Glibc

/// A run, or several, as one page that needs nothing else: no script, no font, no picture from outside.
public enum HTMLReport {
    public static func page(_ summaries: [RunSummary]) -> String {
        let comparison = summaries.count == 2 ? HTMLComparison.section(summaries[0], summaries[1]) : ""
        return document(title: "meshbench", body: comparison + summaries.map(section).joined())
    }

    /// A page with the style of all reports.
    static func document(title: String, body: String) -> String {
        """
        <!doctype html>
        <html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
        <meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
        <title>\(HTMLText.escape(title))</title><style>\(style)</style></head><body><main><h1>\(HTMLText.escape(title))</h1>
        \(body)</main></body></html>

        """
    }

    private static func section(_ summary: RunSummary) -> String {
        var out = "<section><h2>\(HTMLText.escape(summary.name))</h2>"
        out += "<p class=\"quiet\">\(HTMLText.escape(summary.loadProtocol.rawValue))\(summary.usesTLS ? " over TLS" : "") to "
        out += "\(HTMLText.escape(summary.target)), \(HTMLText.escape(summary.shape)), \(summary.connections) connections"
        if summary.streams > 1 { out += " × \(summary.streams) streams" }
        out += ", \(DurationText.digits(summary.durationSeconds)) s</p>"
        if !summary.warning.isEmpty { out += "<p class=\"warning\">\(HTMLText.escape(summary.warning))</p>" }
        out += tiles(summary)
        out += plots(summary)
        return out + "</section>"
    }

    private static func tiles(_ summary: RunSummary) -> String {
        var tiles: [(String, String, String)] = [
            ("\(DurationText.count(summary.throughput.value))/s", "answers", "\(DurationText.count(summary.throughput.low)) – \(DurationText.count(summary.throughput.high))"),
            (TextReport.time(summary.latencyNanoseconds(50)), "p50", interval(summary, 50)),
            (TextReport.time(summary.latencyNanoseconds(99)), "p99", interval(summary, 99)),
            ("\(DurationText.fixed(summary.errorShare * 100, 2)) %", "failures", TextReport.failures(summary)),
        ]
        if let cost = summary.cost {
            tiles.append(("\(DurationText.digits(cost.cpuMicrosecondsPerRequest)) µs", "CPU per answer", "\(DurationText.fixed(cost.cores, 2)) cores"))
            tiles.append((DurationText.bytes(cost.residentBytes), "RSS", "at most \(DurationText.bytes(cost.peakResidentBytes))"))
        }
        return "<div class=\"tiles\">"
            + tiles.map { "<div><b>\(HTMLText.escape($0))</b><span>\(HTMLText.escape($1))</span><small>\(HTMLText.escape($2))</small></div>" }.joined()
            + "</div>"
    }

    private static func interval(_ summary: RunSummary, _ percentile: Double) -> String {
        guard let found = summary.latency.first(where: { $0.percentile == percentile }) else { return "" }
        return "\(TextReport.time(found.nanoseconds.low)) – \(TextReport.time(found.nanoseconds.high))"
    }

    /// The axis goes by nines: 90, 99, 99.9 are as far apart as they are hard to reach.
    static func nines(_ percentile: Double) -> Double { -log10(max(1 - percentile / 100, 1e-5)) }
    static let nineMarks: [(x: Double, text: String)] = [(0, "0"), (0.301, "50"), (1, "90"), (2, "99"), (3, "99.9"), (4, "99.99")]

    private static func plots(_ summary: RunSummary) -> String {
        let latency = LinePlot(
            title: "Latency by percentile", xLabel: "percentile",
            lines: [
                LinePlot.Line(name: "from the plan", colour: "a", points: summary.curve.map { (nines($0.percentile), Double($0.latency)) }),
                LinePlot.Line(name: "from sending", colour: "b", points: summary.curve.map { (nines($0.percentile), Double($0.serviceTime)) }),
            ],
            xMarks: nineMarks, yText: TextReport.time)
        let seconds = summary.durationSeconds
        let marks = LinePlot.timeMarks(seconds)
        let throughput = LinePlot(
            title: "Throughput over time", xLabel: "seconds",
            lines: [
                LinePlot.Line(name: "answers/s", colour: "a", points: summary.series.map { ($0.time, $0.throughput) }),
                LinePlot.Line(name: "failures/s", colour: "c", points: summary.series.map { ($0.time, $0.failuresPerSecond) }),
            ], xMarks: marks, yText: DurationText.count)
        let times = LinePlot(
            title: "Latency over time", xLabel: "seconds",
            lines: [
                LinePlot.Line(name: "p50", colour: "a", points: summary.series.map { ($0.time, Double($0.p50)) }),
                LinePlot.Line(name: "p99", colour: "b", points: summary.series.map { ($0.time, Double($0.p99)) }),
            ], xMarks: marks, yText: TextReport.time)
        var out = latency.svg() + throughput.svg() + times.svg()
        if let cost = summary.cost, cost.samples.count > 1 {
            out += LinePlot(
                title: "Cores used by the observed process", xLabel: "seconds",
                lines: [LinePlot.Line(name: "cores", colour: "a", points: cost.samples.map { ($0.time, $0.cores) })], xMarks: marks
            ) { LinePlot.plain($0) }.svg()
            out += LinePlot(
                title: "Memory of the observed process", xLabel: "seconds",
                lines: [LinePlot.Line(name: "RSS", colour: "b", points: cost.samples.map { ($0.time, Double($0.residentBytes)) })],
                xMarks: marks
            ) { DurationText.bytes(UInt64($0)) }.svg()
            out += LinePlot(
                title: "Descriptors of the observed process", xLabel: "seconds",
                lines: [LinePlot.Line(name: "open", colour: "a", points: cost.samples.map { ($0.time, Double($0.descriptors)) })],
                xMarks: marks, yText: LinePlot.plain
            ).svg()
        }
        return "<div class=\"plots\">\(out)</div>\(table(summary))"
    }

    private static func table(_ summary: RunSummary) -> String {
        let added = summary.added
        func cell(_ value: String, _ bounds: String) -> String { "<td>\(value)<small>\(bounds)</small></td>" }
        var out = "<div class=\"wide\"><table><thead><tr><th>latency</th><th>\(summary.isOpen ? "from the plan" : "closed loop")</th><th>from sending</th>"
        if added != nil { out += "<th>beyond the baseline</th>" }
        out += "</tr></thead><tbody>"
        for (index, (planned, sent)) in zip(summary.latency, summary.serviceTime).enumerated() {
            out += "<tr><th>\(TextReport.label(planned.percentile))</th>"
            out += cell(TextReport.time(planned.nanoseconds.value), TextReport.range(planned.nanoseconds))
            out += "<td>\(TextReport.time(sent.nanoseconds.value))</td>"
            if let difference = added?[index].nanoseconds {
                out += cell(TextReport.signed(difference.value), "\(TextReport.signed(difference.low)) – \(TextReport.signed(difference.high))")
            }
            out += "</tr>"
        }
        out += "</tbody></table><p class=\"quiet\">Small: 95 % confidence."
        if let baseline = summary.baseline {
            out += " Baseline: \(HTMLText.escape(baseline.target)), \(DurationText.count(baseline.throughput.value))/s."
        }
        return out + "</p></div>"
    }

    private static let style = """
        :root{color-scheme:light dark;--bg:#fbfaf8;--fg:#1c2024;--quiet:#646b73;--line:#dfe2e6;--card:#fff;--a:#0b6bcb;--b:#c2570c;--c:#c22b41}
        @media(prefers-color-scheme:dark){:root{--bg:#14171a;--fg:#e7eaee;--quiet:#9aa3ad;--line:#2c3238;--card:#1b1f24;--a:#5aa9f5;--b:#f0a35e;--c:#f2788a}}
        *{box-sizing:border-box}body{margin:0;background:var(--bg);color:var(--fg);font:15px/1.5 system-ui,sans-serif}
        main{max-width:1360px;margin:0 auto;padding:24px 16px 60px}h1{font-size:18px;margin:0 0 8px;color:var(--quiet);font-weight:600}
        h2{font-size:24px;margin:24px 0 0;letter-spacing:-.01em}.quiet{color:var(--quiet);margin:2px 0 14px}
        .warning{border-left:4px solid var(--c);padding:8px 12px;background:var(--card);margin:0 0 14px}
        .tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:10px;margin:0 0 18px}
        .tiles div{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:12px 14px;display:flex;flex-direction:column}
        .tiles b{font-size:22px;font-variant-numeric:tabular-nums;letter-spacing:-.01em}.tiles span{color:var(--quiet)}
        .tiles small{color:var(--quiet);font-variant-numeric:tabular-nums;overflow-wrap:anywhere}
        figure{display:flex;flex-direction:column}figure svg{margin-top:auto}.plots.compared{margin-top:14px}.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,400px),1fr));gap:10px}
        figure{margin:0;background:var(--card);border:1px solid var(--line);border-radius:10px;padding:10px}
        figcaption{font-weight:600;padding:0 4px 4px}svg{width:100%;height:auto;display:block}
        svg text{font-size:13px;fill:var(--quiet)}.grid{stroke:var(--line)}polyline{fill:none;stroke-width:2;stroke-linejoin:round}
        polyline.a{stroke:var(--a)}polyline.b{stroke:var(--b)}polyline.c{stroke:var(--c)}
        .key{font-weight:400;color:var(--quiet);margin-left:10px;white-space:nowrap}.key::before{content:"";display:inline-block;width:14px;height:3px;margin-right:5px;vertical-align:middle}
        .key.a::before{background:var(--a)}.key.b::before{background:var(--b)}.key.c::before{background:var(--c)}
        .wide{overflow-x:auto;margin-top:14px}table{border-collapse:collapse;font-variant-numeric:tabular-nums}
        th,td{text-align:right;padding:4px 14px 4px 0;border-bottom:1px solid var(--line);white-space:nowrap}th:first-child{text-align:left}
        rect.a{fill:var(--a)}rect.d{fill:var(--quiet);opacity:.45}.whisker{stroke:var(--fg);stroke-width:1.5;opacity:.55}svg text.value{fill:var(--fg)}
        p.verdict{border-left:4px solid var(--a);padding:8px 12px;background:var(--card);margin:0 0 14px}
        .verdicts{padding-left:18px}.verdicts li{margin:4px 0}.verdicts .bad{color:var(--c)}a{color:var(--a)}code{overflow-wrap:anywhere}
        thead th,td.verdict{white-space:normal}td small{display:block;color:var(--quiet)}@media(max-width:600px){th,td{padding-right:7px;font-size:13px}th:last-child,td:last-child{padding-right:0}td small{font-size:10px}table{width:100%}}
        """
}
