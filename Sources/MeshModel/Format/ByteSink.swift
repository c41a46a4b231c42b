// SPDX-License-Identifier: Apache-2.0

/// Scratch memory that text is written to: header values, paths, log lines. Grows, is emptied, never shrinks.
///
/// One per worker, reused; a pointer to its bytes is valid until the next append or `removeAll`.
package final class ByteSink {
    private var base: UnsafeMutablePointer<UInt8>
    private var capacity: Int
    /// Bytes written since the last `removeAll`.
    package private(set) var count = 0

    /// - Parameter capacity: bytes to start with.
    package init(capacity: Int = 1024) {
        self.capacity = max(capacity, 64)
        base = .allocate(capacity: self.capacity)
    }

    deinit { base.deallocate() }

    /// What was written.
    package var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: base, count: count) }

    /// What was written from `offset` on.
    package func bytes(from offset: Int) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: base + min(offset, count), count: count - min(offset, count))
    }

    /// The last byte; 0 when there is none.
    package var last: UInt8 { count > 0 ? base[count - 1] : 0 }

    /// Forgets what was written.
    package func removeAll() { count = 0 }

    /// Forgets what was written after the first `length` bytes.
    package func truncate(to length: Int) { count = min(count, max(length, 0)) }

    private func grow(by room: Int) {
        let wider = max(capacity * 2, count + room)
        let moved = UnsafeMutablePointer<UInt8>.allocate(capacity: wider)
        moved.update(from: base, count: count)
        base.deallocate()
        base = moved
        capacity = wider
    }

    /// Calls `body` with `room` writable bytes; it returns how many it used.
    package func append(room: Int, _ body: (UnsafeMutableRawBufferPointer) -> Int) {
        if capacity - count < room { grow(by: room) }
        count += min(max(body(UnsafeMutableRawBufferPointer(start: base + count, count: room)), 0), room)
    }

    package func append(_ byte: UInt8) {
        if count == capacity { grow(by: 1) }
        base[count] = byte
        count += 1
    }

    /// The bytes must not lie in this sink.
    package func append(_ bytes: UnsafeRawBufferPointer) {
        guard let start = bytes.baseAddress else { return }
        if capacity - count < bytes.count { grow(by: bytes.count) }
        UnsafeMutableRawPointer(base + count).copyMemory(from: start, byteCount: bytes.count)
        count += bytes.count
    }

    package func append(_ text: StaticString) {
        append(UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    /// Cold path and names that are Strings anyway.
    package func append(string text: String) {
        var text = text
        text.withUTF8 { append(UnsafeRawBufferPointer($0)) }
    }

    /// Decimal digits.
    package func append(decimal value: UInt64) {
        if capacity - count < 20 { grow(by: 20) }
        var rest = value
        var end = 20
        // Written from the back into the room, then moved to the front of it.
        let room = base + count
        repeat {
            end -= 1
            room[end] = UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: rest % 10)
            rest /= 10
        } while rest != 0
        room.update(from: room + end, count: 20 - end)
        count += 20 - end
    }

    /// The last `digits` decimal digits, with zeros in front.
    package func append(decimal value: UInt64, digits: Int) {
        var divisor: UInt64 = 1
        for _ in 1..<max(digits, 1) { divisor *= 10 }
        while divisor > 0 {
            append(UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: value / divisor % 10))
            divisor /= 10
        }
    }
}

@available(*, unavailable)
extension ByteSink: Sendable {}
