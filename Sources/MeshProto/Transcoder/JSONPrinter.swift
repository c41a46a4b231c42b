// SPDX-License-Identifier: Apache-2.0
import MeshIO

/// Prints wire bytes as JSON; see `Transcoder.json`. Well-known types are in `JSONPrinter+wellKnown.swift`.
struct JSONPrinter {
    let schema: Schema
    let isPretty: Bool
    let redactsSensitive: Bool
    private(set) var out: [UInt8] = []
    /// Greater than zero inside a field whose values must not be printed.
    private var redaction = 0
    var depth = 0
    private var indent = 0
    /// Whether the innermost open object or list has an element already.
    private var hasElement: [Bool] = []

    init(schema: Schema, isPretty: Bool, redactsSensitive: Bool) {
        self.schema = schema
        self.isPretty = isPretty
        self.redactsSensitive = redactsSensitive
    }

    /// What was printed since the last call.
    mutating func takeOutput() -> [UInt8] {
        defer { out.removeAll(keepingCapacity: true) }
        return out
    }

    // MARK: JSON syntax

    mutating func raw(_ text: String) { out.append(contentsOf: text.utf8) }

    mutating func open(_ bracket: StaticString) {
        raw("\(bracket)")
        hasElement.append(false)
        indent += 1
    }

    mutating func close(_ bracket: StaticString) {
        indent -= 1
        if hasElement.popLast() == true { newLine() }
        raw("\(bracket)")
    }

    /// Starts an element: comma, line, and its key if it has one.
    mutating func element(_ key: String? = nil) {
        if let last = hasElement.indices.last {
            if hasElement[last] { raw(",") }
            hasElement[last] = true
        }
        newLine()
        if let key {
            string(key)
            raw(isPretty ? ": " : ":")
        }
    }

    private mutating func newLine() {
        guard isPretty else { return }
        out.append(0x0A)
        out.append(contentsOf: repeatElement(0x20, count: indent))
    }

