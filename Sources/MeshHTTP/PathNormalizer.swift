// SPDX-License-Identifier: Apache-2.0

/// What to do with `%2F`, `%2f`, `%5C` and `%5c` in a path.
package enum EscapedSlashesAction: UInt8, Sendable {
    /// They stay as they are.
    case keep
    /// The request gets 400.
    case reject
    /// They are decoded and the client is sent to the result (307).
    case unescapeAndRedirect
    /// They are decoded.
    case unescapeAndForward
}

/// How paths are brought into one form before anything looks at them, so that route, authorization, log and upstream all
/// see the same bytes (attack ledger 23).
package struct PathNormalization: Equatable, Sendable {
    /// RFC 3986 §6.2.2 with Envoy's choices. Source: `normalize_path`. Default: false.
    package var normalizesPath = false
    /// Runs of slashes become one. Source: `merge_slashes`. Default: false.
    package var mergesSlashes = false
    /// Source: `path_with_escaped_slashes_action`. Default: keep.
    package var escapedSlashes = EscapedSlashesAction.keep

    package init(
        normalizesPath: Bool = false, mergesSlashes: Bool = false, escapedSlashes: EscapedSlashesAction = .keep
    ) {
        self.normalizesPath = normalizesPath
        self.mergesSlashes = mergesSlashes
        self.escapedSlashes = escapedSlashes
    }
}

