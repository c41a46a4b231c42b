// SPDX-License-Identifier: Apache-2.0
import Glibc

/// What every answer of an HTTP or gRPC load has to be, where that is known. Another one is a failure (`wrongAnswer`), so that
/// nobody is faster by answering wrongly. Echoes (TCP, WebSocket) are held against what was sent without being told.
public struct ExpectedAnswer: Equatable, Sendable {
    /// - Default: 200.
    public var status: UInt16
    /// Bytes of the body; gRPC: with the prefixes of its messages.
    public var size: Int
    /// The body is this over and over, from its beginning.
    public var content: [UInt8]

    public init(status: UInt16 = 200, size: Int, content: [UInt8]) {
        self.status = status
        self.size = size
        self.content = content
    }
}

/// Bytes that repeat, to be compared with pieces of a body.
struct RepeatedContent: Equatable, Sendable {
    /// The content over and over: long enough that a piece takes few comparisons, whole so that it can be gone through again.
    private let bytes: [UInt8]

    private static let shortest = 16_384

    /// - Parameter content: at least one byte.
    init(_ content: [UInt8]) {
        let count = max(1, (RepeatedContent.shortest + content.count - 1) / max(content.count, 1))
        bytes = content.count >= RepeatedContent.shortest ? content : Array(repeatElement(content, count: count).joined())
    }

    /// Whether `piece` is what stands `offset` bytes behind the beginning.
    func matches(_ piece: UnsafeRawBufferPointer, at offset: Int) -> Bool {
        bytes.withUnsafeBytes { own in
            guard let own = own.baseAddress, var other = piece.baseAddress else { return piece.isEmpty }
            var place = offset % bytes.count
            var left = piece.count
            while left > 0 {
                let length = min(left, bytes.count - place)
                guard memcmp(own + place, other, length) == 0 else { return false }
                other += length
                left -= length
                place = 0
            }
            return true
        }
    }
}

/// Holds answers against what they have to be.
struct AnswerCheck: Equatable, Sendable {
    let expected: ExpectedAnswer
    private let content: RepeatedContent

    init(_ expected: ExpectedAnswer) {
        self.expected = expected
        content = RepeatedContent(expected.content)
    }

    /// The body of one answer, as far as it came.
    struct Body: Equatable, Sendable {
        fileprivate var count = 0
        fileprivate var isRight = true
    }

    /// Takes the next bytes of a body.
    func add(_ piece: UnsafeRawBufferPointer, to body: inout Body) {
        if body.isRight { body.isRight = content.matches(piece, at: body.count) }
        body.count += piece.count
    }

    /// Whether the answer, which is whole, was right.
    func accepts(status: UInt16, _ body: Body) -> Bool { status == expected.status && body.count == expected.size && body.isRight }
}
