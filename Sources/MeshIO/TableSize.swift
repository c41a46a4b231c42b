// SPDX-License-Identifier: Apache-2.0

/// When a table that grew in a burst gives memory back. Asked on the loop's 30 s tick, never on the way of a request.
package enum TableSize {
    /// A table of this many places stays as it is.
    package static let smallest = 64

    /// The places a table of `capacity` ought to have that holds `count`; nil where it stays as it is.
    ///
    /// A table shrinks when three quarters are empty, to twice what it holds: so one that goes on growing and shrinking by a
    /// little is left alone.
    ///
    /// - Parameter minimum: places it has at least; `smallest` if that is more.
    package static func shrunk(_ capacity: Int, holding count: Int, minimum: Int = smallest) -> Int? {
        let least = max(minimum, smallest)
        guard capacity > least, count <= capacity / 4 else { return nil }
        let wanted = max(least, count * 2)
        return wanted < capacity ? wanted : nil
    }
}

extension ContiguousArray {
    /// Gives back what `TableSize` says it does not need; returns the bytes that went to the allocator.
    package mutating func shrink() -> Int {
        let before = capacity
        guard let places = TableSize.shrunk(before, holding: count) else { return 0 }
        var smaller = ContiguousArray()
        smaller.reserveCapacity(places)
        smaller.append(contentsOf: self)
        self = smaller
        return Swift.max(0, before - capacity) * MemoryLayout<Element>.stride
    }
}
