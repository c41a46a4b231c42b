// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import MeshLoad

@Suite struct RoundScheduleTests {
    /// Runs a schedule to its end; `outcome` says what becomes of each turn.
    private func turns(_ variants: Int, _ rounds: Int, _ outcome: (RoundSchedule.Turn) -> RoundSchedule.Outcome) -> [RoundSchedule.Turn] {
        var schedule = RoundSchedule(variants: variants, rounds: rounds)
        var turns: [RoundSchedule.Turn] = []
        while let turn = schedule.next, turns.count < 1_000 {
            turns.append(turn)
            schedule.ended(outcome(turn))
        }
        return turns
    }

    @Test func everyVariantRunsOnceARoundInTheSameOrder() {
        let turns = turns(3, 2) { _ in .clean }
        #expect(turns.map(\.variant) == [0, 1, 2, 0, 1, 2])
        #expect(turns.map(\.round) == [0, 0, 0, 1, 1, 1])
    }

    @Test func aDroppedRunIsMadeUpForByAWholeRound() {
        let turns = turns(2, 3) { $0 == RoundSchedule.Turn(round: 1, variant: 0) ? .dropped : .clean }
        #expect(turns.count == 8)
        #expect(turns.suffix(2).map(\.variant) == [0, 1])
    }

    @Test func makingUpEndsAtTwiceTheRounds() {
        #expect(turns(2, 3) { _ in .dropped }.count == 12)
    }

    @Test func aProxyThatFailedTakesNoFurtherPart() {
        let turns = turns(2, 3) { $0.variant == 1 ? .failed : .clean }
        #expect(turns.filter { $0.variant == 1 }.count == 1)
        #expect(turns.filter { $0.variant == 0 }.count == 3)
    }

    @Test func nothingIsLeftWhenAllHaveFailed() {
        #expect(turns(2, 3) { _ in .failed }.count == 2)
    }

    @Test func whatIsLeftIsCounted() {
        var schedule = RoundSchedule(variants: 3, rounds: 2)
        #expect(schedule.left == 6)
        schedule.ended(.clean)
        #expect(schedule.left == 5)
        schedule.ended(.failed)
        #expect(schedule.left == 3)
    }
}

@Suite struct ComparisonPlanTests {
    private func plan(rounds: Int, seconds: Double) -> ComparisonPlan {
        ComparisonPlan(proxies: [], scenarios: [], rounds: rounds, seconds: seconds, folder: "/")
    }

    @Test func openLoopsHaveMoreAndShorterRounds() throws {
        let open = try #require(ComparisonScenario.all.first { $0.name == "h1-8000" })
        let closed = try #require(ComparisonScenario.all.first { $0.name == "h1-tiny" })
        let beside = try #require(ComparisonScenario.all.first { $0.name == "tls-beside" })
        let memory = try #require(ComparisonScenario.all.first { $0.name == "rss" })
        #expect(plan(rounds: 5, seconds: 1).rounds(open) == 15 && plan(rounds: 5, seconds: 1).seconds(open) == 0.5)
        #expect(plan(rounds: 5, seconds: 4).seconds(open) == 2)
        #expect(plan(rounds: 2, seconds: 0.3).seconds(open) == 0.3)
        for scenario in [closed, beside] {
            #expect(plan(rounds: 5, seconds: 1).rounds(scenario) == 5 && plan(rounds: 5, seconds: 1).seconds(scenario) == 1)
        }
        #expect(plan(rounds: 5, seconds: 1).rounds(memory) == 1)
    }
}

@Suite struct PairedRatioTests {
    @Test func ratiosAreTakenWithinARound() throws {
        // The machine is twice as slow in round 1; across rounds the ratios would be 0.45 and 1.8.
        let ratio = try #require(PairedRatio(subject: "a", [0: 9, 1: 18], reference: "b", [0: 10, 1: 20], metric: "cpu"))
        #expect(ratio.ratios == [0.9, 0.9])
        #expect(ratio.median == Interval(value: 0.9, low: 0.9, high: 0.9))
    }

