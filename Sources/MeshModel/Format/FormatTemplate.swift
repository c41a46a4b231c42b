// SPDX-License-Identifier: Apache-2.0
import MeshHTTP

/// A format string of access logs and header values, compiled once: text with `%COMMAND(ARGUMENT):LENGTH%` in it.
///
/// Evaluation reads flat tables owned by this object and touches no reference count.
// Sendable because nothing changes after the initialiser.
package final class FormatTemplate: Equatable, @unchecked Sendable {
    /// The text it was made from.
    package let source: String
    private let segments: UnsafeMutableBufferPointer<FormatSegment>
    private let text: UnsafeMutableRawBufferPointer

    init(source: String, segments: [FormatSegment], text: [UInt8]) {
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

    private func slice(_ range: FormatSegment.TextRange) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: text[Int(range.start)..<Int(range.start) + Int(range.count)])
    }

    /// Appends the evaluated text.
    ///
    /// - Parameter missing: stands for a value that is not there: `-` in logs, nothing in headers.
    package func write(to sink: ByteSink, context: some FormatContext, missing: StaticString) {
        for index in 0..<segments.count {
            let segment = segments[index]
            if segment.kind == .literal {
                sink.append(slice(segment.first))
                continue
            }
            let start = sink.count
            let found: Bool
            switch segment.kind {
            case .literal: found = true
            case .header(let headers):
                if let value = context.headerValue(headers, token: segment.firstToken, name: slice(segment.first)) {
                    sink.append(value)
                    found = true
                } else if segment.second.count > 0,
                    let value = context.headerValue(headers, token: segment.secondToken, name: slice(segment.second))
                {
                    sink.append(value)
                    found = true
                } else {
                    found = false
                }
            case .command(let command):
                found = context.append(command, argument: slice(segment.first), to: sink)
            }
            if !found { sink.append(missing) }
            if segment.maxLength >= 0 { sink.truncate(to: start + Int(segment.maxLength)) }
        }
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
    }

    /// A part of the template's text.
    struct TextRange {
        var start: UInt32 = 0
        var count: UInt32 = 0
    }

    var kind: Kind
    /// The literal, the header's name or the command's argument.
    var first = TextRange()
    /// The alternative header's name.
    var second = TextRange()
    var firstToken = HeaderToken.none
    var secondToken = HeaderToken.none
    /// Most bytes of the value; -1 is no limit.
    var maxLength: Int32 = -1
}
