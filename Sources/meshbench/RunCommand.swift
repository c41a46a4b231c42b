// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Glibc
import MeshLoad

/// `meshbench run`.
struct RunCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Sends a load and reports what came back.",
        discussion: """
            The load is open by default: requests have planned times, and latency counts \
            from the planned time, so that a server that stalls cannot hide it. Without \
            --rate or another plan the loop is closed: every connection sends again when \
            it was answered.

            Examples:
              meshbench run http://127.0.0.1:8080/ --rate 2000 --duration 30s
              meshbench run 'http://127.0.0.1:8080/item/{1..500}' --rate 500 --poisson \\
                --observe 4711 --html run.html
              meshbench run https://127.0.0.1:8443/ -p http2 -c 10 -s 32 --closed \\
                --fail-if 'p99>5ms' --fail-if 'errors>0%'
              meshbench run http://127.0.0.1:15001/ --rate 5000 \\
                --baseline http://127.0.0.1:8080/ --fail-if 'added-p99>1ms'
              meshbench run http://127.0.0.1:8080/ -p grpc --grpc-call bidi \\
                --messages 10 --body-size 100 --rate 200
              meshbench run ws://127.0.0.1:8080/ --body-size exp:2000 --rate 1000
              meshbench run tcp://127.0.0.1:7000 --body-size 1024
              meshbench run tcp://127.0.0.1:7000 --tcp-mode duplex -c 2
            """)

    @OptionGroup var load: LoadOptions
    @OptionGroup var shape: ShapeOptions
    @OptionGroup var observing: ObserveOptions
    @Option(name: .customLong("fail-if"), help: "Exit 2 when the result is beyond it: 'p99>5ms', 'errors>0.1%', 'rps<1000', 'cpu>20us', 'rss>50MB'.")
    var failIf: [String] = []
    @Option(help: "Target without the proxy: the same load goes there first, and its latencies are subtracted.")
    var baseline: String?
    @OptionGroup var reports: ReportOptions
    @Flag(help: "Print nothing while it runs.")
    var quiet = false

    func run() throws {
        let thresholds = try failIf.map { text in
            do throws(ScenarioError) { return try Threshold(text) } catch { throw ValidationError(error) }
        }
        let shape = try self.shape.shape()
        let scenario = try load.scenario(shape)
        var base: RunBaseline?
        if let baseline {
            guard shape != .closed else {
                throw ValidationError("baseline: found a closed loop; allowed: --rate or another plan, or the two would not get the same load")
            }
            base = RunBaseline(RunSummary(try measure(try load.scenario(shape, at: baseline), observed: nil)))
        }
        let result = try measure(scenario, observed: observing.subject)
        var summary = RunSummary(result)
        summary.baseline = base
        print(TextReport.text(summary), terminator: "")
        if let error = result.lastConnectError, result.failures.total > 0 { print("  the last connection that failed: \(error)") }
        try reports.write(json: FileReport.json(summary), csv: FileReport.csv(summary), html: HTMLReport.page([summary]))
        let crossed = thresholds.filter { $0.isCrossed(by: summary) }
        for threshold in crossed { print("  FAILED: \(threshold)") }
        if !crossed.isEmpty { throw ExitCode(2) }
    }

    private func measure(_ scenario: LoadScenario, observed: ObservedSubject?) throws -> LoadResult {
        try ProgressLine(isQuiet: quiet).follow(LoadRun(scenario, observed: observed))
    }
}

/// When requests are sent.
struct ShapeOptions: ParsableArguments {
    @Option(name: .shortAndLong, help: "Requests a second over all connections.")
    var rate: Double?
    @Flag(help: "Random arrivals at --rate, as of many users, instead of evenly spaced ones.")
    var poisson = false
    @Option(help: "Rise or fall: FROM:TO:TIME, such as 100:5000:30s.")
    var ramp: String?
    @Option(help: "Stairs: RATE:TIME,RATE:TIME, such as 1000:10s,4000:10s.")
    var step: String?
    @Option(help: "File with one arrival time in seconds a line, ascending.")
    var replay: String?
    @Flag(help: "Send again when answered (the default without a plan).")
    var closed = false

    func shape() throws -> LoadShape {
        let plans = [rate != nil, ramp != nil, step != nil, replay != nil, closed].filter { $0 }
        guard plans.count <= 1 else { throw ValidationError("allowed: one of --rate, --ramp, --step, --replay and --closed") }
        if poisson, rate == nil { throw ValidationError("--poisson needs --rate") }
        if let rate {
            guard rate > 0, rate <= 10_000_000 else { throw ValidationError("rate: found \(rate); allowed: above 0, at most 10,000,000") }
            return .open(poisson ? .poisson(rate) : .constant(rate))
        }
        if let ramp { return .open(try Self.ramp(ramp)) }
        if let step { return .open(.steps(try Self.steps(step))) }
        if let replay { return .open(.replay(try Self.times(replay))) }
        return .closed
    }

