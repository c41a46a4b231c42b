// SPDX-License-Identifier: Apache-2.0

/// A value as the validation rules see it: text, a number, or an enum's number.
struct RuleSubject {
    private enum Content {
        case text(String, byteCount: Int)
        case number(Double)
        case duration(Double)
        case enumeration(Int32, EnumSchema?)
    }

    private let content: Content
    /// How an error shows the value.
    let text: String

    /// Nil for messages other than wrappers and durations, to which no rule of this kind applies.
    init?(_ type: FieldType, _ value: WireValue, _ ranges: [Range<Int>], _ document: [UInt8], _ schema: Schema) {
        switch (type, value) {
        case (.message("google.protobuf.Duration"), _):
            guard let message = try? WireMessage(document, ranges: ranges), let (seconds, nanos) = try? message.secondsAndNanos() else { return nil }
            content = .duration(Double(seconds) + Double(nanos) / 1e9)
            text = WellKnown.durationText(seconds: seconds, nanos: nanos)
        case (.message(let name), _):
            guard let scalar = WellKnown.wrapped(name), let message = try? WireMessage(document, ranges: ranges) else { return nil }
            let inner = FieldType.scalar(scalar)
            guard let subject = RuleSubject(inner, message.values(1).last ?? inner.defaultValue, [], document, schema) else { return nil }
            content = subject.content
            text = subject.text
        case (.scalar(.string), .delimited(let range)), (.scalar(.bytes), .delimited(let range)):
            let string = String(decoding: document[range], as: UTF8.self)
            content = .text(string, byteCount: range.count)
            text = range.isEmpty ? "nothing" : "\"\(ConfigValue.cut(string))\""
        case (.enumeration(let name), .varint(let bits)):
            let number = Int32(truncatingIfNeeded: bits)
            let known = schema.enumeration(name)
            content = .enumeration(number, known)
            text = known?.name(of: number) ?? String(number)
        case (.scalar(.bool), .varint(let bits)):
            content = .number(bits == 0 ? 0 : 1)
            text = bits == 0 ? "false" : "true"
        case (.scalar(.double), .fixed64(let bits)):
            content = .number(Double(bitPattern: bits))
            text = "\(Double(bitPattern: bits))"
        case (.scalar(.float), .fixed32(let bits)):
            content = .number(Double(Float(bitPattern: bits)))
            text = "\(Float(bitPattern: bits))"
        case (.scalar(let scalar), .varint(let bits)), (.scalar(let scalar), .fixed64(let bits)):
            text = JSONPrinter.integer(scalar, bits)
            content = .number(Double(text) ?? 0)
        case (.scalar(let scalar), .fixed32(let bits)):
            text = JSONPrinter.integer(scalar, UInt64(bits))
            content = .number(Double(text) ?? 0)
        default: return nil
        }
    }

    var isEmpty: Bool {
        switch content {
        case .text(_, let count): count == 0
        case .number(let value): value == 0
        default: false
        }
    }

    /// What the rule allows, if the value breaks it.
    func violation(of check: ValidationRule.Check) -> String? {
        switch content {
        case .text(let string, let byteCount): textViolation(check, string, byteCount)
        case .number(let value): numberViolation(check, value, unit: "")
        case .duration(let value): numberViolation(check, value, unit: "s")
        case .enumeration(let number, let schema): enumViolation(check, number, schema)
        }
    }

    private func textViolation(_ check: ValidationRule.Check, _ string: String, _ byteCount: Int) -> String? {
        let scalars = string.unicodeScalars
        switch check {
        case .minLength(let least): return scalars.count < least ? "at least \(least) character\(least == 1 ? "" : "s")" : nil
        case .maxLength(let most): return scalars.count > most ? "at most \(most) characters" : nil
        case .minBytes(let least): return byteCount < least ? "at least \(least) byte\(least == 1 ? "" : "s")" : nil
        case .maxBytes(let most): return byteCount > most ? "at most \(most) bytes" : nil
        case .prefix(let prefix): return string.hasPrefix(prefix) ? nil : "text that begins with \"\(prefix)\""
        case .oneOf(let names): return names.contains(string) ? nil : "one of \(WireEncoder.list(names.map { "\"\($0)\"" }))"
        case .headerName(let isStrict):
            let isAllowed = isStrict ? Self.isHeaderName(string) : !string.isEmpty && Self.isOneLine(string)
            return isAllowed ? nil : "a header name"
        case .headerValue(let isStrict):
            let isAllowed = isStrict ? scalars.allSatisfy { ($0.value >= 32 || $0 == "\t") && $0.value != 127 } : Self.isOneLine(string)
            return isAllowed ? nil : "a header value without control characters"
        default: return nil
        }
    }

    private static func isOneLine(_ string: String) -> Bool { !string.utf8.contains { $0 == 0 || $0 == 10 || $0 == 13 } }

    /// A token of RFC 9110 §5.6.2, with the colon of a pseudo header before it allowed.
    private static func isHeaderName(_ string: String) -> Bool {
        let token = string.utf8.first == UInt8(ascii: ":") ? string.utf8.dropFirst() : string.utf8[...]
        let marks = Array("!#$%&'*+-.^_|~`".utf8)
        return !token.isEmpty
            && token.allSatisfy { (0x30...0x39).contains($0) || (0x41...0x5A).contains($0) || (0x61...0x7A).contains($0) || marks.contains($0) }
    }

    private func numberViolation(_ check: ValidationRule.Check, _ value: Double, unit: String) -> String? {
        func shown(_ bound: Double) -> String { JSONPrinter.digits(bound, "\(bound)") + unit }
        switch check {
        case .greater(let bound): return value > bound ? nil : "more than \(shown(bound))"
        case .greaterOrEqual(let bound): return value >= bound ? nil : "at least \(shown(bound))"
        case .less(let bound): return value < bound ? nil : "less than \(shown(bound))"
        case .lessOrEqual(let bound): return value <= bound ? nil : "at most \(shown(bound))"
        case .constant("true"): return value == 1 ? nil : "true"
        case .constant("false"): return value == 0 ? nil : "false"
        case .constant(let text): return Double(text) == value ? nil : text
        case .oneOf(let numbers): return numbers.contains { Double($0) == value } ? nil : "one of \(WireEncoder.list(numbers))"
        default: return nil
        }
    }

    private func enumViolation(_ check: ValidationRule.Check, _ number: Int32, _ schema: EnumSchema?) -> String? {
        func names(_ numbers: [String]) -> String {
            WireEncoder.list(numbers.map { text in Int32(text).flatMap { schema?.name(of: $0) } ?? text })
        }
        switch check {
        case .definedOnly: return schema?.name(of: number) != nil ? nil : WireEncoder.list(schema?.values.map(\.name) ?? [])
        case .constant(let text): return text == String(number) ? nil : names([text])
        case .oneOf(let numbers): return numbers.contains(String(number)) ? nil : "one of \(names(numbers))"
        case .noneOf(let numbers): return numbers.contains(String(number)) ? "anything but \(names(numbers))" : nil
        default: return nil
        }
    }
}
