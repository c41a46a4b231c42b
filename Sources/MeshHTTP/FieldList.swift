// SPDX-License-Identifier: Apache-2.0
import CBytes

/// The elements of a comma-separated field value (RFC 9110 §5.6.1), trimmed; empty ones are handed out too.
package struct FieldList {
    private let bytes: UnsafeRawBufferPointer
    private var position = 0

    /// Walks over `value`, which must stay valid meanwhile.
    package init(_ value: UnsafeRawBufferPointer) { bytes = value }

    /// The next element, nil after the last. A value without commas has one element, an empty value one empty element.
    package mutating func next() -> UnsafeRawBufferPointer? {
        guard position <= bytes.count else { return nil }
        var end = position
        while end < bytes.count, bytes[end] != UInt8(ascii: ",") { end &+= 1 }
        let element = UnsafeRawBufferPointer(rebasing: bytes[position..<end]).trimmed
        position = end &+ 1
        return element
    }
}

extension UnsafeRawBufferPointer {
    /// Whether the bytes are a token (RFC 9110 §5.6.2).
    package var isToken: Bool {
        guard let start = baseAddress?.assumingMemoryBound(to: UInt8.self), count > 0 else { return false }
        return apus_scan_token(start, start + count) == start + count
    }
}