    @Test func aRoundThatOneOfThemMissedGivesNoRatio() throws {
        let ratio = try #require(PairedRatio(subject: "a", [0: 9, 2: 5], reference: "b", [0: 10, 1: 20], metric: "cpu"))
        #expect(ratio.ratios == [0.9])
        #expect(PairedRatio(subject: "a", [0: 1], reference: "b", [1: 1], metric: "cpu") == nil)
        #expect(PairedRatio(subject: "a", [0: 1], reference: "b", [0: 0], metric: "cpu") == nil)
    }

    @Test func theIntervalHoldsTheMedianAndLiesWithinTheRatios() {
        let values = [0.8, 0.9, 1.0, 1.1, 1.4]
        let interval = PairedRatio.medianInterval(values)
        #expect(interval.value == 1.0)
        #expect(interval.low >= 0.8 && interval.low <= 1.0)
        #expect(interval.high >= 1.0 && interval.high <= 1.4)
        #expect(PairedRatio.medianInterval(values) == interval)
    }

    @Test func theMedianOfAnEvenNumberIsBetweenTheMiddleTwo() {
        #expect(PairedRatio.median(of: [4, 1, 3, 2]) == 2.5)
        #expect(PairedRatio.median(of: [7]) == 7)
    }
}

@Suite struct ComparisonVerdictTests {
    private func run(
        _ variant: String, _ round: Int, _ cpu: Double, failures: [String: UInt64] = [:], wrong: String = "", dropped: Bool = false
    ) -> ComparisonRunRecord {
        ComparisonRunRecord(
            variant: variant, round: round, metrics: ["cpu": cpu], failures: failures, completed: 100, wrong: wrong, isDropped: dropped)
    }

    private func verdict(_ variants: [String], _ runs: [ComparisonRunRecord], broken: [String: String] = [:]) -> ComparisonVerdict {
        ComparisonVerdict(variants: variants, runs: runs, broken: broken, metric: .cpu)
    }

    @Test func aClearDifferenceIsAFigureWithItsSpread() {
        let found = verdict(["apus", "envoy"], [run("apus", 0, 3), run("envoy", 0, 10), run("apus", 1, 4), run("envoy", 1, 10)])
        #expect(found.sentence == "apus: CPU per request 3.50 µs, 0.35 × that of envoy (0.30–0.40).")
        #expect(found.isValid)
    }

    @Test func whatCannotBeToldApartIsSaid() {
        let found = verdict(["apus", "nginx"], [run("apus", 0, 9), run("nginx", 0, 10), run("apus", 1, 11), run("nginx", 1, 10)])
        #expect(found.sentence.contains("(0.90–1.10, no clear difference)"))
    }

    @Test func oneFailedRequestOfTheSubjectMakesItInvalid() {
        let found = verdict(["apus", "envoy"], [run("apus", 0, 3, failures: ["5xx": 1]), run("envoy", 0, 10)])
        #expect(found.sentence == "invalid: apus failed 1 of 101 requests (5xx 1)")
        #expect(!found.isValid)
    }

    @Test func aFailedRequestOfAnotherMakesThatComparisonInvalid() {
        let found = verdict(
            ["apus", "envoy", "nginx"], [run("apus", 0, 3), run("envoy", 0, 10, failures: ["closed": 2]), run("nginx", 0, 6)])
        #expect(found.sentence.contains("invalid against envoy: envoy failed 2 of 102 requests (closed 2)"))
        #expect(found.sentence.contains("0.50 × that of nginx"))
        #expect(!found.isValid)
    }

    @Test func aWrongAnswerMakesItInvalid() {
        let found = verdict(["apus"], [run("apus", 0, 3, wrong: "answers of 0 bytes")])
        #expect(found.sentence == "invalid: apus: answers of 0 bytes")
        #expect(!found.isValid)
    }

