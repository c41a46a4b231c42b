// SPDX-License-Identifier: Apache-2.0
import MeshHTTP

// JSON formats: the same segments as text, of which some are values that bring their own quotes.
extension FormatTemplate {
    /// Compiles a JSON format into one flat template, its line feed included.
    ///
    /// - Throws: `FormatError` of a text in it.
    static func compile(
        json: JSONFormatNode, omitsEmpty: Bool, extensions: Set<FormatCommand>
    ) throws(FormatError) -> FormatTemplate {
        var compiler = JSONFormatCompiler(omitsEmpty: omitsEmpty, extensions: extensions)
        try compiler.add(json)
        compiler.literal("\n")
        compiler.endLiteral()
        // The source is what equality goes by.
        return FormatTemplate(source: "\(omitsEmpty) \(json)", segments: compiler.segments, text: compiler.text, expressions: compiler.expressions)
    }

    /// Appends the line of a template that `compile(json:…)` made.
    package func writeJSON(to sink: ByteSink, context: some FormatContext, omitsEmpty: Bool) {
        var memberStart = sink.count
        for index in 0..<segments.count {
            let segment = segments.baseAddress.unsafelyUnwrapped + index
            switch segment.pointee.role {
            case .plain: sink.append(slice(segment.pointee.first))
            case .member:
                memberStart = sink.count
                if sink.last != UInt8(ascii: "{"), sink.last != UInt8(ascii: "[") { sink.append(UInt8(ascii: ",")) }
                sink.append(slice(segment.pointee.first))
            case .close:
                // As Envoy: of an object or list that has come out empty nothing is left, with its key and comma.
                let isEmpty = sink.last == UInt8(ascii: "{") || sink.last == UInt8(ascii: "[")
                guard isEmpty, segment.pointee.second.count > 0 else {
                    sink.append(slice(segment.pointee.first))
                    continue
                }
                sink.truncate(to: sink.count - Int(segment.pointee.second.count))
                if sink.last == UInt8(ascii: ",") { sink.truncate(to: sink.count - 1) }
            case .part:
                let start = sink.count
                if !appendValue(segment, context, to: sink), !omitsEmpty { sink.append(UInt8(ascii: "-")) }
                shorten(segment, from: start, in: sink)
                sink.escapeJSON(from: start)
            case .value:
                if appendJSON(segment, context, to: sink) { continue }
                if omitsEmpty { sink.truncate(to: memberStart) } else { sink.append("null") }
            }
        }
    }

    /// A value that keeps its type; false, with nothing appended, when there is none.
    private func appendJSON(
        _ segment: UnsafeMutablePointer<FormatSegment>, _ context: some FormatContext, to sink: ByteSink
    ) -> Bool {
        if case .command(let command) = segment.pointee.kind {
            let argument = slice(segment.pointee.first)
            switch command.valueKind(argument) {
            case .number: return context.append(command, argument: argument, to: sink)
            case .structured: return context.appendMetadata(command, argument: argument, quotes: true, to: sink)
            case .text: break
            }
        }
        if segment.pointee.kind == .expression(isTyped: true) { return expression(segment).appendJSON(context, to: sink) }
        let start = sink.count
        sink.append(UInt8(ascii: "\""))
        guard appendValue(segment, context, to: sink) else {
            sink.truncate(to: start)
            return false
        }
        shorten(segment, from: start + 1, in: sink)
        sink.escapeJSON(from: start + 1)
        sink.append(UInt8(ascii: "\""))
        return true
    }

    private func shorten(_ segment: UnsafeMutablePointer<FormatSegment>, from start: Int, in sink: ByteSink) {
        if segment.pointee.maxLength >= 0 { sink.truncate(to: start + Int(segment.pointee.maxLength)) }
    }
}

/// Turns a JSON format into segments and their text.
private struct JSONFormatCompiler {
    let omitsEmpty: Bool
    let extensions: Set<FormatCommand>
    var segments: [FormatSegment] = []
    var text: [UInt8] = []
    var expressions: [CELProgram] = []
    private var literalStart = 0

    init(omitsEmpty: Bool, extensions: Set<FormatCommand>) {
        self.omitsEmpty = omitsEmpty
        self.extensions = extensions
    }

