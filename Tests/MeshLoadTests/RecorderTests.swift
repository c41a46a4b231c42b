// SPDX-License-Identifier: Apache-2.0
import Histogram
import Testing

@testable import MeshLoad

@Suite struct RecorderTests {
    private let second: UInt64 = 1_000_000_000

    @Test func onlyWhatWasPlannedWithinTheMeasuredTimeCounts() {
        var recorder = LatencyRecorder(start: 10 * second, duration: 2)
        recorder.record(planned: 9 * second, sent: 9 * second, ended: 11 * second, received: 1)
        recorder.record(planned: 12 * second, sent: 12 * second, ended: 12 * second, received: 1)
        #expect(recorder.completed == 0)
        recorder.record(planned: 12 * second - 1, sent: 12 * second, ended: 13 * second, received: 1)
        #expect(recorder.completed == 1)
    }

    /// A sliver at the end would be a rate of its own.
    @Test(arguments: [0.05, 0.1, 0.25, 1, 4, 10, 33.3, 100, 3600]) func theStretchesOfARunAreEquallyLong(_ duration: Double) {
        let recorder = LatencyRecorder(start: 7, duration: duration)
        let whole = recorder.end - recorder.start
        let last = whole - UInt64(recorder.slices.count - 1) * recorder.sliceLength
        #expect(recorder.sliceLength - last <= UInt64(recorder.slices.count))
        #expect(duration < 3 || recorder.slices.count >= 30)
    }

    /// A server that stalls for a second: the plan has a request each 10 ms, the connection sends them when it can.
    @Test func latencyFromThePlanShowsAStallThatSendingHides() {
        var recorder = LatencyRecorder(start: 0, duration: 10)
        for index in 0..<1000 {
            let planned = UInt64(index) * 10_000_000
            // Nothing is answered in the fifth second; what was planned then goes out when it is over.
            let isStalled = planned >= 4 * second && planned < 5 * second
            let sent = isStalled ? 5 * second : planned
            recorder.record(planned: planned, sent: sent, ended: sent + 1_000_000, received: 0)
        }
        #expect(recorder.latency.valueAtPercentile(99) > 900_000_000)
        #expect(recorder.serviceTime.valueAtPercentile(99) < 1_100_000)
        // A tenth of the requests waited, half a second in the mean.
        #expect(abs(recorder.latency.mean - 51_500_000) < 2_000_000)
    }

    @Test func aTimeoutIsALatencyAndARefusalIsNot() {
        var recorder = LatencyRecorder(start: 0, duration: 10)
        recorder.record(.timeout, planned: 0, sent: 0, ended: 5 * second)
        recorder.record(.status5xx, planned: 0, sent: 0, ended: 1000)
        #expect(recorder.latency.totalCount == 1)
        #expect(recorder.failures.total == 2)
        #expect(recorder.failures[.timeout] == 1)
    }

    @Test func workersAddUp() {
        var one = LatencyRecorder(start: 0, duration: 1)
        var other = LatencyRecorder(start: 0, duration: 1)
        one.record(planned: 5, sent: 5, ended: 1000, received: 10)
        other.record(planned: 6, sent: 6, ended: 2000, received: 20)
        other.record(.closed, planned: 7, sent: 7, ended: 9)
        one.merge(other)
        #expect(one.completed == 2)
        #expect(one.bytesReceived == 30)
        #expect(one.failures[.closed] == 1)
        #expect(one.slices.reduce(0) { $0 + $1.answered } == 2)
    }

    @Test func theConfidenceOfAnEvenRunIsNarrowAndOfAnUnevenOneWide() {
        func slices(_ value: (Int) -> UInt64) -> [RunSlice] {
            (0..<30).map { index in
                var slice = RunSlice()
                for _ in 0..<100 { slice.latency.record(value(index)) }
                return slice
            }
        }
        var whole = LatencyRecorder.makeHistogram(.three)
        for index in 0..<30 { for _ in 0..<100 { whole.record(index % 2 == 0 ? 1_000_000 : 9_000_000) } }
        let uneven = Bootstrap.latency(slices { $0 % 2 == 0 ? 1_000_000 : 9_000_000 }, [50], whole: whole, seed: 1)[0]
        #expect(uneven.high > 8_000_000 && uneven.low < 1_100_000)
        var even = LatencyRecorder.makeHistogram(.three)
        for _ in 0..<3000 { even.record(1_000_000) }
        let narrow = Bootstrap.latency(slices { _ in 1_000_000 }, [50], whole: even, seed: 1)[0]
        #expect(narrow.high / narrow.low < 1.02)
    }

    @Test func throughputIsOfAnswersThatCameInTime() {
        var recorder = LatencyRecorder(start: 1_000_000_000, duration: 1)
        // Planned in the warm-up, answered in the measured time; within it; planned within it, answered too late.
        recorder.record(planned: 900_000_000, sent: 900_000_000, ended: 1_050_000_000, received: 5)
        recorder.record(planned: 1_100_000_000, sent: 1_100_000_000, ended: 1_950_000_000, received: 5)
        recorder.record(planned: 1_900_000_000, sent: 1_900_000_000, ended: 2_100_000_000, received: 5)
        #expect(recorder.answered == 2 && recorder.completed == 2 && recorder.bytesReceived == 10)
        #expect(recorder.latency.totalCount == 2)
        #expect(recorder.slices.map(\.answered) == [1, 0, 0, 0, 0, 0, 0, 0, 0, 1])
    }
}
