// SPDX-License-Identifier: Apache-2.0
import Histogram
import MeshIO

/// A run as reports and files hold it. Times are nanoseconds, unless a name says otherwise.
public struct RunSummary: Equatable, Sendable, Codable {
    /// Of this form; a reader refuses others.
    public static let currentFormat = 1

    public var format = RunSummary.currentFormat
    public let name: String
    public let target: String
    public let loadProtocol: LoadProtocol
    /// `open` or `closed`, and the plan in words.
    public let shape: String
    public let isOpen: Bool
    public let connections: Int
    public let streams: Int
    public let workers: Int
    public let durationSeconds: Double
    public let warmUpSeconds: Double
    public let usesTLS: Bool

    public let planned: UInt64
    public let completed: UInt64
    public let failures: [String: UInt64]
    public let errorShare: Double
    /// Answers that came within the measured time, a second; of a target that cannot keep up that is less than `completed`, which
    /// holds those that came later too.
    public let throughput: Interval
    /// Received and sent, heads and frames of the protocol included as far as this program sees them.
    public let bytesPerSecond: Double
    public let bytesSentPerSecond: Double
    /// Messages of gRPC and WebSocket both ways; 0 where the protocol knows none.
    public let messagesPerSecond: Double
    /// From the planned time.
    public let latency: [Percentile]
    public let latencyMean: Double
    public let latencyMax: UInt64
    /// From the moment of sending: what a tool without a plan would have printed.
    public let serviceTime: [Percentile]
    public let connecting: [Percentile]
    public let connectionsMade: UInt64
    public let resumedSessions: UInt64
    public let longestBacklog: Int
    /// Time over the measured time.
    public let series: [SeriesPoint]
    /// For the plot: latency by percentile, from the planned time and from sending.
    public let curve: [CurvePoint]
    public let cost: CostReport?
    /// The same load without the proxy; nil where none was asked for.
    public var baseline: RunBaseline?
    public let generatorBusyShare: Double
    public let generatorWaitShare: Double
    /// Empty when the numbers tell of the target.
    public let warning: String

    /// A point of a distribution.
    public struct Percentile: Equatable, Sendable, Codable {
        public let percentile: Double
        public let nanoseconds: Interval
    }

    /// One stretch of the run.
    public struct SeriesPoint: Equatable, Sendable, Codable {
        /// Middle of the stretch from the start of the measured time. - Unit: seconds.
        public let time: Double
        public let throughput: Double
        public let failuresPerSecond: Double
        public let p50: UInt64
        public let p99: UInt64
    }

    /// A point of the latency curve.
    public struct CurvePoint: Equatable, Sendable, Codable {
        public let percentile: Double
        public let latency: UInt64
        public let serviceTime: UInt64
    }

    public static let percentiles = [50.0, 75, 90, 95, 99, 99.9, 99.99, 100]

