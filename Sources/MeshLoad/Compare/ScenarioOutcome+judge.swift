// SPDX-License-Identifier: Apache-2.0

extension ScenarioOutcome {
    /// Judges the runs of a scenario.
    init(_ scenario: ComparisonScenario, variants: [ComparisonVariant], runs: [ComparisonRunRecord], broken: [String: String]) {
        let labels = variants.map(\.label)
        let main = scenario.mainMetric
        var ratios: [PairedRatio] = []
        // Every pair, so that a table can show any variant against any other.
        for metric in scenario.comparedMetrics {
            for subject in labels {
                for reference in labels where reference != subject {
                    let pair = PairedRatio(
                        subject: subject, ScenarioOutcome.byRound(ScenarioOutcome.kept(runs, subject), metric.rawValue), reference: reference,
                        ScenarioOutcome.byRound(ScenarioOutcome.kept(runs, reference), metric.rawValue), metric: metric.rawValue)
                    if let pair { ratios.append(pair) }
                }
            }
        }
        let verdict = ComparisonVerdict(
            variants: scenario.judged(variants), runs: runs, broken: broken, metric: main)
        self.init(
            name: scenario.name, title: scenario.title, metrics: scenario.tableMetrics.map(\.rawValue), variants: labels,
            subjects: scenario.subjects(variants), runs: runs,
            broken: broken, ratios: ratios, verdict: verdict.sentence, isValid: verdict.isValid,
            remarks: ComparisonRemarks.of(scenario, labels, runs))
    }
}

extension ComparisonScenario {
    /// The figure that the verdict speaks of.
    var mainMetric: ComparisonMetric {
        switch kind {
        case .load: load.isBulk ? .cpuPerGigabyte : .cpu
        case .beside: .beside
        case .idleMemory: .idle10000
        case .connectionMemory: .perHTTP2TLS
        case .flatMemory, .burstMemory: .change
        }
    }

    /// Figures that are compared within rounds.
    var comparedMetrics: [ComparisonMetric] {
        switch kind {
        case .load: isOpen ? [.cpu, .p50, .p99] : [mainMetric]
        case .beside: [.beside, .alone, .cpu]
        case .idleMemory, .connectionMemory, .flatMemory, .burstMemory: [mainMetric]
        }
    }

    /// The columns of its table.
    var tableMetrics: [ComparisonMetric] {
        switch kind {
        case .load where load.isBulk: [.cpuPerGigabyte, .bytesPerSecond, .proxyCores, .loadCores, .memory]
        case .load: [.cpu, .throughput, .p50, .p99, .proxyCores, .loadCores, .memory]
        case .beside: [.cpu, .alone, .beside, .change, .handshakes, .proxyCores]
        case .idleMemory: [.idle, .idle1000, .idle10000, .pending10000]
        case .connectionMemory: [.perHTTP1TLS, .perHTTP2, .perHTTP2TLS, .perStreamPair]
        case .flatMemory: [.start, .highest, .end, .change]
        case .burstMemory: [.idle, .pending, .highest, .after, .change]
        }
    }

    /// For each variant the one that is compared with it: the first one, of several route tables the first proxy's of that length.
    func subjects(_ variants: [ComparisonVariant]) -> [String] {
        variants.map { variant in
            variants.first { $0.proxy == variants[0].proxy && $0.routes == variant.routes }?.label ?? variants[0].label
        }
    }

    /// The subject of the verdict, then those it is compared with. Of several route tables it is the first proxy's longest,
    /// compared with its shortest and with the others' longest.
    func judged(_ variants: [ComparisonVariant]) -> [String] {
        guard let longest = routeCounts.max(), let shortest = routeCounts.min(), longest > shortest,
            let subject = variants.first(where: { $0.routes == longest })
        else { return variants.map(\.label) }
        let own = variants.filter { $0.routes == shortest && $0.proxy == subject.proxy }
        let others = variants.filter { $0.routes == longest && $0.proxy != subject.proxy }
        return [subject.label] + (own + others).map(\.label)
    }
}

/// What a reader must know before believing a figure.
enum ComparisonRemarks {
    /// Share of its core below which a proxy was not the bottleneck of a closed loop.
    static let full = 0.95
    /// Share of theirs above which load and upstream were.
    static let busy = 0.85

    static func of(_ scenario: ComparisonScenario, _ labels: [String], _ runs: [ComparisonRunRecord]) -> [String] {
        var remarks: [String] = []
        var starved: [String] = []
        var idle: [String] = []
        for label in labels {
            let all = runs.filter { $0.variant == label }
            guard !all.isEmpty else { continue }
            let kept = ScenarioOutcome.kept(runs, label)
            let dropped = all.filter(\.isDropped).count
            if dropped > 0 {
                remarks.append(
                    "\(label): in \(dropped) of \(all.count) runs other programs used more than \(DurationText.fixed(MachineUse.outsideLimit, 2)) "
                        + "of a core; " + (kept.contains(where: \.isDropped) ? "they were kept, for too few others were left" : "they were dropped"))
            }
            func median(_ metric: ComparisonMetric) -> Double? {
                let values = kept.compactMap { $0.metrics[metric.rawValue] }
                return values.isEmpty ? nil : PairedRatio.median(of: values)
            }
            // Arrivals are random: over a second or more their number varies by its root.
            if let rate = scenario.load.rate, let reached = median(.throughput), reached < 0.97 * rate - 3 * rate.squareRoot() {
                remarks.append(
                    "\(label): it answered \(DurationText.count(reached)) of \(DurationText.count(rate)) requests/s: its latency is that of overload")
            }
            if let arrived = median(.handshakes), case .beside(let wanted) = scenario.kind, arrived < 0.95 * wanted {
                remarks.append(
                    "\(label): \(DurationText.count(arrived)) of \(DurationText.count(wanted)) handshakes/s came about, for want of CPU on one side or the other")
            }
            guard !scenario.isOpen, !scenario.isMemory, !scenario.load.isBulk, let cores = median(.proxyCores), cores < full, let load = median(.loadCores) else { continue }
            let text = "\(label) (\(DurationText.fixed(cores, 2)) of its core)"
            if load >= busy { starved.append(text) } else { idle.append(text) }
        }
        let holds = "; their requests/s are a lower bound and latency an upper one, CPU per request holds"
        if !starved.isEmpty { remarks.append("load and upstream were the bottleneck of \(starved.joined(separator: ", "))" + holds) }
        if !idle.isEmpty { remarks.append("neither side was busy all the time: \(idle.joined(separator: ", "))" + holds) }
        return remarks
    }
}
