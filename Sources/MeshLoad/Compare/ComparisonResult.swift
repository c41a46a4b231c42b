// SPDX-License-Identifier: Apache-2.0

/// One run of one variant: figures by name, and whether to believe them.
public struct ComparisonRunRecord: Equatable, Sendable, Codable {
    public let variant: String
    public let round: Int
    /// See `ComparisonMetric`. A figure that could not be had is not in it.
    public let metrics: [String: Double]
    /// Requests that failed, by kind.
    public let failures: [String: UInt64]
    /// Requests that were answered.
    public let completed: UInt64
    /// What is wrong with the answers; empty when they are right.
    public let wrong: String
    /// Whether other programs used too much of the machine.
    public let isDropped: Bool

    init(
        variant: String, round: Int, metrics: [String: Double], failures: [String: UInt64] = [:], completed: UInt64, wrong: String = "",
        isDropped: Bool = false
    ) {
        self.variant = variant
        self.round = round
        self.metrics = metrics
        self.failures = failures
        self.completed = completed
        self.wrong = wrong
        self.isDropped = isDropped
    }

    var failed: UInt64 { failures.values.reduce(0, +) }
    var isRight: Bool { failed == 0 && wrong.isEmpty }
}

/// One of those that took part.
public struct ComparisonParticipant: Equatable, Sendable, Codable {
    public let label: String
    public let kind: ProxyKind
    public let path: String
    public let version: String
}

/// What a scenario found out.
public struct ScenarioOutcome: Equatable, Sendable, Codable {
    public let name: String
    public let title: String
    /// The figures that its tables show, the main one first.
    public let metrics: [String]
    /// Labels, in the order of a round.
    public let variants: [String]
    /// For each of them the one that is compared with it.
    public let subjects: [String]
    public let runs: [ComparisonRunRecord]
    /// Why a variant could not be measured to the end.
    public let broken: [String: String]
    public let ratios: [PairedRatio]
    /// One sentence.
    public let verdict: String
    /// Whether everything was answered, and rightly, by all that the verdict speaks of.
    public let isValid: Bool
    /// What a reader must know before believing a figure.
    public let remarks: [String]
    /// Bounds that were asked for.
    public var bounds: [BoundResult] = []

    /// The runs that count: those that nothing spoiled, or all of them if fewer than two of those are left.
    func kept(_ variant: String) -> [ComparisonRunRecord] { ScenarioOutcome.kept(runs, variant) }

    static func kept(_ runs: [ComparisonRunRecord], _ variant: String) -> [ComparisonRunRecord] {
        let own = runs.filter { $0.variant == variant }
        let clean = own.filter { !$0.isDropped }
        return clean.count >= min(2, own.count) ? clean : own
    }

    /// A figure of the runs that count.
    func values(_ variant: String, _ metric: String) -> [Double] { kept(variant).compactMap { $0.metrics[metric] } }

    func median(_ variant: String, _ metric: String) -> Double? {
        let found = values(variant, metric)
        return found.isEmpty ? nil : PairedRatio.median(of: found)
    }

    func ratio(_ subject: String, _ reference: String, _ metric: String) -> PairedRatio? {
        PairedRatio(
            subject: subject, ScenarioOutcome.byRound(kept(subject), metric), reference: reference,
            ScenarioOutcome.byRound(kept(reference), metric), metric: metric)
    }

    static func byRound(_ runs: [ComparisonRunRecord], _ metric: String) -> [Int: Double] {
        var found: [Int: Double] = [:]
        for run in runs { found[run.round] = run.metrics[metric] }
        return found
    }
}

/// A whole comparison as files hold it.
public struct ComparisonReport: Equatable, Sendable, Codable {
    /// Of this form; a reader refuses others.
    public static let currentFormat = 1

    public var format = ComparisonReport.currentFormat
    /// Such as 2026-01-31T12:00:00Z.
    public let date: String
    public let machine: String
    public let command: String
    public let rounds: Int
    public let secondsPerRun: Double
    public let participants: [ComparisonParticipant]
    /// Proxies that were asked for and are not on the machine, with how to get them.
    public let missing: [String]
    public var scenarios: [ScenarioOutcome]

    public init(
        date: String, machine: String, command: String, rounds: Int, secondsPerRun: Double, participants: [ComparisonParticipant],
        missing: [String], scenarios: [ScenarioOutcome]
    ) {
        self.date = date
        self.machine = machine
        self.command = command
        self.rounds = rounds
        self.secondsPerRun = secondsPerRun
        self.participants = participants
        self.missing = missing
        self.scenarios = scenarios
    }

    /// How often and how long, for the head of a report.
    var extent: String {
        "\(rounds) alternating rounds of \(DurationText.digits(secondsPerRun)) s (open loops \(rounds * ComparisonPlan.openRounds) shorter ones)"
    }

    public var isValid: Bool { scenarios.allSatisfy(\.isValid) }
}
