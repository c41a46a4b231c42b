// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshRegex
import Synchronization

/// Why an expression is refused.
package struct CELError: Error, Equatable, Sendable, CustomStringConvertible {
    /// What was found, and what is allowed there.
    package let problem: String
    /// Bytes into the expression.
    package let position: Int

    package var description: String { "\(problem) at position \(position)" }
}

/// An expression of the Common Expression Language, ready to be evaluated: immutable and shared by all threads.
///
/// It understands what Envoy's default build does: no comprehensions, no concatenation, no conversion to string.
package final class CELProgram: Equatable, Sendable {
    /// The text it was made from.
    package let source: String
    /// Children stand before what they belong to; the last is the whole.
    let steps: [Step]
    /// Children of `and`, `or`, calls, lists and maps.
    let operands: [Int32]
    let text: [UInt8]
    let patterns: [Pattern]

    /// One operation. What `a`, `b`, `c` are depends on it: steps, ranges of `operands` or `text`, or small numbers.
    struct Step: Sendable {
        enum Operation: UInt8, Sendable {
            case null, bool, int, uint, double, string, bytes, type
            /// An identifier that means nothing, or an attribute that nobody has.
            case unknown
            case group, metadata, attribute, header
            case select, has, index
            case not, negate, add, subtract, multiply, divide, modulo
            case equal, notEqual, less, lessOrEqual, greater, greaterOrEqual, contained
            case and, or, conditional
            case list, map, call
        }

        var operation: Operation
        var a: Int32 = 0
        var b: Int32 = 0
        var c: Int32 = 0
        /// The bits of a literal number.
        var bits: UInt64 = 0
    }

    /// A regular expression, and its number among those of the process.
    struct Pattern: Sendable {
        let program: RegexProgram
        let number: Int

        private static let count = Atomic<Int>(0)

        /// - Throws: `RegexError`; programs larger than Envoy's limit are refused.
        init(_ pattern: String) throws(RegexError) {
            program = try RegexProgram(pattern, maxProgramSize: RegexProgram.defaultMaxProgramSize)
            number = Self.count.add(1, ordering: .relaxed).oldValue
        }
    }

    /// Longest expression. - Unit: bytes.
    package static let maxLength = 65_536

    /// - Throws: `CELError` with the position of what cannot be understood.
    package init(_ source: String) throws(CELError) {
        var parser = CELParser(Array(source.utf8))
        try parser.run()
        self.source = source
        steps = parser.builder.steps
        operands = parser.builder.operands
        text = parser.builder.text
        patterns = parser.builder.patterns
    }

    package static func == (left: CELProgram, right: CELProgram) -> Bool { left.source == right.source }

    /// Evaluates, and gives `use` the value; it is good until `use` returns.
    func evaluate<Context: FormatContext, Result>(
        _ context: Context, _ use: (CELValue, CELEvaluator<Context>) -> Result
    ) -> Result {
        let scratch = context.celScratch
        scratch.begin()
        return text.withUnsafeBytes { text in
            let evaluator = CELEvaluator(program: Unmanaged.passUnretained(self), text: text, context: context, scratch: scratch)
            return use(evaluator.value(of: Int32(steps.count - 1)), evaluator)
        }
    }

    /// Whether it is true: what is no bool, and any error, is not.
    package func holds(_ context: some FormatContext) -> Bool {
        evaluate(context) { value, _ in
            if case .bool(let flag) = value { flag } else { false }
        }
    }

    /// Appends the value as text, as `%CEL%` prints it; false, with nothing appended, for an error.
    package func append(_ context: some FormatContext, to sink: ByteSink) -> Bool {
        evaluate(context) { value, evaluator in evaluator.print(value, to: sink) }
    }

    /// Appends the value as JSON, as `%TYPED_CEL%` prints it; false, with nothing appended, where it would be null.
    package func appendJSON(_ context: some FormatContext, to sink: ByteSink) -> Bool {
        evaluate(context) { value, evaluator in evaluator.printJSON(value, to: sink) }
    }

    /// The same for a header value that is to be set in `block`, whose headers (`own`) are read from the block itself.
    func append(
        _ context: some FormatContext, own: FormatHeaders, block: borrowing HeaderBlock, to sink: ByteSink
    ) -> Bool {
        let scratch = context.celScratch
        return withUnsafePointer(to: block) { pointer in
            scratch.ownHeaders = own
            scratch.ownBlock = pointer
            defer {
                scratch.ownHeaders = nil
                scratch.ownBlock = nil
            }
            return append(context, to: sink)
        }
    }
}