    mutating func literal(_ bytes: String) { text += Array(bytes.utf8) }

    mutating func endLiteral() {
        if text.count > literalStart {
            var segment = FormatSegment(kind: .literal)
            segment.first = FormatSegment.TextRange(
                start: UInt32(literalStart), count: UInt32(text.count - literalStart))
            segments.append(segment)
        }
        literalStart = text.count
    }

    private static func quoted(_ string: some Collection<UInt8>) -> [UInt8] {
        let sink = ByteSink()
        Array(string).withUnsafeBytes { sink.append(jsonString: $0) }
        return Array(sink.bytes)
    }

    /// - Parameter keyLength: bytes of the key before it, 0 in a list; nil for the whole line.
    mutating func add(_ node: JSONFormatNode, keyLength: Int? = nil) throws(FormatError) {
        switch node {
        case .null: literal("null")
        case .bool(let flag): literal(flag ? "true" : "false")
        case .number(let number): literal(Int64(exactly: number).map { "\($0)" } ?? "\(number)")
        case .text(let source): try addText(source)
        case .list(let nodes):
            literal("[")
            var isFirst = true
            for node in nodes { try addMember(key: [], node, isFirst: &isFirst) }
            close("]", opened: keyLength)
        case .object(let fields):
            literal("{")
            var isFirst = true
            for (key, node) in fields.sorted(by: { $0.key < $1.key }) {
                try addMember(key: Self.quoted(key.utf8) + [UInt8(ascii: ":")], node, isFirst: &isFirst)
            }
            close("}", opened: keyLength)
        }
    }

    /// Ends an object or list.
    ///
    /// - Parameter opened: bytes of its key; nil for the whole line, which is never left out.
    private mutating func close(_ bracket: String, opened keyLength: Int?) {
        guard omitsEmpty, let keyLength else { return literal(bracket) }
        endLiteral()
        literal(bracket)
        var segment = FormatSegment(kind: .literal)
        segment.role = .close
        segment.first = FormatSegment.TextRange(start: UInt32(literalStart), count: UInt32(text.count - literalStart))
        segment.second.count = UInt32(keyLength + 1)
        segments.append(segment)
        literalStart = text.count
    }

    /// A member of an object or list. Where it may be left out at the end, its comma is decided then.
    private mutating func addMember(key: [UInt8], _ node: JSONFormatNode, isFirst: inout Bool) throws(FormatError) {
        if omitsEmpty {
            if node == .null { return }
            endLiteral()
            text += key
            var segment = FormatSegment(kind: .literal)
            segment.role = .member
            segment.first = FormatSegment.TextRange(start: UInt32(literalStart), count: UInt32(text.count - literalStart))
            segments.append(segment)
            literalStart = text.count
        } else {
            if !isFirst { literal(",") }
            text += key
        }
        isFirst = false
        try add(node, keyLength: key.count)
    }

    private mutating func addText(_ source: String) throws(FormatError) {
        var inner = FormatCompiler(source: Array(source.utf8), extensions: extensions)
        try inner.run()
        let isSingle = inner.segments.count == 1 && inner.segments[0].kind != .literal
        if !isSingle { literal("\"") }
        for var segment in inner.segments {
            if segment.kind == .literal {
                let range = Int(segment.first.start)..<Int(segment.first.start + segment.first.count)
                text += Self.quoted(inner.text[range]).dropFirst().dropLast()
                continue
            }
            endLiteral()
            segment.role = isSingle ? .value : .part
            segment.first = copy(segment.first, of: inner.text)
            if case .expression = segment.kind {
                segment.second.start += UInt32(expressions.count)
            } else {
                segment.second = copy(segment.second, of: inner.text)
            }
            segments.append(segment)
            literalStart = text.count
        }
        expressions += inner.expressions
        if !isSingle { literal("\"") }
    }

    private mutating func copy(_ range: FormatSegment.TextRange, of other: [UInt8]) -> FormatSegment.TextRange {
        let start = text.count
        text += other[Int(range.start)..<Int(range.start + range.count)]
        return FormatSegment.TextRange(start: UInt32(start), count: range.count)
    }
}
