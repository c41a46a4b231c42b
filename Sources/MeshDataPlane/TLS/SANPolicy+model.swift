// SPDX-License-Identifier: Apache-2.0
import MeshModel
import MeshRegex
import MeshTLS

extension SANPolicy {
    /// Accepts every certificate.
    static let any = SANPolicy([MeshTLS.SANMatcher]())

    /// What `match_typed_subject_alt_names` and its deprecated kind ask for.
    convenience init(_ matchers: [MeshModel.SANMatcher]) throws(RegexError) {
        var translated: [MeshTLS.SANMatcher] = []
        for matcher in matchers { translated.append(try SANPolicy.translate(matcher)) }
        self.init(translated)
    }

    /// The certificate must be for `name`: a DNS name with wildcards, or any other name with exactly this text.
    convenience init(name: String) {
        self.init([MeshTLS.SANMatcher(.exact(Array(name.utf8)))])
    }

    /// The certificate must be for `name` besides what this policy asks for.
    func and(name: String) -> SANPolicy { SANPolicy(matchers, own: [MeshTLS.SANMatcher(.exact(Array(name.utf8)))]) }

    private static func translate(_ matcher: MeshModel.SANMatcher) throws(RegexError) -> MeshTLS.SANMatcher {
        let kind: SANKind? = switch matcher.type {
        case .any: nil
        case .email: .email
        case .dns: .dns
        case .uri: .uri
        case .ipAddress: .ip
        }
        let comparison: MeshTLS.SANMatcher.Comparison
        switch matcher.value.pattern {
        case .exact(let text): comparison = .exact(Array(text.utf8))
        case .prefix(let text): comparison = .prefix(Array(text.utf8))
        case .suffix(let text): comparison = .suffix(Array(text.utf8))
        case .contains(let text): comparison = .contains(Array(text.utf8))
        case .regex(let text): comparison = .pattern(try NamePattern(text))
        }
        return MeshTLS.SANMatcher(kind: kind, comparison, ignoresCase: matcher.value.ignoreCase)
    }
}

/// A regular expression over names of certificates.
///
/// What workers share is the checked program; each match compiles it, which beside a handshake is a few percent, for the
/// few policies that use one.
final class NamePattern: SANPattern {
    private let program: RegexProgram

    init(_ pattern: String) throws(RegexError) { program = try RegexProgram(pattern) }

    /// Without memory for the regex nothing matches, and the peer is refused.
    func matchesAll(of text: UnsafeRawBufferPointer) -> Bool { Regex(program)?.matchesAll(of: text) ?? false }
}
