// SPDX-License-Identifier: Apache-2.0

/// A value as the validation rules see it: text, a number, or an enum's number.
struct RuleSubject {
    private enum Content {
        case text([UInt8], Range<Int>)
        case flag(Bool)
        case number(Double)
        case integer(String)
        case duration(seconds: Int64, nanos: Int32)
        case enumeration(Int32, EnumSchema?)
    }

    private let content: Content

    /// Nil for messages other than wrappers and durations, to which no rule of this kind applies.
    init?(_ type: FieldType, _ value: WireValue, _ ranges: [Range<Int>], _ document: [UInt8], _ schema: Schema) {
        switch (type, value) {
        case (.message("google.protobuf.Duration"), _):
            guard let message = try? WireMessage(document, ranges: ranges),
                let (seconds, nanos) = try? message.secondsAndNanos()
            else { return nil }
            content = .duration(seconds: seconds, nanos: nanos)
        case (.message(let name), _):
            guard let scalar = WellKnown.wrapped(name), let message = try? WireMessage(document, ranges: ranges) else {
                return nil
            }
            let inner = FieldType.scalar(scalar)
            guard let subject = RuleSubject(inner, message.values(1).last ?? inner.defaultValue, [], document, schema)
            else { return nil }
            content = subject.content
        case (.scalar(.string), .delimited(let range)), (.scalar(.bytes), .delimited(let range)):
            content = .text(document, range)
        case (.enumeration(let name), .varint(let bits)):
            content = .enumeration(Int32(truncatingIfNeeded: bits), schema.enumeration(name))
        case (.scalar(.bool), .varint(let bits)): content = .flag(bits != 0)
        case (.scalar(.double), .fixed64(let bits)): content = .number(Double(bitPattern: bits))
        case (.scalar(.float), .fixed32(let bits)): content = .number(Double(Float(bitPattern: bits)))
        case (.scalar(let scalar), .varint(let bits)), (.scalar(let scalar), .fixed64(let bits)):
            content = .integer(JSONPrinter.integer(scalar, bits))
        case (.scalar(let scalar), .fixed32(let bits)): content = .integer(JSONPrinter.integer(scalar, UInt64(bits)))
        default: return nil
        }
    }

    /// How an error shows the value.
    var text: String {
        switch content {
        case .text(let document, let range):
            range.isEmpty ? "nothing" : "\"\(ConfigValue.cut(String(decoding: document[range], as: UTF8.self)))\""
        case .flag(let flag): "\(flag)"
        case .number(let value): JSONPrinter.digits(value, "\(value)")
        case .integer(let digits): digits
        case .duration(let seconds, let nanos): WellKnown.durationText(seconds: seconds, nanos: nanos)
        case .enumeration(let number, let schema): schema?.name(of: number) ?? String(number)
        }
    }

    var isEmpty: Bool {
        switch content {
        case .text(_, let range): range.isEmpty
        case .flag(let flag): !flag
        case .number(let value): value == 0
        case .integer(let digits): digits == "0"
        case .duration, .enumeration: false
        }
    }

    /// What the rule allows, if the value breaks it.
    func violation(of check: ValidationRule.Check) -> String? {
        switch content {
        case .text(let document, let range):
            // The commonest rule by far, decided without making a string.
            if check == .minLength(1) { return range.isEmpty ? "at least 1 character" : nil }
            return textViolation(check, String(decoding: document[range], as: UTF8.self), range.count)
        case .flag(let flag): return numberViolation(check, flag ? 1 : 0, unit: "")
        case .number(let value): return numberViolation(check, value, unit: "")
        case .integer(let digits): return numberViolation(check, Double(digits) ?? 0, unit: "")
        case .duration(let seconds, let nanos):
            return numberViolation(check, Double(seconds) + Double(nanos) / 1e9, unit: "s")
        case .enumeration(let number, let schema): return enumViolation(check, number, schema)
        }
    }

    private func textViolation(_ check: ValidationRule.Check, _ string: String, _ byteCount: Int) -> String? {
        let scalars = string.unicodeScalars
        switch check {
        case .minLength(let least):
            return scalars.count < least ? "at least \(least) character\(least == 1 ? "" : "s")" : nil
        case .maxLength(let most): return scalars.count > most ? "at most \(most) characters" : nil
        case .minBytes(let least): return byteCount < least ? "at least \(least) byte\(least == 1 ? "" : "s")" : nil
        case .maxBytes(let most): return byteCount > most ? "at most \(most) bytes" : nil
        case .prefix(let prefix): return string.hasPrefix(prefix) ? nil : "text that begins with \"\(prefix)\""
        case .oneOf(let names):
            return names.contains(string) ? nil : "one of \(WireEncoder.list(names.map { "\"\($0)\"" }))"
        case .pathSeparatedPrefix:
            let isAllowed =
                byteCount > 1 && !string.utf8.contains { $0 == UInt8(ascii: "?") || $0 == UInt8(ascii: "#") }
                && !string.hasSuffix("/")
            return isAllowed ? nil : "a path of two characters or more without ? and #, not ending in /"
        case .headerName(let isStrict):
            let isAllowed = isStrict ? Self.isHeaderName(string) : Self.isOneLine(string)
            return isAllowed ? nil : "a header name"
        case .headerValue(let isStrict):
            let isAllowed =
                isStrict
                ? scalars.allSatisfy { ($0.value >= 32 || $0 == "\t") && $0.value != 127 } : Self.isOneLine(string)
            return isAllowed ? nil : "a header value without control characters"
        default: return nil
        }
    }

    private static func isOneLine(_ string: String) -> Bool {
        !string.utf8.contains { $0 == 0 || $0 == 10 || $0 == 13 }
    }

    /// A token of RFC 9110 §5.6.2, with the colon of a pseudo header before it allowed.
    private static func isHeaderName(_ string: String) -> Bool {
        let token = string.utf8.first == UInt8(ascii: ":") ? string.utf8.dropFirst() : string.utf8[...]
        let marks = Array("!#$%&'*+-.^_|~`".utf8)
        return !token.isEmpty
            && token.allSatisfy {
                (0x30...0x39).contains($0) || (0x41...0x5A).contains($0) || (0x61...0x7A).contains($0)
                    || marks.contains($0)
            }
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
        case .oneOf(let numbers):
            return numbers.contains { Double($0) == value } ? nil : "one of \(WireEncoder.list(numbers))"
        default: return nil
        }
    }

    private func enumViolation(_ check: ValidationRule.Check, _ number: Int32, _ schema: EnumSchema?) -> String? {
        func names(_ numbers: [String]) -> String {
            WireEncoder.list(numbers.map { text in Int32(text).flatMap { schema?.name(of: $0) } ?? text })
        }
        switch check {
        case .definedOnly:
            return schema?.name(of: number) != nil ? nil : WireEncoder.list(schema?.values.map(\.name) ?? [])
        case .constant(let text): return text == String(number) ? nil : names([text])
        case .oneOf(let numbers): return numbers.contains(String(number)) ? nil : "one of \(names(numbers))"
        case .noneOf(let numbers): return numbers.contains(String(number)) ? "anything but \(names(numbers))" : nil
        default: return nil
        }
    }
}
