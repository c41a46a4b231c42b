// SPDX-License-Identifier: Apache-2.0
import CBytes
package import MeshIO

/// Reads HTTP/1 requests from the front of a receive ring, one step at a time (RFC 9112).
///
/// The caller passes the ring's readable bytes and always the same head until it was delivered, acts on the step, drops
/// `consumed` bytes and calls again until `needMore`. After `.end` it calls `reset`; until then nothing of the next request
/// is looked at, so bytes behind an upgrade or CONNECT stay where they are.
///
///     loop: while true {
///         let step = decoder.next(ring.readable, head: &head, trailers: &trailers, pool: pool)
///         if step.kind == .body { take(ring.slice(offset: step.bodyOffset, length: step.bodyLength)) }
///         ring.consume(step.consumed)
///         ...
///     }
package struct HTTP1RequestDecoder {
    enum State: UInt8 { case requestLine, fields, body, failed }

    let limits: HTTP1Limits
    let options: HTTP1ServerOptions
    var state = State.requestLine
    var failure = HTTP1Failure.none
    var emptyLines = 0
    var hasFragment = false
    var fields = HTTP1FieldReader()
    var body = HTTP1BodyReader()

    package init(limits: HTTP1Limits = HTTP1Limits(), options: HTTP1ServerOptions = HTTP1ServerOptions()) {
        self.limits = limits
        self.options = options
    }

    /// Whether nothing of a request was seen since `init` or `reset`, but for empty lines. Bytes may still wait in the ring.
    package var isBetweenMessages: Bool { state == .requestLine && fields.headBytes == 0 && fields.scanned == 0 }

    /// Fields of this message that were dropped for an underscore in their name.
    package var droppedFields: Int { fields.droppedCount }

    /// After the head: whether no body bytes are left to come, so that the next step is `.end` and takes nothing.
    package var isBodyComplete: Bool { state == .body && (body.state == .end || body.state == .done) }

    /// Begins the next message. A failed decoder stays failed.
    package mutating func reset() {
        if state == .failed { return }
        state = .requestLine
        emptyLines = 0
        hasFragment = false
        fields = HTTP1FieldReader()
        body.state = .idle
    }

    /// What the input's end means here: nil between messages and after the last byte of one.
    package func endOfInput() -> HTTP1Failure? {
        switch state {
        case .requestLine: isBetweenMessages ? nil : .truncatedHead
        case .fields: .truncatedHead
        case .body: isBodyComplete ? nil : .truncatedBody
        case .failed: failure
        }
    }

    /// The next step. See the type for how to call it.
    package mutating func next(
        _ input: UnsafeRawBufferPointer, head: inout RequestHead, trailers: inout HeaderBlock, pool: SlabPool
    ) -> HTTP1Step {
        let step: HTTP1Step
        switch state {
        case .requestLine, .fields:
            guard let base = input.baseAddress?.assumingMemoryBound(to: UInt8.self), input.count > 0 else {
                return .step(.needMore, 0)
            }
            step = nextOfHead(base, input.count, head: &head, pool: pool)
        case .body:
            step = body.next(
                input, fields: &fields, trailers: &trailers, limits: limits,
                rules: .trailers(options.underscores, stores: options.enableTrailers), pool: pool)
        case .failed: return .failed(failure)
        }
        if step.kind == .failed {
            state = .failed
            failure = step.failure
        }
        return step
    }

    private mutating func nextOfHead(
        _ base: UnsafePointer<UInt8>, _ count: Int, head: inout RequestHead, pool: SlabPool
    ) -> HTTP1Step {
        var position = 0
        if state == .requestLine {
            // RFC 9112 §2.2: empty lines before a request are ignored.
            while fields.scanned == 0, base[position] == 0x0D {
                guard position &+ 1 < count else { return .step(.needMore, position) }
                guard base[position &+ 1] == 0x0A, emptyLines < limits.maxLeadingEmptyLines else {
                    return .failed(.malformedRequestLine)
                }
                emptyLines &+= 1
                position &+= 2
                if position == count { return .step(.needMore, position) }
            }
            switch readRequestLine(base + position, count &- position, head: &head, pool: pool) {
            case .failed(let failure): return .failed(failure)
            case .needMore: return .step(.needMore, position)
            case .line(let length):
                position &+= length
                state = .fields
            }
        }
        switch fields.read(
            base, count, position: &position, into: &head.headers, limits: limits,
            rules: .requestHead(options.underscores, keepsCase: options.keepsNameCase), pool: pool)
        {
        case .needMore: return .step(.needMore, position)
        case .failed(let failure): return .failed(failure)
        case .complete: break
        }
        let failure = finishHead(&head, pool)
        if failure != .none { return .failed(failure) }
        state = .body
        body.begin(head.framing)
        return .step(.head, position)
    }
}
