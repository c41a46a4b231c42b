// SPDX-License-Identifier: Apache-2.0

/// Prints a message as `Transcoder.json` does, a piece at a time, so that whoever prints a large one can do other things in
/// between.
///
/// A message, or an `Any` of a known one, whose wire form is longer than `wholeLimit` is walked field by field and element by
/// element; a shorter one is printed in one go. So a piece is as long as one such message or value at most, however long the whole.
package struct JSONPieces {
    /// Messages up to this length are printed in one go. - Unit: bytes of wire form.
    private static let wholeLimit = 32 << 10
    /// Levels that a caller may put around a configuration that is as deep as allowed.
    private static let wrapping = 8

    /// What is open: a message whose next field comes, or a list whose next element comes.
    private enum Frame {
        case message(MessageSchema, [WireMessage.Field], next: Int)
        case list(String, [Range<Int>], next: Int)
    }

    private var printer: JSONPrinter
    private let document: [UInt8]
    private var frames: [Frame] = []

    /// - Throws: `ConfigError` if the bytes are no such message.
    package init(
        _ transcoder: Transcoder, wire: [UInt8], type: String, pretty: Bool = true, redactsSensitive: Bool = true
    ) throws(ConfigError) {
        printer = JSONPrinter(schema: transcoder.schema, isPretty: pretty, redactsSensitive: redactsSensitive)
        printer.depth = -JSONPieces.wrapping
        document = wire
        do {
            try begin(type, [0..<wire.count])
        } catch {
            throw ConfigError(source: type, path: "", found: "bytes that do not decode", allowed: "a serialized message")
        }
    }

    /// Appends the next piece of about `length` bytes.
    ///
    /// - Returns: whether more follows. Bytes that turn out to be malformed end the text where they are.
    package mutating func next(into output: inout [UInt8], length: Int = 64 << 10) -> Bool {
        do {
            while printer.out.count < length, !frames.isEmpty { try step() }
        } catch {
            frames = []
        }
        output += printer.takeOutput()
        return !frames.isEmpty
    }

    private mutating func step() throws(MalformedWire) {
        switch frames.removeLast() {
        case .message(let schema, let fields, let next):
            guard next < fields.count else {
                printer.close("}")
                printer.depth -= 1
                return
            }
            frames.append(.message(schema, fields, next: next + 1))
            guard let field = schema.field(number: fields[next].number) else { return }
            try begin(field, fields[next].values)
        case .list(let type, let elements, let next):
            guard next < elements.count else { return printer.close("]") }
            frames.append(.list(type, elements, next: next + 1))
            printer.element()
            try begin(type, [elements[next]])
        }
    }

    private mutating func begin(_ field: FieldSchema, _ values: [WireValue]) throws(MalformedWire) {
        let ranges = WireMessage.ranges(values)
        // Redaction spans a whole field, which its own walk knows how to do.
        guard case .message(let type) = field.type, !field.isSensitive, JSONPieces.isLong(ranges) else {
            return try printer.field(field, values, document)
        }
        printer.element(field.name)
        guard field.isRepeated else { return try begin(type, ranges) }
        printer.open("[")
        frames.append(.list(type, ranges, next: 0))
    }

    private mutating func begin(_ type: String, _ ranges: [Range<Int>]) throws(MalformedWire) {
        guard JSONPieces.isLong(ranges) else { return try printer.message(document, ranges, type: type) }
        var content = ranges
        var name = type
        var url: String?
        if type == "google.protobuf.Any" {
            let any = try WireMessage(document, ranges: ranges)
            let text = any.ranges(1).last.map { String(decoding: document[$0], as: UTF8.self) } ?? ""
            url = text
            name = TypeURL.messageName(text)
            content = any.ranges(2).suffix(1)
        }
        guard !name.hasPrefix("google.protobuf."), let schema = printer.schema.message(name) else {
            return try printer.message(document, ranges, type: type)
        }
        printer.depth += 1
        if printer.depth > ConfigLimit.depth { throw MalformedWire() }
        printer.open("{")
        if let url {
            printer.element("@type")
            printer.string(url)
        }
        var message = try WireMessage(document, ranges: content)
        message.settleOneofs(schema)
        frames.append(.message(schema, message.fields, next: 0))
    }

    private static func isLong(_ ranges: [Range<Int>]) -> Bool {
        ranges.reduce(0) { $0 + $1.count } > wholeLimit
    }
}
