// SPDX-License-Identifier: Apache-2.0
import Glibc
import MeshHTTP

/// The words of an expression.
enum CELToken: Equatable {
    /// `true`, `false`, `null` and `in` are no identifiers.
    case identifier([UInt8])
    /// Between backticks: only behind a dot.
    case escapedIdentifier([UInt8])
    case int(UInt64)
    case uint(UInt64)
    case double(Double)
    case string([UInt8])
    case bytes([UInt8])
    case bool(Bool)
    case null
    case `in`
    /// `&&`, `<=`, `(` and their like.
    case sign(CELSign)
    case end

    /// As it is named in errors.
    var name: String {
        switch self {
        case .identifier(let text), .escapedIdentifier(let text): "'\(String(decoding: text, as: UTF8.self))'"
        case .int, .uint, .double: "a number"
        case .string: "a string"
        case .bytes: "bytes"
        case .bool(let flag): "'\(flag)'"
        case .null: "'null'"
        case .in: "'in'"
        case .sign(let sign): "'\(sign.rawValue)'"
        case .end: "the end"
        }
    }
}

/// Signs, longest first where one begins another.
enum CELSign: String, CaseIterable {
    case equal = "=="
    case notEqual = "!="
    case lessOrEqual = "<="
    case greaterOrEqual = ">="
    case and = "&&"
    case or = "||"
    case less = "<"
    case greater = ">"
    case not = "!"
    case add = "+"
    case subtract = "-"
    case multiply = "*"
    case divide = "/"
    case modulo = "%"
    case question = "?"
    case colon = ":"
    case comma = ","
    case dot = "."
    case open = "("
    case close = ")"
    case openBracket = "["
    case closeBracket = "]"
    case openBrace = "{"
    case closeBrace = "}"
}

/// Cuts an expression into words. Source: cel-spec, "Syntax".
struct CELLexer {
    private let source: [UInt8]
    /// Where the next word begins, or the space before it.
    private(set) var position = 0

    init(_ source: [UInt8]) { self.source = source }

    private func byte(_ offset: Int = 0) -> UInt8 { position + offset < source.count ? source[position + offset] : 0 }

    private static func isLetter(_ byte: UInt8) -> Bool { (byte | 0x20) &- UInt8(ascii: "a") < 26 || byte == UInt8(ascii: "_") }
    private static func isDigit(_ byte: UInt8) -> Bool { byte &- 48 < 10 }

    /// Past spaces and comments.
    mutating func skipSpace() {
        while position < source.count {
            switch byte() {
            case 0x20, 0x09, 0x0A, 0x0C, 0x0D: position += 1
            case UInt8(ascii: "/") where byte(1) == UInt8(ascii: "/"):
                while position < source.count, byte() != 0x0A { position += 1 }
            default: return
            }
        }
    }

    /// The next word. `position` must be where it begins.
    mutating func next() throws(CELError) -> CELToken {
        let start = position
        guard position < source.count else { return .end }
        let first = byte()
        if let text = try string() { return text }
        if Self.isLetter(first) {
            while Self.isLetter(byte()) || Self.isDigit(byte()) { position += 1 }
            return Self.word(Array(source[start..<position]))
        }
        if Self.isDigit(first) || (first == UInt8(ascii: ".") && Self.isDigit(byte(1))) { return try number() }
        if first == UInt8(ascii: "`") { return try escapedIdentifier() }
        for sign in CELSign.allCases where source[start...].starts(with: sign.rawValue.utf8) {
            position += sign.rawValue.utf8.count
            return .sign(sign)
        }
        throw CELError(problem: "found \(Self.shown(first)), which begins no word of CEL", position: start)
    }

    private static func shown(_ byte: UInt8) -> String {
        byte > 0x20 && byte < 0x7F ? "'\(Character(UnicodeScalar(byte)))'" : "byte \(byte)"
    }

    private static func word(_ text: [UInt8]) -> CELToken {
        switch String(decoding: text, as: UTF8.self) {
        case "true": .bool(true)
        case "false": .bool(false)
        case "null": .null
        case "in": .in
        default: .identifier(text)
        }
    }

    private mutating func escapedIdentifier() throws(CELError) -> CELToken {
        let start = position
        position += 1
        while Self.isLetter(byte()) || Self.isDigit(byte()) || ".-/ ".utf8.contains(byte()) && position < source.count { position += 1 }
        guard byte() == UInt8(ascii: "`"), position > start + 1 else {
            throw CELError(problem: "found no name between backticks", position: start)
        }
        position += 1
        return .escapedIdentifier(Array(source[(start + 1)..<(position - 1)]))
    }

    // MARK: Numbers

