// SPDX-License-Identifier: Apache-2.0

/// A histogram with two significant decimal digits: 90 bins for each power of ten, as Envoy's (circllhist) has them.
///
/// Values 1–9 and 10–99 have a bin each; from 100 on a bin is a hundredth of the next power of ten wide. The relative error
/// of a quantile is at most 5 %.
@usableFromInline package struct HistogramBins: Sendable {
    /// Powers of ten that have bins: 1…9, 10…99, … up to 10¹³ − 1.
    package static let decades = 13
    /// Bins of one power of ten; the first one (1…9) uses ten of them.
    package static let binsPerDecade = 90

    /// The sum of all values, exact.
    package var sum: UInt64 = 0
    /// How many values there are.
    package private(set) var count: UInt64 = 0
    private var zeros: UInt64 = 0
    private var bins: [UInt64] = []

    package init() {}

    /// The power of ten and the bin in it for a value ≥ 1; larger values than there are bins for use the last bin.
    @inlinable package static func position(of value: UInt64) -> (decade: Int, bin: Int) {
        if value < 10 { return (0, Int(value)) }
        var decade = 1
        var rest = value
        while rest >= 100 {
            rest /= 10
            decade &+= 1
        }
        if decade >= 13 { return (12, 89) }
        return (decade, Int(rest) &- 10)
    }

    /// The smallest value of a bin and the width of the bin on Envoy's scale, where single-digit values are a tenth wide.
    static func bounds(decade: Int, bin: Int) -> (lower: Double, width: Double) {
        if decade == 0 { return (Double(bin), 0.1) }
        var scale = 1.0
        for _ in 1..<max(decade, 1) { scale *= 10 }
        return (Double(bin + 10) * scale, scale)
    }

    mutating func addZeros(_ n: UInt64) {
        zeros &+= n
        count &+= n
    }

    mutating func add(_ n: UInt64, decade: Int, bin: Int) {
        if bins.isEmpty { bins = Array(repeating: 0, count: HistogramBins.decades * HistogramBins.binsPerDecade) }
        bins[decade * HistogramBins.binsPerDecade + bin] &+= n
        count &+= n
    }

    /// Puts one value in.
    package mutating func record(_ value: UInt64) {
        sum &+= value
        guard value > 0 else { return addZeros(1) }
        let (decade, bin) = HistogramBins.position(of: value)
        add(1, decade: decade, bin: bin)
    }

    /// Envoy's quantiles, in percent.
    package static let quantiles: [Double] = [0, 25, 50, 75, 90, 95, 99, 99.5, 99.9, 100]

    /// The values at `quantiles`, interpolated inside a bin as Envoy does: the k-th of n values of a bin stands at k/(n+1) of
    /// its width. Empty when nothing was recorded.
    package func quantileValues() -> [Double] {
        guard count > 0 else { return [] }
        var result: [Double] = []
        var index = -1
        var below: UInt64 = 0
        var inBin = zeros
        for quantile in HistogramBins.quantiles {
            let rank = max(1, UInt64((quantile / 100 * Double(count)).rounded(.up)))
            while rank > below + inBin, index + 1 < bins.count {
                below += inBin
                index += 1
                inBin = bins[index]
            }
            guard index >= 0 else {
                result.append(0)
                continue
            }
            let perDecade = HistogramBins.binsPerDecade
            let (lower, width) = HistogramBins.bounds(decade: index / perDecade, bin: index % perDecade)
            // The single values 10…99 have bins one wide, where Envoy's k/(n+1) applies just the same.
            result.append(lower + width * Double(rank - below) / Double(inBin + 1))
        }
        return result
    }

    /// The upper bounds of Prometheus buckets that Envoy uses unless told otherwise.
    package static let prometheusBounds: [Double] = [
        0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000, 300_000, 600_000, 1_800_000, 3_600_000,
    ]

    /// How many values are at most `bounds[i]`, for each of the rising `bounds`; a bin that reaches beyond a bound counts for
    /// the next one.
    package func cumulativeCounts(_ bounds: [Double]) -> [UInt64] {
        var result: [UInt64] = []
        var index = 0
        var total = zeros
        let perDecade = HistogramBins.binsPerDecade
        for bound in bounds {
            while index < bins.count {
                let (decade, bin) = (index / perDecade, index % perDecade)
                let (lower, width) = HistogramBins.bounds(decade: decade, bin: bin)
                // The largest whole number in the bin.
                let largest = decade == 0 ? lower : lower + width - 1
                // Empty bins are passed even beyond the bound: nothing in them can be missed.
                if bins[index] > 0 {
                    guard largest <= bound else { break }
                    total += bins[index]
                }
                index += 1
            }
            result.append(total)
        }
        return result
    }
}
