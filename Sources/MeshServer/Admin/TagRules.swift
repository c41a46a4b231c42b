// SPDX-License-Identifier: Apache-2.0
import MeshModel
import MeshRegex
import MeshStats

/// How a stat's labels are found: Envoy's default tags, `stats_tags` and fixed ones.
///
/// As in Envoy every expression looks at the whole name; what the first group matched leaves the name, and the value is the
/// second group or else the first. Of two tags of one name the first counts. Those bound to the beginning of a name
/// (`^cluster\.`) are asked after the others.
struct TagRules: Sendable {
    private enum Rule: Sendable {
        case expression(String, RegexProgram, isAnchored: Bool, prefix: String)
        case fixed(StatTag)
    }

    private let usesDefaults: Bool
    /// Names of default tags asked for one by one.
    private let defaults: Set<String>
    private let rules: [Rule]

    init(_ options: StatsOptions, statsTags: [String], refused: inout [String]) {
        var defaults: Set<String> = []
        var rules: [Rule] = []
        for tag in options.tags {
            switch tag.value {
            case .builtin: defaults.insert(tag.name)
            case .fixed(let value): rules.append(.fixed(StatTag(tag.name, value)))
            case .regex(let pattern):
                guard let program = try? RegexProgram(TagPattern.re2(pattern)) else {
                    refused.append(pattern)
                    continue
                }
                rules.append(.expression(
                    tag.name, program, isAnchored: TagPattern.isAnchored(pattern), prefix: TagPattern.literalPrefix(pattern)))
            }
        }
        for text in statsTags {
            let sides = text.split(separator: ":", maxSplits: 1).map(String.init)
            if sides.count == 2 { rules.append(.fixed(StatTag(sides[0], sides[1]))) }
        }
        usesDefaults = options.useDefaultTags
        self.defaults = defaults
        self.rules = rules
    }

    /// One reader's function from names to labels; nil where the default tags are all there is.
    func finder() -> ((String) -> StatLabels)? {
        if usesDefaults, rules.isEmpty { return nil }
        let compiled = rules.compactMap { rule -> Compiled? in
            switch rule {
            case .fixed(let tag): Compiled(name: tag.name, fixed: tag.value)
            case .expression(let name, let program, let isAnchored, let prefix):
                Regex(program).map { Compiled(name: name, regex: $0, isAnchored: isAnchored, prefix: prefix) }
            }
        }
        return { labels($0, compiled) }
    }

    private struct Compiled {
        let name: String
        var fixed = ""
        var regex: Regex?
        var isAnchored = false
        var prefix = ""
    }

    private func labels(_ fullName: String, _ rules: [Compiled]) -> StatLabels {
        var fullName = fullName
        return fullName.withUTF8 { bytes in
            var cuts: [Range<Int>] = []
            var tags: [StatTag] = []
            func add(_ name: String, _ cut: Range<Int>?, _ value: String) {
                guard !tags.contains(where: { $0.name == name }) else { return }
                tags.append(StatTag(name, value))
                if let cut { cuts.append(cut) }
            }
            let found = DefaultTags.find(in: bytes).filter { usesDefaults || defaults.contains($0.name) }
            for isAnchored in [false, true] {
                for tag in found where tag.isAnchored == isAnchored {
                    add(tag.name, tag.cut, String(decoding: bytes[tag.value], as: UTF8.self))
                }
                for rule in rules where rule.isAnchored == isAnchored {
                    guard let regex = rule.regex else {
                        add(rule.name, nil, rule.fixed)
                        continue
                    }
                    guard bytes.starts(with: rule.prefix.utf8), let groups = regex.firstGroups(in: bytes, count: 3),
                        let cut = groups[1] else { continue }
                    add(rule.name, cut, String(decoding: bytes[groups[2] ?? cut], as: UTF8.self))
                }
            }
            return StatLabels(name: StatLabels.cut(cuts, from: bytes), tags: tags)
        }
    }
}

/// Envoy reads the expressions of `stats_tags` as ECMAScript; RE2 knows no lookahead.
enum TagPattern {
    /// The same expression without the lookahead that Istio's bootstrap and Envoy's older documentation have: what begins with
    /// a dot and ends before the next one may also be nothing.
    static func re2(_ pattern: String) -> String {
        pattern.replacing("(?=\\.).*?\\.", with: "(?:\\..*?)??\\.")
    }

    /// Whether Envoy asks for it only where the name begins in one way: `^word` and then a dot or the end.
    static func isAnchored(_ pattern: String) -> Bool {
        let word = word(pattern)
        guard !word.isEmpty else { return false }
        let rest = pattern.dropFirst(1 + word.count)
        return rest.hasPrefix("\\.") || rest.hasPrefix("(?=\\.)") || rest == "$"
    }

    /// Text that every match begins with, for a quick look; empty where there is none for certain.
    static func literalPrefix(_ pattern: String) -> String {
        let word = word(pattern)
        // An alternative outside of every group would begin otherwise.
        var depth = 0
        for character in pattern {
            if character == "(" { depth += 1 }
            if character == ")" { depth -= 1 }
            if character == "|", depth <= 0 { return "" }
        }
        switch pattern.dropFirst(1 + word.count).first {
        case "*", "?", "{", "+": return String(word.dropLast())
        default: return word
        }
    }

    private static func word(_ pattern: String) -> String {
        guard pattern.hasPrefix("^") else { return "" }
        return String(pattern.dropFirst().prefix { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_") })
    }
}

extension Regex {
    /// Where the groups of the first match lie, group 0 being the whole match; nil without a match. A group that took no part,
    /// or does not exist, is nil.
    func firstGroups(in text: UnsafeBufferPointer<UInt8>, count: Int) -> [Range<Int>?]? {
        var ends: [Int32] = Array(repeating: -1, count: count * 2)
        guard ends.withUnsafeMutableBufferPointer({ search(UnsafeRawBufferPointer(text), groups: $0) }) else { return nil }
        return (0..<count).map { group in
            let (start, end) = (Int(ends[group * 2]), Int(ends[group * 2 + 1]))
            return start >= 0 && end >= start ? start..<end : nil
        }
    }

    /// The same in a string.
    func firstGroups(in text: String, count: Int) -> [Range<Int>?]? {
        var text = text
        return text.withUTF8 { firstGroups(in: $0, count: count) }
    }
}
