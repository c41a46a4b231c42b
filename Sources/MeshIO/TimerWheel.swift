// SPDX-License-Identifier: Apache-2.0

/// Something that timers call. The tag tells several timers of one object apart.
package protocol TimerTarget: AnyObject {
    func onTimer(_ tag: UInt32)
}

/// A timer of one wheel; made by `TimerWheel.make`, given back by `TimerWheel.free`.
@frozen @usableFromInline package struct TimerID: Equatable, Sendable {
    @usableFromInline let index: UInt32
    @inlinable init(index: UInt32) { self.index = index }
    /// No timer.
    @inlinable package static var none: TimerID { TimerID(index: .max) }
    @inlinable package var isNone: Bool { index == .max }
}

/// A hierarchical timer wheel with ticks of 1 ms: arming, re-arming and cancelling are O(1) and allocate nothing.
///
/// Four wheels of 256 slots cover 2^32 ms (49 days); longer delays wait in the last slot and are put back when it turns.
/// A timer never fires early, and at most one tick plus the loop's delay late.
///
/// Invariants:
/// - an armed node is in exactly one slot list; `armedCount` is their number;
/// - `currentTick` never goes back; every armed deadline is greater than `currentTick` between calls of `advance`.
package final class TimerWheel {
    private struct Node {
        var previous: UInt32 = .max
        var next: UInt32 = .max
        /// Slot list that holds the node; `.max` while it is not armed, `vacant` while it is nobody's and `next` leads to the
        /// next such node.
        var slot: UInt32 = .max
        var tag: UInt32 = 0
        var deadline: UInt64 = 0
        /// Unretained: whoever makes a timer frees it before it dies.
        unowned(unsafe) var target: (any TimerTarget)?
    }

    private static let slotBits: UInt64 = 8
    private static let slotCount = 256
    private static let levels = 4
    private static let tickNanoseconds: UInt64 = 1_000_000
    private static let vacant: UInt32 = .max - 1

    // Bare memory: the nodes are touched several times a request, and an array would check on each touch that it is alone.
    private var nodes: UnsafeMutablePointer<Node>
    private var nodeCount = 0
    private var nodeCapacity = TableSize.smallest
    /// The first of the nodes that nobody has.
    private var firstFree: UInt32 = .max
    private var isShrinking = false
    private let heads: UnsafeMutablePointer<UInt32>
    private var currentTick: UInt64
    /// Nodes of the slot being fired, walked by index so that a callback may cancel any of them.
    private var firing: UInt32 = .max

    /// Armed timers.
    package private(set) var armedCount = 0
    /// The earliest deadline armed since the last `nextWake` was asked, as a hint for the loop's one real timer.
    package private(set) var earliestArmed: UInt64 = .max

    package init(now: MonotonicInstant) {
        nodes = .allocate(capacity: nodeCapacity)
        heads = .allocate(capacity: TimerWheel.slotCount * TimerWheel.levels)
        heads.initialize(repeating: .max, count: TimerWheel.slotCount * TimerWheel.levels)
        currentTick = now.nanoseconds / TimerWheel.tickNanoseconds
    }

    deinit {
        nodes.deinitialize(count: nodeCount).deallocate()
        heads.deallocate()
    }

    /// Makes a timer that calls `target.onTimer(tag)`. The target is not retained: call `free` before it dies.
    package func make(target: any TimerTarget, tag: UInt32 = 0) -> TimerID {
        let index: UInt32
        if firstFree != .max {
            index = firstFree
            firstFree = nodes[Int(index)].next
            nodes[Int(index)].next = .max
            nodes[Int(index)].slot = .max
        } else {
            if nodeCount == nodeCapacity { grow() }
            index = UInt32(truncatingIfNeeded: nodeCount)
            (nodes + nodeCount).initialize(to: Node())
            nodeCount += 1
        }
        nodes[Int(index)].target = target
        nodes[Int(index)].tag = tag
        return TimerID(index: index)
    }

    private func grow() { resize(to: nodeCapacity * 2) }

    private func resize(to places: Int) {
        let other = UnsafeMutablePointer<Node>.allocate(capacity: places)
        other.moveInitialize(from: nodes, count: nodeCount)
        nodes.deallocate()
        nodes = other
        nodeCapacity = places
    }

    /// Bytes of the table of timers, for tests.
    package var tableBytes: Int { nodeCapacity * MemoryLayout<Node>.stride }

    /// Cancels the timer and gives its node back. `id` becomes none.
    package func free(_ id: inout TimerID) {
        guard !id.isNone else { return }
        cancel(id)
        vacate(id.index)
        id = .none
    }

    private func vacate(_ index: UInt32) {
        nodes[Int(index)].target = nil
        nodes[Int(index)].slot = TimerWheel.vacant
        // While timers move to the front, those that come free behind are not to be taken; `shrink` lists them.
        if !isShrinking { list(index) }
    }

    private func list(_ index: UInt32) {
        nodes[Int(index)].next = firstFree
        firstFree = index
    }

    // MARK: Giving memory back

    /// If the table is mostly empty, `settle` moves timers to its front from now until `shrink`.
    package func prepareToShrink() {
        var taken = 0
        for index in 0..<nodeCount where nodes[index].slot != TimerWheel.vacant { taken += 1 }
        isShrinking = TableSize.shrunk(nodeCapacity, holding: taken) != nil
        if isShrinking { listFree() }
    }

    /// Moves a timer to the first free node if that is before its own, so that `shrink` can give back what lies behind. `id`
    /// names it there. For timers of what may live long and is idle now.
    package func settle(_ id: inout TimerID) {
        guard isShrinking, !id.isNone, firstFree < id.index else { return }
        let (from, to) = (id.index, firstFree)
        let node = nodes[Int(from)]
        firstFree = nodes[Int(to)].next
        nodes[Int(to)] = node
        if node.slot != .max {
            if node.previous != .max { nodes[Int(node.previous)].next = to } else { heads[Int(node.slot)] = to }
            if node.next != .max { nodes[Int(node.next)].previous = to }
        }
        vacate(from)
        id = TimerID(index: to)
    }

    /// Gives back the nodes behind the last one that somebody has, where `TableSize` says so; returns the bytes that went to the
    /// allocator. New timers take the first free node from then on.
    package func shrink() -> Int {
        if !isShrinking { prepareToShrink() }
        guard isShrinking else { return 0 }
        isShrinking = false
        while nodeCount > 0, nodes[nodeCount - 1].slot == TimerWheel.vacant { nodeCount -= 1 }
        listFree()
        let before = nodeCapacity
        guard let places = TableSize.shrunk(before, holding: nodeCount) else { return 0 }
        resize(to: places)
        return (before - places) * MemoryLayout<Node>.stride
    }

    /// Lists the free nodes in order.
    private func listFree() {
        firstFree = .max
        for index in (0..<nodeCount).reversed() where nodes[index].slot == TimerWheel.vacant {
            list(UInt32(truncatingIfNeeded: index))
        }
    }

    /// Arms (or re-arms) the timer for `deadline`; one in the past fires at the next tick.
    package func arm(_ id: TimerID, at deadline: MonotonicInstant) {
        guard !id.isNone else { return }
        cancel(id)
        // Rounded up, so that no timer fires early.
        let whole = deadline.nanoseconds / TimerWheel.tickNanoseconds
        let tick = whole &+ (deadline.nanoseconds % TimerWheel.tickNanoseconds == 0 ? 0 : 1)
        insert(id.index, deadline: max(tick, currentTick &+ 1))
        armedCount &+= 1
        if nodes[Int(id.index)].deadline < earliestArmed { earliestArmed = nodes[Int(id.index)].deadline }
    }

    /// Whether the timer is armed.
    package func isArmed(_ id: TimerID) -> Bool { !id.isNone && nodes[Int(id.index)].slot != .max }

    /// Disarms the timer; it can be armed again.
    package func cancel(_ id: TimerID) {
        guard !id.isNone, nodes[Int(id.index)].slot != .max else { return }
        unlink(id.index)
        armedCount &-= 1
    }

    /// When the loop should call `advance` next, in nanoseconds of the monotonic clock; nil with nothing armed.
    ///
    /// May be earlier than the next deadline (a wheel has to turn), never later.
    package func nextWake() -> MonotonicInstant? {
        earliestArmed = .max
        guard armedCount > 0 else { return nil }
        var tick = UInt64.max
        for level in 0..<TimerWheel.levels {
            if let found = firstOccupied(level: level) { tick = min(tick, found) }
        }
        earliestArmed = tick
        return MonotonicInstant(nanoseconds: tick &* TimerWheel.tickNanoseconds)
    }

    /// The tick at which the first occupied slot of a wheel is reached: its deadline on the first wheel, the moment its
    /// nodes move down on the others.
    private func firstOccupied(level: Int) -> UInt64? {
        let shift = TimerWheel.slotBits * UInt64(level)
        let position = currentTick >> shift
        for step in 1...UInt64(TimerWheel.slotCount) {
            let slot = Int((position &+ step) & 255)
            if heads[level * TimerWheel.slotCount + slot] != .max { return (position &+ step) << shift }
        }
        return nil
    }

    /// Fires every timer whose deadline is at or before `now`.
    package func advance(to now: MonotonicInstant) {
        let target = now.nanoseconds / TimerWheel.tickNanoseconds
        if armedCount == 0 {
            currentTick = max(currentTick, target)
            return
        }
        while currentTick < target {
            currentTick &+= 1
            if currentTick & 255 == 0 { cascade(level: 1) }
            fire(slot: Int(currentTick & 255))
            if armedCount == 0 {
                currentTick = max(currentTick, target)
                return
            }
        }
    }

    private func fire(slot: Int) {
        // One node at a time from the front: a callback may cancel, free or arm any timer, this slot's included (a new
        // deadline is always past `currentTick`, so it lands elsewhere).
        while heads[slot] != .max {
            let index = heads[slot]
            unlink(index)
            armedCount &-= 1
            nodes[Int(index)].target?.onTimer(nodes[Int(index)].tag)
        }
    }

    private func cascade(level: Int) {
        guard level < TimerWheel.levels else { return }
        let position = Int((currentTick >> (TimerWheel.slotBits * UInt64(level))) & 255)
        if position == 0 { cascade(level: level + 1) }
        let slot = level * TimerWheel.slotCount + position
        var index = heads[slot]
        heads[slot] = .max
        while index != .max {
            let next = nodes[Int(index)].next
            // A deadline equal to `currentTick` is due in this very tick: its slot is fired right after.
            insert(index, deadline: max(nodes[Int(index)].deadline, currentTick))
            index = next
        }
    }

    private func insert(_ index: UInt32, deadline: UInt64) {
        let delay = deadline &- currentTick
        var level = 0
        var reach: UInt64 = 256
        while delay >= reach, level < TimerWheel.levels - 1 {
            level += 1
            reach <<= TimerWheel.slotBits
        }
        // Beyond the last wheel: park in its furthest slot, `cascade` puts the node back with its true deadline.
        let place = delay >= reach ? currentTick &+ reach &- 1 : deadline
        let slot = level * TimerWheel.slotCount + Int((place >> (TimerWheel.slotBits * UInt64(level))) & 255)
        nodes[Int(index)].deadline = deadline
        nodes[Int(index)].slot = UInt32(truncatingIfNeeded: slot)
        nodes[Int(index)].previous = .max
        nodes[Int(index)].next = heads[slot]
        if heads[slot] != .max { nodes[Int(heads[slot])].previous = index }
        heads[slot] = index
    }

    private func unlink(_ index: UInt32) {
        let node = nodes[Int(index)]
        if node.previous != .max {
            nodes[Int(node.previous)].next = node.next
        } else {
            heads[Int(node.slot)] = node.next
        }
        if node.next != .max { nodes[Int(node.next)].previous = node.previous }
        nodes[Int(index)].slot = .max
        nodes[Int(index)].previous = .max
        nodes[Int(index)].next = .max
    }
}
