// SPDX-License-Identifier: Apache-2.0

/// The same load sent past the proxy, to be subtracted.
public struct RunBaseline: Equatable, Sendable, Codable {
    public let target: String
    public let throughput: Interval
    public let errorShare: Double
    /// From the planned time. - Unit: nanoseconds.
    public let latency: [RunSummary.Percentile]
    /// What the baseline run warned of; empty when all was well.
    public let warning: String

    public init(_ summary: RunSummary) {
        target = summary.target
        throughput = summary.throughput
        errorShare = summary.errorShare
        latency = summary.latency
        warning = summary.warning
    }
}

extension RunSummary {
    /// What each percentile has more than the baseline's: the difference of two distributions, not the distribution of a
    /// difference. The bounds are the widest that both confidences allow. Nil without a baseline. - Unit: nanoseconds.
    public var added: [Percentile]? {
        guard let baseline else { return nil }
        return latency.compactMap { point in
            guard let base = baseline.latency.first(where: { $0.percentile == point.percentile }) else { return nil }
            return Percentile(percentile: point.percentile, nanoseconds: Interval(
                value: point.nanoseconds.value - base.nanoseconds.value, low: point.nanoseconds.low - base.nanoseconds.high,
                high: point.nanoseconds.high - base.nanoseconds.low))
        }
    }

    /// Of `added`, one percentile, or the next higher one that was kept.
    public func addedNanoseconds(_ percentile: Double) -> Double? {
        added?.first { $0.percentile >= percentile }?.nanoseconds.value
    }
}
