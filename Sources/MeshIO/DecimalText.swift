// SPDX-License-Identifier: Apache-2.0

/// Unsigned decimal numbers as text, without allocation.
@usableFromInline package enum DecimalText {
    /// Most digits of a `UInt64`.
    @inlinable package static var maxLength: Int { 20 }

    /// Writes `value` at `offset`; returns the number of digits. The buffer must have room for them.
    package static func write(_ value: UInt64, to buffer: UnsafeMutableRawBufferPointer, at offset: Int) -> Int {
        if value < 10 {
            buffer[offset] = UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: value)
            return 1
        }
        var digits = 1
        var bound: UInt64 = 10
        while digits < maxLength, value >= bound {
            digits += 1
            let (next, overflow) = bound.multipliedReportingOverflow(by: 10)
            if overflow { break }
            bound = next
        }
        var rest = value
        var index = offset + digits - 1
        while index >= offset {
            buffer[index] = UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: rest % 10)
            rest /= 10
            index -= 1
        }
        return digits
    }

    /// Parses a run of ASCII digits; nil when empty, not all digits, or over `UInt64`.
    package static func parse(_ bytes: UnsafeRawBufferPointer) -> UInt64? {
        guard bytes.count > 0, bytes.count <= maxLength else { return nil }
        var value: UInt64 = 0
        for byte in bytes {
            let digit = byte &- UInt8(ascii: "0")
            guard digit <= 9 else { return nil }
            let (product, overflow) = value.multipliedReportingOverflow(by: 10)
            let (sum, carry) = product.addingReportingOverflow(UInt64(digit))
            guard !overflow, !carry else { return nil }
            value = sum
        }
        return value
    }
}