    static func ramp(_ text: String) throws -> ArrivalPlan {
        let parts = text.split(separator: ":").map(String.init)
        guard parts.count == 3, let from = Double(parts[0]), let to = Double(parts[1]), let time = Seconds(argument: parts[2]),
            from >= 0, to >= 0, from + to > 0, time.value > 0
        else { throw ValidationError("ramp: found '\(text)'; allowed: FROM:TO:TIME, such as 100:5000:30s") }
        return .ramp(from: from, to: to, seconds: time.value)
    }

    static func steps(_ text: String) throws -> [RateStep] {
        try text.split(separator: ",").map { part in
            let pair = part.split(separator: ":").map(String.init)
            guard pair.count == 2, let rate = Double(pair[0]), let time = Seconds(argument: pair[1]), rate >= 0, time.value > 0 else {
                throw ValidationError("step: found '\(part)'; allowed: RATE:TIME, such as 1000:10s")
            }
            return RateStep(rate: rate, seconds: time.value)
        }
    }

    static func times(_ path: String) throws -> [UInt64] {
        guard let text = FileContents.text(path) else { throw ValidationError("\(path): cannot be read") }
        var times: [UInt64] = []
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() where !line.isEmpty {
            guard let seconds = Double(line), seconds >= 0, seconds < 1e9 else {
                throw ValidationError("\(path), line \(index + 1): found '\(line)'; allowed: seconds from the start")
            }
            let time = UInt64(seconds * 1e9)
            guard time >= times.last ?? 0 else { throw ValidationError("\(path), line \(index + 1): found a time before the last one") }
            times.append(time)
        }
        return times
    }
}

/// A run that could not be made; printed without the usage text, for the command line was right.
struct RunFailure: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// One line that is written over and over, on a terminal alone.
final class ProgressLine {
    private let isShown: Bool
    private var last: (time: Double, completed: UInt64, latencySum: UInt64) = (0, 0, 0)
    private var rate = 0.0
    private var mean = 0.0
    /// The slowest answer of the last interval that was shown, and of the one that is running.
    private var slowest: UInt64 = 0
    private var slowestNow: UInt64 = 0
    private var phase: LoadRun.Progress.Phase?

    init(isQuiet: Bool) { isShown = !isQuiet && isatty(STDERR_FILENO) == 1 }

    /// Runs a load to its end and shows how it goes on.
    func follow(_ run: LoadRun) throws -> LoadResult {
        var run = run
        run.onProgress = { self.show($0) }
        defer { clear() }
        do throws(ScenarioError) { return try run.run() } catch { throw RunFailure(error.description) }
    }

    private func show(_ progress: LoadRun.Progress) {
        guard isShown else { return }
        if progress.phase != phase {
            phase = progress.phase
            last = (progress.elapsed, progress.completed, progress.latencySum)
        }
        slowestNow = max(slowestNow, progress.slowest)
        if progress.elapsed - last.time >= 0.5 {
            let count = progress.completed - last.completed
            rate = Double(count) / (progress.elapsed - last.time)
            mean = count == 0 ? 0 : Double(progress.latencySum &- last.latencySum) / Double(count)
            (slowest, slowestNow) = (slowestNow, 0)
            last = (progress.elapsed, progress.completed, progress.latencySum)
        }
        let share = progress.length > 0 ? min(1, progress.elapsed / progress.length) : 1
        let full = Int(share * 20)
        let bar = String(repeating: "█", count: full) + String(repeating: "·", count: 20 - full)
        let names: [LoadRun.Progress.Phase: String] = [
            .connecting: "connecting", .warmUp: "warm-up", .measuring: "measuring", .draining: "waiting for answers",
        ]
        write(
            "\r\u{1B}[K\(names[progress.phase] ?? "") \(bar) \(DurationText.count(rate))/s, mean \(DurationText.text(UInt64(mean))), "
                + "slowest \(DurationText.text(slowest)), \(progress.failed) failed, \(progress.backlog) waiting, "
                + "\(progress.connections) connections")
    }

    private func clear() {
        if isShown { write("\r\u{1B}[K") }
    }

    private func write(_ text: String) {
        let bytes = Array(text.utf8)
        _ = Glibc.write(STDERR_FILENO, bytes, bytes.count)
    }
}
