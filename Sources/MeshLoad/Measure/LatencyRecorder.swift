// SPDX-License-Identifier: Apache-2.0
import Histogram

/// Latencies in nanoseconds.
typealias LatencyHistogram = Histogram<UInt64>

/// What happened in one stretch of the run.
struct RunSlice: Sendable {
    /// From the planned time; to two digits, which is what a plot shows.
    var latency = LatencyRecorder.makeHistogram(.two)
    /// Answers that came in it, whenever their requests were planned.
    var answered: UInt64 = 0
    var failed: UInt64 = 0
}

/// The measurements of one worker. Only requests planned (or, in a closed loop, sent) within the measured time count, but for
/// throughput: that is of the answers that came within it. A server that is overloaded answers the rest of the plan afterwards, and
/// to count that would be to report the plan.
struct LatencyRecorder: Sendable {
    /// From the time a request was planned for to the end of its answer.
    private(set) var latency = makeHistogram(.three)
    /// From the time it was sent; hides what a client would have waited before.
    private(set) var serviceTime = makeHistogram(.three)
    /// From the start of a connection until it can be used, TLS included.
    private(set) var connecting = makeHistogram(.three)
    /// How late requests were sent for which a connection was free: this program's own delay.
    private(set) var lag = makeHistogram(.three)
    private(set) var slices: [RunSlice]
    var failures = FailureCounts()
    private(set) var completed: UInt64 = 0
    /// Answers that came within the measured time, and what they moved.
    private(set) var answered: UInt64 = 0
    private(set) var bytesReceived: UInt64 = 0
    private(set) var bytesSent: UInt64 = 0
    /// Messages of streams.
    private(set) var messages: UInt64 = 0
    var connections: UInt64 = 0
    var resumedSessions: UInt64 = 0
    /// Requests planned within the measured time.
    var planned: UInt64 = 0
    /// Planned requests that waited for a connection, at most.
    var longestBacklog = 0

    let start: UInt64
    let end: UInt64
    /// - Unit: nanoseconds.
    let sliceLength: UInt64

    /// Latencies above this count as this: an hour.
    static let highest: UInt64 = 3_600_000_000_000

    static func makeHistogram(_ digits: SignificantDigits) -> LatencyHistogram {
        LatencyHistogram(lowestDiscernibleValue: 1, highestTrackableValue: highest, numberOfSignificantValueDigits: digits)
    }

    /// How many stretches a run has, equally long: thirty or more to draw and to resample, but none much shorter than 0.1 s.
    static func sliceCount(duration: Double) -> Int { max(1, Int((duration / max(0.1, min(1, duration / 30))).rounded())) }

    /// - Parameters: start and end of the measured time on the clock of the loop.
    init(start: UInt64, duration: Double) {
        self.start = start
        end = start + UInt64(duration * 1e9)
        let count = LatencyRecorder.sliceCount(duration: duration)
        sliceLength = max(1, (end - start + UInt64(count) - 1) / UInt64(count))
        slices = Array(repeating: RunSlice(), count: count)
    }

    /// Whether a request of that planned time is measured.
    func measures(_ planned: UInt64) -> Bool { planned >= start && planned < end }

    private func slice(of time: UInt64) -> Int { min(Int((time - start) / sliceLength), slices.count - 1) }

    /// A whole answer.
    mutating func record(planned: UInt64, sent: UInt64, ended: UInt64, received: Int, sentBytes: Int = 0, messages count: Int = 0) {
        if measures(ended) {
            answered += 1
            bytesReceived += UInt64(received)
            bytesSent += UInt64(sentBytes)
            messages += UInt64(count)
            slices[slice(of: ended)].answered += 1
        }
        guard measures(planned) else { return }
        let waited = ended > planned ? min(ended - planned, LatencyRecorder.highest) : 0
        latency.record(waited)
        serviceTime.record(ended > sent ? min(ended - sent, LatencyRecorder.highest) : 0)
        completed += 1
        slices[slice(of: planned)].latency.record(waited)
    }

    /// A request that failed. One that ran into its time limit is a latency too, of at least what it waited; the others
    /// would make the numbers better the faster they fail, so they only count as failures.
    mutating func record(_ failure: FailureKind, planned: UInt64, sent: UInt64, ended: UInt64) {
        guard measures(planned) else { return }
        failures[failure] += 1
        let index = slice(of: planned)
        slices[index].failed += 1
        guard failure == .timeout || failure == .unanswered || failure == .notSent else { return }
        let waited = ended > planned ? min(ended - planned, LatencyRecorder.highest) : 0
        latency.record(waited)
        slices[index].latency.record(waited)
        if failure != .notSent { serviceTime.record(ended > sent ? min(ended - sent, LatencyRecorder.highest) : 0) }
    }

    mutating func recordConnection(_ nanoseconds: UInt64, at time: UInt64, resumed: Bool) {
        guard measures(time) else { return }
        connections += 1
        if resumed { resumedSessions += 1 }
        connecting.record(min(nanoseconds, LatencyRecorder.highest))
    }

    /// A request was sent `nanoseconds` after it was planned although it had not to wait for a connection.
    mutating func recordLag(_ nanoseconds: UInt64, planned: UInt64) {
        if measures(planned) { lag.record(min(nanoseconds, LatencyRecorder.highest)) }
    }

    /// Takes another worker's measurements in.
    mutating func merge(_ other: LatencyRecorder) {
        latency.add(other.latency)
        serviceTime.add(other.serviceTime)
        connecting.add(other.connecting)
        lag.add(other.lag)
        failures.add(other.failures)
        completed += other.completed
        answered += other.answered
        bytesReceived += other.bytesReceived
        bytesSent += other.bytesSent
        messages += other.messages
        connections += other.connections
        resumedSessions += other.resumedSessions
        planned += other.planned
        longestBacklog += other.longestBacklog
        for index in 0..<min(slices.count, other.slices.count) {
            slices[index].latency.add(other.slices[index].latency)
            slices[index].answered += other.slices[index].answered
            slices[index].failed += other.slices[index].failed
        }
    }
}
