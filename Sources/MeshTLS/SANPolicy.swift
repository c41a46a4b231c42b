// SPDX-License-Identifier: Apache-2.0

/// The kinds of subject alternative names that can be matched. Others (otherName, directoryName) never match anything.
package enum SANKind: UInt8, CaseIterable, Sendable {
    case dns
    case uri
    case email
    /// Compared as text, in the notation of `inet_ntop`.
    case ip
}

/// A regular expression that a name must match as a whole. The caller's, because expressions are compiled elsewhere.
package protocol SANPattern: AnyObject, Sendable {
    /// Whether all of `text` matches; called on a worker during a handshake.
    func matchesAll(of text: UnsafeRawBufferPointer) -> Bool
}

/// One entry of `match_typed_subject_alt_names`, or of `match_subject_alt_names` (without a kind).
package struct SANMatcher: Sendable {
    /// How the text is compared. - Source: `StringMatcher`.
    package enum Comparison: Sendable {
        case exact([UInt8])
        case prefix([UInt8])
        case suffix([UInt8])
        case contains([UInt8])
        case pattern(any SANPattern)
    }

    /// Nil: any kind.
    package let kind: SANKind?
    package let comparison: Comparison
    /// `StringMatcher.ignore_case`: ASCII only. Has no meaning for patterns.
    package let ignoresCase: Bool

    package init(kind: SANKind? = nil, _ comparison: Comparison, ignoresCase: Bool = false) {
        self.kind = kind
        self.comparison = comparison
        self.ignoresCase = ignoresCase
    }

    /// Whether one name of a certificate satisfies this matcher.
    package func matches(_ name: SubjectName) -> Bool {
        if let kind, kind != name.kind { return false }
        let text = name.text
        switch comparison {
        case .exact(let wanted):
            // A DNS name in a certificate may be a wildcard, and its case never counts (RFC 5280 §7.2).
            if name.kind == .dns { return DNSName.matches(wanted, pattern: text) }
            return equal(text[...], wanted[...])
        case .prefix(let wanted):
            return text.count >= wanted.count && equal(text[..<wanted.count], wanted[...])
        case .suffix(let wanted):
            return text.count >= wanted.count && equal(text[(text.count - wanted.count)...], wanted[...])
        case .contains(let wanted):
            guard text.count >= wanted.count else { return false }
            return (0...(text.count - wanted.count)).contains { equal(text[$0..<($0 + wanted.count)], wanted[...]) }
        case .pattern(let pattern):
            return text.withUnsafeBytes { pattern.matchesAll(of: $0) }
        }
    }

    private func equal(_ one: ArraySlice<UInt8>, _ other: ArraySlice<UInt8>) -> Bool {
        ignoresCase ? one.elementsEqual(other) { DNSName.lower($0) == DNSName.lower($1) } : one == other
    }
}

/// The names a peer's certificate must carry on one connection: any name that satisfies any matcher will do. Without a
/// matcher every certificate does.
package final class SANPolicy: Sendable {
    /// What the context asks for.
    package let matchers: [SANMatcher]
    /// What this connection asks for besides (`auto_san_validation`).
    private let ownMatchers: [SANMatcher]

    package init(_ matchers: [SANMatcher], own ownMatchers: [SANMatcher] = []) {
        self.matchers = matchers
        self.ownMatchers = ownMatchers
    }

    /// Whether every certificate will do.
    package var acceptsAll: Bool { matchers.isEmpty && ownMatchers.isEmpty }

    /// Whether a peer with this identity may be talked to.
    package func accepts(_ identity: PeerIdentity) -> Bool {
        SANPolicy.accepts(identity, ownMatchers) && SANPolicy.accepts(identity, matchers)
    }

    private static func accepts(_ identity: PeerIdentity, _ matchers: [SANMatcher]) -> Bool {
        if matchers.isEmpty { return true }
        for name in identity.names {
            for matcher in matchers where matcher.matches(name) { return true }
        }
        return false
    }
}

/// Host names as certificates spell them.
package enum DNSName {
    static func lower(_ byte: UInt8) -> UInt8 {
        byte >= UInt8(ascii: "A") && byte <= UInt8(ascii: "Z") ? byte | 0x20 : byte
    }

    /// Whether a host name is the one in a certificate, which may begin with a `*` that stands for (part of) one label
    /// (RFC 6125 §6.4.3). No wildcard matches part of an internationalised label.
    package static func matches(_ host: [UInt8], pattern: [UInt8]) -> Bool {
        let same: (ArraySlice<UInt8>, ArraySlice<UInt8>) -> Bool = { $0.elementsEqual($1) { lower($0) == lower($1) } }
        if same(host[...], pattern[...]) { return !host.isEmpty }
        let stars = pattern.count { $0 == UInt8(ascii: "*") }
        let dot = UInt8(ascii: ".")
        guard stars == 1, let patternDot = pattern.firstIndex(of: dot), let hostDot = host.firstIndex(of: dot),
            let star = pattern.firstIndex(of: UInt8(ascii: "*")), star < patternDot, hostDot > 0,
            // `*.com` would be every name there is; OpenSSL and BoringSSL want two labels behind the star as well.
            pattern[(patternDot + 1)...].contains(dot), same(host[hostDot...], pattern[patternDot...])
        else { return false }
        let before = pattern[..<star]
        let after = pattern[(star + 1)..<patternDot]
        let label = host[..<hostDot]
        if before.isEmpty, after.isEmpty { return true }
        let isEncoded = same(pattern.prefix(4), Array("xn--".utf8)[...]) || same(host.prefix(4), Array("xn--".utf8)[...])
        guard !isEncoded, label.count > before.count + after.count else { return false }
        return same(label.prefix(before.count), before) && same(label.suffix(after.count), after)
    }
}
