// SPDX-License-Identifier: Apache-2.0

/// A condition on a run's result that makes a CI job fail: `p99>5ms`, `errors>0.1%`, `rps<1000`, `cpu>20us`.
public struct Threshold: Equatable, Sendable, CustomStringConvertible {
    /// What is compared.
    public enum Metric: Equatable, Sendable {
        /// Latency from the planned time. - Parameter: percentile.
        case latency(Double)
        /// Latency beyond the baseline's. - Parameter: percentile.
        case added(Double)
        /// Share of requests that failed, in percent.
        case errors
        /// Answers a second.
        case throughput
        /// Processor time of the observed process per answer, in nanoseconds.
        case cost
        /// Memory of the observed process at its highest, in bytes.
        case memory
    }

    public let metric: Metric
    public let isAbove: Bool
    /// Nanoseconds, percent, requests a second or bytes, by the metric.
    public let limit: Double
    public let description: String

    static let allowed = "allowed: p50, p99, p99.9 or max with a time (p99>5ms), added-p99 with a time, errors>0.1%, rps<1000, cpu>20us, rss>50MB"

    /// - Throws: `ScenarioError` that names what was found and what is allowed.
    public init(_ text: String) throws(ScenarioError) {
        description = text
        guard let mark = text.firstIndex(where: { $0 == ">" || $0 == "<" }) else {
            throw ScenarioError("threshold '\(text)': found no > or <; \(Threshold.allowed)")
        }
        isAbove = text[mark] == ">"
        let name = text[..<mark].trimmed
        let value = text[text.index(after: mark)...].trimmed
        switch name {
        case "errors":
            metric = .errors
            limit = try Threshold.number(value.hasSuffix("%") ? String(value.dropLast()) : value, text)
        case "rps":
            metric = .throughput
            limit = try Threshold.number(value, text)
        case "cpu":
            metric = .cost
            limit = try Threshold.time(value, text)
        case "rss":
            metric = .memory
            limit = try Threshold.bytes(value, text)
        case "max":
            metric = .latency(100)
            limit = try Threshold.time(value, text)
        default:
            let isAdded = name.hasPrefix("added-")
            let short = isAdded ? String(name.dropFirst("added-".count)) : name
            guard short.hasPrefix("p"), let percentile = Double(short.dropFirst()), percentile > 0, percentile <= 100 else {
                throw ScenarioError("threshold '\(text)': found '\(name)'; \(Threshold.allowed)")
            }
            metric = isAdded ? .added(percentile) : .latency(percentile)
            limit = try Threshold.time(value, text)
        }
    }

    private static func number(_ value: String, _ text: String) throws(ScenarioError) -> Double {
        guard let number = Double(value), number >= 0 else { throw ScenarioError("threshold '\(text)': found '\(value)'; \(allowed)") }
        return number
    }

    private static func time(_ value: String, _ text: String) throws(ScenarioError) -> Double {
        for (unit, scale) in [("ns", 1.0), ("us", 1e3), ("µs", 1e3), ("ms", 1e6), ("s", 1e9)] where value.hasSuffix(unit) {
            if let number = Double(value.dropLast(unit.count).trimmed), number >= 0 { return number * scale }
        }
        throw ScenarioError("threshold '\(text)': found '\(value)'; allowed: a time with its unit: ns, us, ms or s")
    }

    private static func bytes(_ value: String, _ text: String) throws(ScenarioError) -> Double {
        for (unit, scale) in [("kB", 1e3), ("MB", 1e6), ("GB", 1e9), ("B", 1.0)] where value.hasSuffix(unit) {
            if let number = Double(value.dropLast(unit.count).trimmed), number >= 0 { return number * scale }
        }
        throw ScenarioError("threshold '\(text)': found '\(value)'; allowed: a size with its unit: B, kB, MB or GB")
    }

    /// Whether the result is beyond the limit. A metric the run does not have (no process was observed) is beyond it too:
    /// a check that checked nothing must not pass.
    public func isCrossed(by summary: RunSummary) -> Bool {
        guard let value = value(of: summary) else { return true }
        return isAbove ? value > limit : value < limit
    }

    /// The other way round, for a condition that is to hold: whether the result does not fulfil it.
    public func isMissed(by summary: RunSummary) -> Bool {
        guard let value = value(of: summary) else { return true }
        return isAbove ? value <= limit : value >= limit
    }

    /// The measured value in the limit's unit; nil when the run has none.
    public func value(of summary: RunSummary) -> Double? {
        switch metric {
        case .latency(let percentile): summary.latencyNanoseconds(percentile)
        case .added(let percentile): summary.addedNanoseconds(percentile)
        case .errors: summary.errorShare * 100
        case .throughput: summary.throughput.value
        case .cost: summary.cost.map { $0.cpuMicrosecondsPerRequest * 1e3 }
        case .memory: summary.cost.map { Double($0.peakResidentBytes) }
        }
    }
}
