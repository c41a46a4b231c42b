// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshIO
import MeshModel

/// Bytes as a CEL expression: it is refused, or it is evaluated, printed, and read a second time alike.
enum ExpressionTarget {
    static func run(_ bytes: [UInt8]) {
        guard let program = try? CELProgram(String(decoding: bytes, as: UTF8.self)) else { return }
        let context = Context()
        let (first, second) = (ByteSink(), ByteSink())
        let isThere = program.append(context, to: first)
        precondition(isThere || first.count == 0, "an error left text behind")
        precondition(program.append(context, to: second) == isThere, "the second evaluation has another outcome")
        precondition(first.bytes.elementsEqual(second.bytes), "the second evaluation has another value")
        _ = program.appendJSON(context, to: second)
        _ = program.holds(context)
    }

    /// A request with a few of everything.
    private final class Context: FormatContext {
        private let pool = SlabPool()
        private let tree = MetadataTree(
            .object(["ns": .object(["k": .string("v"), "n": .number(7), "l": .list([.bool(true), .null])])]))
        let celScratch = CELScratch()

        func headerValue(
            _ headers: FormatHeaders, token: HeaderToken, name: UnsafeRawBufferPointer
        ) -> UnsafeRawBufferPointer? { nil }

        func append(_ command: FormatCommand, argument: UnsafeRawBufferPointer, to sink: ByteSink) -> Bool {
            guard command != .upstreamTransportFailureReason else { return false }
            sink.append("404")
            return true
        }

        func celNumber(_ number: ContextNumber) -> UInt64? { 1_000_000_007 }

        func celMetadata(_ source: MetadataSource) -> ContextMetadata {
            source == .cluster ? .null : .tree(Unmanaged.passUnretained(tree))
        }

        func readHeaders(_ headers: FormatHeaders, _ use: (borrowing HeaderBlock) -> Void) {
            var block = HeaderBlock()
            block.append(.authority, "a.test", from: pool)
            block.append(.path, "/a?b=c", from: pool)
            block.append(.cookie, "a=1", from: pool)
            block.append(.cookie, "b=2", from: pool)
            use(block)
        }
    }
}
