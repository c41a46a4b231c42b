// SPDX-License-Identifier: Apache-2.0
package import MeshHTTP
import MeshIO

/// What a decoder said about an input, in a form that compares: heads, joined body bytes, trailers, ends and failures.
package struct CodecTrace: Equatable, CustomStringConvertible {
    package enum Event: Equatable {
        case head(String)
        case body(String)
        case trailers(String)
        case end
        case failed(HTTP1Failure)
        /// What `endOfInput` said when it was asked.
        case inputEnded(HTTP1Failure?)
    }

    package private(set) var events: [Event] = []
    /// Bytes that no step consumed.
    package var leftover = 0

    package init() {}

    mutating func append(_ event: Event) {
        if case .body(let more) = event, case .body(let before)? = events.last {
            events[events.count - 1] = .body(before + more)
        } else {
            events.append(event)
        }
    }

    /// The failure, if there was one.
    package var failure: HTTP1Failure? {
        if case .failed(let failure)? = events.last { return failure }
        return nil
    }

    /// The heads, rendered.
    package var heads: [String] {
        events.compactMap { if case .head(let text) = $0 { text } else { nil } }
    }

    /// All body bytes, as Latin-1 text.
    package var body: String {
        events.map { if case .body(let text) = $0 { text } else { "" } }.joined()
    }

    /// The trailers, rendered.
    package var trailers: [String] {
        events.compactMap { if case .trailers(let text) = $0 { text } else { nil } }
    }

    /// Complete messages.
    package var ends: Int { events.filter { $0 == .end }.count }

    package var description: String { events.map { "\($0)" }.joined(separator: "\n") + "\nleftover \(leftover)" }
}

/// Runs a decoder over an input in every way it can arrive: whole, byte by byte, cut in two at every place, and in random
/// pieces; all must say the same. The bytes given to a call lie in memory of exactly their size, for the address sanitizer.
package struct CodecSplits {
    /// Cuts in two at every place up to this length, at every `stride`th beyond.
    package static let everyCutLength = 600

    package var limits = HTTP1Limits()
    package var serverOptions = HTTP1ServerOptions()
    package var clientOptions = HTTP1ClientOptions()
    /// Methods of the requests that responses answer, in order; none left: nothing is expected.
    package var methods: [HTTPMethod] = [.get]
    package var expectsUpgrade = false
    /// The input's end is reported after the last byte.
    package var endsInput = false

    package init() {}

    /// The trace of the whole input, and one line for each way of cutting that disagreed with it.
    package func requests(_ bytes: [UInt8]) -> (trace: CodecTrace, disagreements: [String]) {
        compare(bytes) { self.requestTrace($0) }
    }

    /// As `requests`, for responses.
    package func responses(_ bytes: [UInt8]) -> (trace: CodecTrace, disagreements: [String]) {
        compare(bytes) { self.responseTrace($0) }
    }

    private func compare(_ bytes: [UInt8], _ run: ([ArraySlice<UInt8>]) -> CodecTrace) -> (CodecTrace, [String]) {
        let whole = run([bytes[...]])
        var disagreements: [String] = []
        func check(_ name: String, _ pieces: [ArraySlice<UInt8>]) {
            let trace = run(pieces)
            if trace != whole { disagreements.append("\(name): \(trace)\n  but whole: \(whole)") }
        }
        check("byte by byte", bytes.indices.map { bytes[$0...$0] })
        let stride = bytes.count <= CodecSplits.everyCutLength ? 1 : bytes.count / 101 + 1
        var cut = 1
        while cut < bytes.count {
            check("cut at \(cut)", [bytes[..<cut], bytes[cut...]])
            cut += stride
        }
        var random = SeededRandom(seed: UInt64(bytes.count))
        for round in 0..<4 {
            var pieces: [ArraySlice<UInt8>] = []
            var start = 0
            while start < bytes.count {
                let end = min(bytes.count, start + 1 + Int(random.next() % 40))
                pieces.append(bytes[start..<end])
                start = end
            }
            check("random pieces \(round)", pieces)
        }
        return (whole, disagreements)
    }

    /// The trace of requests that arrive in `pieces`.
    package func requestTrace(_ pieces: [ArraySlice<UInt8>]) -> CodecTrace {
        let pool = SlabPool()
        // The pool outlives the heads that hold its slabs, which an optimizer is free to end last.
        return withExtendedLifetime(pool) { requestTrace(pieces, pool) }
    }

    private func requestTrace(_ pieces: [ArraySlice<UInt8>], _ pool: SlabPool) -> CodecTrace {
        var trace = CodecTrace()
        var decoder = HTTP1RequestDecoder(limits: limits, options: serverOptions)
        var head = RequestHead()
        var trailers = HeaderBlock()
        var pending: [UInt8] = []
        feeding: for piece in pieces {
            pending += piece
            while true {
                let step = withExactCopy(of: pending) { decoder.next($0, head: &head, trailers: &trailers, pool: pool) }
                switch step.kind {
                case .head: trace.append(.head(head.trace))
                case .body: trace.append(.body(text(pending[step.bodyOffset..<step.bodyOffset + step.bodyLength])))
                case .trailers: trace.append(.trailers(trailers.trace))
                case .end:
                    trace.append(.end)
                    decoder.reset()
                    head.reset()
                    trailers.reset()
                case .failed: trace.append(.failed(step.failure))
                case .needMore: break
                }
                pending.removeFirst(step.consumed)
                if step.kind == .failed { break feeding }
                if step.kind == .needMore { break }
            }
        }
        if trace.failure == nil {
            trace.leftover = pending.count
            if endsInput {
                let failure = decoder.endOfInput()
                trace.append(.inputEnded(failure))
            }
        }
        return trace
    }

    /// The trace of responses that arrive in `pieces`.
    package func responseTrace(_ pieces: [ArraySlice<UInt8>]) -> CodecTrace {
        let pool = SlabPool()
        // The pool outlives the heads that hold its slabs, which an optimizer is free to end last.
        return withExtendedLifetime(pool) { responseTrace(pieces, pool) }
    }

    private func responseTrace(_ pieces: [ArraySlice<UInt8>], _ pool: SlabPool) -> CodecTrace {
        var trace = CodecTrace()
        var decoder = HTTP1ResponseDecoder(limits: limits, options: clientOptions)
        var head = ResponseHead()
        var trailers = HeaderBlock()
        var pending: [UInt8] = []
        var methods = methods[...]
        if let method = methods.popFirst() { decoder.expect(method: method, isUpgrade: expectsUpgrade) }
        feeding: for piece in pieces {
            pending += piece
            while true {
                let step = withExactCopy(of: pending) { decoder.next($0, head: &head, trailers: &trailers, pool: pool) }
                switch step.kind {
                case .head: trace.append(.head(head.trace))
                case .body: trace.append(.body(text(pending[step.bodyOffset..<step.bodyOffset + step.bodyLength])))
                case .trailers: trace.append(.trailers(trailers.trace))
                case .end:
                    trace.append(.end)
                    head.reset()
                    trailers.reset()
                    if let method = methods.popFirst() { decoder.expect(method: method, isUpgrade: expectsUpgrade) }
                case .failed: trace.append(.failed(step.failure))
                case .needMore: break
                }
                pending.removeFirst(step.consumed)
                if step.kind == .failed { break feeding }
                if step.kind == .needMore { break }
            }
        }
        if trace.failure == nil {
            trace.leftover = pending.count
            if endsInput {
                let step = decoder.endOfInput()
                trace.append(step.kind == .end ? .end : .inputEnded(step.kind == .failed ? step.failure : nil))
            }
        }
        return trace
    }

    private func withExactCopy<R>(of bytes: [UInt8], _ body: (UnsafeRawBufferPointer) -> R) -> R {
        let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 1)
        defer { copy.deallocate() }
        copy.copyBytes(from: bytes)
        return body(UnsafeRawBufferPointer(copy))
    }

    private func text(_ bytes: ArraySlice<UInt8>) -> String { latin1(bytes) }
}

