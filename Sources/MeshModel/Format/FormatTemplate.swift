// SPDX-License-Identifier: Apache-2.0
package import MeshHTTP

/// A format string of access logs and header values, compiled once: text with `%COMMAND(ARGUMENT):LENGTH%` in it.
///
/// Evaluation reads flat tables owned by this object and touches no reference count.
// Sendable because nothing changes after the initialiser.
package final class FormatTemplate: Equatable, @unchecked Sendable {
    /// The text it was made from.
    package let source: String
    let segments: UnsafeMutableBufferPointer<FormatSegment>
    private let text: UnsafeMutableRawBufferPointer
    /// Of the segments that are expressions.
    private let expressions: [CELProgram]

    init(source: String, segments: [FormatSegment], text: [UInt8], expressions: [CELProgram] = []) {
        self.expressions = expressions
        self.source = source
        self.segments = .allocate(capacity: segments.count)
        _ = self.segments.initialize(from: segments)
        self.text = .allocate(byteCount: text.count, alignment: 1)
        self.text.copyBytes(from: text)
    }

    deinit {
        segments.deallocate()
        text.deallocate()
    }

    package static func == (left: FormatTemplate, right: FormatTemplate) -> Bool { left.source == right.source }

    /// The text, when there is no command in it: then it is the same for every request.
    package var literal: UnsafeRawBufferPointer? {
        if segments.isEmpty { return UnsafeRawBufferPointer(start: nil, count: 0) }
        guard segments.count == 1, segments[0].kind == .literal else { return nil }
        return slice(segments[0].first)
    }

    /// Whether a command prints how many bytes the heads of a message had.
    package var asksForHeadBytes: Bool {
        segments.contains { segment in
            guard case .command(let command) = segment.kind else { return false }
            return command.isAboutHeadBytes
        }
    }

    func slice(_ range: FormatSegment.TextRange) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: text[Int(range.start)..<Int(range.start) + Int(range.count)])
    }

    /// Appends the evaluated text.
    ///
    /// - Parameter missing: stands for a value that is not there: `-` in logs, nothing in headers.
    package func write(to sink: ByteSink, context: some FormatContext, missing: StaticString) {
        for index in 0..<segments.count {
            let segment = segments.baseAddress.unsafelyUnwrapped + index
            if segment.pointee.kind == .literal {
                sink.append(slice(segment.pointee.first))
                continue
            }
            let start = sink.count
            let found = appendValue(segment, context, to: sink)
            finish(segment, from: start, found: found, missing: missing, to: sink)
        }
    }

    /// The value of a segment that is no literal, as long as it is; false, with nothing appended, without one.
    func appendValue(
        _ segment: UnsafeMutablePointer<FormatSegment>, _ context: some FormatContext, to sink: ByteSink
    ) -> Bool {
        switch segment.pointee.kind {
        case .literal: return false
        case .header(let headers): return appendHeader(segment, headers, context, to: sink)
        case .command(.requestWithoutQuery): return appendWithoutQuery(segment, context, to: sink)
        case .expression: return expression(segment).append(context, to: sink)
        case .command(let command): return context.append(command, argument: slice(segment.pointee.first), to: sink)
        }
    }

    func expression(_ segment: UnsafeMutablePointer<FormatSegment>) -> CELProgram { expressions[Int(segment.pointee.second.start)] }

    /// The same for a header value that is to be set in `block`, whose headers (`own`) are read from the block itself,
    /// because its owner is being changed and cannot be asked.
    package func write(
        to sink: ByteSink, context: some FormatContext, missing: StaticString, own: FormatHeaders,
        block: borrowing HeaderBlock
    ) {
        for index in 0..<segments.count {
            let segment = segments.baseAddress.unsafelyUnwrapped + index
            let start = sink.count
            let found: Bool
            switch segment.pointee.kind {
            case .literal:
                sink.append(slice(segment.pointee.first))
                continue
            case .header(let headers) where headers == own:
                found = appendHeader(segment, of: block, to: sink)
            case .header(let headers):
                found = appendHeader(segment, headers, context, to: sink)
            case .expression: found = expression(segment).append(context, own: own, block: block, to: sink)
            case .command(.requestWithoutQuery):
                found = appendWithoutQuery(segment, context, to: sink)
            case .command(let command) where own == .response && (command == .grpcStatus || command == .grpcStatusNumber):
                found = appendGRPCStatus(segment, command, of: block, context, to: sink)
            case .command(let command):
                found = context.append(command, argument: slice(segment.pointee.first), to: sink)
            }
            finish(segment, from: start, found: found, missing: missing, to: sink)
        }
    }

    private func finish(
        _ segment: UnsafeMutablePointer<FormatSegment>, from start: Int, found: Bool, missing: StaticString,
        to sink: ByteSink
    ) {
        if !found { sink.append(missing) }
        if segment.pointee.maxLength >= 0 { sink.truncate(to: start + Int(segment.pointee.maxLength)) }
    }

    private func appendHeader(
        _ segment: UnsafeMutablePointer<FormatSegment>, _ headers: FormatHeaders, _ context: some FormatContext,
        to sink: ByteSink
    ) -> Bool {
        let (first, second) = (segment.pointee.first, segment.pointee.second)
        if let value = context.headerValue(headers, token: segment.pointee.firstToken, name: slice(first)) {
            sink.append(value)
            return true
        }
        guard second.count > 0,
            let value = context.headerValue(headers, token: segment.pointee.secondToken, name: slice(second))
        else { return false }
        sink.append(value)
        return true
    }

    private func appendWithoutQuery(
        _ segment: UnsafeMutablePointer<FormatSegment>, _ context: some FormatContext, to sink: ByteSink
    ) -> Bool {
        let start = sink.count
        guard appendHeader(segment, .request, context, to: sink) else { return false }
        sink.truncate(to: start + PathText.lengthWithoutQuery(sink.bytes(from: start)))
        return true
    }

    private func appendHeader(
        _ segment: UnsafeMutablePointer<FormatSegment>, of block: borrowing HeaderBlock, to sink: ByteSink
    ) -> Bool {
        var index = Self.index(segment.pointee.firstToken, slice(segment.pointee.first), in: block)
        if index < 0, segment.pointee.second.count > 0 {
            index = Self.index(segment.pointee.secondToken, slice(segment.pointee.second), in: block)
        }
        guard index >= 0 else { return false }
        sink.append(block.value(at: index))
        return true
    }

    private func appendGRPCStatus(
        _ segment: UnsafeMutablePointer<FormatSegment>, _ command: FormatCommand, of block: borrowing HeaderBlock,
        _ context: some FormatContext, to sink: ByteSink
    ) -> Bool {
        guard let form = GRPCStatusForm(command, argument: slice(segment.pointee.first)) else { return false }
        return context.appendGRPCStatus(form, field: block.value(of: .grpcStatus), to: sink)
    }

    private static func index(_ token: HeaderToken, _ name: UnsafeRawBufferPointer, in block: borrowing HeaderBlock)
        -> Int
    {
        token == .none ? block.firstIndex(named: name) : block.firstIndex(of: token)
    }
}

extension FormatTemplate: CustomStringConvertible {
    package var description: String { source }
}

/// One piece of a template.
struct FormatSegment {
    enum Kind: Equatable {
        case literal
        case header(FormatHeaders)
        case command(FormatCommand)
        /// By its number in the template, which is where `second` begins.
        case expression(isTyped: Bool)
    }

    /// A part of the template's text.
    struct TextRange {
        var start: UInt32 = 0
        var count: UInt32 = 0
    }

    /// How a JSON format treats the segment.
    enum Role: UInt8 {
        /// Text as it stands.
        case plain
        /// Begins a member that is taken back where its value is left out.
        case member
        /// Ends an object or list that is taken back when it is empty.
        case close
        /// A whole value, with its own quotes.
        case value
        /// Part of a string.
        case part
    }

    var kind: Kind
    var role = Role.plain
    /// The literal, the header's name or the command's argument.
    var first = TextRange()
    /// The alternative header's name.
    var second = TextRange()
    var firstToken = HeaderToken.none
    var secondToken = HeaderToken.none
    /// Most bytes of the value; -1 is no limit.
    var maxLength: Int32 = -1
}
