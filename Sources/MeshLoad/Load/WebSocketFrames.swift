// SPDX-License-Identifier: Apache-2.0

/// Reads WebSocket frames (RFC 6455 §5.2) from the front of a buffer without keeping their payload.
///
/// The caller passes what it has, acts on the step, drops `consumed` bytes and calls again until `needMore`.
struct WebSocketReader: Equatable, Sendable {
    enum Opcode: UInt8 { case continuation = 0, text = 1, binary = 2, close = 8, ping = 9, pong = 10 }

    /// The head of a frame.
    struct Head: Equatable, Sendable {
        let isFinal: Bool
        let opcode: Opcode
        let length: UInt64
        /// The four bytes of the mask, the first one lowest; nil where the frame is not masked.
        let mask: UInt32?
    }

    enum Step: Equatable, Sendable {
        case needMore
        /// A frame began. - Parameter consumed: bytes of its head.
        case head(Head, consumed: Int)
        /// Payload of the frame that began last, from the front of the buffer. `offset` is its place in the frame, which the
        /// mask depends on.
        case payload(count: Int, offset: UInt64, isLast: Bool)
        /// Not a frame: a reserved bit or opcode, a control frame that is long or in pieces, a length above 2^62.
        case failed
    }

    private var rest: UInt64 = 0
    private var offset: UInt64 = 0

    mutating func next(_ bytes: UnsafeRawBufferPointer) -> Step {
        if rest > 0 {
            guard !bytes.isEmpty else { return .needMore }
            let count = Int(min(UInt64(bytes.count), rest))
            let step = Step.payload(count: count, offset: offset, isLast: UInt64(count) == rest)
            rest -= UInt64(count)
            offset += UInt64(count)
            return step
        }
        guard bytes.count >= 2 else { return .needMore }
        guard bytes[0] & 0x70 == 0, let opcode = Opcode(rawValue: bytes[0] & 15) else { return .failed }
        let isFinal = bytes[0] & 0x80 != 0
        let isMasked = bytes[1] & 0x80 != 0
        var length = UInt64(bytes[1] & 0x7F)
        let lengthBytes = length == 127 ? 8 : length == 126 ? 2 : 0
        if opcode.rawValue >= 8, !isFinal || length > 125 { return .failed }
        let size = 2 + lengthBytes + (isMasked ? 4 : 0)
        guard bytes.count >= size else { return .needMore }
        if lengthBytes > 0 {
            length = 0
            for index in 2..<(2 + lengthBytes) { length = length << 8 | UInt64(bytes[index]) }
            if length >= 1 << 62 { return .failed }
        }
        var mask: UInt32?
        if isMasked {
            let start = 2 + lengthBytes
            mask = UInt32(bytes[start]) | UInt32(bytes[start + 1]) << 8 | UInt32(bytes[start + 2]) << 16 | UInt32(bytes[start + 3]) << 24
        }
        rest = length
        offset = 0
        return .head(Head(isFinal: isFinal, opcode: opcode, length: length, mask: mask), consumed: size)
    }
}

/// Writes WebSocket frames.
enum WebSocketWriter {
    /// Most bytes of a frame's head.
    static let longestHead = 14

    /// Writes a frame's head to `target` and returns its length.
    static func writeHead(
        _ opcode: WebSocketReader.Opcode, isFinal: Bool, length: Int, mask: UInt32?, to target: UnsafeMutableRawPointer
    ) -> Int {
        let bytes = target.assumingMemoryBound(to: UInt8.self)
        bytes[0] = (isFinal ? 0x80 : 0) | opcode.rawValue
        let bit: UInt8 = mask == nil ? 0 : 0x80
        var count = 2
        if length < 126 {
            bytes[1] = bit | UInt8(length)
        } else {
            let lengthBytes = length < 1 << 16 ? 2 : 8
            bytes[1] = bit | (lengthBytes == 2 ? 126 : 127)
            for index in 0..<lengthBytes {
                bytes[count + index] = UInt8(truncatingIfNeeded: UInt64(length) >> UInt64(8 * (lengthBytes - 1 - index)))
            }
            count += lengthBytes
        }
        guard let mask else { return count }
        for index in 0..<4 { bytes[count + index] = UInt8(truncatingIfNeeded: mask >> UInt32(8 * index)) }
        return count + 4
    }

    /// Masks, or unmasks, `count` bytes while copying them (§5.3). - Parameter offset: their place in the frame.
    static func copy(
        _ source: UnsafeRawPointer, _ count: Int, mask: UInt32, offset: UInt64, to target: UnsafeMutableRawPointer
    ) {
        let turn = UInt32(offset & 3) * 8
        let turned = turn == 0 ? mask : mask >> turn | mask << (32 - turn)
        let wide = UInt64(turned) | UInt64(turned) << 32
        var index = 0
        while index + 8 <= count {
            target.storeBytes(of: source.loadUnaligned(fromByteOffset: index, as: UInt64.self) ^ wide, toByteOffset: index, as: UInt64.self)
            index += 8
        }
        while index < count {
            let byte = source.load(fromByteOffset: index, as: UInt8.self)
            target.storeBytes(of: byte ^ UInt8(truncatingIfNeeded: wide >> UInt64(8 * (index & 7))), toByteOffset: index, as: UInt8.self)
            index += 1
        }
    }
}
