// SPDX-License-Identifier: Apache-2.0
import Histogram

/// A value and the bounds within which it lies with 95 % confidence.
public struct Interval: Equatable, Sendable, Codable {
    public let value: Double
    public let low: Double
    public let high: Double

    public init(value: Double, low: Double, high: Double) {
        self.value = value
        self.low = low
        self.high = high
    }
}

/// Confidence by resampling. Answers that are close in time resemble each other, so whole stretches of the run are drawn
/// and not single answers: what one stretch more or less would have changed is what the interval shows.
struct Bootstrap {
    static let resamples = 200

    /// The confidence of percentiles of latency.
    /// - Returns: one interval for each of `percentiles`, in nanoseconds; the value is that of the whole run.
    static func latency(_ slices: [RunSlice], _ percentiles: [Double], whole: LatencyHistogram, seed: UInt64) -> [Interval] {
        let used = slices.filter { $0.latency.totalCount > 0 }
        let values = percentiles.map { Double(whole.valueAtPercentile($0)) }
        guard used.count > 1 else { return values.map { Interval(value: $0, low: $0, high: $0) } }
        var random = SplitMix(state: seed)
        var drawn = [[Double]](repeating: [], count: percentiles.count)
        var sample = LatencyRecorder.makeHistogram(.two)
        for _ in 0..<resamples {
            sample.reset()
            for _ in used.indices { sample.add(used[Int(random.next() % UInt64(used.count))].latency) }
            for (index, percentile) in percentiles.enumerated() {
                drawn[index].append(Double(sample.valueAtPercentile(percentile)))
            }
        }
        return zip(values, drawn).map { interval($0, $1) }
    }

    /// The confidence of a mean over stretches.
    static func mean(_ values: [Double], seed: UInt64) -> Interval {
        guard !values.isEmpty else { return Interval(value: 0, low: 0, high: 0) }
        let mean = values.reduce(0, +) / Double(values.count)
        var random = SplitMix(state: seed)
        var drawn: [Double] = []
        for _ in 0..<resamples {
            var sum = 0.0
            for _ in values.indices { sum += values[Int(random.next() % UInt64(values.count))] }
            drawn.append(sum / Double(values.count))
        }
        return interval(mean, drawn)
    }

    private static func interval(_ value: Double, _ drawn: [Double]) -> Interval {
        let sorted = drawn.sorted()
        let low = sorted[Int(Double(sorted.count - 1) * 0.025)]
        let high = sorted[Int((Double(sorted.count - 1) * 0.975).rounded(.up))]
        // Coarser histograms were drawn than the value was read from.
        return Interval(value: value, low: min(low, value), high: max(high, value))
    }
}
