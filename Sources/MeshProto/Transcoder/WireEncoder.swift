// SPDX-License-Identifier: Apache-2.0
import MeshIO

/// One run of JSON to wire; see `Transcoder.wire`. Well-known types are in `WireEncoder+wellKnown.swift`.
struct WireEncoder {
    let schema: Schema
    let source: String
    let unknownNames: Transcoder.UnknownNames
    private let prefix: String
    var writer = WireWriter()
    var path = FieldPath()
    private(set) var unknown: [UnsupportedField] = []
    private var depth = 0

    /// - Parameter path: where the value stands in a larger configuration; put before every path of an error.
    init(schema: Schema, source: String, unknownNames: Transcoder.UnknownNames, path: String) {
        self.schema = schema
        self.source = source
        self.unknownNames = unknownNames
        prefix = path
    }

    func error(found: String, allowed: String, suggestion: String? = nil, at step: FieldPath.Step? = nil) -> ConfigError
    {
        ConfigError(source: source, path: fullPath(step), found: found, allowed: allowed, suggestion: suggestion)
    }

    private func fullPath(_ step: FieldPath.Step?) -> String {
        let text = path.text(step)
        if prefix.isEmpty { return text }
        return text.isEmpty || text.hasPrefix("[") ? prefix + text : prefix + "." + text
    }

    /// Writes the fields of one message, without tag and length.
    mutating func body(_ value: ConfigValue, type: String) throws(ConfigError) {
        depth += 1
        defer { depth -= 1 }
        if depth > ConfigLimit.depth {
            throw error(found: "more", allowed: "at most \(ConfigLimit.depth) levels of nesting")
        }
        if type.hasPrefix("google.protobuf.") { return try wellKnown(value, type: type) }
        guard let message = schema.message(type) else {
            throw error(found: "the type \(type)", allowed: "a message of the v3 API")
        }
        guard case .object(let members) = value else {
            throw error(found: value.summary, allowed: "an object (\(type))")
        }
        try fields(members, of: message)
    }

    /// Writes object members as fields. `@type` is skipped: whoever reads an `Any` has consumed it.
    mutating func fields(_ members: [ConfigValue.Member], of message: MessageSchema) throws(ConfigError) {
        var keyOfField: [Int: String] = [:]
        var keyOfOneof: [String: String] = [:]
        for member in members where member.key != "@type" {
            guard let field = message.field(named: member.key) else {
                try unknownName(member, of: message)
                continue
            }
            if let other = keyOfField.updateValue(member.key, forKey: field.number) {
                throw error(
                    found: "both \"\(other)\" and \"\(member.key)\"", allowed: "one of them", at: .field(field.name))
            }
            if case .null = member.value, !field.acceptsNull { continue }
            if let oneof = field.oneof, let other = keyOfOneof.updateValue(member.key, forKey: oneof) {
                throw error(
                    found: "\"\(member.key)\" beside \"\(other)\"",
                    allowed: "one of \(Self.members(of: oneof, message))",
                    at: .field(field.name))
            }
            path.push(.field(field.name))
            try self.field(field, member.value)
            path.pop()
        }
    }

    private static func members(of oneof: String, _ message: MessageSchema) -> String {
        message.fields.filter { $0.oneof == oneof }.map(\.name).joined(separator: ", ")
    }

    private mutating func unknownName(_ member: ConfigValue.Member, of message: MessageSchema) throws(ConfigError) {
        let names = message.fields.map(\.name)
        let suggestion =
            NearestName.of(member.key, among: names)
            ?? NearestName.of(member.key, among: message.fields.map(\.jsonName))
        switch unknownNames {
        case .refused:
            throw error(
                found: "an unknown field", allowed: "the fields of \(message.name) (\(Self.list(names)))",
                suggestion: suggestion,
                at: .field(member.key))
        case .collected:
            unknown.append(
                UnsupportedField(
                    path: fullPath(.field(member.key)), value: member.value.summary, severity: .degraded,
                    reason: "\(message.name) has no such field" + (suggestion.map { "; did you mean \"\($0)\"?" } ?? "")
                ))
        }
    }

