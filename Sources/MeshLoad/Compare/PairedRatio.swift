// SPDX-License-Identifier: Apache-2.0

/// One figure of two variants, compared within rounds.
public struct PairedRatio: Equatable, Sendable, Codable {
    /// The one above the line and the one below.
    public let subject: String
    public let reference: String
    public let metric: String
    /// One for each round in which both ran.
    public let ratios: [Double]
    /// Their median, and where 95 % of the medians of 2,000 resamplings of the rounds lie.
    public let median: Interval

    /// Nil when there is no round with both.
    /// - Parameters: values by round.
    init?(subject: String, _ above: [Int: Double], reference: String, _ below: [Int: Double], metric: String) {
        let rounds = above.keys.filter { (below[$0] ?? 0) > 0 }.sorted()
        let found = rounds.compactMap { round in
            above[round].flatMap { value in below[round].map { value / $0 } }
        }
        guard !found.isEmpty else { return nil }
        self.subject = subject
        self.reference = reference
        self.metric = metric
        ratios = found
        median = PairedRatio.medianInterval(found)
    }

    static let resamples = 2_000

    /// The median and its confidence by resampling, with a fixed seed: the same runs give the same interval.
    static func medianInterval(_ values: [Double]) -> Interval {
        let middle = median(of: values)
        guard values.count > 1 else { return Interval(value: middle, low: middle, high: middle) }
        var random = SplitMix(state: 1)
        var drawn: [Double] = []
        for _ in 0..<resamples {
            drawn.append(median(of: values.map { _ in values[Int(random.next() % UInt64(values.count))] }))
        }
        drawn.sort()
        return Interval(
            value: middle, low: drawn[Int(Double(resamples - 1) * 0.025)], high: drawn[Int((Double(resamples - 1) * 0.975).rounded(.up))])
    }

    /// - Parameter values: at least one.
    static func median(of values: [Double]) -> Double {
        let sorted = values.sorted()
        guard let first = sorted.first else { return 0 }
        let middle = sorted.count / 2
        if sorted.count == 1 { return first }
        return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
    }
}
