// SPDX-License-Identifier: Apache-2.0

/// What a scenario says about its first variant, in one sentence.
struct ComparisonVerdict: Equatable, Sendable {
    let sentence: String
    let isValid: Bool

    /// - Parameters:
    ///   - variants: the first one is the subject.
    ///   - metric: the one figure that is compared.
    init(variants: [String], runs: [ComparisonRunRecord], broken: [String: String], metric: ComparisonMetric, references: [String]? = nil) {
        guard let subject = variants.first else {
            sentence = "invalid: no proxy that was found can serve this scenario"
            isValid = false
            return
        }
        if let why = ComparisonVerdict.trouble(subject, runs, broken) {
            sentence = "invalid: \(why)"
            isValid = false
            return
        }
        let own = ScenarioOutcome.kept(runs, subject)
        var clauses: [String] = []
        var isNoisy = own.contains(where: \.isDropped)
        var isRight = true
        for reference in references ?? Array(variants.dropFirst()) {
            if let why = ComparisonVerdict.trouble(reference, runs, broken) {
                clauses.append("invalid against \(reference): \(why)")
                isRight = false
                continue
            }
            let other = ScenarioOutcome.kept(runs, reference)
            guard let ratio = PairedRatio(
                subject: subject, ScenarioOutcome.byRound(own, metric.rawValue), reference: reference,
                ScenarioOutcome.byRound(other, metric.rawValue), metric: metric.rawValue)
            else { continue }
            clauses.append(ComparisonVerdict.clause(ratio))
            if other.contains(where: \.isDropped) { isNoisy = true }
        }
        let values = own.compactMap { $0.metrics[metric.rawValue] }
        let figure = values.isEmpty ? "nothing was measured" : metric.text(PairedRatio.median(of: values))
        var text =
            clauses.isEmpty
            ? "\(subject): \(metric.noun) \(figure), with nothing to compare it with"
            : "\(subject): \(metric.noun) \(figure), \(clauses.joined(separator: "; "))"
        if isNoisy { text += "; noisy: other programs used the machine in runs that this rests on" }
        sentence = text + "."
        isValid = isRight && !values.isEmpty
    }

    /// `0.33 × that of envoy (0.30–0.36)`, and what cannot be told apart.
    static func clause(_ ratio: PairedRatio) -> String {
        let interval = ratio.median
        var text = "\(ComparisonText.ratio(interval.value)) × that of \(ratio.reference)"
        if ratio.ratios.count > 1 {
            text += " (\(ComparisonText.ratio(interval.low))–\(ComparisonText.ratio(interval.high))"
            text += interval.low <= 1 && interval.high >= 1 ? ", no clear difference)" : ")"
        } else {
            text += " (one round)"
        }
        return text
    }

    /// Why nothing can be said of a variant; nil when something can.
    static func trouble(_ variant: String, _ runs: [ComparisonRunRecord], _ broken: [String: String]) -> String? {
        if let text = broken[variant] { return "\(variant) failed: \(text)" }
        let own = runs.filter { $0.variant == variant }
        guard !own.isEmpty else { return "\(variant) was not measured" }
        var kinds: [String: UInt64] = [:]
        for run in own { kinds.merge(run.failures, uniquingKeysWith: +) }
        let failed = kinds.values.reduce(0, +)
        if failed > 0 {
            let all = own.reduce(failed) { $0 + $1.completed }
            let listed = kinds.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", ")
            return "\(variant) failed \(failed) of \(all) requests (\(listed))"
        }
        if let wrong = own.first(where: { !$0.wrong.isEmpty })?.wrong { return "\(variant): \(wrong)" }
        return nil
    }
}
