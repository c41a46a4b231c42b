// SPDX-License-Identifier: Apache-2.0
import MeshStats
import Testing

struct HistogramBinsTests {
    /// Values with the quantiles that Envoy 1.40 printed for them.
    struct Case: CustomTestStringConvertible, Sendable {
        let values: [UInt64]
        let expected: [Double]
        var testDescription: String { "\(values)" }
    }

    @Test(arguments: [
        Case(values: [6, 6, 7], expected: [
            6.033333333333333, 6.033333333333333, 6.066666666666666, 7.05, 7.05, 7.05, 7.05, 7.05, 7.05, 7.05,
        ]),
        Case(values: [0, 0, 0, 6, 6, 8], expected: [0, 0, 0, 6.066666666666666, 8.05, 8.05, 8.05, 8.05, 8.05, 8.05]),
        Case(values: [1, 1, 2, 2, 9, 10], expected: [
            1.0333333333333334, 1.0666666666666667, 2.033333333333333, 9.05, 10.5, 10.5, 10.5, 10.5, 10.5, 10.5,
        ]),
    ])
    func quantilesAreEnvoys(_ test: Case) {
        var bins = HistogramBins()
        for value in test.values { bins.record(value) }
        let found = bins.quantileValues()
        #expect(found.count == test.expected.count)
        for (one, other) in zip(found, test.expected) { #expect(abs(one - other) < 1e-9, "\(found)") }
    }

    @Test func nothingRecordedHasNoQuantiles() {
        #expect(HistogramBins().quantileValues().isEmpty)
    }

    @Test(arguments: [
        (UInt64(1), 0, 1), (9, 0, 9), (10, 1, 0), (99, 1, 89), (100, 2, 0), (109, 2, 0), (110, 2, 1), (999, 2, 89),
        (1000, 3, 0), (9_999_999_999_999, 12, 89), (10_000_000_000_000, 12, 89), (UInt64.max, 12, 89),
    ])
    func valuesFallIntoTheirBin(value: UInt64, decade: Int, bin: Int) {
        let found = HistogramBins.position(of: value)
        #expect(found.decade == decade)
        #expect(found.bin == bin)
    }

    /// Quantiles against a sorted list: within the 5 % the bins promise.
    @Test func quantilesStayWithinFivePercent() {
        var generator = SeededGenerator(state: 42)
        var values: [UInt64] = []
        var bins = HistogramBins()
        for _ in 0..<20_000 {
            let value = UInt64.random(in: 1...1 << UInt64.random(in: 1...36, using: &generator), using: &generator)
            values.append(value)
            bins.record(value)
        }
        values.sort()
        for (quantile, found) in zip(HistogramBins.quantiles, bins.quantileValues()) {
            let rank = max(1, Int((quantile / 100 * Double(values.count)).rounded(.up)))
            let exact = Double(values[rank - 1])
            #expect(abs(found - exact) <= exact * 0.1 + 0.1, "P\(quantile): \(found) against \(exact)")
        }
    }

    /// Envoy counts a bin whole once its smallest value is reached: 105 stands in the bin of 100.
    @Test func bucketsCountBinsUpToTheirBound() {
        var bins = HistogramBins()
        for value: UInt64 in [0, 1, 5, 5, 6, 24, 25, 26, 105, 99, 4_000_000] { bins.record(value) }
        #expect(bins.cumulativeCounts([0.5, 1, 5, 10, 25, 50, 100, 250, 3_600_000]) == [1, 2, 4, 5, 7, 8, 10, 10, 10])
        #expect(bins.count == 11)
    }
}

/// A small generator with a seed, so that a failure can be repeated.
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
