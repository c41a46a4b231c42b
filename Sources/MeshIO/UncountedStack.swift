// SPDX-License-Identifier: Apache-2.0

/// A growable stack of objects that it does not keep alive: pushing and popping count no references, and a steady state
/// allocates nothing.
///
/// Whoever pushes an object sees to it that it lives until it is popped. The request path keeps its idle and dirty
/// objects in these, for an `Array` retains and releases each element on the way in and out.
@frozen @usableFromInline package struct UncountedStack<Object: AnyObject>: ~Copyable {
    @usableFromInline var items: UnsafeMutablePointer<Unmanaged<Object>>
    @usableFromInline package private(set) var count: Int
    @usableFromInline var capacity: Int
    /// See `takeFewest`.
    @usableFromInline var fewest = 0

    /// An empty stack with room for `capacity` objects (at least one).
    @inlinable package init(capacity: Int = 8) {
        self.capacity = max(capacity, 1)
        items = .allocate(capacity: self.capacity)
        count = 0
    }

    @inlinable deinit { items.deallocate() }

    @inlinable package var isEmpty: Bool { count == 0 }

    @inlinable package mutating func push(_ object: Unmanaged<Object>) {
        if count == capacity { grow() }
        (items + count).initialize(to: object)
        count &+= 1
    }

    /// The object pushed last; nil when there is none.
    @inlinable package mutating func pop() -> Unmanaged<Object>? {
        guard count > 0 else { return nil }
        count &-= 1
        if count < fewest { fewest = count }
        return items[count]
    }

    /// The object at `index`, counted from the bottom.
    @inlinable package subscript(index: Int) -> Unmanaged<Object> {
        assert(index >= 0 && index < count)
        return items[index]
    }

    /// Takes `object` out wherever it is, keeping the order of the others. Linear; false when it is not there.
    package mutating func remove(_ object: Object) -> Bool {
        var index = count &- 1
        while index >= 0, items[index].toOpaque() != Unmanaged.passUnretained(object).toOpaque() { index &-= 1 }
        guard index >= 0 else { return false }
        while index &+ 1 < count {
            items[index] = items[index &+ 1]
            index &+= 1
        }
        count &-= 1
        return true
    }

    /// Takes out the object at `index`; the last one takes its place and is returned, if it is another.
    @inlinable package mutating func removeUnordered(at index: Int) -> Unmanaged<Object>? {
        assert(index >= 0 && index < count)
        count &-= 1
        guard index < count else { return nil }
        items[index] = items[count]
        return items[index]
    }

    @inlinable package mutating func removeAll() {
        count = 0
        fewest = 0
    }

    /// The fewest objects the stack held since the last call: that many were not needed in between.
    package mutating func takeFewest() -> Int {
        defer { fewest = count }
        return min(fewest, count)
    }

    /// Takes `number` objects out from the bottom, where the ones are that were used longest ago.
    package mutating func removeOldest(_ number: Int, _ body: (Unmanaged<Object>) -> Void) -> Int {
        let removed = min(max(number, 0), count)
        guard removed > 0 else { return 0 }
        for index in 0..<removed { body(items[index]) }
        for index in removed..<count { items[index &- removed] = items[index] }
        count &-= removed
        fewest = min(fewest, count)
        return removed
    }

    @usableFromInline mutating func grow() { resize(to: capacity * 2) }

    /// Gives back what `TableSize` says the stack does not need, down to `minimum` places; returns the bytes that went to the
    /// allocator.
    package mutating func shrink(minimum: Int = TableSize.smallest) -> Int {
        let before = capacity
        guard let places = TableSize.shrunk(before, holding: count, minimum: minimum) else { return 0 }
        resize(to: places)
        return (before - places) * MemoryLayout<Unmanaged<Object>>.stride
    }

    private mutating func resize(to places: Int) {
        let other = UnsafeMutablePointer<Unmanaged<Object>>.allocate(capacity: places)
        other.update(from: items, count: count)
        items.deallocate()
        items = other
        capacity = places
    }
}
