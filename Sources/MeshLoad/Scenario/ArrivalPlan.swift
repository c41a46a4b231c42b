// SPDX-License-Identifier: Apache-2.0
import Glibc

/// When requests are to be sent, whatever the answers do: an open loop.
///
/// Times are nanoseconds from the start of the run. A plan that has no end goes on until the run is over.
public enum ArrivalPlan: Equatable, Sendable {
    /// Evenly spaced. - Unit: requests per second.
    case constant(Double)
    /// Independent arrivals with exponential gaps, as many users together make them. - Unit: requests per second.
    case poisson(Double)
    /// From one rate to another over a time, then on at the second.
    case ramp(from: Double, to: Double, seconds: Double)
    /// One rate after another, each for a time; the last goes on.
    case steps([RateStep])
    /// Recorded times. - Unit: nanoseconds from the start, ascending.
    case replay([UInt64])

    /// The highest rate of the plan, for choosing limits; nil for recorded times.
    public var highestRate: Double? {
        switch self {
        case .constant(let rate), .poisson(let rate): rate
        case .ramp(let from, let to, _): max(from, to)
        case .steps(let steps): steps.map(\.rate).max()
        case .replay: nil
        }
    }
}

/// A rate and how long it lasts.
public struct RateStep: Equatable, Sendable {
    /// Requests per second.
    public let rate: Double
    public let seconds: Double

    public init(rate: Double, seconds: Double) {
        self.rate = rate
        self.seconds = seconds
    }
}

/// The arrivals of one worker out of several that share a plan, in order.
///
/// The workers' arrivals together are the plan's: evenly spaced ones are dealt out in turn, random ones are thinned by
/// giving each worker its share of the rate, recorded ones are dealt out in turn.
struct ArrivalSequence {
    private let plan: ArrivalPlan
    private let share: Double
    private let stride: Int
    private var index: Int
    /// Time reached so far. - Unit: seconds.
    private var reached = 0.0
    private var random: SplitMix

    /// - Parameters:
    ///   - worker: from 0.
    ///   - seed: the same seed gives the same times.
    init(_ plan: ArrivalPlan, worker: Int, of workers: Int, seed: UInt64) {
        self.plan = plan
        share = 1 / Double(max(workers, 1))
        stride = max(workers, 1)
        index = worker
        random = SplitMix(seed: seed, stream: UInt64(worker))
    }

    /// The next arrival; nil when the plan has no more. - Unit: nanoseconds from the start.
    mutating func next() -> UInt64? {
        defer { index += stride }
        switch plan {
        case .constant(let rate):
            guard rate > 0 else { return nil }
            return UInt64(Double(index) / rate * 1e9)
        case .poisson(let rate):
            guard rate > 0 else { return nil }
            reached += random.exponential() / (rate * share)
            return UInt64(reached * 1e9)
        case .ramp(let from, let to, let seconds):
            return ArrivalSequence.rampTime(Double(index), from, to, seconds).map { UInt64($0 * 1e9) }
        case .steps(let steps): return ArrivalSequence.stepTime(Double(index), steps).map { UInt64($0 * 1e9) }
        case .replay(let times): return index < times.count ? times[index] : nil
        }
    }

    /// When the `count`-th arrival of a rising or falling rate is due: the inverse of the rate's integral.
    static func rampTime(_ count: Double, _ from: Double, _ to: Double, _ seconds: Double) -> Double? {
        guard from >= 0, to >= 0, seconds > 0 else { return nil }
        let whole = (from + to) / 2 * seconds
        if count >= whole { return to > 0 ? seconds + (count - whole) / to : nil }
        let slope = (to - from) / seconds
        if slope == 0 { return count / from }
        let root = (from * from + 2 * slope * count).squareRoot()
        return (root - from) / slope
    }

    /// When the `count`-th arrival of a staircase of rates is due.
    static func stepTime(_ count: Double, _ steps: [RateStep]) -> Double? {
        var rest = count
        var start = 0.0
        for (position, step) in steps.enumerated() {
            let whole = step.rate * step.seconds
            if step.rate > 0, rest < whole || position == steps.count - 1 { return start + rest / step.rate }
            rest -= whole
            start += step.seconds
        }
        return nil
    }
}

/// A small, seeded source of random numbers: the same on every machine.
struct SplitMix: Sendable {
    var state: UInt64

    init(state: UInt64) { self.state = state }

    /// One of several sequences of a seed. Their states are scattered: a sequence that began a few steps behind another would
    /// be the same one, later.
    init(seed: UInt64, stream: UInt64) {
        var start = SplitMix(state: seed ^ (stream &+ 1) &* 0xBF58_476D_1CE4_E5B9)
        state = start.next()
    }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    /// Evenly in 0..<1.
    mutating func unit() -> Double { Double(next() >> 11) * 0x1p-53 }

    /// With mean 1, by inversion.
    mutating func exponential() -> Double { -log(1 - unit()) }
}
