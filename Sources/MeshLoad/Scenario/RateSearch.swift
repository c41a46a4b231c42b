// SPDX-License-Identifier: Apache-2.0

/// Looks for the highest rate that keeps a condition, trial by trial: doubles until one fails, then halves the gap.
///
/// A value without clock or load: `next` says what to try, `add` takes what came out.
public struct RateSearch: Equatable, Sendable {
    /// The highest rate that held, 0 when none did yet. - Unit: requests per second.
    public private(set) var highestGood = 0.0
    /// The lowest rate that did not hold; nil when all did.
    public private(set) var lowestBad: Double?
    /// The rate to try now; nil when the search is over.
    public private(set) var next: Double?
    public private(set) var trials = 0

    /// Stops when good and bad are this close, as a share of the good rate.
    public let precision: Double
    /// Rates above it are not tried.
    public let ceiling: Double
    public let mostTrials: Int

    public init(start: Double, ceiling: Double = 10_000_000, precision: Double = 0.05, mostTrials: Int = 20) {
        self.precision = precision
        self.ceiling = ceiling
        self.mostTrials = mostTrials
        next = min(start, ceiling)
    }

    /// Takes the outcome of the trial at `next`.
    public mutating func add(holds: Bool) {
        guard let tried = next else { return }
        trials += 1
        if holds { highestGood = max(highestGood, tried) } else { lowestBad = min(lowestBad ?? tried, tried) }
        next = choose()
    }

    private func choose() -> Double? {
        guard trials < mostTrials else { return nil }
        guard let bad = lowestBad else { return highestGood < ceiling ? min(highestGood * 2, ceiling) : nil }
        guard highestGood > 0 else { return bad > 1 ? bad / 4 : nil }
        return bad - highestGood > highestGood * precision ? (highestGood + bad) / 2 : nil
    }
}