    private mutating func number() throws(CELError) -> CELToken {
        let start = position
        if byte() == UInt8(ascii: "0"), byte(1) | 0x20 == UInt8(ascii: "x") {
            position += 2
            let digits = position
            while Self.isDigit(byte()) || (byte() | 0x20) &- UInt8(ascii: "a") < 6 { position += 1 }
            return try integer(String(decoding: source[digits..<position], as: UTF8.self), radix: 16, from: start)
        }
        while Self.isDigit(byte()) { position += 1 }
        var isDouble = false
        if byte() == UInt8(ascii: "."), Self.isDigit(byte(1)) {
            isDouble = true
            position += 1
            while Self.isDigit(byte()) { position += 1 }
        }
        if byte() | 0x20 == UInt8(ascii: "e") {
            let signs = byte(1) == UInt8(ascii: "+") || byte(1) == UInt8(ascii: "-") ? 1 : 0
            if Self.isDigit(byte(1 + signs)) {
                isDouble = true
                position += 1 + signs
                while Self.isDigit(byte()) { position += 1 }
            }
        }
        let text = String(decoding: source[start..<position], as: UTF8.self)
        return isDouble ? .double(strtod(text, nil)) : try integer(text, radix: 10, from: start)
    }

    private mutating func integer(_ digits: String, radix: Int, from start: Int) throws(CELError) -> CELToken {
        let isUnsigned = byte() | 0x20 == UInt8(ascii: "u")
        if isUnsigned { position += 1 }
        guard let value = UInt64(digits, radix: radix) else {
            throw CELError(problem: "found a number that is none, or beyond 64 bits", position: start)
        }
        return isUnsigned ? .uint(value) : .int(value)
    }

    // MARK: Strings

    /// A string or bytes; nil where none begins.
    private mutating func string() throws(CELError) -> CELToken? {
        let start = position
        var ahead = 0
        let isBytes = byte() | 0x20 == UInt8(ascii: "b")
        if isBytes { ahead += 1 }
        let isRaw = byte(ahead) | 0x20 == UInt8(ascii: "r")
        if isRaw { ahead += 1 }
        let quote = byte(ahead)
        guard quote == UInt8(ascii: "\"") || quote == UInt8(ascii: "'") else { return nil }
        position += ahead
        let quotes = byte(1) == quote && byte(2) == quote ? 3 : 1
        position += quotes
        var text: [UInt8] = []
        while true {
            guard position < source.count, quotes == 3 || (byte() != 0x0A && byte() != 0x0D) else {
                throw CELError(problem: "found a string without an end", position: start)
            }
            if byte() == quote, quotes == 1 || (byte(1) == quote && byte(2) == quote) { break }
            if byte() == UInt8(ascii: "\\"), !isRaw {
                try escape(into: &text, isBytes: isBytes)
            } else {
                text.append(byte())
                position += 1
            }
        }
        position += quotes
        return isBytes ? .bytes(text) : .string(text)
    }

    private mutating func escape(into text: inout [UInt8], isBytes: Bool) throws(CELError) {
        let start = position
        let wrong = CELError(problem: "found an escape that CEL does not have", position: start)
        let letter = byte(1)
        position += 2
        switch letter {
        case UInt8(ascii: "a"): text.append(0x07)
        case UInt8(ascii: "b"): text.append(0x08)
        case UInt8(ascii: "f"): text.append(0x0C)
        case UInt8(ascii: "n"): text.append(0x0A)
        case UInt8(ascii: "r"): text.append(0x0D)
        case UInt8(ascii: "t"): text.append(0x09)
        case UInt8(ascii: "v"): text.append(0x0B)
        case UInt8(ascii: "\\"), UInt8(ascii: "?"), UInt8(ascii: "\""), UInt8(ascii: "'"), UInt8(ascii: "`"): text.append(letter)
        case UInt8(ascii: "x"), UInt8(ascii: "X"): try code(digits: 2, radix: 16, into: &text, isBytes, wrong)
        case UInt8(ascii: "u") where !isBytes: try code(digits: 4, radix: 16, into: &text, false, wrong)
        case UInt8(ascii: "U") where !isBytes: try code(digits: 8, radix: 16, into: &text, false, wrong)
        case UInt8(ascii: "0")...UInt8(ascii: "3"):
            position -= 1
            try code(digits: 3, radix: 8, into: &text, isBytes, wrong)
        default: throw wrong
        }
    }

    private mutating func code(
        digits: Int, radix: Int, into text: inout [UInt8], _ isBytes: Bool, _ wrong: CELError
    ) throws(CELError) {
        guard position + digits <= source.count,
            let value = UInt32(String(decoding: source[position..<(position + digits)], as: UTF8.self), radix: radix)
        else { throw wrong }
        position += digits
        if isBytes {
            text.append(UInt8(truncatingIfNeeded: value))
        } else if let scalar = UnicodeScalar(value) {
            text += UTF8.encode(scalar).map(Array.init) ?? []
        } else {
            throw wrong
        }
    }
}
