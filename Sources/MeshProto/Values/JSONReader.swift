// SPDX-License-Identifier: Apache-2.0

/// Reads JSON (RFC 8259) into a `ConfigValue`. A trailing comma is accepted, since Istio's own bootstrap template
/// writes one; a key that stands twice, invalid UTF-8 and lone surrogates are errors.
struct JSONReader {
    private let bytes: [UInt8]
    private let source: String
    private var position = 0
    private var depth = 0

    /// - Throws: `ConfigError` whose path is the line and column.
    static func read(_ bytes: [UInt8], source: String) throws(ConfigError) -> ConfigValue {
        var reader = JSONReader(bytes: bytes, source: source)
        reader.skipByteOrderMark()
        reader.skipSpace()
        let value = try reader.value()
        reader.skipSpace()
        if reader.position < bytes.count { throw reader.error(allowed: "the end of the document") }
        return value
    }

    private init(bytes: [UInt8], source: String) {
        self.bytes = bytes
        self.source = source
    }

    private var current: UInt8? { position < bytes.count ? bytes[position] : nil }

    private mutating func skipByteOrderMark() {
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { position = 3 }
    }

    private mutating func skipSpace() {
        while position < bytes.count {
            switch bytes[position] {
            case 0x20, 0x09, 0x0A, 0x0D: position += 1
            default: return
            }
        }
    }

    private mutating func value() throws(ConfigError) -> ConfigValue {
        switch current {
        case UInt8(ascii: "{"): return try object()
        case UInt8(ascii: "["): return try array()
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"): return try literal("true", .bool(true))
        case UInt8(ascii: "f"): return try literal("false", .bool(false))
        case UInt8(ascii: "n"): return try literal("null", .null)
        case let byte? where byte == UInt8(ascii: "-") || (0x30...0x39).contains(byte): return .number(try number())
        default: throw error(allowed: "a JSON value")
        }
    }

    private mutating func literal(_ text: StaticString, _ value: ConfigValue) throws(ConfigError) -> ConfigValue {
        let end = position + text.utf8CodeUnitCount
        guard end <= bytes.count, "\(text)".utf8.elementsEqual(bytes[position..<end]) else {
            throw error(allowed: "true, false or null")
        }
        position = end
        return value
    }

    private mutating func enter() throws(ConfigError) {
        depth += 1
        position += 1
        if depth > ConfigLimit.depth {
            throw error(allowed: "at most \(ConfigLimit.depth) levels of nesting", found: "more")
        }
        skipSpace()
    }

    private mutating func object() throws(ConfigError) -> ConfigValue {
        try enter()
        var members: [ConfigValue.Member] = []
        var keys: Set<String> = []
        while current != UInt8(ascii: "}") {
            guard current == UInt8(ascii: "\"") else { throw error(allowed: "a key in double quotes, or }") }
            let start = position
            let key = try string()
            // Most objects are small; the set pays only beyond a handful of keys.
            if members.count == 8 { keys = Set(members.map(\.key)) }
            let isDuplicate = members.count < 8 ? members.contains { $0.key == key } : keys.contains(key)
            if isDuplicate {
                position = start
                throw error(allowed: "each key once", found: "a second \"\(ConfigValue.cut(key))\"")
            }
            if members.count >= 8 { keys.insert(key) }
            skipSpace()
            guard current == UInt8(ascii: ":") else { throw error(allowed: ":") }
            position += 1
            skipSpace()
            members.append(.init(key, try value()))
            try separator(close: UInt8(ascii: "}"), allowed: ", or }")
        }
        position += 1
        depth -= 1
        return .object(members)
    }

    private mutating func array() throws(ConfigError) -> ConfigValue {
        try enter()
        var items: [ConfigValue] = []
        while current != UInt8(ascii: "]") {
            items.append(try value())
            try separator(close: UInt8(ascii: "]"), allowed: ", or ]")
        }
        position += 1
        depth -= 1
        return .array(items)
    }

    private mutating func separator(close: UInt8, allowed: String) throws(ConfigError) {
        skipSpace()
        if current == UInt8(ascii: ",") {
            position += 1
            skipSpace()
        } else if current != close {
            throw error(allowed: allowed)
        }
    }

