// SPDX-License-Identifier: Apache-2.0
import MeshModel
import Testing

struct PreviousPrioritiesTests {
    private func expect(_ priorities: inout PreviousPriorities, _ excluded: UInt64) {
        let next = priorities.next()
        #expect(next == excluded)
    }

    @Test func everyFailedPriorityIsLeftOutAtOnce() {
        var priorities = PreviousPriorities(updateFrequency: 1)
        expect(&priorities, 0)
        priorities.attemptFailed(priority: 0)
        expect(&priorities, 0b1)
        priorities.attemptFailed(priority: 2)
        expect(&priorities, 0b101)
        priorities.startOver()
        priorities.attemptFailed(priority: 1)
        expect(&priorities, 0b10)
    }

    @Test func theRenewalComesAfterSoManyFailures() {
        var priorities = PreviousPriorities(updateFrequency: 2)
        var seen: [UInt64] = []
        for priority: UInt32 in [0, 0, 1, 1, 2] {
            priorities.attemptFailed(priority: priority)
            seen.append(priorities.next())
        }
        #expect(seen == [0, 0b1, 0, 0b11, 0])
    }

    @Test func withoutAFrequencyNothingIsLeftOut() {
        var priorities = PreviousPriorities()
        for priority: UInt32 in [0, 1, .max] { priorities.attemptFailed(priority: priority) }
        expect(&priorities, 0)
    }

    @Test func aHighPriorityDoesNotTrap() {
        var priorities = PreviousPriorities(updateFrequency: 1)
        priorities.attemptFailed(priority: .max)
        expect(&priorities, 1 << 63)
    }
}
