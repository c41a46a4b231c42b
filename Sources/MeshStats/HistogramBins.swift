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

    /// Puts everything of another in.
    mutating func merge(_ other: HistogramBins) {
        sum &+= other.sum
        count &+= other.count
        zeros &+= other.zeros
        if bins.isEmpty { bins = other.bins } else {
            for index in other.bins.indices { bins[index] &+= other.bins[index] }
        }
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

    /// How many values are counted as at most `bounds[i]`, for each of the rising `bounds`. As in Envoy a bin counts whole as
    /// soon as its smallest value does.
    package func cumulativeCounts(_ bounds: [Double]) -> [UInt64] {
        var result: [UInt64] = []
        var index = 0
        var total = zeros
        let perDecade = HistogramBins.binsPerDecade
        for bound in bounds {
            while index < bins.count {
                // Empty bins are passed even beyond the bound: nothing in them can be missed.
                if bins[index] > 0 {
                    guard HistogramBins.bounds(decade: index / perDecade, bin: index % perDecade).lower <= bound else { break }
                    total += bins[index]
                }
                index += 1
            }
            result.append(total)
        }
        return result
    }

    /// The bins that hold something, rising; zeros are a bin without width.
    func filled() -> [(lower: Double, width: Double, count: UInt64)] {
        var result: [(lower: Double, width: Double, count: UInt64)] = []
        if zeros > 0 { result.append((0, 0, zeros)) }
        let perDecade = HistogramBins.binsPerDecade
        for index in bins.indices where bins[index] > 0 {
            let (lower, width) = HistogramBins.bounds(decade: index / perDecade, bin: index % perDecade)
            result.append((lower, width, bins[index]))
        }
        return result
    }

    /// What came in since `earlier`, which holds no more than this does.
    func since(_ earlier: SparseBins) -> HistogramBins {
        var rest = self
        rest.sum = sum &- earlier.sum
        rest.zeros = zeros &- min(zeros, earlier.zeros)
        rest.count = count &- min(count, earlier.count)
        for (index, count) in earlier.bins where Int(index) < rest.bins.count {
            rest.bins[Int(index)] &-= min(rest.bins[Int(index)], count)
        }
        return rest
    }

    /// The same without its empty bins, to be kept.
    var sparse: SparseBins {
        SparseBins(
            sum: sum, count: count, zeros: zeros,
            bins: bins.indices.compactMap { bins[$0] > 0 ? (UInt16($0), bins[$0]) : nil })
    }

    init(_ sparse: SparseBins) {
        sum = sparse.sum
        count = sparse.count
        zeros = sparse.zeros
        guard !sparse.bins.isEmpty else { return }
        bins = Array(repeating: 0, count: HistogramBins.decades * HistogramBins.binsPerDecade)
        for (index, count) in sparse.bins { bins[Int(index)] = count }
    }
}

/// A histogram in little memory: only the bins that hold something.
struct SparseBins {
    var sum: UInt64 = 0
    var count: UInt64 = 0
    var zeros: UInt64 = 0
    var bins: [(index: UInt16, count: UInt64)] = []
}
