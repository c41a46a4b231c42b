// SPDX-License-Identifier: Apache-2.0

/// UUIDs of version 4 (RFC 9562 §5.4) as text, for `x-request-id`.
package enum UUIDText {
    /// `xxxxxxxx-xxxx-4xxx-yxxx-xxxxxxxxxxxx`
    package static var length: Int { 36 }

    /// Writes the UUID made of these random bits into a buffer of at least `length` bytes.
    package static func write(_ high: UInt64, _ low: UInt64, to buffer: UnsafeMutableRawBufferPointer) {
        guard buffer.count >= length else { return }
        // Version 4 in the top of the seventh byte, variant 10 in the top of the ninth.
        let high = high & ~0xF000 | 0x4000
        let low = low & ~(0xC000 << 48) | 0x8000 << 48
        var offset = 0
        for index in 0..<32 {
            if index == 8 || index == 12 || index == 16 || index == 20 {
                buffer[offset] = UInt8(ascii: "-")
                offset &+= 1
            }
            let word = index < 16 ? high : low
            let nibble = UInt8(truncatingIfNeeded: word >> UInt64((15 - index % 16) * 4)) & 0xF
            buffer[offset] = HexText.lower(nibble)
            offset &+= 1
        }
    }
}
