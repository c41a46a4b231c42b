// SPDX-License-Identifier: Apache-2.0
import Histogram

/// What a run found out.
public struct LoadResult: Sendable {
    public let scenario: LoadScenario
    let recorder: LatencyRecorder
    /// The busiest worker's processor time over wall time, and the time it had to wait for a core.
    public let busyShare: Double
    public let waitShare: Double
    public let cost: CostReport?
    public let lastConnectError: String?

    init(_ scenario: LoadScenario, workers: [WorkerResult], cost: CostMeter?) {
        self.scenario = scenario
        var recorder = workers.first?.recorder ?? LatencyRecorder(start: 0, duration: scenario.duration)
        for worker in workers.dropFirst() { recorder.merge(worker.recorder) }
        self.recorder = recorder
        let busiest = workers.max { $0.busyShare + $0.waitShare < $1.busyShare + $1.waitShare }
        busyShare = busiest?.busyShare ?? 0
        waitShare = busiest?.waitShare ?? 0
        self.cost = cost?.report(requests: recorder.completed)
        lastConnectError = workers.compactMap(\.lastConnectError).last
    }

    public var completed: UInt64 { recorder.completed }
    public var failures: FailureCounts { recorder.failures }
    public var errorShare: Double {
        let all = recorder.completed + recorder.failures.total
        return all == 0 ? 0 : Double(recorder.failures.total) / Double(all)
    }

    /// Answers that came within the measured time, a second.
    public var throughput: Double { Double(recorder.answered) / scenario.duration }

    /// Latency from the planned time. - Unit: nanoseconds.
    public func latency(_ percentile: Double) -> UInt64 { recorder.latency.valueAtPercentile(percentile) }

    /// Latency from the moment of sending. - Unit: nanoseconds.
    public func serviceTime(_ percentile: Double) -> UInt64 { recorder.serviceTime.valueAtPercentile(percentile) }

    /// Who was measured: the target, or this program.
    public var verdict: GeneratorVerdict {
        GeneratorVerdict(
            busyShare: busyShare, waitShare: waitShare, lagP99: recorder.lag.totalCount > 0 ? recorder.lag.valueAtPercentile(99) : 0,
            latencyP99: recorder.latency.totalCount > 0 ? recorder.latency.valueAtPercentile(99) : 0, isOpen: scenario.shape != .closed)
    }
}

/// Whether the numbers tell of the target or of the load tester.
public enum GeneratorVerdict: Equatable, Sendable {
    case sound
    /// The workers' threads had no time left. - Parameters: share of a core that the busiest one used, and share of the time
    /// in which it could have run and had no core.
    case saturated(Double, waiting: Double)
    /// Requests went out late although a connection was free. - Parameter: nanoseconds at the 99th percentile.
    case late(UInt64)

    /// Share of the time, used and waited for, above which a worker can hardly keep time.
    static let mostBusy = 0.9

    /// - Parameters: nanoseconds; `isOpen`: whether there was a plan to be late for.
    init(busyShare: Double, waitShare: Double, lagP99: UInt64, latencyP99: UInt64, isOpen: Bool) {
        if busyShare + waitShare > GeneratorVerdict.mostBusy {
            self = .saturated(busyShare, waiting: waitShare)
        } else if isOpen, lagP99 > 200_000, lagP99 > latencyP99 / 10 {
            self = .late(lagP99)
        } else {
            self = .sound
        }
    }

    /// One sentence; empty when all is well.
    public var warning: String {
        switch self {
        case .sound: ""
        case .saturated(let share, let waiting):
            "generator saturated: this run measures the load tester (its busiest thread used \(Int((share * 100).rounded())) % of a core"
                + (waiting >= 0.01 ? " and waited for one \(Int((waiting * 100).rounded())) % of the time" : "")
                + "); use more workers, fewer requests or another machine"
        case .late(let nanoseconds):
            "generator late: 1 % of requests went out \(DurationText.text(nanoseconds)) or more after their time although a "
                + "connection was free; latencies hold that delay; pin the workers to free cores"
        }
    }
}