    /// At most a dozen names, so that an error stays readable.
    static func list(_ names: [String]) -> String {
        let shown = names.prefix(12).joined(separator: ", ")
        return names.count > 12 ? shown + " and \(names.count - 12) more" : (names.isEmpty ? "none" : shown)
    }

    private mutating func field(_ field: FieldSchema, _ value: ConfigValue) throws(ConfigError) {
        if case .map(let key, let type) = field.type { return try map(field, key, type, value) }
        guard field.isRepeated else {
            return try single(field.type, number: field.number, value, writesDefault: field.hasPresence)
        }
        let items: [ConfigValue]
        switch value {
        case .array(let list): items = field.acceptsNull ? list : list.filter { $0 != .null }
        // Envoy's parser takes a single value for a list of one.
        default: items = [value]
        }
        if items.isEmpty { return }
        let start = field.type.isPackable ? writer.open(field.number) : nil
        for (index, item) in items.enumerated() {
            path.push(.index(index))
            if start != nil {
                try packed(field.type, item)
            } else {
                try single(field.type, number: field.number, item, writesDefault: true)
            }
            path.pop()
        }
        if let start { writer.close(start) }
    }

    private mutating func map(_ field: FieldSchema, _ key: ScalarType, _ type: FieldType, _ value: ConfigValue)
        throws(ConfigError)
    {
        guard case .object(let members) = value else { throw error(found: value.summary, allowed: "an object") }
        for member in members {
            path.push(.key(member.key))
            let start = writer.open(field.number)
            let keyValue: ConfigValue =
                switch key {
                case .string: .string(member.key)
                case .bool where member.key == "true" || member.key == "false": .bool(member.key == "true")
                default: .number(member.key)
                }
            try single(.scalar(key), number: 1, keyValue, writesDefault: true)
            try single(type, number: 2, member.value, writesDefault: true)
            writer.close(start)
            path.pop()
        }
    }

    /// Writes one value with its tag; a default value only if `writesDefault`.
    mutating func single(_ type: FieldType, number: Int, _ value: ConfigValue, writesDefault: Bool) throws(ConfigError)
    {
        switch type {
        case .message(let name):
            let start = writer.open(number)
            try body(value, type: name)
            writer.close(start)
        case .scalar(.string):
            guard case .string(let text) = value else {
                let hint = if case .number = value { " (put it in quotes)" } else { "" }
                throw error(found: value.summary, allowed: "a string" + hint)
            }
            if !text.isEmpty || writesDefault { writer.delimited(number, text.utf8) }
        case .scalar(.bytes):
            guard case .string(let text) = value, let bytes = Base64.decode(text) else {
                throw error(found: value.summary, allowed: "bytes as base64")
            }
            if !bytes.isEmpty || writesDefault { writer.delimited(number, bytes) }
        case .scalar(let scalar):
            let bits = try bits(scalar, value)
            if bits != 0 || writesDefault {
                writer.tag(number, scalar.wireType)
                write(bits, scalar)
            }
        case .enumeration(let name):
            let bits = try enumeration(name, value)
            if bits != 0 || writesDefault {
                writer.tag(number, 0)
                writer.varint(bits)
            }
        case .map: break  // A map stands in a field only, and `field` has handled it.
        }
    }

    private mutating func packed(_ type: FieldType, _ value: ConfigValue) throws(ConfigError) {
        if case .scalar(let scalar) = type {
            write(try bits(scalar, value), scalar)
        } else if case .enumeration(let name) = type {
            writer.varint(try enumeration(name, value))
        }
    }

    private mutating func write(_ bits: UInt64, _ scalar: ScalarType) {
        switch scalar.wireType {
        case 1: writer.fixed64(bits)
        case 5: writer.fixed32(UInt32(truncatingIfNeeded: bits))
        default: writer.varint(bits)
        }
    }

