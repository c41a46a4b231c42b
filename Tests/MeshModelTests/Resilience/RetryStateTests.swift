// SPDX-License-Identifier: Apache-2.0
import MeshModel
import MeshTestKit
import Testing

struct RetryStateTests {
    private func state(_ retries: UInt32) -> RetryState {
        RetryState(conditions: .serverError, retries: retries, backoff: Backoff(base: 25, max: 250))
    }

    @Test func aRequestIsMadeAgainAsOftenAsIsAllowed() {
        var state = state(2)
        for _ in 0..<2 {
            let verdict = state.attemptEnded(isWanted: true, hasRoom: true, random: 7)
            #expect(verdict == .retry(milliseconds: 7, isAskedFor: false))
            #expect(state.isCounted)
        }
        #expect(state.attemptEnded(isWanted: true, hasRoom: true, random: 7) == .limitExceeded)
        #expect(!state.isCounted)
        let held = state.end()
        #expect(!held)
    }

    @Test func anOutcomeThatNobodyMindsEndsTheRetries() {
        var state = state(2)
        #expect(state.attemptEnded(isWanted: false, hasRoom: true, random: 0) == .accept(endsRetry: false))
        _ = state.attemptEnded(isWanted: true, hasRoom: true, random: 0)
        #expect(state.attemptEnded(isWanted: false, hasRoom: true, random: 0) == .accept(endsRetry: true))
        #expect(state.attemptEnded(isWanted: false, hasRoom: true, random: 0) == .accept(endsRetry: false))
    }

    @Test func aRetryWithoutRoomIsUsedUp() {
        var state = state(1)
        #expect(state.attemptEnded(isWanted: true, hasRoom: false, random: 0) == .overflow)
        #expect(!state.isCounted)
        #expect(state.attemptEnded(isWanted: true, hasRoom: true, random: 0) == .limitExceeded)
    }

    @Test func theOwnUnitIsGivenBackOnce() {
        var state = state(1)
        _ = state.attemptEnded(isWanted: true, hasRoom: true, random: 0)
        let (first, second) = (state.end(), state.end())
        #expect(first && !second)
    }

    @Test func aWaitMayBeAskedForOrNone() {
        var state = state(4)
        let asked = state.attemptEnded(isWanted: true, askedWait: 2000, hasRoom: true, random: 1500)
        #expect(asked == .retry(milliseconds: 2500, isAskedFor: true))
        // A wait of one millisecond is none, and the first interval of the back-off was not used up.
        let short = state.attemptEnded(isWanted: true, askedWait: 1, hasRoom: true, random: 24)
        #expect(short == .retry(milliseconds: 24, isAskedFor: false))
        #expect(state.attemptEnded(isWanted: true, isImmediate: true, hasRoom: true, random: 9) == .retryNow)
    }

    /// The units held by many requests never differ from the number of retries under way.
    @Test func unitsAddUp() {
        var random = SeededRandom(seed: 41)
        var states = (0..<20).map { _ in state(UInt32.random(in: 0...3, using: &random)) }
        var usage = 0
        let limit = 5
        for _ in 0..<20_000 {
            let index = Int.random(in: 0..<states.count, using: &random)
            if states[index].isCounted { usage -= 1 }
            if Int.random(in: 0..<10, using: &random) == 0 {
                _ = states[index].end()
                states[index] = state(UInt32.random(in: 0...3, using: &random))
            } else {
                _ = states[index].attemptEnded(
                    isWanted: Bool.random(using: &random), hasRoom: usage < limit, random: random.next())
            }
            if states[index].isCounted { usage += 1 }
            #expect(usage == states.count(where: \.isCounted))
            #expect(usage <= limit)
        }
    }
}

struct BackoffTests {
    @Test func boundsDoubleUpToTheLimit() {
        // The largest random value under each bound comes back as it is; the bound itself wraps to nothing.
        var backoff = Backoff(base: 25, max: 250)
        for bound: UInt64 in [25, 50, 100, 200, 250, 250] {
            var copy = backoff
            let (wrapped, largest) = (copy.next(random: bound), backoff.next(random: bound - 1))
            #expect(wrapped == 0 && largest == bound - 1)
        }
    }

    @Test(arguments: [(0, 0), (1, 1), (10, 5), (UInt64.max, UInt64.max)] as [(UInt64, UInt64)])
    func oddBoundsDoNotTrap(base: UInt64, limit: UInt64) {
        var backoff = Backoff(base: base, max: limit)
        for random in [0, 1, UInt64.max] { for _ in 0..<70 { _ = backoff.next(random: random) } }
    }

    @Test func anAskedWaitGrowsByLessThanHalf() {
        #expect(Backoff.wait(askedFor: 1000, random: 0) == 1000)
        #expect(Backoff.wait(askedFor: 1000, random: 499) == 1499)
        #expect(Backoff.wait(askedFor: 1000, random: 500) == 1000)
        #expect(Backoff.wait(askedFor: 1, random: .max) == 1)
    }

    @Test func aResetHeaderIsSecondsOrATime() {
        #expect(ResetHeaderFormat.seconds.milliseconds(3, wallClock: 1_700_000_000) == 3000)
        #expect(ResetHeaderFormat.unixTimestamp.milliseconds(1_700_000_003, wallClock: 1_700_000_000) == 3000)
        #expect(ResetHeaderFormat.unixTimestamp.milliseconds(1_600_000_000, wallClock: 1_700_000_000) == nil)
        #expect(ResetHeaderFormat.seconds.milliseconds(.max, wallClock: 0) == nil)
    }
}

struct RetryBudgetTests {
    @Test(arguments: [(0, 3), (10, 3), (20, 4), (1000, 200)] as [(UInt32, UInt32)])
    func defaultsAreTwentyPercentAndThree(active: UInt32, limit: UInt32) {
        #expect(RetryBudget().limit(active: active) == limit)
    }

    @Test func theShareIsOfWhatIsActive() {
        var budget = RetryBudget()
        budget.percent = 100
        budget.minConcurrency = 0
        #expect(budget.limit(active: .max) == .max)
        #expect(budget.limit(active: 0) == 0)
        budget.percent = 0
        #expect(budget.limit(active: 1000) == 0)
    }

}
