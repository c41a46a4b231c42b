// SPDX-License-Identifier: Apache-2.0

extension JSONPrinter {
    /// Prints one of google.protobuf's messages in its own JSON form.
    mutating func wellKnown(_ document: [UInt8], _ ranges: [Range<Int>], type: String) throws(MalformedWire) {
        let message = try WireMessage(document, ranges: ranges)
        switch type {
        case "google.protobuf.Duration":
            let (seconds, nanos) = try message.secondsAndNanos()
            string(WellKnown.durationText(seconds: seconds, nanos: nanos))
        case "google.protobuf.Timestamp":
            let (seconds, nanos) = try message.secondsAndNanos()
            string(WellKnown.timestampText(seconds: seconds, nanos: nanos))
        case "google.protobuf.Any": try any(message)
        case "google.protobuf.Struct": value(try StructReader(document: document).structure(ranges, depth: depth))
        case "google.protobuf.Value": value(try StructReader(document: document).value(ranges, depth: depth))
        case "google.protobuf.ListValue": value(try StructReader(document: document).list(ranges, depth: depth))
        case "google.protobuf.FieldMask":
            string(message.ranges(1).map { String(decoding: document[$0], as: UTF8.self) }.joined(separator: ","))
        default:
            if let wrapped = WellKnown.wrapped(type) {
                let inner = FieldType.scalar(wrapped)
                try scalar(inner, message.values(1).last ?? inner.defaultValue, document)
            } else {
                raw("{}")
            }
        }
    }

    private mutating func any(_ message: WireMessage) throws(MalformedWire) {
        let document = message.document
        open("{")
        defer { close("}") }
        guard let urlRange = message.ranges(1).last else { return }
        let url = String(decoding: document[urlRange], as: UTF8.self)
        let content = message.ranges(2).last ?? 0..<0
        let name = TypeURL.messageName(url)
        element("@type")
        string(url)
        if WellKnown.isKnown(name) {
            if name == "google.protobuf.Empty" { return }
            element("value")
            try self.message(document, [content], type: name)
        } else if schema.message(name) != nil {
            depth += 1
            defer { depth -= 1 }
            if depth > ConfigLimit.depth { throw MalformedWire() }
            try members(document, [content], type: name)
        } else {
            element("value")
            data(document[content])
        }
    }

    /// Prints a document that is JSON by nature.
    private mutating func value(_ value: ConfigValue) {
        switch value {
        case .null: raw("null")
        case .bool(let flag): raw(flag ? "true" : "false")
        case .number(let digits): raw(digits)
        case .string(let content): text(content)
        case .array(let items):
            open("[")
            for item in items {
                element()
                self.value(item)
            }
            close("]")
        case .object(let members):
            open("{")
            for member in members {
                element(member.key)
                self.value(member.value)
            }
            close("}")
        }
    }
}

extension WireMessage {
    /// The two fields of `Duration` and `Timestamp`.
    func secondsAndNanos() throws(MalformedWire) -> (seconds: Int64, nanos: Int32) {
        var parts: [UInt64] = []
        for number in 1...2 {
            switch values(number).last {
            case .varint(let bits)?: parts.append(bits)
            case nil: parts.append(0)
            default: throw MalformedWire()
            }
        }
        return (Int64(bitPattern: parts[0]), Int32(truncatingIfNeeded: parts[1]))
    }
}

/// Reads a `google.protobuf.Struct` on the wire as a document.
struct StructReader {
    let document: [UInt8]

    func structure(_ ranges: [Range<Int>], depth: Int) throws(MalformedWire) -> ConfigValue {
        if depth > ConfigLimit.depth { throw MalformedWire() }
        let message = try WireMessage(document, ranges: ranges)
        var members: [ConfigValue.Member] = []
        var index: [String: Int] = [:]
        for range in message.ranges(1) {
            let entry = try WireMessage(document, ranges: [range])
            let key = entry.ranges(1).last.map { String(decoding: document[$0], as: UTF8.self) } ?? ""
            let member = ConfigValue.Member(key, try value(entry.ranges(2), depth: depth + 1))
            if let place = index[key] {
                members[place] = member
            } else {
                index[key] = members.count
                members.append(member)
            }
        }
        return .object(members)
    }

    func list(_ ranges: [Range<Int>], depth: Int) throws(MalformedWire) -> ConfigValue {
        if depth > ConfigLimit.depth { throw MalformedWire() }
        let message = try WireMessage(document, ranges: ranges)
        var items: [ConfigValue] = []
        for range in message.ranges(1) { items.append(try value([range], depth: depth + 1)) }
        return .array(items)
    }

    func value(_ ranges: [Range<Int>], depth: Int) throws(MalformedWire) -> ConfigValue {
        var result = ConfigValue.null
        for range in ranges {
            var reader = WireReader(document, range)
            while !reader.isAtEnd {
                switch try reader.record() {
                case (1, _): result = .null
                case (2, .fixed64(let bits)):
                    let number = Double(bitPattern: bits)
                    result = number.isFinite ? .number(JSONPrinter.digits(number, "\(number)")) : .string("\(number)")
                case (3, .delimited(let range)): result = .string(String(decoding: document[range], as: UTF8.self))
                case (4, .varint(let bits)): result = .bool(bits != 0)
                case (5, .delimited(let range)): result = try structure([range], depth: depth + 1)
                case (6, .delimited(let range)): result = try list([range], depth: depth + 1)
                default: break
                }
            }
        }
        return result
    }
}
