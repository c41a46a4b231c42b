// SPDX-License-Identifier: Apache-2.0

/// A JSON or YAML document before its types are known. Numbers stay text, so that 64-bit integers keep every digit.
package enum ConfigValue: Equatable, Sendable {
    case null
    case bool(Bool)
    case number(String)
    case string(String)
    case array([ConfigValue])
    case object([Member])

    /// One key of an object. Order is kept; readers refuse a key that stands twice.
    package struct Member: Equatable, Sendable {
        package var key: String
        package var value: ConfigValue

        package init(_ key: String, _ value: ConfigValue) {
            self.key = key
            self.value = value
        }
    }

    /// What an error message calls this value, cut to a line.
    var summary: String {
        switch self {
        case .null: "null"
        case .bool(let value): value ? "true" : "false"
        case .number(let text): Self.cut(text)
        case .string(let text): "\"\(Self.cut(text))\""
        case .array(let items): "a list of \(items.count)"
        case .object(let members):
            members.isEmpty ? "{}" : "{" + Self.cut(members.prefix(8).map(\.key).joined(separator: ", ")) + "}"
        }
    }

    /// At most 120 characters, control characters replaced.
    static func cut(_ text: String) -> String {
        let clean = String(
            String.UnicodeScalarView(text.unicodeScalars.prefix(120).map { $0.value < 32 ? "\u{FFFD}" : $0 }))
        return text.unicodeScalars.count > 120 ? clean + "…" : clean
    }

    /// The value of a key, if this is an object that has it.
    subscript(key: String) -> ConfigValue? {
        guard case .object(let members) = self else { return nil }
        return members.first { $0.key == key }?.value
    }
}

/// Bounds on untrusted configuration text.
package enum ConfigLimit {
    /// Deepest nesting of objects and lists, and of messages. Envoy's own limit for protobuf is 100 as well.
    package static let depth = 100
    /// Largest document, bytes.
    package static let bytes = 64 << 20
    /// Most values in a document of that many bytes after YAML aliases are followed. Without aliases a value takes a
    /// byte and a separator at least, so this only stops a "billion laughs" document.
    package static func values(inBytes count: Int) -> Int { max(200_000, 4 * count) }
}
