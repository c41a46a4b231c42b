// SPDX-License-Identifier: Apache-2.0
import Histogram

/// What a run found out.
public struct LoadResult: Sendable {
    public let scenario: LoadScenario
    let recorder: LatencyRecorder
    /// The busiest worker's processor time over wall time.
    public let busyShare: Double
    public let cost: CostReport?
    public let lastConnectError: String?

    init(_ scenario: LoadScenario, workers: [WorkerResult], cost: CostMeter?) {
        self.scenario = scenario
        var recorder = workers.first?.recorder ?? LatencyRecorder(start: 0, duration: scenario.duration)
        for worker in workers.dropFirst() { recorder.merge(worker.recorder) }
        self.recorder = recorder
        busyShare = workers.map(\.busyShare).max() ?? 0
        self.cost = cost?.report(requests: recorder.completed)
        lastConnectError = workers.compactMap(\.lastConnectError).last
    }

    public var completed: UInt64 { recorder.completed }
    public var failures: FailureCounts { recorder.failures }
    public var errorShare: Double {
        let all = recorder.completed + recorder.failures.total
        return all == 0 ? 0 : Double(recorder.failures.total) / Double(all)
    }

    /// Answers a second over the measured time.
    public var throughput: Double { Double(recorder.completed) / scenario.duration }

    /// Latency from the planned time. - Unit: nanoseconds.
    public func latency(_ percentile: Double) -> UInt64 { recorder.latency.valueAtPercentile(percentile) }

    /// Latency from the moment of sending. - Unit: nanoseconds.
    public func serviceTime(_ percentile: Double) -> UInt64 { recorder.serviceTime.valueAtPercentile(percentile) }

    /// Who was measured: the target, or this program.
    public var verdict: GeneratorVerdict {
        GeneratorVerdict(
            busyShare: busyShare, lagP99: recorder.lag.totalCount > 0 ? recorder.lag.valueAtPercentile(99) : 0,
            latencyP99: recorder.latency.totalCount > 0 ? recorder.latency.valueAtPercentile(99) : 0, isOpen: scenario.shape != .closed)
    }
}

/// Whether the numbers tell of the target or of the load tester.
public enum GeneratorVerdict: Equatable, Sendable {
    case sound
    /// The workers' threads had no time left. - Parameter: share of a core that the busiest one used.
    case saturated(Double)
    /// Requests went out late although a connection was free. - Parameter: nanoseconds at the 99th percentile.
    case late(UInt64)

    /// Share of a core above which a worker can hardly keep time.
    static let mostBusy = 0.9

    /// - Parameters: nanoseconds; `isOpen`: whether there was a plan to be late for.
    init(busyShare: Double, lagP99: UInt64, latencyP99: UInt64, isOpen: Bool) {
        if busyShare > GeneratorVerdict.mostBusy {
            self = .saturated(busyShare)
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
        case .saturated(let share):
            "generator saturated: this run measures the load tester (its busiest thread used \(Int((share * 100).rounded())) % of a core); "
                + "use more workers, fewer requests or another machine"
        case .late(let nanoseconds):
            "generator late: 1 % of requests went out \(DurationText.text(nanoseconds)) or more after their time although a "
                + "connection was free; latencies hold that delay; pin the workers to free cores"
        }
    }
}