    public init(_ result: LoadResult) {
        let scenario = result.scenario
        let recorder = result.recorder
        name = scenario.name
        target = scenario.target.description
        loadProtocol = scenario.loadProtocol
        shape = RunSummary.text(of: scenario.shape)
        isOpen = scenario.shape != .closed
        connections = scenario.connections
        streams = scenario.streams
        workers = scenario.workers
        durationSeconds = scenario.duration
        warmUpSeconds = scenario.warmUp
        usesTLS = scenario.tls != nil
        planned = recorder.planned
        completed = recorder.completed
        failures = Dictionary(uniqueKeysWithValues: recorder.failures.present.map { ($0.kind.name, $0.count) })
        errorShare = result.errorShare
        let sliceSeconds = Double(recorder.sliceLength) / 1e9
        let lengths = recorder.slices.indices.map { min(sliceSeconds, scenario.duration - Double($0) * sliceSeconds) }
        let rates = zip(recorder.slices, lengths).map { Double($0.answered) / max($1, 1e-9) }
        let spread = Bootstrap.mean(rates, seed: scenario.seed)
        throughput = Interval(
            value: result.throughput, low: min(spread.low, result.throughput), high: max(spread.high, result.throughput))
        bytesPerSecond = Double(recorder.bytesReceived) / scenario.duration
        bytesSentPerSecond = Double(recorder.bytesSent) / scenario.duration
        messagesPerSecond = Double(recorder.messages) / scenario.duration
        latency = zip(
            RunSummary.percentiles,
            Bootstrap.latency(recorder.slices, RunSummary.percentiles, whole: recorder.latency, seed: scenario.seed)
        ).map { Percentile(percentile: $0, nanoseconds: $1) }
        latencyMean = recorder.latency.totalCount > 0 ? recorder.latency.mean : 0
        latencyMax = recorder.latency.totalCount > 0 ? recorder.latency.valueAtPercentile(100) : 0
        serviceTime = RunSummary.percentiles.map { RunSummary.point(recorder.serviceTime, $0) }
        connecting = RunSummary.percentiles.map { RunSummary.point(recorder.connecting, $0) }
        connectionsMade = recorder.connections
        resumedSessions = recorder.resumedSessions
        longestBacklog = recorder.longestBacklog
        series = recorder.slices.enumerated().map { index, slice in
            SeriesPoint(
                time: Double(index) * sliceSeconds + lengths[index] / 2, throughput: Double(slice.answered) / max(lengths[index], 1e-9),
                failuresPerSecond: Double(slice.failed) / max(lengths[index], 1e-9),
                p50: slice.latency.totalCount > 0 ? slice.latency.valueAtPercentile(50) : 0,
                p99: slice.latency.totalCount > 0 ? slice.latency.valueAtPercentile(99) : 0)
        }
        curve = RunSummary.curvePercentiles.map {
            CurvePoint(
                percentile: $0, latency: RunSummary.value(recorder.latency, $0), serviceTime: RunSummary.value(recorder.serviceTime, $0))
        }
        cost = result.cost
        generatorBusyShare = result.busyShare
        generatorWaitShare = result.waitShare
        warning = result.verdict.warning
    }

    /// Ever nearer to 100, as the eye wants them on an axis of nines.
    private static let curvePercentiles: [Double] =
        stride(from: 0.0, through: 4.5, by: 0.1).map { nines in
            var rest = 1.0
            var left = nines
            while left >= 1 {
                rest /= 10
                left -= 1
            }
            // 10^-left for left in 0..<1, by tenths.
            for _ in 0..<Int((left * 10).rounded()) { rest /= 1.258_925_411_794_167_2 }
            return 100 * (1 - rest)
        }

    private static func value(_ histogram: LatencyHistogram, _ percentile: Double) -> UInt64 {
        histogram.totalCount > 0 ? histogram.valueAtPercentile(percentile) : 0
    }

    private static func point(_ histogram: LatencyHistogram, _ percentile: Double) -> Percentile {
        let value = Double(value(histogram, percentile))
        return Percentile(percentile: percentile, nanoseconds: Interval(value: value, low: value, high: value))
    }

    /// Latency at one of `percentiles`; of another the next higher one that was kept.
    public func latencyNanoseconds(_ percentile: Double) -> Double {
        latency.first { $0.percentile >= percentile }?.nanoseconds.value ?? Double(latencyMax)
    }

    static func text(of shape: LoadShape) -> String {
        switch shape {
        case .closed: "closed loop"
        case .open(.constant(let rate)): "\(DurationText.count(rate))/s, evenly"
        case .open(.poisson(let rate)): "\(DurationText.count(rate))/s, Poisson"
        case .open(.ramp(let from, let to, let seconds)):
            "\(DurationText.count(from))/s to \(DurationText.count(to))/s over \(DurationText.digits(seconds)) s"
        case .open(.steps(let steps)):
            "steps " + steps.map { "\(DurationText.count($0.rate))/s for \(DurationText.digits($0.seconds)) s" }.joined(separator: ", ")
        case .open(.replay(let times)): "\(times.count) recorded arrivals"
        }
    }
}
