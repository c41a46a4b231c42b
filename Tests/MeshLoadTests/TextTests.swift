// SPDX-License-Identifier: Apache-2.0
import MeshIO
import Testing

@testable import MeshLoad

@Suite struct TextTests {
    @Test func timesAndCountsHaveThreeDigits() {
        #expect(DurationText.text(812) == "812 ns")
        #expect(DurationText.text(45_240) == "45.2 µs")
        #expect(DurationText.text(3_104_000) == "3.10 ms")
        #expect(DurationText.text(1_250_000_000) == "1.25 s")
        #expect(DurationText.count(12_400) == "12.4 k")
        #expect(DurationText.fixed(0.05, 1) == "0.1")
        #expect(DurationText.fixed(-1.25, 1) == "-1.3")
        #expect(DurationText.bytes(10_600_000) == "10.6 MB")
    }

    @Test func processTextsAreReadWhateverTheNameOfTheProcess() {
        let stat = "42 (a b) c) S 7 42 42 0 -1 4194304 100 0 0 0 150 50 0 0 20 0 3 0 1000 10000 200 184"
        #expect(ProcessReader.cpuTicks(stat) == 200)
        #expect(ProcessReader.parent(stat) == 7)
        #expect(ProcessReader.residentPages("1000 250 30 1 0 20 0\n") == 250)
        #expect(ProcessReader.cgroupSeconds("usage_usec 2500000\nuser_usec 1\n") == 2.5)
        #expect(ProcessReader.number(after: "\nvoluntary_ctxt_switches:", in: "x\nvoluntary_ctxt_switches:\t17\n") == 17)
        #expect(ProcessReader.cpuTicks("garbage") == nil)
        #expect(ProcessorCount.allowed("Name:\tx\nCpus_allowed:\tff,0000000f\nCpus_allowed_list:\t0-3") == 12)
        #expect(ProcessorCount.allowed("garbage") == 1)
    }

    @Test(arguments: [
        ("p99>5ms", 5e6, true), ("p99.9>1.5s", 1.5e9, true), ("max>10us", 1e4, true), ("errors>0.1%", 0.1, true),
        ("rps<1000", 1000, false), ("cpu>20us", 2e4, true), ("rss>50MB", 5e7, true),
    ]) func thresholdsAreRead(_ text: String, _ limit: Double, _ isAbove: Bool) throws {
        let threshold = try Threshold(text)
        #expect(threshold.limit == limit)
        #expect(threshold.isAbove == isAbove)
    }

    @Test(arguments: ["p99", "p0>5ms", "p101>5ms", "p99>5", "fast>1ms", "rss>5", "errors>x"])
    func whatIsNoThresholdIsAnError(_ text: String) {
        #expect(throws: ScenarioError.self) { try Threshold(text) }
    }

    @Test func theSearchClosesInOnTheLimit() {
        for limit in [37.0, 1_000, 54_321, 900_000] {
            var search = RateSearch(start: 1000, precision: 0.02, mostTrials: 60)
            while let rate = search.next { search.add(holds: rate <= limit) }
            #expect(search.highestGood <= limit && search.highestGood > limit * 0.97)
        }
    }

    @Test func theSearchEndsWhenNothingHoldsAndWhenEverythingDoes() {
        var hopeless = RateSearch(start: 1000)
        while hopeless.next != nil { hopeless.add(holds: false) }
        #expect(hopeless.highestGood == 0)
        var endless = RateSearch(start: 1000, ceiling: 50_000)
        while endless.next != nil { endless.add(holds: true) }
        #expect(endless.highestGood == 50_000)
    }

    @Test func aStallHoldsAnswersBackToItsEnd() {
        var behaviour = ServedBehaviour()
        behaviour.stallPeriod = 10_000
        behaviour.stallLength = 1_000
        #expect(behaviour.due(at: 5_000, epoch: 0, delay: 0) == 5_000)
        #expect(behaviour.due(at: 500, epoch: 0, delay: 0) == 500)
        #expect(behaviour.due(at: 10_400, epoch: 0, delay: 0) == 11_000)
        #expect(behaviour.due(at: 9_900, epoch: 0, delay: 200) == 11_000)
        #expect(behaviour.due(at: 11_000, epoch: 0, delay: 0) == 11_000)
    }

