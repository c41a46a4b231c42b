// SPDX-License-Identifier: Apache-2.0

/// Something that has a step to take which is long for a turn of the loop, such as that of a TLS handshake (0.1 ms and
/// more); see `EventLoop.whenQuiet`.
package protocol LongWork: AnyObject {
    /// Takes one step.
    ///
    /// - Returns: false where there was nothing to do any more, and so no time was spent.
    func takeLongStep() -> Bool
}

/// Shares a loop's time between ready events and steps of long work.
///
/// A step is taken when nothing else is ready. While events keep coming, they get as much time after a step as it took,
/// then long work gets as much as they have had since: neither waits for the end of the other, and each has half of a loop
/// that is always busy.
///
/// Invariant: debts do not add up. After a step events are owed that step at most, however many were taken in quiet; steps
/// are owed no more than the turns between took.
struct LongWorkPacing: Equatable {
    /// Time that steps may take; negative while it is owed to events. - Unit: nanoseconds.
    private(set) var allowance: Int64 = 0

    /// Events were handled while a step waited.
    mutating func eventsTook(_ nanoseconds: UInt64) { allowance += Int64(clamping: nanoseconds) }

    /// Whether a step may be taken although events may be ready.
    var isStepDue: Bool { allowance > 0 }

    mutating func stepTook(_ nanoseconds: UInt64) { allowance = max(allowance, 0) - Int64(clamping: nanoseconds) }

    /// No step waits any more, and none is owed.
    mutating func ranOut() { allowance = min(allowance, 0) }
}

/// Long work in the order it came, counted while it waits.
struct LongWorkQueue: ~Copyable {
    private var items: [(any LongWork)?] = []
    /// Position of the first that waits.
    private var head = 0

    /// Places that are kept, and that may lie unused before the first one.
    private static let spareLimit = 1_024

    var isEmpty: Bool { head == items.count }

    mutating func append(_ work: any LongWork) { items.append(work) }

    mutating func popFirst() -> (any LongWork)? {
        guard head < items.count else { return nil }
        let first = items[head].take()
        head += 1
        if head == items.count {
            items.removeAll(keepingCapacity: items.capacity <= LongWorkQueue.spareLimit)
            head = 0
        } else if head >= LongWorkQueue.spareLimit, head * 2 >= items.count {
            // Half of the places at least, so each is moved once on average.
            items.removeFirst(head)
            head = 0
        }
        return first
    }

    mutating func removeAll() {
        items = []
        head = 0
    }
}
