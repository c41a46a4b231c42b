// SPDX-License-Identifier: Apache-2.0

/// One field of a message, with the rules Envoy checks on it.
package final class FieldSchema {
    package let number: Int
    /// The proto name, snake_case.
    package let name: String
    /// The JSON name, lowerCamelCase.
    package let jsonName: String
    package let type: FieldType
    package let isRepeated: Bool
    /// Whether our protos declare the field.
    package let isHonoured: Bool
    /// Whether absence differs from the default value although the field is a scalar (proto3 `optional`).
    package let hasPresence: Bool
    /// Whether the value must never be printed.
    package let isSensitive: Bool
    /// The oneof it belongs to.
    package let oneof: String?
    let rules: [ValidationRule]
    /// The rules by what they apply to, so that the common field without any costs a test of emptiness.
    let fieldRules: [ValidationRule]

    /// From a line of the table, split at spaces; nil if it is malformed.
    init?(words: [Substring]) {
        guard words.count >= 3, let number = Int(words[0]) else { return nil }
        self.number = number
        name = String(words[1])
        var typeText = words[2]
        isRepeated = typeText.hasSuffix("[]")
        if isRepeated { typeText = typeText.dropLast(2) }
        guard let type = FieldType(typeText) else { return nil }
        self.type = type
        var json: String?
        var oneof: String?
        var flags: Set<Substring> = []
        var rules: [ValidationRule] = []
        for word in words.dropFirst(3) {
            if word.hasPrefix("json=") {
                json = String(word.dropFirst(5))
            } else if word.hasPrefix("oneof=") {
                oneof = String(word.dropFirst(6))
            } else if ["+", "optional", "deprecated", "sensitive"].contains(word) {
                flags.insert(word)
            } else if let rule = ValidationRule(word) {
                rules.append(rule)
            }
        }
        self.oneof = oneof
        self.rules = rules
        fieldRules = rules.filter { $0.scope == .field }
        jsonName = json ?? Self.lowerCamelCase(name)
        isHonoured = flags.contains("+")
        hasPresence = flags.contains("optional") || oneof != nil
        isSensitive = flags.contains("sensitive")
    }

    private static func lowerCamelCase(_ name: String) -> String {
        var out = ""
        var isUpper = false
        for character in name {
            if character == "_" {
                isUpper = true
            } else {
                out += isUpper ? character.uppercased() : String(character)
                isUpper = false
            }
        }
        return out
    }
}

/// A type in the table.
package indirect enum FieldType {
    case scalar(ScalarType)
    /// Full name of the message.
    case message(String)
    /// Full name of the enum.
    case enumeration(String)
    case map(key: ScalarType, value: FieldType)

    init?(_ text: Substring) {
        if text.hasPrefix(".") {
            self = .message(String(text.dropFirst()))
        } else if text.hasPrefix("#") {
            self = .enumeration(String(text.dropFirst()))
        } else if text.hasPrefix("map<"), text.hasSuffix(">"), let comma = text.firstIndex(of: ",") {
            guard let key = ScalarType(rawValue: String(text[text.index(text.startIndex, offsetBy: 4)..<comma])),
                let value = FieldType(text[text.index(after: comma)...].dropLast())
            else { return nil }
            self = .map(key: key, value: value)
        } else if let scalar = ScalarType(rawValue: String(text)) {
            self = .scalar(scalar)
        } else {
            return nil
        }
    }

    /// Whether several values of the field share one length-delimited record.
    var isPackable: Bool {
        switch self {
        case .scalar(.string), .scalar(.bytes), .message, .map: false
        case .scalar, .enumeration: true
        }
    }
}

/// The scalar types of proto3, by their proto names.
package enum ScalarType: String {
    case bool, string, bytes, double, float, int32, int64, uint32, uint64, sint32, sint64, fixed32, fixed64, sfixed32,
        sfixed64

    /// The protobuf wire type.
    var wireType: UInt64 {
        switch self {
        case .string, .bytes: 2
        case .double, .fixed64, .sfixed64: 1
        case .float, .fixed32, .sfixed32: 5
        case .bool, .int32, .int64, .uint32, .uint64, .sint32, .sint64: 0
        }
    }

    /// Whether JSON writes the type as a string, since a JSON number may lose digits.
    var is64Bit: Bool { [.int64, .uint64, .sint64, .fixed64, .sfixed64].contains(self) }
}

/// One check of protoc-gen-validate as the table writes it, e.g. `min_len=1` or `each.gt=0`.
struct ValidationRule: Equatable {
    enum Scope: Equatable { case field, each, key, value }

    enum Check: Equatable {
        case required, definedOnly, unique, ignoreEmpty
        case minLength(Int), maxLength(Int), minBytes(Int), maxBytes(Int), minItems(Int), maxItems(Int), minPairs(Int),
            maxPairs(Int)
        case greater(Double), greaterOrEqual(Double), less(Double), lessOrEqual(Double)
        case constant(String), oneOf([String]), noneOf([String]), prefix(String)
        case headerName(strict: Bool), headerValue(strict: Bool)
        /// One of protoc-gen-validate's regular expressions, by name: we link no regex engine here.
        case pathSeparatedPrefix
    }

    let scope: Scope
    let check: Check

    init?(_ word: Substring) {
        var rest = word
        var scope = Scope.field
        for (prefix, found) in [("each.", Scope.each), ("key.", .key), ("value.", .value)] where word.hasPrefix(prefix)
        {
            scope = found
            rest = word.dropFirst(prefix.count)
        }
        self.scope = scope
        let parts = rest.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        let argument = parts.count > 1 ? String(parts[1]) : ""
        guard let check = Self.check(String(parts[0]), argument) else { return nil }
        self.check = check
    }

    private static func check(_ name: String, _ argument: String) -> Check? {
        switch name {
        case "required": .required
        case "defined_only": .definedOnly
        case "unique": .unique
        case "ignore_empty": .ignoreEmpty
        case "min_len": Int(argument).map(Check.minLength)
        case "max_len": Int(argument).map(Check.maxLength)
        case "min_bytes": Int(argument).map(Check.minBytes)
        case "max_bytes": Int(argument).map(Check.maxBytes)
        case "min_items": Int(argument).map(Check.minItems)
        case "max_items": Int(argument).map(Check.maxItems)
        case "min_pairs": Int(argument).map(Check.minPairs)
        case "max_pairs": Int(argument).map(Check.maxPairs)
        case "gt": Double(argument).map(Check.greater)
        case "gte": Double(argument).map(Check.greaterOrEqual)
        case "lt": Double(argument).map(Check.less)
        case "lte": Double(argument).map(Check.lessOrEqual)
        case "const": .constant(argument)
        case "in": .oneOf(argument.split(separator: "|", omittingEmptySubsequences: false).map(String.init))
        case "not_in": .noneOf(argument.split(separator: "|", omittingEmptySubsequences: false).map(String.init))
        case "prefix": .prefix(argument)
        case "pattern" where argument == "path_separated_prefix": .pathSeparatedPrefix
        case "header_name": .headerName(strict: true)
        case "header_name_loose": .headerName(strict: false)
        case "header_value": .headerValue(strict: true)
        case "header_value_loose": .headerValue(strict: false)
        default: nil
        }
    }
}
