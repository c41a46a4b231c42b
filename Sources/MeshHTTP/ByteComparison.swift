// SPDX-License-Identifier: Apache-2.0
import CBytes

extension UnsafeRawBufferPointer {
    /// Whether both ranges hold the same bytes.
    package func hasSameBytes(as other: UnsafeRawBufferPointer) -> Bool {
        guard count == other.count else { return false }
        guard let left = baseAddress, let right = other.baseAddress else { return true }
        return apus_equal(
            left.assumingMemoryBound(to: UInt8.self), right.assumingMemoryBound(to: UInt8.self), count) != 0
    }

    /// Whether the bytes are exactly those of `text`.
    package func equals(_ text: StaticString) -> Bool {
        hasSameBytes(as: UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    /// Whether the bytes are those of `text` (given in lower case), ignoring ASCII case.
    package func equalsIgnoringCase(_ text: StaticString) -> Bool {
        equalsIgnoringCase(UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    /// Whether both ranges are equal when ASCII letters are compared without case.
    package func equalsIgnoringCase(_ other: UnsafeRawBufferPointer) -> Bool {
        guard count == other.count else { return false }
        var index = 0
        while index < count {
            if ASCII.lowercase(self[index]) != ASCII.lowercase(other[index]) { return false }
            index &+= 1
        }
        return true
    }

    /// Whether the bytes start with `prefix`.
    package func starts(with prefix: UnsafeRawBufferPointer) -> Bool {
        count >= prefix.count && UnsafeRawBufferPointer(rebasing: self[..<prefix.count]).hasSameBytes(as: prefix)
    }

    /// The bytes without leading and trailing spaces and tabs (RFC 9110 §5.6.3 OWS).
    package var trimmed: UnsafeRawBufferPointer {
        var low = 0
        var high = count
        while low < high, self[low] == 0x20 || self[low] == 0x09 { low &+= 1 }
        while high > low, self[high &- 1] == 0x20 || self[high &- 1] == 0x09 { high &-= 1 }
        return UnsafeRawBufferPointer(rebasing: self[low..<high])
    }

    /// A view of a static string's bytes.
    @inlinable package init(_ text: StaticString) {
        self.init(start: text.utf8Start, count: text.utf8CodeUnitCount)
    }
}

/// ASCII letters.
@usableFromInline package enum ASCII {
    /// The lower-case form of an ASCII letter; other bytes unchanged.
    @inlinable package static func lowercase(_ byte: UInt8) -> UInt8 {
        byte &- 0x41 < 26 ? byte | 0x20 : byte
    }
}
