// SPDX-License-Identifier: Apache-2.0
import CBytes
import MeshIO

/// Takes the framing off a body, whatever its pieces; chunk heads are taken byte by byte as they come.
///
/// Strict where RFC 9112 §7.1 is: no space around a chunk size, every line ends with CRLF, sizes stay below 2^63.
struct HTTP1BodyReader {
    enum State: UInt8 {
        /// Between messages, or the head is being read.
        case idle
        case length
        case untilClose
        case chunkSize
        case chunkExtension
        case chunkSizeLF
        case chunkData
        case chunkDataCR
        case chunkDataLF
        case trailers
        /// Only `.end` is left to say.
        case end
        /// `.end` was said.
        case done
    }

    var state = State.idle
    /// Bytes left of the length or of the chunk.
    var remaining: UInt64 = 0
    /// Digits of the chunk size so far.
    var digits = 0
    /// Bytes of chunk extensions of the message so far.
    var extensionBytes = 0

    /// Sizes have at most this many digits, leading zeros included (attack ledger 9).
    static let maxDigits = 16

    /// Begins a body after its head.
    mutating func begin(_ framing: BodyFraming) {
        switch framing {
        case .none: state = .end
        case .length(let length):
            remaining = length
            state = length == 0 ? .end : .length
        case .chunked:
            state = .chunkSize
            remaining = 0
            digits = 0
            extensionBytes = 0
        case .untilClose: state = .untilClose
        }
    }

    /// The next step of the body.
    mutating func next(
        _ input: UnsafeRawBufferPointer, fields: inout HTTP1FieldReader, trailers: inout HeaderBlock, limits: HTTP1Limits,
        rules: HTTP1FieldReader.Rules, pool: SlabPool
    ) -> HTTP1Step {
        switch state {
        case .idle, .done: return .step(.needMore, 0)
        case .end:
            state = .done
            return .step(.end, 0)
        case .length:
            guard input.count > 0 else { return .step(.needMore, 0) }
            let length = remaining < UInt64(input.count) ? Int(remaining) : input.count
            remaining &-= UInt64(length)
            if remaining == 0 { state = .end }
            return .body(0, length, consumed: length)
        case .untilClose:
            guard input.count > 0 else { return .step(.needMore, 0) }
            return .body(0, input.count, consumed: input.count)
        case .trailers, .chunkSize, .chunkExtension, .chunkSizeLF, .chunkData, .chunkDataCR, .chunkDataLF:
            guard let base = input.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return .step(.needMore, 0) }
            return nextChunk(
                base, input.count, fields: &fields, trailers: &trailers, limits: limits, rules: rules, pool: pool)
        }
    }

    private mutating func nextChunk(
        _ base: UnsafePointer<UInt8>, _ count: Int, fields: inout HTTP1FieldReader, trailers: inout HeaderBlock,
        limits: HTTP1Limits, rules: HTTP1FieldReader.Rules, pool: SlabPool
    ) -> HTTP1Step {
        var position = 0
        while position < count {
            let byte = base[position]
            switch state {
            case .chunkSize:
                if let digit = hexDigit(byte) {
                    digits &+= 1
                    guard digits <= HTTP1BodyReader.maxDigits, remaining < 1 << 59 else { return .failed(.badChunkSize) }
                    remaining = remaining << 4 | UInt64(digit)
                } else if digits > 0, byte == 0x0D {
                    state = .chunkSizeLF
                } else if digits > 0, byte == UInt8(ascii: ";") {
                    state = .chunkExtension
                } else {
                    return .failed(.badChunkSize)
                }
                position &+= 1
            case .chunkExtension:
                let stop = apus_scan_value(base, base + position, base + count) - base
                extensionBytes &+= stop &- position
                if extensionBytes > limits.maxChunkExtensionBytes { return .failed(.chunkExtensionsTooLarge) }
                position = stop
                if position == count { break }
                guard base[position] == 0x0D else { return .failed(.badChunkSize) }
                state = .chunkSizeLF
                position &+= 1
            case .chunkSizeLF:
                guard byte == 0x0A else { return .failed(.bareLineEnd) }
                position &+= 1
                digits = 0
                state = remaining == 0 ? .trailers : .chunkData
            case .chunkData:
                return chunkData(base, count, position)
            case .chunkDataCR:
                guard byte == 0x0D else { return .failed(.badChunkEnd) }
                state = .chunkDataLF
                position &+= 1
            case .chunkDataLF:
                guard byte == 0x0A else { return .failed(.badChunkEnd) }
                state = .chunkSize
                position &+= 1
            case .trailers:
                switch fields.read(
                    base, count, position: &position, into: &trailers, limits: limits, rules: rules, pool: pool)
                {
                case .failed(let failure): return .failed(failure)
                case .needMore: return .step(.needMore, position)
                case .complete:
                    if trailers.liveCount > 0 {
                        state = .end
                        return .step(.trailers, position)
                    }
                    state = .done
                    return .step(.end, position)
                }
            case .idle, .length, .untilClose, .end, .done: return .step(.needMore, position)
            }
        }
        return .step(.needMore, position)
    }

    /// A run of a chunk's bytes at `position`, and the line end behind it where that is there already.
    private mutating func chunkData(_ base: UnsafePointer<UInt8>, _ count: Int, _ position: Int) -> HTTP1Step {
        let available = count &- position
        let length = remaining < UInt64(available) ? Int(remaining) : available
        remaining &-= UInt64(length)
        var consumed = position &+ length
        if remaining == 0 {
            state = .chunkDataCR
            if count &- consumed >= 2, base[consumed] == 0x0D, base[consumed &+ 1] == 0x0A {
                consumed &+= 2
                state = .chunkSize
            }
        }
        return .body(position, length, consumed: consumed)
    }

    private func hexDigit(_ byte: UInt8) -> UInt8? {
        let digit = byte &- UInt8(ascii: "0")
        if digit <= 9 { return digit }
        let letter = (byte | 0x20) &- UInt8(ascii: "a")
        return letter < 6 ? letter &+ 10 : nil
    }
}
