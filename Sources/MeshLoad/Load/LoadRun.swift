// SPDX-License-Identifier: Apache-2.0
import Glibc
import MeshTLS
import MeshUV
import Synchronization

/// A run from outside: starts the workers, watches, collects.
public struct LoadRun {
    /// What a run looks like while it goes on.
    public struct Progress: Sendable {
        public enum Phase: String, Sendable { case connecting, warmUp, measuring, draining }
        public let phase: Phase
        /// Seconds since the phase began, and how long it lasts at most.
        public let elapsed: Double
        public let length: Double
        /// Of all workers, since the load began.
        public let completed: UInt64
        public let failed: UInt64
        /// Latencies of all that completed, added up, and the slowest since the last call. - Unit: nanoseconds.
        public let latencySum: UInt64
        public let slowest: UInt64
        public let backlog: Int
        public let connections: Int
    }

    public let scenario: LoadScenario
    /// The process under test; nil observes none.
    public var observed: ObservedSubject?
    /// Called about ten times a second.
    public var onProgress: (Progress) -> Void = { _ in }

    /// How long the connections may take to be made before the load begins anyway. - Unit: seconds.
    private static let connectPatience = 10.0
    /// How often progress is shown.
    private static let showNanoseconds: UInt64 = 50_000_000
    /// How often connections and workers are asked whether they are done, outside of the measured time: a comparison makes
    /// hundreds of short runs, and what each of them waits too long adds up to minutes.
    private static let pollMicroseconds: UInt32 = 4_000

    public init(_ scenario: LoadScenario, observed: ObservedSubject? = nil) {
        self.scenario = scenario
        self.observed = observed
    }

    /// Runs to the end; blocks the calling thread.
    ///
    /// - Throws: `ScenarioError` for a scenario that cannot be run or a target nobody answers at.
    public func run() throws(ScenarioError) -> LoadResult {
        try scenario.check()
        if let observed, ProcessReader.read(observed) == nil {
            throw ScenarioError("observe: \(observed) cannot be read; allowed: a running process or the folder of a cgroup (v2)")
        }
        let contexts = try makeContexts()
        let signal = StartSignal()
        let box = ResultBox()
        var counters: [LiveCounters] = []
        var threads: [LoadThread] = []
        for index in 0..<scenario.workers {
            let live = LiveCounters()
            counters.append(live)
            let share = scenario.connections / scenario.workers + (index < scenario.connections % scenario.workers ? 1 : 0)
            threads.append(LoadThread(scenario, index: index, connections: share, tls: contexts, signal: signal, live: live, box: box))
        }
        defer {
            for thread in threads { thread.stop() }
        }
        try waitForConnections(counters, box)
        let start = BenchClock.now() + 20_000_000
        signal.start(at: start)
        let cost = watch(counters, start: start)
        for thread in threads { thread.stop() }
        return LoadResult(scenario, workers: box.takeAll(), cost: cost)
    }

    /// One for each client; none without TLS.
    private func makeContexts() throws(ScenarioError) -> [TLSContext] {
        guard let tls = scenario.tls else { return [] }
        var options = TLSContextOptions(role: .client)
        options.trustedCA = tls.trustedCA
        options.acceptsUntrusted = tls.trustedCA == nil
        options.allowsResumption = tls.resumes
        options.maxSessions = scenario.connections
        if let name = scenario.loadProtocol.alpn { options.protocols = [name] }
        var clients = tls.moreClients
        if clients.isEmpty, let chain = tls.clientChain, let key = tls.clientKey { clients = [LoadClient(chain: chain, key: key)] }
        var contexts: [TLSContext] = []
        do throws(TLSContextError) {
            for client in clients {
                options.certificates = [TLSCertificateSource(chain: client.chain, key: client.key)]
                contexts.append(try TLSContext(options, now: Int64(time(nil))))
            }
            if clients.isEmpty { contexts.append(try TLSContext(options, now: Int64(time(nil)))) }
        } catch {
            throw ScenarioError("TLS: \(error.description)")
        }
        return contexts
    }

