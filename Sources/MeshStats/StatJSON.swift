// SPDX-License-Identifier: Apache-2.0

/// `/stats?format=json`: `{"stats":[{"name":…,"value":…},…,{"histograms":…}]}`.
struct StatJSONPrinter: StatPrinter {
    private enum Part {
        case begin, scalars, histograms, end
    }

    private let query: StatQuery
    private var cursor: StatCursor
    private var part = Part.begin
    private var isFirst = true
    private var hasHistograms = false

    init(_ snapshot: StatSnapshot, _ query: StatQuery) {
        self.query = query
        cursor = StatCursor(snapshot, kinds: query.kinds.subtracting([.histogram]), usedOnly: query.usedOnly)
    }

    private var form: HistogramForm { query.histogramForm ?? .summary }

    mutating func step(into output: inout [UInt8]) -> Bool {
        switch part {
        case .begin:
            output += "{\"stats\":[".utf8
            part = .scalars
        case .scalars:
            guard let (name, item) = cursor.next() else {
                if !cursor.isAtEnd { return true }
                part = .histograms
                cursor = StatCursor(cursor.snapshot, kinds: query.kinds.intersection([.histogram]), usedOnly: query.usedOnly)
                return true
            }
            guard query.wants(name) else { return true }
            separate(&output)
            output += "{\"name\":".utf8
            StatNumber.appendJSON(name, to: &output)
            output += ",\"value\":\(cursor.snapshot.scalar(item).value)}".utf8
        case .histograms:
            guard let (name, item) = cursor.next() else {
                if !cursor.isAtEnd { return true }
                part = .end
                return true
            }
            guard query.wants(name) else { return true }
            if !hasHistograms { beginHistograms(&output) }
            separate(&output)
            output += "{\"name\":".utf8
            StatNumber.appendJSON(name, to: &output)
            append(PrintedHistogram(item, cursor.snapshot, query), name, to: &output)
            output.append(UInt8(ascii: "}"))
        case .end:
            if hasHistograms { output += (form == .cumulative || form == .disjoint ? "]}" : "]}}").utf8 }
            output += "]}".utf8
            return false
        }
        return true
    }

    private mutating func separate(_ output: inout [UInt8]) {
        if !isFirst { output.append(UInt8(ascii: ",")) }
        isFirst = false
    }

    /// All histograms are one element of the list, whose shape depends on what is told about them.
    private mutating func beginHistograms(_ output: inout [UInt8]) {
        separate(&output)
        hasHistograms = true
        isFirst = true
        let quantiles = HistogramBins.quantiles.map(StatNumber.json).joined(separator: ",")
        switch form {
        case .summary: output += "{\"histograms\":{\"supported_quantiles\":[\(quantiles)],\"computed_quantiles\":[".utf8
        case .detailed: output += "{\"histograms\":{\"supported_percentiles\":[\(quantiles)],\"details\":[".utf8
        case .cumulative, .disjoint: output += "{\"histograms\":[".utf8
        }
    }

    private func append(_ histogram: PrintedHistogram, _ name: String, to output: inout [UInt8]) {
        switch form {
        case .summary: output += ",\"values\":[\(StatJSONPrinter.quantiles(histogram))]".utf8
        case .cumulative, .disjoint:
            let buckets = histogram.buckets(query.bounds(name), isDisjoint: form == .disjoint).map {
                "{\"upper_bound\":\(StatNumber.json($0.bound)),\"interval\":\($0.interval),\"cumulative\":\($0.total)}"
            }
            output += ",\"buckets\":[\(buckets.joined(separator: ","))]".utf8
        case .detailed:
            output += ",\"totals\":[\(StatJSONPrinter.bins(histogram.total))]".utf8
            output += ",\"intervals\":[\(StatJSONPrinter.bins(histogram.interval))]".utf8
            output += ",\"percentiles\":[\(StatJSONPrinter.quantiles(histogram))]".utf8
        }
    }

    private static func quantiles(_ histogram: PrintedHistogram) -> String {
        histogram.quantiles().map { _, interval, total in
            "{\"cumulative\":\(total.map(StatNumber.json) ?? "null"),\"interval\":\(interval.map(StatNumber.json) ?? "null")}"
        }.joined(separator: ",")
    }

    private static func bins(_ bins: HistogramBins) -> String {
        bins.filled().map {
            "{\"lower_bound\":\(StatNumber.json($0.lower)),\"width\":\(StatNumber.json($0.width)),\"count\":\($0.count)}"
        }.joined(separator: ",")
    }
}
