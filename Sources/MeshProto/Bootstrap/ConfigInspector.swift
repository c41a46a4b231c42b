// SPDX-License-Identifier: Apache-2.0

/// Walks a message by the schema of the whole API and does two things at once: enforces the rules Envoy validates,
/// and reports what is set but not honoured. It sees the merged message, so that a field the overlay gives satisfies
/// a rule.
package struct ConfigInspector {
    let transcoder: Transcoder
    let source: String
    private var path = FieldPath()
    private var prefix = ""
    private(set) package var unsupported: [UnsupportedField] = []
    private var depth = 0

    package init(transcoder: Transcoder, source: String) {
        self.transcoder = transcoder
        self.source = source
    }

    /// Inspects one message; call again for more, rows add up.
    ///
    /// - Throws: `ConfigError` for the first rule that is broken.
    package mutating func inspect(_ wire: [UInt8], type: String, path: String = "") throws(ConfigError) {
        let outer = (self.path, prefix)
        (self.path, prefix) = (FieldPath(), path)
        defer { (self.path, prefix) = outer }
        try message(wire, [0..<wire.count], type: type, reports: true)
    }

    private func fullPath(_ step: FieldPath.Step? = nil) -> String {
        let text = path.text(step)
        if prefix.isEmpty { return text }
        return text.isEmpty || text.hasPrefix("[") ? prefix + text : prefix + "." + text
    }

    private func error(found: String, allowed: String, at step: FieldPath.Step? = nil) -> ConfigError {
        ConfigError(source: source, path: fullPath(step), found: found, allowed: allowed)
    }

    private func read(_ document: [UInt8], _ ranges: [Range<Int>]) throws(ConfigError) -> WireMessage {
        do {
            return try WireMessage(document, ranges: ranges)
        } catch {
            throw self.error(found: "bytes that do not decode", allowed: "a serialized message")
        }
    }

    private mutating func message(_ document: [UInt8], _ ranges: [Range<Int>], type: String, reports: Bool)
        throws(ConfigError)
    {
        guard let schema = transcoder.schema.message(type) else { return }
        depth += 1
        defer { depth -= 1 }
        if depth > ConfigLimit.depth {
            throw error(found: "more", allowed: "at most \(ConfigLimit.depth) levels of nesting")
        }
        var message = try read(document, ranges)
        message.settleOneofs(schema)
        for field in schema.fields {
            let values = message.values(field.number)
            if values.isEmpty && field.rules.isEmpty { continue }
            path.push(.field(field.name))
            try rules(field, values, document)
            if !values.isEmpty {
                let isNews = reports && !field.isHonoured
                if isNews { report(field, values, document, of: schema) }
                try descend(field, values, document, reports: reports && field.isHonoured)
            }
            path.pop()
        }
        for oneof in schema.oneofs where oneof.isRequired {
            if message.fields.contains(where: { schema.field(number: $0.number)?.oneof == oneof.name }) { continue }
            let members = schema.fields.filter { $0.oneof == oneof.name }.map(\.name)
            throw error(found: "no \(oneof.name)", allowed: "one of \(WireEncoder.list(members))")
        }
    }

    private mutating func descend(_ field: FieldSchema, _ values: [WireValue], _ document: [UInt8], reports: Bool)
        throws(ConfigError)
    {
        let ranges = WireMessage.ranges(values)
        switch field.type {
        case .message(let name) where field.isRepeated:
            for (index, range) in ranges.enumerated() {
                path.push(.index(index))
                try inner(document, [range], type: name, reports: reports)
                path.pop()
            }
        case .message(let name): try inner(document, ranges, type: name, reports: reports)
        case .map(let key, .message(let name)):
            for range in ranges {
                let entry = try read(document, [range])
                path.push(.key(keyText(key, entry)))
                try inner(document, entry.ranges(2), type: name, reports: reports)
                path.pop()
            }
        default: break
        }
    }

    private func keyText(_ key: ScalarType, _ entry: WireMessage) -> String {
        let printer = JSONPrinter(schema: transcoder.schema, isPretty: false, redactsSensitive: false)
        return (try? printer.mapKey(key, entry.values(1).last, entry.document)) ?? ""
    }

    private mutating func inner(_ document: [UInt8], _ ranges: [Range<Int>], type: String, reports: Bool)
        throws(ConfigError)
    {
        if type == "google.protobuf.Any" {
            try any(try read(document, ranges), reports: reports)
        } else if !type.hasPrefix("google.protobuf.") {
            try message(document, ranges, type: type, reports: reports)
        }
    }

    private mutating func any(_ any: WireMessage, reports: Bool) throws(ConfigError) {
        guard let urlRange = any.ranges(1).last else { return }
        let url = String(decoding: any.document[urlRange], as: UTF8.self)
        let name = TypeURL.messageName(url)
        let content = any.ranges(2).last ?? 0..<0
        if TypeURL.isTypedStruct(name) { return try typedStruct(url, Array(any.document[content]), reports: reports) }
        if name.hasPrefix("google.protobuf.") { return }
        let schema = transcoder.schema.message(name)
        let isHonoured = schema?.isDeclared ?? false
        if reports, !isHonoured { report(type: name, url: url) }
        try message(any.document, [content], type: name, reports: reports && isHonoured)
    }

    private mutating func typedStruct(_ url: String, _ wire: [UInt8], reports: Bool) throws(ConfigError) {
        guard let unwrapped = try transcoder.unwrappedStruct(typeURL: url, wire: wire, source: source, path: fullPath())
        else {
            let named = (try? WireMessage(wire, ranges: [0..<wire.count]))?.ranges(1).last
            let inner = named.map { String(decoding: wire[$0], as: UTF8.self) } ?? ""
            if reports { report(type: TypeURL.messageName(inner), url: inner) }
            return
        }
        let isHonoured = transcoder.schema.message(unwrapped.type)?.isDeclared ?? false
        if reports, !isHonoured { report(type: unwrapped.type, url: "type.googleapis.com/" + unwrapped.type) }
        if reports, isHonoured { unsupported += unwrapped.unknown }
        let outer = (path, prefix)
        prefix = fullPath(.field("value"))
        path = FieldPath()
        defer { (path, prefix) = outer }
        try message(unwrapped.wire, [0..<unwrapped.wire.count], type: unwrapped.type, reports: reports && isHonoured)
    }

    // MARK: report

    private mutating func report(type: String, url: String) {
        unsupported.append(
            UnsupportedField(
                path: fullPath(), value: ConfigValue.cut(url), severity: SeverityTable.severity(type: type),
                reason: "the extension is not supported"))
    }

    private mutating func report(
        _ field: FieldSchema, _ values: [WireValue], _ document: [UInt8], of message: MessageSchema
    ) {
        unsupported.append(
            UnsupportedField(
                path: fullPath(), value: summary(field, values, document),
                severity: SeverityTable.severity(field: field.name, of: message.name),
                reason: "the field is not supported"))
    }

    /// Short and without secrets: of a message only the names of its fields.
    private func summary(_ field: FieldSchema, _ values: [WireValue], _ document: [UInt8]) -> String {
        if field.isSensitive { return "[redacted]" }
        switch field.type {
        case .map: return "\(values.count) entries"
        case .message(let name) where !field.isRepeated && !name.hasPrefix("google.protobuf."):
            guard let inner = try? WireMessage(document, ranges: WireMessage.ranges(values)) else { return "{}" }
            let schema = transcoder.schema.message(name)
            return "{" + inner.fields.compactMap { schema?.field(number: $0.number)?.name }.joined(separator: ", ")
                + "}"
        case .message where field.isRepeated: return "a list of \(values.count)"
        case .message("google.protobuf.Any"):
            let url = (try? WireMessage(document, ranges: WireMessage.ranges(values)))?.ranges(1).last
            return url.map { ConfigValue.cut(String(decoding: document[$0], as: UTF8.self)) } ?? "{}"
        case .message("google.protobuf.Struct"), .message("google.protobuf.Value"),
            .message("google.protobuf.ListValue"):
            return "{…}"
        default:
            if field.isRepeated { return "a list" }
            var printer = JSONPrinter(schema: transcoder.schema, isPretty: false, redactsSensitive: true)
            do {
                if case .message(let name) = field.type {
                    try printer.message(document, WireMessage.ranges(values), type: name)
                } else if let value = values.last {
                    try printer.scalar(field.type, value, document)
                }
            } catch { return "" }
            return ConfigValue.cut(String(decoding: printer.out, as: UTF8.self))
        }
    }

    // MARK: rules

    private mutating func rules(_ field: FieldSchema, _ values: [WireValue], _ document: [UInt8]) throws(ConfigError) {
        if field.rules.isEmpty { return }
        // In a oneof "required" holds for the member that is set, and a set member is there.
        if values.isEmpty, field.oneof == nil, field.fieldRules.contains(where: { $0.check == .required }) {
            throw error(found: "nothing", allowed: "a value, for the field is required")
        }
        if case .map(let key, let value) = field.type {
            return try mapRules(field, key, value, WireMessage.ranges(values), document)
        }
        guard field.isRepeated else {
            // Without presence an absent scalar is its default, and the rules hold for that too.
            let isWrapped = if case .message = field.type { true } else { false }
            guard let value = values.last ?? (field.hasPresence || isWrapped ? nil : field.type.defaultValue) else {
                return
            }
            return try check(field.rules, .field, field.type, value, WireMessage.ranges(values), document)
        }
        let elements = try expanded(field, values, document)
        try count(field.rules, elements.count)
        for (index, value) in elements.enumerated() {
            path.push(.index(index))
            try check(field.rules, .each, field.type, value, WireMessage.ranges([value]), document)
            path.pop()
        }
        if field.rules.contains(where: { $0.check == .unique }) {
            var seen: Set<[UInt8]> = []
            for (index, value) in elements.enumerated() {
                var writer = WireWriter()
                switch value {
                case .varint(let bits), .fixed64(let bits): writer.fixed64(bits)
                case .fixed32(let bits): writer.fixed32(bits)
                case .delimited(let range): writer.delimited(1, document[range])
                }
                if !seen.insert(writer.bytes).inserted {
                    throw error(found: "a value twice", allowed: "each once", at: .index(index))
                }
            }
        }
    }

    /// The elements of a repeated field, packed records taken apart.
    private func expanded(_ field: FieldSchema, _ values: [WireValue], _ document: [UInt8]) throws(ConfigError)
        -> [WireValue]
    {
        guard field.type.isPackable else { return values }
        var out: [WireValue] = []
        for value in values {
            guard case .delimited(let range) = value else {
                out.append(value)
                continue
            }
            var reader = WireReader(document, range)
            do {
                while !reader.isAtEnd { out.append(try reader.unpacked(field.type)) }
            } catch {
                throw self.error(found: "bytes that do not decode", allowed: "packed values")
            }
        }
        return out
    }

    private mutating func mapRules(
        _ field: FieldSchema, _ key: ScalarType, _ type: FieldType, _ entries: [Range<Int>], _ document: [UInt8]
    ) throws(ConfigError) {
        try count(field.rules, entries.count)
        for range in entries {
            let entry = try read(document, [range])
            path.push(.key(keyText(key, entry)))
            let keyType = FieldType.scalar(key)
            try check(field.rules, .key, keyType, entry.values(1).last ?? keyType.defaultValue, [], document)
            try check(field.rules, .value, type, entry.values(2).last ?? type.defaultValue, entry.ranges(2), document)
            path.pop()
        }
    }

    private func count(_ rules: [ValidationRule], _ count: Int) throws(ConfigError) {
        for rule in rules where rule.scope == .field {
            switch rule.check {
            case .minItems(let least) where count < least, .minPairs(let least) where count < least:
                throw error(found: count == 0 ? "nothing" : "\(count) elements", allowed: "at least \(least)")
            case .maxItems(let most) where count > most, .maxPairs(let most) where count > most:
                throw error(found: "\(count) elements", allowed: "at most \(most)")
            default: break
            }
        }
    }

    private func check(
        _ rules: [ValidationRule], _ scope: ValidationRule.Scope, _ type: FieldType, _ value: WireValue,
        _ ranges: [Range<Int>],
        _ document: [UInt8]
    ) throws(ConfigError) {
        guard let subject = RuleSubject(type, value, ranges, document, transcoder.schema) else { return }
        let scoped = rules.filter { $0.scope == scope }
        if subject.isEmpty, scoped.contains(where: { $0.check == .ignoreEmpty }) { return }
        for rule in scoped {
            if let allowed = subject.violation(of: rule.check) { throw error(found: subject.text, allowed: allowed) }
        }
    }
}