    @Test func aPathSaysWhatToAnswer() {
        let answer = Array("/x?size=10&delay=20&status=404&other=1".utf8).withUnsafeBytes { ServedAnswer(path: $0, ServedBehaviour()) }
        #expect(answer.size == 10 && answer.delay == 20_000_000 && answer.status == 404)
        let hostile = Array("/x?size=99999999999999999999&delay=-1&status=7&&=".utf8).withUnsafeBytes { ServedAnswer(path: $0, ServedBehaviour()) }
        #expect(hostile.size == 0 && hostile.delay == 0 && hostile.status == 200)
    }

    @Test func aBusyOrLateGeneratorIsCalledOne() {
        #expect(GeneratorVerdict(busyShare: 0.95, waitShare: 0, lagP99: 0, latencyP99: 1_000_000, isOpen: false) == .saturated(0.95, waiting: 0))
        #expect(GeneratorVerdict(busyShare: 0.5, waitShare: 0.45, lagP99: 0, latencyP99: 1_000_000, isOpen: false) == .saturated(0.5, waiting: 0.45))
        #expect(GeneratorVerdict(busyShare: 0.2, waitShare: 0, lagP99: 2_000_000, latencyP99: 3_000_000, isOpen: true) == .late(2_000_000))
        #expect(GeneratorVerdict(busyShare: 0.2, waitShare: 0.1, lagP99: 150_000, latencyP99: 200_000, isOpen: true) == .sound)
    }

    @Test(arguments: [(4.0, 1.0, 4), (100, 20, 5), (98.8, 20, 5), (0.031, 0.01, 4), (7, 2, 4), (0, 1, 1), (1, 0.2, 5), (300, 100, 3)])
    func axesHaveRoundMarks(_ highest: Double, _ step: Double, _ count: Int) {
        let found = LinePlot.steps(to: highest)
        #expect(abs(found.step - step) < step * 1e-9 && found.count == count)
    }

    @Test func marksHaveTheDigitsTheyNeed() {
        #expect(LinePlot.timeMarks(4).map(\.text) == ["0", "1", "2", "3", "4"])
        #expect(LinePlot.timeMarks(0.5).map(\.text) == ["0", "0.1", "0.2", "0.3", "0.4", "0.5"])
        #expect(LinePlot.plain(0.025) == "0.025" && LinePlot.plain(10) == "10")
    }

    @Test func aDifferenceIsOfPercentilesAndItsBoundsTheWidest() throws {
        let target = try #require(Address(ip: "127.0.0.1", port: 1))
        var base = LatencyRecorder(start: 0, duration: 1)
        var loaded = LatencyRecorder(start: 0, duration: 1)
        for index in 0..<1000 {
            base.record(planned: UInt64(index), sent: UInt64(index), ended: UInt64(index) + 1_000_000, received: 0)
            loaded.record(planned: UInt64(index), sent: UInt64(index), ended: UInt64(index) + 3_000_000, received: 0)
        }
        func summary(_ recorder: LatencyRecorder) -> RunSummary {
            let scenario = LoadScenario(
                name: "x", target: target, loadProtocol: .http1,
                requests: RequestPlan(requests: [PlannedRequest(authority: "a", path: "/")]), shape: .open(.constant(1000)), duration: 1)
            return RunSummary(LoadResult(
                scenario, workers: [WorkerResult(recorder: recorder, busyShare: 0, waitShare: 0, lastConnectError: nil)], cost: nil))
        }
        var run = summary(loaded)
        #expect(run.added == nil && run.addedNanoseconds(99) == nil)
        run.baseline = RunBaseline(summary(base))
        #expect(abs((run.addedNanoseconds(50) ?? 0) - 2_000_000) < 4_000)
        #expect(run.added?.allSatisfy { $0.nanoseconds.low <= $0.nanoseconds.value && $0.nanoseconds.value <= $0.nanoseconds.high } == true)
        let rows = RunComparison(summary(base), run).rows
        #expect(rows[1].label == "latency p50" && rows[1].ratioText == "3.00" && rows[1].verdict == "higher")
        #expect(RunComparison(run, run).rows[1].verdict == "within the noise")
    }
}
