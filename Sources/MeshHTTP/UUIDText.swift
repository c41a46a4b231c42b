// SPDX-License-Identifier: Apache-2.0
import CBytes

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
        guard let start = buffer.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return }
        apus_write_uuid(start, high, low)
    }
}
