// SPDX-License-Identifier: Apache-2.0
package import MeshModel
import MeshRegex
import MeshStats

/// `stats_config` and `--stats-tag`: which stats readers see, how their labels are found, and where the buckets of their
/// histograms end.
package struct StatRules: Sendable {
    private enum Matcher: Sendable {
        case plain(StringMatcher)
        case regex(RegexProgram)
    }

    private enum Inclusion: Sendable {
        case all, none
        case only([Matcher])
        case except([Matcher])
    }

    private let inclusion: Inclusion
    private let tags: TagRules
    private let buckets: [(matcher: Matcher, bounds: [Double])]
    /// Patterns that RE2 does not take even in other words, for the log: Envoy reads them as ECMAScript.
    package let refusedPatterns: [String]

    /// - Parameter statsTags: `--stats-tag`, as `name:value`.
    package init(_ options: StatsOptions = StatsOptions(), statsTags: [String] = []) {
        var refused: [String] = []
        func matcher(_ matcher: StringMatcher) -> Matcher? {
            guard case .regex(let pattern) = matcher.pattern else { return .plain(matcher) }
            guard let program = try? RegexProgram("\\A(?:\(pattern))\\z") else {
                refused.append(pattern)
                return nil
            }
            return .regex(program)
        }
        inclusion = switch options.inclusion {
        case .all: .all
        case .none: .none
        case .only(let list): .only(list.compactMap(matcher))
        case .except(let list): .except(list.compactMap(matcher))
        }
        buckets = options.histogramBuckets.compactMap { setting in matcher(setting.match).map { ($0, setting.bounds) } }
        tags = TagRules(options, statsTags: statsTags, refused: &refused)
        refusedPatterns = refused
    }

    /// Puts the rules into a query. Made anew for each, because a compiled expression belongs to one thread.
    func apply(to query: inout StatQuery) {
        if excludesAny { query.isIncluded = isIncluded() }
        query.labels = tags.finder()
        if !buckets.isEmpty {
            let settings = buckets.map { (StatRules.any([$0.matcher]), $0.bounds) }
            query.bucketBounds = { name in settings.first { $0.0(name) }?.1 ?? HistogramBins.prometheusBounds }
        }
    }

    /// Whether `stats_matcher` leaves anything out.
    package var excludesAny: Bool { if case .all = inclusion { false } else { true } }

    /// Which names readers may see (`stats_matcher`).
    package func isIncluded() -> sending (String) -> Bool {
        switch inclusion {
        case .all: return { _ in true }
        case .none: return { _ in false }
        case .only(let list): return StatRules.any(list)
        case .except(let list):
            let matches = StatRules.any(list)
            return { !matches($0) }
        }
    }

    private static func any(_ list: [Matcher]) -> sending (String) -> Bool {
        let tests: [(String) -> Bool] = list.compactMap { matcher in
            switch matcher {
            case .plain(let matcher): return { isMatch(matcher, $0) }
            case .regex(let program):
                guard let regex = Regex(program) else { return nil }
                return { regex.firstGroups(in: $0, count: 1) != nil }
            }
        }
        return { name in tests.contains { $0(name) } }
    }

    private static func isMatch(_ matcher: StringMatcher, _ name: String) -> Bool {
        let name = matcher.ignoreCase ? name.lowercased() : name
        func cased(_ text: String) -> String { matcher.ignoreCase ? text.lowercased() : text }
        return switch matcher.pattern {
        case .exact(let text): name == cased(text)
        case .prefix(let text): name.hasPrefix(cased(text))
        case .suffix(let text): name.hasSuffix(cased(text))
        case .contains(let text): text.isEmpty || name.contains(cased(text))
        case .regex: false
        }
    }
}