    private func waitForConnections(_ counters: [LiveCounters], _ box: ResultBox) throws(ScenarioError) {
        let began = BenchClock.now()
        var nextShown: UInt64 = 0
        while true {
            let ready = counters.reduce(0) { $0 + $1.ready.load(ordering: .relaxed) }
            if ready >= scenario.connections { return }
            let now = BenchClock.now()
            let waited = Double(now - began) / 1e9
            if now >= nextShown {
                nextShown = now + LoadRun.showNanoseconds
                onProgress(Progress(
                    phase: .connecting, elapsed: waited, length: LoadRun.connectPatience, completed: 0, failed: 0, latencySum: 0, slowest: 0,
                    backlog: 0, connections: ready))
            }
            if waited >= LoadRun.connectPatience || (ready == 0 && waited > 2) {
                guard ready == 0 else { return }
                let reason = box.lastConnectError.map { " (\($0))" } ?? ""
                throw ScenarioError(
                    "no connection to \(scenario.target) could be made\(reason); is it listening there, and does it speak "
                        + "\(scenario.loadProtocol.rawValue)\(scenario.tls == nil ? "" : " over TLS")?")
            }
            usleep(LoadRun.pollMicroseconds)
        }
    }

    /// Shows progress and reads the observed process until every worker is done.
    private func watch(_ counters: [LiveCounters], start: UInt64) -> CostMeter? {
        var meter = CostMeter()
        let measured = start + UInt64(scenario.warmUp * 1e9)
        let end = measured + UInt64(scenario.duration * 1e9)
        var nextReading = measured
        var hasLast = false
        var nextShown: UInt64 = 0
        while !counters.allSatisfy({ $0.isDone.load(ordering: .acquiring) }) {
            let now = BenchClock.now()
            if let observed, !hasLast, now >= nextReading || now >= end {
                if let reading = ProcessReader.read(observed) {
                    meter.add(reading, at: (Double(now) - Double(measured)) / 1e9)
                }
                nextReading += 1_000_000_000
                hasLast = now >= end
            }
            if now >= nextShown {
                nextShown = now + LoadRun.showNanoseconds
                report(counters, now: now, start: start, measured: measured, end: end)
            }
            guard now < end else {
                usleep(LoadRun.pollMicroseconds)
                continue
            }
            let next = min(observed == nil ? end : nextReading, nextShown, end)
            usleep(UInt32(max(1_000, (Int64(next) - Int64(BenchClock.now())) / 1_000)))
        }
        // Every worker may be done before this thread has looked once more.
        if let observed, !hasLast, let reading = ProcessReader.read(observed) {
            meter.add(reading, at: (Double(BenchClock.now()) - Double(measured)) / 1e9)
        }
        return observed == nil ? nil : meter
    }

    private func report(_ counters: [LiveCounters], now: UInt64, start: UInt64, measured: UInt64, end: UInt64) {
        func seconds(_ later: UInt64, _ earlier: UInt64) -> Double { later > earlier ? Double(later - earlier) / 1e9 : 0 }
        let phase: Progress.Phase = now < measured ? .warmUp : now < end ? .measuring : .draining
        let (elapsed, length) =
            switch phase {
            case .measuring: (seconds(now, measured), scenario.duration)
            case .draining: (seconds(now, end), scenario.timeout)
            default: (seconds(now, start), scenario.warmUp)
            }
        onProgress(Progress(
            phase: phase, elapsed: elapsed, length: length,
            completed: counters.reduce(0) { $0 + $1.completed.load(ordering: .relaxed) },
            failed: counters.reduce(0) { $0 + $1.failed.load(ordering: .relaxed) },
            latencySum: counters.reduce(0) { $0 &+ $1.latencySum.load(ordering: .relaxed) },
            slowest: counters.reduce(0) { max($0, $1.slowest.exchange(0, ordering: .relaxed)) },
            backlog: counters.reduce(0) { $0 + $1.backlog.load(ordering: .relaxed) },
            connections: counters.reduce(0) { $0 + $1.ready.load(ordering: .relaxed) }))
    }
}

/// A worker's thread.
private struct LoadThread {
    private let thread: LoopThread

    init(
        _ scenario: LoadScenario, index: Int, connections: Int, tls: [TLSContext], signal: StartSignal, live: LiveCounters,
        box: ResultBox
    ) {
        thread = LoopThread(name: "load:\(index)", cpu: scenario.firstCPU.map { $0 + index }) { loop in
            LoadWorker(
                scenario, index: index, connections: connections, loop: loop, tls: tls, signal: signal, live: live,
                results: box)
        }
    }

    func stop() {
        thread.stop()
        thread.join()
    }
}