/// Applies a `PathNormalization` to the bytes of a `:path`. The query is never touched.
///
/// Steps, in this order: escaped slashes; backslash to slash, decoding of unreserved characters, escaping of characters a
/// URL may not hold, dot segments; merging of slashes. A segment `..;x` or `.;x` is a dot segment, because servers that
/// know path parameters take it for one, however its dots are escaped.
package enum PathNormalizer {
    package enum Outcome: Equatable {
        /// The path is in normal form; the output was not written.
        case unchanged
        /// The output's first bytes are the path to use.
        case changed(length: Int)
        /// The client is to be sent to the output's first bytes.
        case redirect(length: Int)
        /// 400, `path_normalization_failed`.
        case rejected
    }

    /// Bytes the output must have for a path of `count` bytes: every byte may turn into an escape of three.
    package static func outputBound(_ count: Int) -> Int { count &* 3 }

    /// Whether a path that begins with a slash is in normal form already: what is to be asked before room is made.
    package static func isNormal(_ path: UnsafeRawBufferPointer) -> Bool { !mayChange(path, pathLength(path)) }

    /// Normalises `path` into `output`, which has `outputBound(path.count)` bytes and does not overlap it.
    package static func normalize(
        _ path: UnsafeRawBufferPointer, _ rules: PathNormalization, into output: UnsafeMutableRawBufferPointer
    ) -> Outcome {
        guard rules.normalizesPath || rules.mergesSlashes || rules.escapedSlashes != .keep else { return .unchanged }
        guard path.count > 0, path[0] == UInt8(ascii: "/") else { return rules.normalizesPath ? .rejected : .unchanged }
        guard !isNormal(path) else { return .unchanged }
        let end = pathLength(path)
        guard output.count >= outputBound(path.count) else { return .rejected }

        var redirects = false
        var length = 0
        var index = 0
        while index < end {
            var byte = path[index]
            var width = 1
            if byte == UInt8(ascii: "%"), let decoded = escape(path, index, end) {
                if decoded == UInt8(ascii: "/") || decoded == UInt8(ascii: "\\") {
                    switch rules.escapedSlashes {
                    case .keep: break
                    case .reject: return .rejected
                    case .unescapeAndRedirect, .unescapeAndForward:
                        redirects = redirects || rules.escapedSlashes == .unescapeAndRedirect
                        byte = decoded
                        width = 3
                    }
                } else if rules.normalizesPath {
                    if decoded == 0 || isUnreserved(decoded) && !endsInOpenPercent(output, length) {
                        byte = decoded
                        width = 3
                    }
                }
            }
            if rules.normalizesPath {
                if byte == 0 { return .rejected }
                if byte == UInt8(ascii: "\\") { byte = UInt8(ascii: "/") }
                if byte == UInt8(ascii: "/") { length = closeSegment(output, length) }
            }
            if rules.normalizesPath, isForbidden(byte) {
                length = writeEscape(byte, output, length)
            } else {
                output[length] = byte
                length &+= 1
            }
            index &+= width
        }
        if rules.normalizesPath { length = closeSegment(output, length, isLast: true) }
        if rules.mergesSlashes { length = mergeSlashes(output, length) }
        while index < path.count {
            output[length] = path[index]
            length &+= 1
            index &+= 1
        }
        if redirects { return .redirect(length: length) }
        return UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(output)[..<length]).hasSameBytes(as: path)
            ? .unchanged : .changed(length: length)
    }

    /// Bytes before the query.
    private static func pathLength(_ path: UnsafeRawBufferPointer) -> Int {
        var index = 0
        while index < path.count, path[index] != UInt8(ascii: "?") { index &+= 1 }
        return index
    }

    /// Whether a path has anything that normalising could touch; most have not.
    private static func mayChange(_ path: UnsafeRawBufferPointer, _ end: Int) -> Bool {
        var previous: UInt8 = 0
        var index = 0
        while index < end {
            let byte = path[index]
            if byte == UInt8(ascii: "%") || byte == UInt8(ascii: "\\") || isForbidden(byte) { return true }
            if previous == UInt8(ascii: "/"), byte == UInt8(ascii: "/") || byte == UInt8(ascii: ".") { return true }
            previous = byte
            index &+= 1
        }
        return false
    }

    /// A slash, or the path's end, follows: takes the segment just written back when it is a dot segment, and with `..` the
    /// one before it. Returns the new length. The slash of a removed segment is left for the caller to write, but at the
    /// path's end it stays.
    private static func closeSegment(_ output: UnsafeMutableRawBufferPointer, _ length: Int, isLast: Bool = false) -> Int {
        var slash = length &- 1
        while slash >= 0, output[slash] != UInt8(ascii: "/") { slash &-= 1 }
        guard slash >= 0 else { return length }
        var dots = 0
        var index = slash &+ 1
        while index < length, output[index] == UInt8(ascii: ".") {
            dots &+= 1
            index &+= 1
        }
        guard dots == 1 || dots == 2, index == length || output[index] == UInt8(ascii: ";") else { return length }
        if dots == 2 {
            slash &-= 1
            while slash >= 0, output[slash] != UInt8(ascii: "/") { slash &-= 1 }
            if slash < 0 { slash = 0 }
        }
        return isLast ? slash &+ 1 : slash
    }

    private static func mergeSlashes(_ output: UnsafeMutableRawBufferPointer, _ length: Int) -> Int {
        var kept = 0
        var index = 0
        while index < length {
            let byte = output[index]
            index &+= 1
            if byte == UInt8(ascii: "/"), kept > 0, output[kept &- 1] == UInt8(ascii: "/") { continue }
            output[kept] = byte
            kept &+= 1
        }
        return kept
    }

    /// The byte that an escape at `index` stands for; nil for one that is broken or cut off.
    private static func escape(_ path: UnsafeRawBufferPointer, _ index: Int, _ end: Int) -> UInt8? {
        guard index &+ 2 < end, let high = hexDigit(path[index &+ 1]), let low = hexDigit(path[index &+ 2]) else { return nil }
        return high << 4 | low
    }

    /// Whether the bytes written end in a `%` that is no escape yet: decoding a digit behind it would make one, and
    /// `%%32e` would become `%2e`.
    private static func endsInOpenPercent(_ output: UnsafeMutableRawBufferPointer, _ length: Int) -> Bool {
        length > 0 && output[length &- 1] == UInt8(ascii: "%") || length > 1 && output[length &- 2] == UInt8(ascii: "%")
    }

    private static func hexDigit(_ byte: UInt8) -> UInt8? {
        let digit = byte &- UInt8(ascii: "0")
        if digit <= 9 { return digit }
        let letter = (byte | 0x20) &- UInt8(ascii: "a")
        return letter < 6 ? letter &+ 10 : nil
    }

    /// RFC 3986 §2.3.
    private static func isUnreserved(_ byte: UInt8) -> Bool {
        (byte | 0x20) &- UInt8(ascii: "a") < 26 || byte &- UInt8(ascii: "0") < 10 || byte == UInt8(ascii: "-")
            || byte == UInt8(ascii: ".") || byte == UInt8(ascii: "_") || byte == UInt8(ascii: "~")
    }

    /// Visible characters that no URL holds; Envoy escapes them.
    private static func isForbidden(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "<"), UInt8(ascii: ">"), UInt8(ascii: "^"), UInt8(ascii: "`"),
            UInt8(ascii: "{"), UInt8(ascii: "|"), UInt8(ascii: "}"):
            true
        default: byte <= 0x20 || byte >= 0x7F
        }
    }

    private static func writeEscape(_ byte: UInt8, _ output: UnsafeMutableRawBufferPointer, _ length: Int) -> Int {
        output[length] = UInt8(ascii: "%")
        output[length &+ 1] = HexText.upper(byte >> 4)
        output[length &+ 2] = HexText.upper(byte & 0xF)
        return length &+ 3
    }
}

/// Hexadecimal digits.
enum HexText {
    static func upper(_ nibble: UInt8) -> UInt8 { nibble < 10 ? UInt8(ascii: "0") &+ nibble : UInt8(ascii: "A") &+ nibble &- 10 }
    static func lower(_ nibble: UInt8) -> UInt8 { nibble < 10 ? UInt8(ascii: "0") &+ nibble : UInt8(ascii: "a") &+ nibble &- 10 }
}
