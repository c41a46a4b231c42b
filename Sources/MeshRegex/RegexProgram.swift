// SPDX-License-Identifier: Apache-2.0
import CRE2

/// Why a pattern is refused.
package struct RegexError: Error, Equatable, Sendable, CustomStringConvertible {
    /// RE2's words, or the size that is over the limit.
    package let description: String

    package init(_ description: String) { self.description = description }
}

/// A pattern that RE2 accepts: immutable and shared. Matching is done by a thread's own `Regex` made from it, because
/// the threads that share one RE2 meet at its lock.
package struct RegexProgram: Hashable, Sendable {
    package let pattern: String
    /// Match bytes as Latin-1 instead of UTF-8; Envoy uses UTF-8 everywhere, so that `.` does not match a stray byte.
    package let isLatin1: Bool
    /// Number of capture groups.
    package let groupCount: Int
    /// RE2's measure of the compiled program.
    package let programSize: Int

    /// Envoy's limit when no runtime key (`re2.max_program_size.error_level`) says otherwise.
    package static let defaultMaxProgramSize = 100

    /// Compiles once to check.
    ///
    /// - Parameter maxProgramSize: largest program taken; nil takes all that RE2 compiles.
    /// - Throws: `RegexError` with RE2's text, or when the program is too large.
    package init(_ pattern: String, isLatin1: Bool = false, maxProgramSize: Int? = nil) throws(RegexError) {
        let regex = try Regex(pattern: pattern, isLatin1: isLatin1)
        if let maxProgramSize, regex.programSize > maxProgramSize {
            throw RegexError(
                "regex '\(pattern)' has RE2 program size \(regex.programSize), over the limit of \(maxProgramSize)")
        }
        self.pattern = pattern
        self.isLatin1 = isLatin1
        groupCount = regex.groupCount
        programSize = regex.programSize
    }

    /// Checks that the references of a substitution (`\0` to `\9`) exist in the pattern.
    package func check(substitution: String) throws(RegexError) {
        let regex = try Regex(pattern: pattern, isLatin1: isLatin1)
        try regex.check(substitution: substitution)
    }

    /// Bytes with which every text that matches as a whole begins; may be shorter than could be, never longer.
    ///
    /// Reads the pattern up to the first construct that is more than a literal byte. An alternative at the top level,
    /// or a quotation, leaves nothing certain.
    package var literalPrefix: [UInt8] {
        let bytes = Array(pattern.utf8)
        guard !isLatin1, !Self.hasTopLevelAlternative(bytes) else { return [] }
        var prefix: [UInt8] = []
        var index = bytes.first == UInt8(ascii: "^") ? 1 : 0
        let special = Set("\\^$.|?*+()[]{}".utf8)
        while index < bytes.count {
            var byte = bytes[index]
            var next = index + 1
            if byte == UInt8(ascii: "\\") {
                guard next < bytes.count, special.contains(bytes[next]) || isLiteralEscape(bytes[next]) else { break }
                byte = bytes[next]
                next += 1
            } else if special.contains(byte) || byte >= 0x80 {
                // A multi-byte character may be quantified as a whole: stop before it.
                break
            }
            // A quantifier behind the byte may ask for none of it, or leaves its count open.
            if next < bytes.count, "?*+{".utf8.contains(bytes[next]) {
                if bytes[next] == UInt8(ascii: "+") { prefix.append(byte) }
                break
            }
            prefix.append(byte)
            index = next
        }
        return prefix
    }

    private func isLiteralEscape(_ byte: UInt8) -> Bool { "/-_~!@#%&=:;,\"'<> ".utf8.contains(byte) }

    private static func hasTopLevelAlternative(_ bytes: [UInt8]) -> Bool {
        var depth = 0
        var index = 0
        while index < bytes.count {
            switch bytes[index] {
            case UInt8(ascii: "\\"):
                if index + 1 < bytes.count, bytes[index + 1] == UInt8(ascii: "Q") { return true }
                index += 1
            case UInt8(ascii: "["): index = endOfClass(bytes, from: index)
            case UInt8(ascii: "("): depth += 1
            case UInt8(ascii: ")"): depth -= 1
            case UInt8(ascii: "|"): if depth == 0 { return true }
            default: break
            }
            index += 1
        }
        return false
    }

    /// Index of the `]` that ends the class opened at `start`; the end of the pattern when there is none.
    private static func endOfClass(_ bytes: [UInt8], from start: Int) -> Int {
        var index = start + 1
        if index < bytes.count, bytes[index] == UInt8(ascii: "^") { index += 1 }
        // A bracket in first place is a member of the class.
        if index < bytes.count, bytes[index] == UInt8(ascii: "]") { index += 1 }
        while index < bytes.count, bytes[index] != UInt8(ascii: "]") {
            if bytes[index] == UInt8(ascii: "\\") {
                index += 1
            } else if bytes[index] == UInt8(ascii: "["), index + 1 < bytes.count, bytes[index + 1] == UInt8(ascii: ":")
            {
                // A named class as [:alpha:] ends with its own bracket; without that end it is no named class.
                var end = index + 2
                while end + 1 < bytes.count, !(bytes[end] == UInt8(ascii: ":") && bytes[end + 1] == UInt8(ascii: "]")) {
                    end += 1
                }
                if end + 1 < bytes.count { index = end + 1 }
            }
            index += 1
        }
        return index
    }
}
