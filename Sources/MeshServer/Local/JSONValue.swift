// SPDX-License-Identifier: Apache-2.0
import MeshProto

/// A JSON value to print; members keep their order.
indirect enum JSONValue: Equatable, Sendable {
    case object([Member])
    case array([JSONValue])
    case string(String)
    /// Printed as it stands.
    case number(String)
    case bool(Bool)

    struct Member: Equatable, Sendable {
        let name: String
        let value: JSONValue

        init(_ name: String, _ value: JSONValue) {
            self.name = name
            self.value = value
        }
    }

    static func integer(_ value: some BinaryInteger) -> JSONValue { .number(String(value)) }

    /// Text as Envoy's admin prints JSON: one blank of indentation per level, a line feed at the end.
    var text: String {
        var output = ""
        append(to: &output, indent: 0)
        return output + "\n"
    }

    private func append(to output: inout String, indent: Int) {
        switch self {
        case .string(let text): JSONValue.appendQuoted(text, to: &output)
        case .number(let text): output += text
        case .bool(let value): output += value ? "true" : "false"
        case .array(let values):
            if values.isEmpty { output += "[]"; return }
            output += "[\n"
            for (index, value) in values.enumerated() {
                output += String(repeating: " ", count: indent + 1)
                value.append(to: &output, indent: indent + 1)
                output += index + 1 < values.count ? ",\n" : "\n"
            }
            output += String(repeating: " ", count: indent) + "]"
        case .object(let members):
            if members.isEmpty { output += "{}"; return }
            output += "{\n"
            for (index, member) in members.enumerated() {
                output += String(repeating: " ", count: indent + 1)
                JSONValue.appendQuoted(member.name, to: &output)
                output += ": "
                member.value.append(to: &output, indent: indent + 1)
                output += index + 1 < members.count ? ",\n" : "\n"
            }
            output += String(repeating: " ", count: indent) + "}"
        }
    }

    private static func appendQuoted(_ text: String, to output: inout String) {
        output += "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": output += "\\\""
            case "\\": output += "\\\\"
            case "\n": output += "\\n"
            case "\r": output += "\\r"
            case "\t": output += "\\t"
            default:
                if scalar.value < 0x20 {
                    let hex = String(scalar.value, radix: 16)
                    output += "\\u" + String(repeating: "0", count: 4 - hex.utf8.count) + hex
                } else {
                    output.unicodeScalars.append(scalar)
                }
            }
        }
        output += "\""
    }
}

extension JSONValue {
    /// A message of free form, members by name.
    init(_ structure: Google_Protobuf_Struct) {
        self = .object(structure.fields.sorted { $0.key < $1.key }.map { Member($0.key, JSONValue($0.value)) })
    }

    private init(_ value: Google_Protobuf_Value) {
        switch value.kind {
        case .stringValue(let text)?: self = .string(text)
        case .numberValue(let number)?: self = .number(Int64(exactly: number).map { "\($0)" } ?? "\(number)")
        case .boolValue(let flag)?: self = .bool(flag)
        case .structValue(let inner)?: self = JSONValue(inner)
        case .listValue(let list)?: self = .array(list.values.map { JSONValue($0) })
        case .nullValue?, nil: self = .number("null")
        }
    }
}
