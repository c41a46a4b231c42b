// SPDX-License-Identifier: Apache-2.0
import Foundation

/// What somebody asks of a figure: `{"scenario": "h1-tiny", "metric": "cpu", "at_most": 0.4, "against": "envoy"}`.
public struct ComparisonBound: Equatable, Sendable, Codable {
    public let scenario: String
    /// Of `ComparisonMetric`.
    public let metric: String
    /// A ratio where it is against another, else in the metric's unit.
    public let atMost: Double
    /// A variant, or `best` for the one of the others with the lowest median; nil for a bound on the figure itself.
    public let against: String?
    /// The variant that is held to it. - Default: the scenario's first.
    public let of: String?

    enum CodingKeys: String, CodingKey {
        case scenario, metric, against, of
        case atMost = "at_most"
    }

    /// Reads a list of them.
    /// - Throws: `ScenarioError` for what is not one, or names a scenario or a metric that there is not.
    public static func read(_ bytes: [UInt8], path: String) throws(ScenarioError) -> [ComparisonBound] {
        let bounds: [ComparisonBound]
        do {
            bounds = try JSONDecoder().decode([ComparisonBound].self, from: Data(bytes))
        } catch {
            throw ScenarioError("\(path): not a list of bounds: \(error)")
        }
        for bound in bounds {
            guard ComparisonScenario.all.contains(where: { $0.name == bound.scenario }) else {
                throw ScenarioError("\(path): no scenario '\(bound.scenario)'")
            }
            guard ComparisonMetric(rawValue: bound.metric) != nil else {
                throw ScenarioError(
                    "\(path): found metric '\(bound.metric)'; allowed: \(ComparisonMetric.allCases.map(\.rawValue).joined(separator: ", "))")
            }
        }
        return bounds
    }

    /// Holds an outcome against it.
    func result(_ outcome: ScenarioOutcome) -> BoundResult {
        let metric = ComparisonMetric(rawValue: self.metric) ?? .cpu
        let subject = of ?? outcome.variants.first ?? ""
        var reference = against
        if against == "best" {
            reference = outcome.variants.filter { $0 != subject }
                .compactMap { variant in outcome.median(variant, self.metric).map { (variant, $0) } }.min { $0.1 < $1.1 }?.0
        }
        let limit = against == nil ? metric.text(atMost) : DurationText.fixed(atMost, 2)
        let named = against == "best" ? "the best of the others" + (reference.map { " (\($0))" } ?? "") : against ?? ""
        let asked = "\(subject): \(metric.noun) at most \(limit)" + (against == nil ? "" : " × \(named)")
        for variant in [subject, reference].compactMap({ $0 }) {
            if let why = ComparisonVerdict.trouble(variant, outcome.runs, outcome.broken) {
                return BoundResult(asked: asked, measured: "–", verdict: "invalid: \(why)", isKept: false)
            }
        }
        guard against != nil else {
            guard let value = outcome.median(subject, self.metric) else {
                return BoundResult(asked: asked, measured: "–", verdict: "not measured", isKept: false)
            }
            return BoundResult(asked: asked, measured: metric.text(value), value: value, limit: atMost)
        }
        guard let ratio = reference.flatMap({ outcome.ratio(subject, $0, self.metric) }) else {
            return BoundResult(asked: asked, measured: "–", verdict: "not measured", isKept: false)
        }
        return BoundResult(asked: asked, measured: ComparisonText.interval(ratio), value: ratio.median.value, limit: atMost)
    }
}

/// What became of a bound.
public struct BoundResult: Equatable, Sendable, Codable {
    public let asked: String
    public let measured: String
    public let verdict: String
    public let isKept: Bool

    init(asked: String, measured: String, verdict: String, isKept: Bool) {
        self.asked = asked
        self.measured = measured
        self.verdict = verdict
        self.isKept = isKept
    }

    init(asked: String, measured: String, value: Double, limit: Double) {
        let isKept = value <= limit
        self.init(
            asked: asked, measured: measured,
            verdict: isKept ? "kept" : "missed by \(Int((100 * (value / limit - 1)).rounded(.up))) %", isKept: isKept)
    }
}

extension ComparisonReport {
    /// Holds the scenarios that were run against bounds.
    public mutating func hold(_ bounds: [ComparisonBound]) {
        for index in scenarios.indices {
            scenarios[index].bounds = bounds.filter { $0.scenario == scenarios[index].name }.map { $0.result(scenarios[index]) }
        }
    }

    public var keepsItsBounds: Bool { scenarios.allSatisfy { $0.bounds.allSatisfy(\.isKept) } }

    /// - Throws: `ScenarioError` for what is not a comparison of this format.
    public static func read(_ bytes: [UInt8], path: String) throws(ScenarioError) -> ComparisonReport {
        let report: ComparisonReport
        do {
            report = try JSONDecoder().decode(ComparisonReport.self, from: Data(bytes))
        } catch {
            throw ScenarioError("\(path): not a comparison of meshbench: \(error)")
        }
        guard report.format == currentFormat else { throw ScenarioError("\(path): found format \(report.format); allowed: \(currentFormat)") }
        return report
    }
}
