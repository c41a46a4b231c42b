// SPDX-License-Identifier: Apache-2.0

/// A first-in-first-out queue of numbers in one growing ring.
struct NumberQueue {
    private var ring = [UInt64](repeating: 0, count: 1024)
    private var first = 0
    private(set) var count = 0

    var isEmpty: Bool { count == 0 }

    mutating func push(_ value: UInt64) {
        if count == ring.count { grow() }
        ring[(first &+ count) & (ring.count &- 1)] = value
        count &+= 1
    }

    mutating func pop() -> UInt64? {
        guard count > 0 else { return nil }
        let value = ring[first]
        first = (first &+ 1) & (ring.count &- 1)
        count &-= 1
        return value
    }

    private mutating func grow() {
        var wider = [UInt64](repeating: 0, count: ring.count * 2)
        for index in 0..<count { wider[index] = ring[(first + index) & (ring.count - 1)] }
        ring = wider
        first = 0
    }
}
