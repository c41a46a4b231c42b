// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import MeshLoad

@Suite struct ArrivalPlanTests {
    /// The arrivals of all workers within `seconds`, in order.
    private func arrivals(_ plan: ArrivalPlan, workers: Int, seconds: Double) -> [UInt64] {
        var times: [UInt64] = []
        for worker in 0..<workers {
            var sequence = ArrivalSequence(plan, worker: worker, of: workers, seed: 7)
            while let time = sequence.next(), Double(time) < seconds * 1e9 { times.append(time) }
        }
        return times.sorted()
    }

    @Test(arguments: [1, 3, 8]) func evenArrivalsOfAllWorkersTogetherAreEven(_ workers: Int) {
        let times = arrivals(.constant(1000), workers: workers, seconds: 1)
        #expect(times.count == 1000)
        #expect(zip(times, times.dropFirst()).allSatisfy { $1 - $0 >= 999_999 && $1 - $0 <= 1_000_001 })
    }

    @Test func randomArrivalsHaveTheRateAndTheSpreadOfAPoissonProcess() {
        let times = arrivals(.poisson(1000), workers: 4, seconds: 20)
        #expect(abs(times.count - 20_000) < 600)
        var perTenth = [Double](repeating: 0, count: 200)
        for time in times { perTenth[Int(time / 100_000_000)] += 1 }
        let mean = perTenth.reduce(0, +) / 200
        let variance = perTenth.map { ($0 - mean) * ($0 - mean) }.reduce(0, +) / 199
        // Mean and variance of a Poisson count are the same; even arrivals would have none.
        #expect(variance / mean > 0.7 && variance / mean < 1.4)
    }

    @Test func aRampHasTheAreaUnderItsLine() {
        let times = arrivals(.ramp(from: 100, to: 300, seconds: 10), workers: 2, seconds: 10)
        #expect(abs(times.count - 2000) <= 1)
        #expect(abs(times.filter { $0 < 5_000_000_000 }.count - 750) <= 1)
        let after = arrivals(.ramp(from: 100, to: 300, seconds: 10), workers: 2, seconds: 12)
        #expect(abs(after.count - 2600) <= 1)
    }

    @Test func aFallingRampEndsWhereItsRateIsNothing() {
        #expect(ArrivalSequence.rampTime(499, 100, 0, 10) != nil)
        #expect(ArrivalSequence.rampTime(500, 100, 0, 10) == nil)
    }

    @Test func stepsFollowOneAnotherAndTheLastGoesOn() {
        let plan = ArrivalPlan.steps([RateStep(rate: 100, seconds: 2), RateStep(rate: 0, seconds: 1), RateStep(rate: 10, seconds: 1)])
        let times = arrivals(plan, workers: 1, seconds: 5)
        #expect(times.filter { $0 < 2_000_000_000 }.count == 200)
        #expect(times.filter { (2_000_000_000..<3_000_000_000).contains($0) }.isEmpty)
        #expect(times.filter { $0 >= 3_000_000_000 }.count == 20)
    }

    @Test func recordedArrivalsAreDealtOutAndEnd() {
        let recorded: [UInt64] = [0, 5, 5, 9, 1000]
        #expect(arrivals(.replay(recorded), workers: 2, seconds: 1) == recorded)
    }

    @Test func theSameSeedGivesTheSameTimes() {
        #expect(arrivals(.poisson(50), workers: 2, seconds: 3) == arrivals(.poisson(50), workers: 2, seconds: 3))
    }
}