    private mutating func number() throws(ConfigError) -> String {
        let start = position
        if current == UInt8(ascii: "-") { position += 1 }
        while let byte = current, (0x30...0x39).contains(byte) || [0x2E, 0x65, 0x45, 0x2B, 0x2D].contains(byte) {
            position += 1
        }
        let text = String(decoding: bytes[start..<position], as: UTF8.self)
        let digits = text.drop { $0 == "-" }
        guard Double(text) != nil, digits.first?.isNumber == true,
            !(digits.count > 1 && digits.first == "0" && digits.dropFirst().first?.isNumber == true)
        else {
            position = start
            throw error(allowed: "a number", found: ConfigValue.cut(text))
        }
        return text
    }

    private mutating func string() throws(ConfigError) -> String {
        position += 1
        let start = position
        while let byte = current, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\"), byte >= 0x20 { position += 1 }
        if current == UInt8(ascii: "\"") {
            defer { position += 1 }
            return try text(bytes[start..<position])
        }
        var unescaped = Array(bytes[start..<position])
        while let byte = current {
            switch byte {
            case UInt8(ascii: "\""):
                position += 1
                return try text(unescaped[...])
            case UInt8(ascii: "\\"): try escape(into: &unescaped)
            case 0..<0x20: throw error(allowed: "control characters escaped")
            default:
                unescaped.append(byte)
                position += 1
            }
        }
        throw error(allowed: "a closing double quote")
    }

    private func text(_ slice: ArraySlice<UInt8>) throws(ConfigError) -> String {
        guard let text = String(validating: slice, as: UTF8.self) else {
            throw error(allowed: "UTF-8", found: "invalid bytes in a string")
        }
        return text
    }

    private mutating func escape(into out: inout [UInt8]) throws(ConfigError) {
        position += 1
        let code = current
        position += 1
        switch code {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): out.append(code ?? 0)
        case UInt8(ascii: "b"): out.append(8)
        case UInt8(ascii: "f"): out.append(12)
        case UInt8(ascii: "n"): out.append(10)
        case UInt8(ascii: "r"): out.append(13)
        case UInt8(ascii: "t"): out.append(9)
        case UInt8(ascii: "u"):
            var value = try hexadecimal()
            if (0xD800..<0xDC00).contains(value), position + 1 < bytes.count, bytes[position] == UInt8(ascii: "\\"),
                bytes[position + 1] == UInt8(ascii: "u")
            {
                position += 2
                let low = try hexadecimal()
                value = (0xDC00..<0xE000).contains(low) ? 0x10000 + (value - 0xD800) << 10 + (low - 0xDC00) : 0xD800
            }
            guard let scalar = Unicode.Scalar(value) else {
                throw error(allowed: "a Unicode scalar value", found: "a lone surrogate")
            }
            out.append(contentsOf: String(Character(scalar)).utf8)
        default:
            position -= 1
            throw error(allowed: "an escape sequence of JSON")
        }
    }

    private mutating func hexadecimal() throws(ConfigError) -> UInt32 {
        guard position + 4 <= bytes.count,
            bytes[position..<position + 4].allSatisfy({ Character(Unicode.Scalar($0)).isHexDigit }),
            let value = UInt32(String(decoding: bytes[position..<position + 4], as: UTF8.self), radix: 16)
        else { throw error(allowed: "four hexadecimal digits") }
        position += 4
        return value
    }

    private func error(allowed: String, found: String? = nil) -> ConfigError {
        var line = 1
        var column = 1
        for byte in bytes.prefix(position) {
            column = byte == 0x0A ? 1 : column + 1
            line += byte == 0x0A ? 1 : 0
        }
        let here =
            current.map { (0x21..<0x7F).contains($0) ? "\"\(Character(Unicode.Scalar($0)))\"" : "byte \($0)" }
            ?? "the end"
        return ConfigError(
            source: source, path: "line \(line) column \(column)", found: found ?? here, allowed: allowed)
    }
}
