// SPDX-License-Identifier: Apache-2.0

/// One answer of `/stats`, printed a piece at a time, so that the thread that prints 100,000 rows can answer others in between
/// and holds no more than a piece.
package final class StatScrape {
    package enum Format: Sendable {
        case text, json, prometheus
    }

    /// How many rows one piece looks at. - Derivation: some 64 KiB of text, well under 10 ms even with Istio's expressions.
    package static let rowsPerPiece = 512

    private var printer: any StatPrinter

    package init(_ catalog: StatCatalog, _ query: StatQuery, _ format: Format) {
        let snapshot = catalog.snapshot()
        printer = switch format {
        case .text: StatTextPrinter(snapshot, query)
        case .json: StatJSONPrinter(snapshot, query)
        case .prometheus: PrometheusPrinter(snapshot, query)
        }
    }

    /// Appends the next piece, which may be empty; false when it was the last.
    package func next(into output: inout [UInt8]) -> Bool {
        var rows = StatScrape.rowsPerPiece
        while rows > 0 {
            guard printer.step(into: &output) else { return false }
            rows -= 1
        }
        return true
    }

    /// Everything at once.
    package func all() -> [UInt8] {
        var output: [UInt8] = []
        while next(into: &output) {}
        return output
    }
}

@available(*, unavailable) extension StatScrape: Sendable {}

/// Prints one row after the other.
protocol StatPrinter {
    /// Looks at one row, which may leave nothing behind; false at the end.
    mutating func step(into output: inout [UInt8]) -> Bool
}

extension StatCatalog {
    /// `/stats` as text, whole.
    package func text(_ query: StatQuery) -> [UInt8] { StatScrape(self, query, .text).all() }

    /// `/stats?format=json`, whole.
    package func json(_ query: StatQuery) -> [UInt8] { StatScrape(self, query, .json).all() }

    /// `/stats/prometheus`, whole.
    package func prometheus(_ query: StatQuery) -> [UInt8] { StatScrape(self, query, .prometheus).all() }
}

/// A histogram as it is printed: all of its values, and those of the last interval.
struct PrintedHistogram {
    let total: HistogramBins
    let interval: HistogramBins

    init(_ item: StatSnapshot.Item, _ snapshot: StatSnapshot, _ query: StatQuery) {
        total = snapshot.bins(item)
        interval = query.intervals?.interval(of: item) ?? HistogramBins()
    }

    var isEmpty: Bool { total.count == 0 }

    /// The values at each of `HistogramBins.quantiles`; nil where nothing was recorded.
    func quantiles() -> [(quantile: Double, interval: Double?, total: Double?)] {
        let (now, all) = (interval.quantileValues(), total.quantileValues())
        return HistogramBins.quantiles.indices.map { index in
            (HistogramBins.quantiles[index], now.isEmpty ? nil : now[index], all.isEmpty ? nil : all[index])
        }
    }

    /// Counts by bound: up to it, or between it and the one before.
    func buckets(_ bounds: [Double], isDisjoint: Bool) -> [(bound: Double, interval: UInt64, total: UInt64)] {
        let (now, all) = (interval.cumulativeCounts(bounds), total.cumulativeCounts(bounds))
        return bounds.indices.map { index in
            let before = isDisjoint && index > 0 ? (now[index - 1], all[index - 1]) : (0, 0)
            return (bounds[index], now[index] - before.0, all[index] - before.1)
        }
    }
}
