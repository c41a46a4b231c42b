// SPDX-License-Identifier: Apache-2.0
package import MeshModel
import MeshRegex
import MeshStats

/// `stats_config` and `--stats-tag`: which stats readers see and how their labels are found.
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

    private struct Extraction: Sendable {
        let name: String
        let program: RegexProgram
    }

    private let inclusion: Inclusion
    private let usesDefaultTags: Bool
    /// Names of built-in tags asked for one by one.
    private let builtinTags: Set<String>
    private let extractions: [Extraction]
    private let fixedTags: [StatTag]
    /// Patterns that RE2 does not take, for the log: Envoy reads them as ECMAScript.
    package let refusedPatterns: [String]

    /// - Parameter statsTags: `--stats-tag`, as `name:value`.
    package init(_ options: StatsOptions = StatsOptions(), statsTags: [String] = []) {
        var refused: [String] = []
        func program(_ pattern: String) -> RegexProgram? {
            guard let program = try? RegexProgram(pattern) else {
                refused.append(pattern)
                return nil
            }
            return program
        }
        func matchers(_ list: [StringMatcher]) -> [Matcher] {
            list.compactMap { matcher in
                guard case .regex(let pattern) = matcher.pattern else { return .plain(matcher) }
                return program("\\A(?:\(pattern))\\z").map { .regex($0) }
            }
        }
        inclusion = switch options.inclusion {
        case .all: .all
        case .none: .none
        case .only(let list): .only(matchers(list))
        case .except(let list): .except(matchers(list))
        }
        usesDefaultTags = options.useDefaultTags
        var builtin: Set<String> = []
        var extractions: [Extraction] = []
        var fixed: [StatTag] = []
        for tag in options.tags {
            switch tag.value {
            case .builtin: builtin.insert(tag.name)
            case .fixed(let value): fixed.append(StatTag(tag.name, value))
            case .regex(let pattern):
                if let program = program(pattern) { extractions.append(Extraction(name: tag.name, program: program)) }
            }
        }
        for text in statsTags {
            let sides = text.split(separator: ":", maxSplits: 1).map(String.init)
            if sides.count == 2 { fixed.append(StatTag(sides[0], sides[1])) }
        }
        builtinTags = builtin
        self.extractions = extractions
        fixedTags = fixed
        refusedPatterns = refused
    }

    /// Puts the rules into a query. Made anew for each, because a compiled expression belongs to one thread.
    func apply(to query: inout StatQuery) {
        switch inclusion {
        case .all: break
        case .none: query.isIncluded = { _ in false }
        case .only(let list): query.isIncluded = StatRules.predicate(list)
        case .except(let list):
            let matches = StatRules.predicate(list)
            query.isIncluded = { !matches($0) }
        }
        if usesDefaultTags, extractions.isEmpty, fixedTags.isEmpty { return }
        let compiled = extractions.compactMap { extraction in Regex(extraction.program).map { (extraction.name, $0) } }
        query.relabel = { relabeled($0, $1, compiled) }
    }

    private static func predicate(_ list: [Matcher]) -> (String) -> Bool {
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

    /// The labels by the rules. Where the built-in tags are off, the whole name is searched; the text of an expression's first
    /// group leaves the name and that of its second, or else the first, is the value.
    private func relabeled(_ fullName: String, _ labels: StatLabels, _ compiled: [(String, Regex)]) -> StatLabels {
        let kept = usesDefaultTags ? labels.tags : labels.tags.filter { builtinTags.contains($0.name) }
        var result = kept.count == labels.tags.count ? labels : StatLabels(name: fullName, tags: kept)
        let name = Array(fullName.utf8)
        var removed: [Range<Int>] = []
        var found: [StatTag] = []
        for (tag, regex) in compiled {
            guard let groups = regex.firstGroups(in: fullName, count: 3), let cut = groups[1] else { continue }
            let value = groups[2] ?? cut
            removed.append(cut)
            found.append(StatTag(tag, String(decoding: name[value], as: UTF8.self)))
        }
        if !found.isEmpty {
            var rest: [UInt8] = []
            for (index, byte) in name.enumerated() where !removed.contains(where: { $0.contains(index) }) { rest.append(byte) }
            result.name = String(decoding: rest, as: UTF8.self)
            result.tags = found + result.tags.filter { known in !found.contains { $0.name == known.name } }
        }
        result.tags += fixedTags
        return result
    }
}

extension Regex {
    /// Where the groups of the first match lie, group 0 being the whole match; nil without a match. A group that took no part,
    /// or does not exist, is nil.
    func firstGroups(in text: String, count: Int) -> [Range<Int>?]? {
        var text = text
        var ends: [Int32] = Array(repeating: -1, count: count * 2)
        let found = text.withUTF8 { bytes in
            ends.withUnsafeMutableBufferPointer { search(UnsafeRawBufferPointer(bytes), groups: $0) }
        }
        guard found else { return nil }
        return (0..<count).map { group in
            let (start, end) = (Int(ends[group * 2]), Int(ends[group * 2 + 1]))
            return start >= 0 && end >= start ? start..<end : nil
        }
    }
}