/// Bytes as text, one scalar a byte, so that nothing is lost.
package func latin1(_ bytes: some Sequence<UInt8>) -> String {
    var text = String.UnicodeScalarView()
    for byte in bytes { text.append(Unicode.Scalar(byte)) }
    return String(text)
}

/// The bytes of Latin-1 text with LF standing for CRLF, so that messages read well in tests.
package func wire(_ text: String) -> [UInt8] {
    var bytes: [UInt8] = []
    for scalar in text.unicodeScalars {
        if scalar == "\n" { bytes.append(0x0D) }
        bytes.append(UInt8(truncatingIfNeeded: scalar.value))
    }
    return bytes
}

extension HeaderBlock {
    /// Live fields, one `name: value` a line, in order.
    package var trace: String {
        var lines: [String] = []
        for index in 0..<fieldCount where isLive(index) {
            lines.append(latin1(name(at: index)) + ": " + latin1(value(at: index)))
        }
        return lines.joined(separator: "\n")
    }
}

extension RequestHead {
    /// The fields and what was derived from them.
    package var trace: String {
        headers.trace + "\n[\(method) \(version.text) \(framing)\(isKeepAlive ? "" : " close")"
            + "\(expectsContinue ? " continue" : "")\(isUpgrade ? " upgrade" : "")\(isAbsoluteForm ? " absolute" : "")]"
    }
}

extension ResponseHead {
    /// The fields and what was derived from them.
    package var trace: String {
        headers.trace + "\n[\(status) \(version.text) \(framing)\(isKeepAlive ? "" : " close")"
            + "\(isUpgrade ? " upgrade" : "")\(isBodyless ? " bodyless" : "")]"
    }
}