    mutating func string(_ text: String) {
        out.append(UInt8(ascii: "\""))
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""): raw("\\\"")
            case UInt8(ascii: "\\"): raw("\\\\")
            case 0x0A: raw("\\n")
            case 0x0D: raw("\\r")
            case 0x09: raw("\\t")
            case 0..<0x20:
                let digits = String(byte, radix: 16)
                raw("\\u00" + (digits.utf8.count < 2 ? "0" : "") + digits)
            default: out.append(byte)
            }
        }
        out.append(UInt8(ascii: "\""))
    }

    /// A string whose bytes may be redacted.
    mutating func text(_ text: String) { string(redaction > 0 ? "[redacted]" : text) }

    mutating func data(_ bytes: ArraySlice<UInt8>) {
        string(redaction > 0 ? Base64.encode("[redacted]".utf8) : Base64.encode(bytes))
    }

    // MARK: messages

    /// Prints one message whose records lie in those ranges of the document.
    mutating func message(_ document: [UInt8], _ ranges: [Range<Int>], type: String) throws(MalformedWire) {
        depth += 1
        defer { depth -= 1 }
        if depth > ConfigLimit.depth { throw MalformedWire() }
        if type.hasPrefix("google.protobuf.") { return try wellKnown(document, ranges, type: type) }
        open("{")
        try members(document, ranges, type: type)
        close("}")
    }

    /// Prints a message's fields into the object that is open.
    mutating func members(_ document: [UInt8], _ ranges: [Range<Int>], type: String) throws(MalformedWire) {
        guard let schema = schema.message(type) else { return }
        var message = try WireMessage(document, ranges: ranges)
        message.settleOneofs(schema)
        for present in message.fields {
            guard let field = schema.field(number: present.number) else { continue }
            try self.field(field, present.values, document)
        }
    }

    /// Prints one field into the object that is open, redacted if it is not to be seen.
    mutating func field(_ field: FieldSchema, _ values: [WireValue], _ document: [UInt8]) throws(MalformedWire) {
        let hides = redactsSensitive && field.isSensitive
        if hides { redaction += 1 }
        defer { if hides { redaction -= 1 } }
        if case .map(let key, let type) = field.type {
            element(field.name)
            return try map(key, type, WireMessage.ranges(values), document)
        }
        guard field.isRepeated else {
            if case .message(let name) = field.type {
                element(field.name)
                return try message(document, WireMessage.ranges(values), type: name)
            }
            guard let last = values.last, field.hasPresence || !Self.isDefault(last) else { return }
            element(field.name)
            return try scalar(field.type, last, document)
        }
        element(field.name)
        open("[")
        for value in values {
            if case .delimited(let range) = value, field.type.isPackable {
                var reader = WireReader(document, range)
                while !reader.isAtEnd {
                    element()
                    try scalar(field.type, try reader.unpacked(field.type), document)
                }
            } else if case .delimited(let range) = value, case .message(let name) = field.type {
                element()
                try message(document, [range], type: name)
            } else {
                element()
                try scalar(field.type, value, document)
            }
        }
        close("]")
    }

    private mutating func map(
        _ key: ScalarType, _ type: FieldType, _ entries: [Range<Int>], _ document: [UInt8]
    ) throws(MalformedWire) {
        // The last entry of a key wins, in the place of the first.
        var order: [String] = []
        var latest: [String: WireMessage] = [:]
        for range in entries {
            let entry = try WireMessage(document, ranges: [range])
            let name = try mapKey(key, entry.values(1).last, document)
            if latest.updateValue(entry, forKey: name) == nil { order.append(name) }
        }
        open("{")
        for name in order.sorted() {
            guard let entry = latest[name] else { continue }
            element(name)
            if case .message(let inner) = type {
                try message(document, entry.ranges(2), type: inner)
            } else {
                try scalar(type, entry.values(2).last ?? type.defaultValue, document)
            }
        }
        close("}")
    }

    func mapKey(_ key: ScalarType, _ value: WireValue?, _ document: [UInt8]) throws(MalformedWire) -> String {
        switch value {
        case .delimited(let range)?: String(decoding: document[range], as: UTF8.self)
        case .varint(let bits)?: key == .bool ? (bits == 0 ? "false" : "true") : Self.integer(key, bits)
        case .fixed32(let bits)?: Self.integer(key, UInt64(bits))
        case .fixed64(let bits)?: Self.integer(key, bits)
        case nil: key == .string ? "" : (key == .bool ? "false" : "0")
        }
    }

    static func isDefault(_ value: WireValue) -> Bool {
        switch value {
        case .varint(let bits), .fixed64(let bits): bits == 0
        case .fixed32(let bits): bits == 0
        case .delimited(let range): range.isEmpty
        }
    }

    mutating func scalar(_ type: FieldType, _ value: WireValue, _ document: [UInt8]) throws(MalformedWire) {
        switch (type, value) {
        case (.scalar(.string), .delimited(let range)): text(String(decoding: document[range], as: UTF8.self))
        case (.scalar(.bytes), .delimited(let range)): data(document[range])
        case (.scalar(.bool), .varint(let bits)): raw(bits == 0 ? "false" : "true")
        case (.scalar(.double), .fixed64(let bits)):
            double(Double(bitPattern: bits), digits: "\(Double(bitPattern: bits))")
        case (.scalar(.float), .fixed32(let bits)):
            double(Double(Float(bitPattern: bits)), digits: "\(Float(bitPattern: bits))")
        case (.scalar(let scalar), .varint(let bits)), (.scalar(let scalar), .fixed64(let bits)):
            if scalar.is64Bit { string(Self.integer(scalar, bits)) } else { raw(Self.integer(scalar, bits)) }
        case (.scalar(let scalar), .fixed32(let bits)): raw(Self.integer(scalar, UInt64(bits)))
        case (.enumeration(let name), .varint(let bits)):
            let number = Int32(truncatingIfNeeded: bits)
            if name == "google.protobuf.NullValue" {
                raw("null")
            } else if let known = schema.enumeration(name)?.name(of: number) {
                string(known)
            } else {
                raw(String(number))
            }
        default: throw MalformedWire()
        }
    }

    mutating func double(_ value: Double, digits: String) {
        if value.isNaN {
            string("NaN")
        } else if value.isInfinite {
            string(value < 0 ? "-Infinity" : "Infinity")
        } else {
            raw(Self.digits(value, digits))
        }
    }

    /// A finite number without a needless ".0".
    static func digits(_ value: Double, _ digits: String) -> String {
        value == value.rounded() && abs(value) < 9_007_199_254_740_992 ? String(Int64(value)) : digits
    }

    static func integer(_ scalar: ScalarType, _ bits: UInt64) -> String {
        switch scalar {
        case .int32, .sfixed32: String(Int32(truncatingIfNeeded: bits))
        case .uint32, .fixed32: String(UInt32(truncatingIfNeeded: bits))
        case .int64, .sfixed64: String(Int64(bitPattern: bits))
        case .sint32, .sint64: String(Int64(bitPattern: bits >> 1) ^ -Int64(bitPattern: bits & 1))
        default: String(bits)
        }
    }
}

extension FieldType {
    /// The value of a field that is not on the wire.
    var defaultValue: WireValue {
        switch self {
        case .scalar(let scalar) where scalar.wireType == 1: .fixed64(0)
        case .scalar(let scalar) where scalar.wireType == 5: .fixed32(0)
        case .scalar(let scalar) where scalar.wireType == 0: .varint(0)
        case .enumeration: .varint(0)
        default: .delimited(0..<0)
        }
    }
}

extension WireReader {
    /// One value out of a packed record.
    mutating func unpacked(_ type: FieldType) throws(MalformedWire) -> WireValue {
        guard case .scalar(let scalar) = type else { return .varint(try varint()) }
        switch scalar.wireType {
        case 1: return .fixed64(try fixed(8))
        case 5: return .fixed32(UInt32(truncatingIfNeeded: try fixed(4)))
        default: return .varint(try varint())
        }
    }
}
