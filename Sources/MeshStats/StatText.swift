// SPDX-License-Identifier: Apache-2.0

/// `/stats` as text: `name: value` lines, then a line for each histogram.
struct StatTextPrinter: StatPrinter {
    private let query: StatQuery
    private var cursor: StatCursor
    private var isAtHistograms = false

    init(_ snapshot: StatSnapshot, _ query: StatQuery) {
        self.query = query
        cursor = StatCursor(snapshot, kinds: query.kinds.subtracting([.histogram]), usedOnly: query.usedOnly)
    }

    mutating func step(into output: inout [UInt8]) -> Bool {
        guard let (name, item) = cursor.next() else {
            if !cursor.isAtEnd { return true }
            guard !isAtHistograms, query.kinds.contains(.histogram) else { return false }
            isAtHistograms = true
            cursor = StatCursor(cursor.snapshot, kinds: [.histogram], usedOnly: query.usedOnly)
            return true
        }
        guard query.wants(name) else { return true }
        output += name.utf8
        if isAtHistograms {
            output.append(UInt8(ascii: ":"))
            appendHistogram(PrintedHistogram(item, cursor.snapshot, query), name, to: &output)
        } else {
            output += ": ".utf8
            output += String(cursor.snapshot.scalar(item).value).utf8
        }
        output.append(UInt8(ascii: "\n"))
        return true
    }

    private func appendHistogram(_ histogram: PrintedHistogram, _ name: String, to output: inout [UInt8]) {
        if histogram.isEmpty {
            output += " No recorded values".utf8
            return
        }
        switch query.histogramForm ?? .summary {
        case .summary:
            output.append(UInt8(ascii: " "))
            output += StatTextPrinter.summary(histogram).utf8
        case .cumulative, .disjoint:
            for bucket in histogram.buckets(query.bounds(name), isDisjoint: query.histogramForm == .disjoint) {
                output += " B\(StatNumber.general(bucket.bound))(\(bucket.interval),\(bucket.total))".utf8
            }
        case .detailed:
            output += "\n  totals=\(StatTextPrinter.bins(histogram.total))".utf8
            output += "\n  intervals=\(StatTextPrinter.bins(histogram.interval))".utf8
            output += "\n  summary=\(StatTextPrinter.summary(histogram))".utf8
        }
    }

    /// `P50(interval,cumulative)` for each quantile; `nan` where nothing came in.
    private static func summary(_ histogram: PrintedHistogram) -> String {
        histogram.quantiles().map { quantile, interval, total in
            "P\(StatNumber.text(quantile))(\(StatNumber.text(interval ?? .nan)),\(StatNumber.text(total ?? .nan)))"
        }.joined(separator: " ")
    }

    /// `lower,width:count` for each bin that holds something.
    private static func bins(_ bins: HistogramBins) -> String {
        bins.filled().map { "\(StatNumber.general($0.lower)),\(StatNumber.general($0.width)):\($0.count)" }
            .joined(separator: ", ")
    }
}
