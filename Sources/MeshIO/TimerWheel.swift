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
        /// Slot list that holds the node; `.max` while it is not armed.
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

    // Bare memory: the nodes are touched several times a request, and an array would check on each touch that it is alone.
    private var nodes: UnsafeMutablePointer<Node>
    private var nodeCount = 0
    private var nodeCapacity = 64
    private var freeNodes: [UInt32] = []
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
        if let reused = freeNodes.popLast() {
            index = reused
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

    private func grow() {
        let wider = UnsafeMutablePointer<Node>.allocate(capacity: nodeCapacity * 2)
        wider.moveInitialize(from: nodes, count: nodeCount)
        nodes.deallocate()
        nodes = wider
        nodeCapacity *= 2
    }

    /// Cancels the timer and gives its node back. `id` becomes none.
    package func free(_ id: inout TimerID) {
        guard !id.isNone else { return }
        cancel(id)
        nodes[Int(id.index)].target = nil
        freeNodes.append(id.index)
        id = .none
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
