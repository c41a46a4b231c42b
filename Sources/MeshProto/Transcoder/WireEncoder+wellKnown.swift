// SPDX-License-Identifier: Apache-2.0

extension WireEncoder {
    /// Writes one of google.protobuf's messages that have a JSON form of their own.
    mutating func wellKnown(_ value: ConfigValue, type: String) throws(ConfigError) {
        switch type {
        case "google.protobuf.Duration": try duration(value)
        case "google.protobuf.Timestamp": try timestamp(value)
        case "google.protobuf.Any": try any(value)
        case "google.protobuf.Struct": try structure(value)
        case "google.protobuf.Value": try structValue(value)
        case "google.protobuf.ListValue":
            guard case .array(let items) = value else { throw error(found: value.summary, allowed: "a list") }
            try list(items)
        case "google.protobuf.Empty":
            guard case .object(let members) = value, members.isEmpty else {
                throw error(found: value.summary, allowed: "{}")
            }
        case "google.protobuf.FieldMask":
            guard case .string(let text) = value else {
                throw error(found: value.summary, allowed: "field paths, separated by commas")
            }
            for path in text.split(separator: ",") { writer.delimited(1, Self.snakeCase(path).utf8) }
        default:
            guard let scalar = WellKnown.wrapped(type) else {
                throw error(found: "the type \(type)", allowed: "a message of the v3 API")
            }
            try single(.scalar(scalar), number: 1, value, writesDefault: false)
        }
    }

    private static func snakeCase(_ path: Substring) -> String {
        path.reduce(into: "") { out, character in
            out += character.isUppercase ? "_" + character.lowercased() : String(character)
        }
    }

    private mutating func duration(_ value: ConfigValue) throws(ConfigError) {
        guard case .string(let text) = value, let (seconds, nanos) = WellKnown.duration(text) else {
            throw error(found: value.summary, allowed: "a duration in seconds such as \"0.25s\"")
        }
        try single(.scalar(.int64), number: 1, .number(String(seconds)), writesDefault: false)
        try single(.scalar(.int32), number: 2, .number(String(nanos)), writesDefault: false)
    }

    private mutating func timestamp(_ value: ConfigValue) throws(ConfigError) {
        guard case .string(let text) = value, let (seconds, nanos) = WellKnown.timestamp(text) else {
            throw error(found: value.summary, allowed: "a time such as \"2026-01-31T12:00:00Z\"")
        }
        try single(.scalar(.int64), number: 1, .number(String(seconds)), writesDefault: false)
        try single(.scalar(.int32), number: 2, .number(String(nanos)), writesDefault: false)
    }

    private mutating func any(_ value: ConfigValue) throws(ConfigError) {
        guard case .object(let members) = value else {
            throw error(found: value.summary, allowed: "an object with \"@type\"")
        }
        if members.isEmpty { return }
        guard case .string(let url)? = value["@type"] else {
            throw error(found: value["@type"]?.summary ?? "nothing", allowed: "a type URL", at: .field("@type"))
        }
        let name = TypeURL.messageName(url)
        guard let slash = url.lastIndex(of: "/"), slash > url.startIndex,
            name.hasPrefix("google.protobuf.") ? WellKnown.isKnown(name) : schema.message(name) != nil
        else {
            let known = NearestName.of(name, among: schema.messageNames).map { "type.googleapis.com/" + $0 }
            throw error(
                found: "\"\(ConfigValue.cut(url))\"",
                allowed: "the type URL of a message of the v3 API, or of a TypedStruct around it",
                suggestion: known, at: .field("@type"))
        }
        writer.delimited(1, url.utf8)
        let start = writer.open(2)
        if WellKnown.isKnown(name), name != "google.protobuf.Empty" {
            // These have no object to put the fields beside @type, hence "value".
            if let extra = members.first(where: { $0.key != "@type" && $0.key != "value" }) {
                throw error(found: "an unknown field", allowed: "@type and value", at: .field(extra.key))
            }
            path.push(.field("value"))
            try body(value["value"] ?? .null, type: name)
            path.pop()
        } else {
            try body(.object(members.filter { $0.key != "@type" }), type: name)
        }
        writer.close(start)
    }

    private mutating func structure(_ value: ConfigValue) throws(ConfigError) {
        guard case .object(let members) = value else { throw error(found: value.summary, allowed: "an object") }
        for member in members {
            path.push(.key(member.key))
            let start = writer.open(1)
            writer.delimited(1, member.key.utf8)
            let inner = writer.open(2)
            try body(member.value, type: "google.protobuf.Value")
            writer.close(inner)
            writer.close(start)
            path.pop()
        }
    }

    private mutating func structValue(_ value: ConfigValue) throws(ConfigError) {
        switch value {
        case .null:
            writer.tag(1, 0)
            writer.varint(0)
        case .number: try single(.scalar(.double), number: 2, value, writesDefault: true)
        case .string: try single(.scalar(.string), number: 3, value, writesDefault: true)
        case .bool: try single(.scalar(.bool), number: 4, value, writesDefault: true)
        case .object: try single(.message("google.protobuf.Struct"), number: 5, value, writesDefault: true)
        case .array: try single(.message("google.protobuf.ListValue"), number: 6, value, writesDefault: true)
        }
    }

    private mutating func list(_ items: [ConfigValue]) throws(ConfigError) {
        for (index, item) in items.enumerated() {
            path.push(.index(index))
            try single(.message("google.protobuf.Value"), number: 1, item, writesDefault: true)
            path.pop()
        }
    }
}