    @Test func aProxyThatEndedIsNoFigure() {
        let found = verdict(["apus", "envoy"], [run("apus", 0, 3), run("envoy", 0, 10)], broken: ["apus": "it ended"])
        #expect(found.sentence == "invalid: apus failed: it ended")
    }

    @Test func aFailureInADroppedRunCountsToo() {
        let found = verdict(["apus", "envoy"], [run("apus", 0, 3, failures: ["tls": 1], dropped: true), run("envoy", 0, 10)])
        #expect(!found.isValid)
    }

    @Test func noiseIsSaid() {
        let found = verdict(["apus", "envoy"], [run("apus", 0, 3, dropped: true), run("envoy", 0, 10)])
        #expect(found.sentence.contains("noisy"))
    }

    @Test func aloneThereIsNothingToCompareWith() {
        #expect(verdict(["apus"], [run("apus", 0, 3)]).sentence == "apus: CPU per request 3.00 µs, with nothing to compare it with.")
        #expect(!verdict([], []).isValid)
    }

    @Test func droppedRunsLeaveTheFiguresUnlessTooFewAreLeft() {
        let runs = [run("a", 0, 1), run("a", 1, 1), run("a", 2, 9, dropped: true)]
        #expect(ScenarioOutcome.kept(runs, "a").count == 2)
        #expect(ScenarioOutcome.kept(Array(runs.dropFirst()), "a").count == 2)
        #expect(ScenarioOutcome.kept([runs[2]], "a").count == 1)
    }
}

@Suite struct ResumptionCheckTests {
    @Test func connectionsThatWereNotResumedAreWrong() {
        #expect(ResumptionCheck(connections: 1_000, resumed: 500, atOnce: 32).wrong == "500 of 1000 connections were not resumed")
        #expect(ResumptionCheck(connections: 1_000, resumed: 950, atOnce: 32).wrong.isEmpty)
    }
}

@Suite struct BulkCheckTests {
    @Test func bytesThatWereNotPassedOnAreWrong() {
        #expect(BulkCheck(taken: 2e9, delivered: 4e9, connections: 1).wrong.isEmpty)
        // Some are on their way.
        #expect(BulkCheck(taken: 2e9, delivered: 3.9e9, connections: 8).wrong.isEmpty)
        #expect(BulkCheck(taken: 2e9, delivered: 2.5e9, connections: 8).wrong == "it took 2.00 GB and passed 500 MB on at most")
        #expect(BulkCheck(taken: 2e9, delivered: 1.9e9, connections: 1).wrong == "it took 2.00 GB and passed 0 B on at most")
    }

    @Test func theKernelsCountOfDeliveredBytesIsRead() {
        let text = "TcpExt: A InOctets\nTcpExt: 1 2\nIpExt: InNoRoutes InOctets OutOctets\nIpExt: 0 12345 7\n"
        #expect(MachineUse.deliveredBytes(text) == 12_345)
        #expect(MachineUse.deliveredBytes("IpExt: InOctets\n") == nil)
        #expect(MachineUse.deliveredBytes("IpExt: A\nIpExt: 1\n") == nil)
    }
}

@Suite struct MachineUseTests {
    @Test func whatOthersUsedIsWhatIsLeftOfTheBusyTime() {
        let use = MachineUse(busy: 2, proxy: 0.9, upstream: 0.3, load: 0.5, wall: 1)
        #expect(abs(use.outsideCores - 0.3) < 1e-9)
        #expect(use.isSpoiled)
        #expect(!MachineUse(busy: 2, proxy: 0.9, upstream: 0.4, load: 0.5, wall: 1).isSpoiled)
        // Ticks are coarser than the scheduler's clock.
        #expect(MachineUse(busy: 1, proxy: 0.9, upstream: 0.2, load: 0, wall: 1).outsideCores == 0)
    }

    @Test func theKernelsFirstLineIsRead() throws {
        let text = "cpu  100 10 50 9000 7 3 2 5 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0\n"
        #expect(try #require(MachineUse.busySeconds(text)) == 1.7)
        #expect(MachineUse.busySeconds("intr 1") == nil)
    }
}
