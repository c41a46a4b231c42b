// SPDX-License-Identifier: Apache-2.0
@testable import MeshIO
import Testing

/// Who gets the time of a loop that has both, decided without a loop.
struct LongWorkPacingTests {
    @Test func nothingIsDueBeforeEventsHadTime() {
        var pacing = LongWorkPacing()
        #expect(!pacing.isStepDue)
        pacing.eventsTook(1)
        #expect(pacing.isStepDue)
    }

    @Test func eventsGetWhatAStepTook() {
        var pacing = LongWorkPacing()
        pacing.eventsTook(10)
        pacing.stepTook(200)
        pacing.eventsTook(150)
        #expect(!pacing.isStepDue, "events had 150 of 190")
        pacing.eventsTook(50)
        #expect(pacing.isStepDue)
    }

    @Test func stepsGetWhatALongTurnTook() {
        var pacing = LongWorkPacing()
        pacing.eventsTook(900)
        var steps = 0
        while pacing.isStepDue {
            pacing.stepTook(200)
            steps += 1
        }
        #expect(steps == 5)
    }

    @Test func aBusyLoopIsSharedEqually() {
        var pacing = LongWorkPacing()
        var events: UInt64 = 0, steps: UInt64 = 0
        for turn in 0..<10_000 as Range<UInt64> {
            let took = 20 + turn * 7 % 500
            pacing.eventsTook(took)
            events += took
            while pacing.isStepDue {
                let step = 100 + turn * 13 % 200
                pacing.stepTook(step)
                steps += step
            }
        }
        #expect(steps > events * 95 / 100 && steps < events * 105 / 100)
    }

    /// A thousand steps that nobody waited for must not shut out the next one for their sum.
    @Test func stepsInQuietLeaveADebtOfOne() {
        var pacing = LongWorkPacing()
        for _ in 0..<1_000 { pacing.stepTook(200) }
        #expect(pacing.allowance == -200)
    }

    /// A long turn before steps came must not let many of them pass at once later.
    @Test func whatWasNotUsedIsForgotten() {
        var pacing = LongWorkPacing()
        pacing.eventsTook(5_000)
        pacing.stepTook(100)
        pacing.ranOut()
        #expect(!pacing.isStepDue)
        pacing.stepTook(100)
        pacing.ranOut()
        #expect(pacing.allowance == -100, "a debt to events stays")
    }
}

struct LongWorkTests {
    final class Step: LongWork {
        let number: Int
        let log: Log
        var isVoid = false
        var next: (() -> Void)?

        init(_ number: Int, _ log: Log) {
            self.number = number
            self.log = log
        }

        func takeLongStep() -> Bool {
            guard !isVoid else { return false }
            log.taken.append(number)
            log.time += 200
            next?()
            return true
        }
    }

    final class Log {
        var taken: [Int] = []
        var time: UInt64 = 1_000
    }

    private let log = Log()
    private let loop = EventLoop(now: MonotonicInstant(nanoseconds: 1_000), wallClock: 0)

    /// One turn of which the events took so long.
    private func turn(events: UInt64?) {
        loop.now = MonotonicInstant(nanoseconds: log.time)
        log.time += events ?? 0
        loop.runLongWork(isQuiet: events == nil) { log.time }
    }

    @Test func aQuietTurnTakesOneInOrder() {
        for number in 0..<3 { loop.whenQuiet(Step(number, log)) }
        turn(events: nil)
        #expect(log.taken == [0] && loop.hasLongWork)
        turn(events: nil)
        turn(events: nil)
        #expect(log.taken == [0, 1, 2] && !loop.hasLongWork)
    }

    @Test func stepsComeOnThoughEventsNeverStop() {
        for number in 0..<100 { loop.whenQuiet(Step(number, log)) }
        var turns = 0
        while loop.hasLongWork, turns < 10_000 {
            turn(events: 20)
            turns += 1
        }
        #expect(log.taken == Array(0..<100))
        #expect(turns > 900 && turns < 1_100, "ten turns of 20 for each step of 200: \(turns)")
    }

    @Test func whatIsVoidTakesNobodysTurn() {
        for number in 0..<3 {
            let step = Step(number, log)
            step.isVoid = number < 2
            loop.whenQuiet(step)
        }
        turn(events: nil)
        #expect(log.taken == [2] && !loop.hasLongWork)
    }

    @Test func aStepThatComesAgainIsBehindTheOthers() {
        let first = Step(0, log)
        first.next = { [loop, log] in loop.whenQuiet(Step(9, log)) }
        loop.whenQuiet(first)
        loop.whenQuiet(Step(1, log))
        for _ in 0..<3 { turn(events: nil) }
        #expect(log.taken == [0, 1, 9])
    }

    @Test func workIsKeptWhileItWaitsAndNoLonger() {
        weak var seen: Step?
        do {
            let step = Step(0, log)
            seen = step
            loop.whenQuiet(step)
        }
        #expect(seen != nil)
        turn(events: nil)
        #expect(seen == nil)
        loop.whenQuiet(Step(1, log))
        loop.dropLongWork()
        #expect(!loop.hasLongWork)
    }

    /// The places of those who went are used again, in whatever rhythm.
    @Test(arguments: [1, 3, 1_000, 5_000])
    func theOrderHoldsAtAnyLength(backlog: Int) {
        var queue = LongWorkQueue()
        var pushed = 0, popped = 0
        for _ in 0..<backlog {
            queue.append(Step(pushed, log))
            pushed += 1
        }
        while popped < 3 * backlog + 2_000 {
            queue.append(Step(pushed, log))
            pushed += 1
            let step = queue.popFirst() as? Step
            #expect(step?.number == popped)
            popped += 1
        }
        while let step = queue.popFirst() as? Step {
            #expect(step.number == popped)
            popped += 1
        }
        #expect(popped == pushed && queue.isEmpty)
    }
}
