// SPDX-License-Identifier: Apache-2.0

/// Turns by weight: whoever's deadline is next goes first and comes back after 1/weight (earliest deadline first).
///
/// A binary heap in fixed memory; equal deadlines go in order of arrival, so equal weights make a plain rotation.
struct TurnOrder: ~Copyable {
    private struct Turn: BitwiseCopyable {
        var deadline: Double
        var arrival: UInt64
        var member: Int32

        static func < (left: Turn, right: Turn) -> Bool {
            left.deadline == right.deadline ? left.arrival < right.arrival : left.deadline < right.deadline
        }
    }

    private let heap: UnsafeMutablePointer<Turn>
    private var count = 0
    private var arrivals: UInt64 = 0

    init(capacity: Int) { heap = .allocate(capacity: max(capacity, 1)) }

    deinit { heap.deallocate() }

    /// Adds a member. Call at most `capacity` times.
    mutating func add(_ member: Int32, weight: Double) {
        heap[count] = Turn(deadline: 1 / weight, arrival: arrivals, member: member)
        arrivals &+= 1
        count += 1
        var index = count - 1
        while index > 0, heap[index] < heap[(index - 1) / 2] {
            swap(index, (index - 1) / 2)
            index = (index - 1) / 2
        }
    }

    /// Whose turn it is; -1 when there is nobody.
    var next: Int32 { count > 0 ? heap[0].member : -1 }

    /// The one whose turn it was goes to its next place, `weight` being its weight now.
    mutating func advance(weight: Double) {
        guard count > 0 else { return }
        heap[0].deadline += 1 / weight
        heap[0].arrival = arrivals
        arrivals &+= 1
        var index = 0
        while true {
            var least = index
            let (left, right) = (2 * index + 1, 2 * index + 2)
            if left < count, heap[left] < heap[least] { least = left }
            if right < count, heap[right] < heap[least] { least = right }
            if least == index { return }
            swap(index, least)
            index = least
        }
    }

    private func swap(_ left: Int, _ right: Int) {
        let turn = heap[left]
        heap[left] = heap[right]
        heap[right] = turn
    }
}