    private func enumeration(_ name: String, _ value: ConfigValue) throws(ConfigError) -> UInt64 {
        if name == "google.protobuf.NullValue" {
            guard value == .null || value == .string("NULL_VALUE") else {
                throw error(found: value.summary, allowed: "null")
            }
            return 0
        }
        let known = schema.enumeration(name)
        switch value {
        case .string(let text):
            // Any case, and a number as text: what protobuf's own parser takes.
            if let number = known?.number(of: text) ?? known?.number(of: text.uppercased()) ?? Int32(text) {
                return UInt64(bitPattern: Int64(number))
            }
        case .number(let text):
            if let number = Int32(exactlyDecimal: text) { return UInt64(bitPattern: Int64(number)) }
        default: break
        }
        let names = known?.values.map(\.name) ?? []
        let suggestion: String? = if case .string(let text) = value { NearestName.of(text, among: names) } else { nil }
        throw error(found: value.summary, allowed: Self.list(names), suggestion: suggestion)
    }

    /// The value's bits as they go on the wire.
    private func bits(_ scalar: ScalarType, _ value: ConfigValue) throws(ConfigError) -> UInt64 {
        if scalar == .bool {
            switch value {
            case .bool(let flag): return flag ? 1 : 0
            case .string("true"): return 1
            case .string("false"): return 0
            default: throw error(found: value.summary, allowed: "true or false")
            }
        }
        let text: String
        switch value {
        case .number(let number): text = number
        case .string(let number): text = number
        default:
            throw error(
                found: value.summary, allowed: scalar == .double || scalar == .float ? "a number" : "an integer")
        }
        switch scalar {
        case .double, .float:
            guard let number = Self.double(text) else { throw error(found: value.summary, allowed: "a number") }
            return scalar == .double ? number.bitPattern : UInt64(Float(number).bitPattern)
        case .uint32, .fixed32:
            guard let number = UInt32(exactlyDecimal: text) else { throw range(value, 0, UInt64(UInt32.max)) }
            return UInt64(number)
        case .uint64, .fixed64:
            guard let number = UInt64(exactlyDecimal: text) else { throw range(value, 0, UInt64.max) }
            return number
        case .int32, .sfixed32, .sint32:
            guard let number = Int32(exactlyDecimal: text) else {
                throw range(value, Int64(Int32.min), UInt64(Int32.max))
            }
            return scalar == .sint32
                ? UInt64(UInt32(bitPattern: number << 1 ^ number >> 31)) : UInt64(bitPattern: Int64(number))
        default:
            guard let number = Int64(exactlyDecimal: text) else { throw range(value, Int64.min, UInt64(Int64.max)) }
            return UInt64(bitPattern: scalar == .sint64 ? number << 1 ^ number >> 63 : number)
        }
    }

    private func range(_ value: ConfigValue, _ low: Int64, _ high: UInt64) -> ConfigError {
        error(found: value.summary, allowed: "an integer from \(low) to \(high)")
    }

    static func double(_ text: String) -> Double? {
        switch text {
        case "NaN": .nan
        case "Infinity": .infinity
        case "-Infinity": -.infinity
        default:
            text.utf8.allSatisfy { (0x30...0x39).contains($0) || [0x2B, 0x2D, 0x2E, 0x65, 0x45].contains($0) }
                ? Double(text) : nil
        }
    }
}

extension FieldSchema {
    /// Whether JSON null is a value of the field, not its absence.
    var acceptsNull: Bool {
        switch type {
        case .message(let name): name == "google.protobuf.Value"
        case .enumeration(let name): name == "google.protobuf.NullValue"
        default: false
        }
    }
}

extension FixedWidthInteger {
    /// From decimal text; `1e3` and `2.0` are integers too, as in protobuf's JSON mapping.
    init?(exactlyDecimal text: String) {
        if let value = Self(text) {
            self = value
        } else if let number = WireEncoder.double(text), let value = Self(exactly: number) {
            self = value
        } else {
            return nil
        }
    }
}
