// SPDX-License-Identifier: Apache-2.0
import CBytes
package import MeshIO

/// Reads HTTP/1 responses from the front of a receive ring, one step at a time (RFC 9112).
///
/// `expect` announces the request that the next final response answers; bytes without one are a failure. 1xx heads are
/// delivered as `.head` and another head follows them; 101 is final. Calling and consuming are as with
/// `HTTP1RequestDecoder`. After `.end` of a 101, or of a 2xx to CONNECT, the bytes left belong to the tunnel.
package struct HTTP1ResponseDecoder {
    enum State: UInt8 { case idle, statusLine, fields, body, failed }

    let limits: HTTP1Limits
    let options: HTTP1ClientOptions
    var state = State.idle
    var failure = HTTP1Failure.none
    var method = HTTPMethod.get
    var expectsUpgrade = false
    var interimCount = 0
    var fields = HTTP1FieldReader()
    var body = HTTP1BodyReader()

    package init(limits: HTTP1Limits = HTTP1Limits(), options: HTTP1ClientOptions = HTTP1ClientOptions()) {
        self.limits = limits
        self.options = options
    }

    /// Whether bytes of the expected response, an interim one included, were seen.
    package var hasBegun: Bool {
        switch state {
        case .idle: false
        case .statusLine: fields.scanned > 0 || interimCount > 0
        case .fields, .body, .failed: true
        }
    }

    /// After the final head: whether no body bytes are left to come, so that the next step is `.end` and takes nothing.
    package var isBodyComplete: Bool { state == .body && (body.state == .end || body.state == .done) }

    /// Announces the request that the next response answers. A failed decoder stays failed.
    ///
    /// - Parameter isUpgrade: the request asked for an upgrade, so that 101 may come.
    package mutating func expect(method: HTTPMethod, isUpgrade: Bool = false) {
        if state == .failed { return }
        self.method = method
        expectsUpgrade = isUpgrade
        interimCount = 0
        state = .statusLine
        fields = HTTP1FieldReader()
        body.state = .idle
    }

    /// The next step. See the type for how to call it.
    package mutating func next(
        _ input: UnsafeRawBufferPointer, head: inout ResponseHead, trailers: inout HeaderBlock, pool: SlabPool
    ) -> HTTP1Step {
        let step: HTTP1Step
        switch state {
        case .idle:
            if input.isEmpty { return .step(.needMore, 0) }
            step = .failed(.unexpectedResponse)
        case .statusLine, .fields:
            guard let base = input.baseAddress?.assumingMemoryBound(to: UInt8.self), input.count > 0 else {
                return .step(.needMore, 0)
            }
            step = nextOfHead(base, input.count, head: &head, pool: pool)
        case .body:
            step = body.next(
                input, fields: &fields, trailers: &trailers, limits: limits,
                rules: .trailers(options.underscores, stores: options.enableTrailers), pool: pool)
            if step.kind == .end { state = .idle }
        case .failed: return .failed(failure)
        }
        if step.kind == .failed {
            state = .failed
            failure = step.failure
        }
        return step
    }

    /// What the input's end means: `.end` for a body that runs to the close, `.failed` inside a response, and `.needMore`
    /// (nothing) where no response is expected.
    package mutating func endOfInput() -> HTTP1Step {
        switch state {
        case .idle: return .step(.needMore, 0)
        case .failed: return .failed(failure)
        case .statusLine: return fail(fields.scanned > 0 || interimCount > 0 ? .truncatedHead : .closedBeforeHead)
        case .fields: return fail(.truncatedHead)
        case .body:
            guard body.state == .untilClose || body.state == .end else { return fail(.truncatedBody) }
            body.state = .done
            state = .idle
            return .step(.end, 0)
        }
    }

    private mutating func fail(_ failure: HTTP1Failure) -> HTTP1Step {
        state = .failed
        self.failure = failure
        return .failed(failure)
    }

    private mutating func nextOfHead(
        _ base: UnsafePointer<UInt8>, _ count: Int, head: inout ResponseHead, pool: SlabPool
    ) -> HTTP1Step {
        var position = 0
        if state == .statusLine {
            switch readStatusLine(base, count, head: &head, pool: pool) {
            case .failed(let failure): return .failed(failure)
            case .needMore: return .step(.needMore, 0)
            case .line(let length):
                position = length
                state = .fields
            }
        }
        switch fields.read(
            base, count, position: &position, into: &head.headers, limits: limits,
            rules: .responseHead(options.underscores, keepsCase: options.keepsNameCase), pool: pool)
        {
        case .needMore: return .step(.needMore, position)
        case .failed(let failure): return .failed(failure)
        case .complete: break
        }
        let failure = finishHead(&head)
        if failure != .none { return .failed(failure) }
        if head.status < 200, head.status != 101 {
            interimCount &+= 1
            if interimCount > limits.maxInterimResponses { return .failed(.tooManyInterimResponses) }
            state = .statusLine
            fields = HTTP1FieldReader()
        } else {
            state = .body
            body.begin(head.isBodyless ? .none : head.framing)
        }
        return .step(.head, position)
    }
}
