// SPDX-License-Identifier: Apache-2.0

/// What a decoder found at the front of the input.
@frozen @usableFromInline package enum HTTP1StepKind: UInt8, Sendable {
    /// Nothing more to say until further bytes arrive. `consumed` may be above zero: finished lines are taken at once.
    case needMore
    /// The head is complete.
    case head
    /// A contiguous run of body bytes, chunk framing stripped.
    case body
    /// Trailers are complete, in the `trailers` block.
    case trailers
    /// The message is complete. The decoder says nothing more until `reset` (requests) or `expect` (responses).
    case end
    /// The message is refused; `failure` says why. The decoder stays in this state.
    case failed
}

/// One step of a decoder. The caller takes what the step points at, drops `consumed` bytes from the front of its input,
/// whatever the kind, and calls again unless the kind is `needMore`.
@frozen @usableFromInline package struct HTTP1Step: Equatable, Sendable {
    @usableFromInline package var kind: HTTP1StepKind
    /// Why, for `.failed`.
    @usableFromInline package var failure: HTTP1Failure
    /// Bytes at the front of the input that are done with. - Unit: bytes.
    @usableFromInline package var consumed: Int
    /// Where the bytes of a `.body` step are, counted from the first byte of the input; within `consumed`.
    @usableFromInline package var bodyOffset: Int
    @usableFromInline package var bodyLength: Int

    @inlinable init(kind: HTTP1StepKind, failure: HTTP1Failure, consumed: Int, bodyOffset: Int, bodyLength: Int) {
        self.kind = kind
        self.failure = failure
        self.consumed = consumed
        self.bodyOffset = bodyOffset
        self.bodyLength = bodyLength
    }

    @inlinable static func step(_ kind: HTTP1StepKind, _ consumed: Int) -> HTTP1Step {
        HTTP1Step(kind: kind, failure: .none, consumed: consumed, bodyOffset: 0, bodyLength: 0)
    }

    @inlinable static func body(_ offset: Int, _ length: Int, consumed: Int) -> HTTP1Step {
        HTTP1Step(kind: .body, failure: .none, consumed: consumed, bodyOffset: offset, bodyLength: length)
    }

    @inlinable static func failed(_ failure: HTTP1Failure) -> HTTP1Step {
        HTTP1Step(kind: .failed, failure: failure, consumed: 0, bodyOffset: 0, bodyLength: 0)
    }
}
