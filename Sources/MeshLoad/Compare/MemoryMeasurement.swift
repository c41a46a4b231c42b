// SPDX-License-Identifier: Apache-2.0
import Glibc
import MeshIO

/// The memory scenarios: fresh processes, connections that are held open, and what the kernel says of the process meanwhile.
struct MemoryMeasurement {
    let scenario: ComparisonScenario
    let bench: ComparisonBench
    let rounds: Int
    /// A fresh process for a variant at a door; not started yet.
    let makeProcess: (ComparisonVariant, Door) throws(ScenarioError) -> ProxyProcess

    private typealias Figures = [ComparisonMetric: Double]

    func measure(_ variants: [ComparisonVariant]) -> LoadMeasurement.Result {
        var result = LoadMeasurement.Result()
        for round in 0..<rounds {
            for variant in variants {
                let name = "\(scenario.name) round \(round + 1)/\(rounds) \(variant.label)"
                bench.live(name)
                guard result.broken[variant.label] == nil else {
                    bench.step("\(name): left out, for it failed before")
                    continue
                }
                do throws(ScenarioError) {
                    let figures = try figures(variant)
                    result.runs.append(
                        ComparisonRunRecord(
                            variant: variant.label, round: round,
                            metrics: Dictionary(uniqueKeysWithValues: figures.map { ($0.key.rawValue, $0.value) }), completed: 1))
                    let shown = scenario.tableMetrics.compactMap { metric in figures[metric].map { "\(metric.title) \(metric.text($0))" } }
                    bench.step("\(name): \(shown.joined(separator: ", "))")
                } catch {
                    result.broken[variant.label] = error.description
                    bench.step("\(name): FAILED: \(error.description)")
                }
            }
        }
        return result
    }

    private func figures(_ variant: ComparisonVariant) throws(ScenarioError) -> Figures {
        switch scenario.kind {
        case .idleMemory: try idle(variant)
        case .connectionMemory: try perConnection(variant)
        case .flatMemory(let requests): try flat(variant, requests)
        case .burstMemory: try burst(variant)
        case .load, .beside: [:]
        }
    }

    // MARK: Scenarios

    /// One process idle and with idle connections, another with connections that sent one byte.
    private func idle(_ variant: ComparisonVariant) throws(ScenarioError) -> Figures {
        var figures: Figures = [:]
        let process = try started(variant, .http)
        defer { process.stop() }
        figures[.idle] = try afterOneRequest(process)
        figures[.idle1000] = try held(process, .http1, connections: 1_000)
        figures[.idle10000] = try held(process, .http1, connections: 10_000)
        let other = try started(variant, .http)
        defer { other.stop() }
        figures[.pending10000] = try pending(other, connections: 10_000)
        return figures
    }

    /// Connections of the first measurement pay for pools and tables, so that the second one tells what one more takes.
    private static let few = 100
    private static let many = 2_100

    private func perConnection(_ variant: ComparisonVariant) throws(ScenarioError) -> Figures {
        var figures: Figures = [:]
        let kinds: [(ComparisonMetric, Door, LoadProtocol)] = [
            (.perHTTP1TLS, .mtls, .http1), (.perHTTP2, .h2, .http2), (.perHTTP2TLS, .mtls, .http2),
        ]
        for (metric, door, spoken) in kinds where variant.proxy.kind.serves(door) {
            let process = try started(variant, door)
            defer { process.stop() }
            let first = try held(process, spoken, connections: MemoryMeasurement.few)
            let then = try held(process, spoken, connections: MemoryMeasurement.many)
            figures[metric] = (then - first) / Double(MemoryMeasurement.many - MemoryMeasurement.few)
        }
        if variant.proxy.kind.serves(.h2) {
            let process = try started(variant, .h2)
            defer { process.stop() }
            let without = try held(process, .http2, connections: MemoryMeasurement.few)
            let with = try open(process, connections: MemoryMeasurement.few, streams: 100)
            figures[.perStreamPair] = (with - without) / Double(MemoryMeasurement.few * 100)
        }
        return figures
    }

    /// Memory after the first twentieth of the requests, the highest since, and the last.
    private func flat(_ variant: ComparisonVariant, _ requests: Int) throws(ScenarioError) -> Figures {
        let process = try started(variant, .http)
        defer { process.stop() }
        var done: UInt64 = 0
        while done < UInt64(requests / 20) { done += try load(process, connections: 64, seconds: 0.5).completed }
        let start = try memory(process)
        var highest = start
        while done < UInt64(requests) {
            done += try load(process, connections: 64, seconds: 2) { highest = max(highest, MachineUse.memory(process.pid)?.now ?? 0) }.completed
        }
        let end = try memory(process)
        highest = max(highest, end)
        return [.start: start, .highest: highest, .end: end, .change: highest / start]
    }

    private func burst(_ variant: ComparisonVariant) throws(ScenarioError) -> Figures {
        let process = try started(variant, .http)
        defer { process.stop() }
        let idle = try afterOneRequest(process)
        let pending = try pending(process, connections: 5_000)
        _ = try load(process, connections: 1_000, seconds: 5, answerSize: 102_400)
        let highest = MachineUse.memory(process.pid)?.highest ?? 0
        bench.live("\(scenario.name) \(variant.label): the burst is over, waiting a minute")
        sleep(60)
        let after = try memory(process)
        return [.idle: idle, .pending: pending, .highest: highest, .after: after, .change: after / idle]
    }

    // MARK: Steps

    private func started(_ variant: ComparisonVariant, _ door: Door) throws(ScenarioError) -> ProxyProcess {
        let process = try makeProcess(variant, door)
        try process.start()
        return process
    }

    private func memory(_ process: ProxyProcess) throws(ScenarioError) -> Double {
        guard process.isAlive, let memory = MachineUse.memory(process.pid) else { throw ScenarioError("it ended: \(process.lastWords)") }
        return memory.now
    }

    private func afterOneRequest(_ process: ProxyProcess) throws(ScenarioError) -> Double {
        guard let line = LocalPort.ask(process.setup.port, host: "127.0.0.1"), line.contains(" 200") else {
            throw ScenarioError("it does not answer: \(process.lastWords)")
        }
        usleep(1_500_000)
        return try memory(process)
    }

    /// Closed load for a while.
    private func load(
        _ process: ProxyProcess, connections: Int, seconds: Double, answerSize: Int = ComparisonScenario.standardSize,
        during: @escaping () -> Void = {}
    ) throws(ScenarioError) -> LoadResult {
        var run = LoadRun(
            try holding(
                process, .http1, connections: connections, streams: 1, path: "/?size=\(answerSize)", answerSize: answerSize, requests: nil,
                seconds: seconds))
        run.onProgress = { _ in during() }
        let result = try run.run()
        if result.failures.total > 0 { throw ScenarioError("\(result.failures.total) of its requests failed") }
        _ = try memory(process)
        return result
    }

    /// Memory while so many connections are open that made one request each.
    private func held(_ process: ProxyProcess, _ spoken: LoadProtocol, connections: Int) throws(ScenarioError) -> Double {
        let (memory, result) = try whileHeld(process, spoken, connections: connections, streams: 1, path: "/")
        guard result.completed == UInt64(connections), result.failures.total == 0 else {
            throw ScenarioError("\(result.completed) of \(connections) requests on connections of their own were answered")
        }
        return memory
    }

    /// Memory while so many connections have sent a byte that is no request yet.
    private func pending(_ process: ProxyProcess, connections: Int) throws(ScenarioError) -> Double {
        let (memory, result) = try whileHeld(process, .tcp, connections: connections, streams: 1, path: "/")
        guard result.failures[.timeout] + result.failures[.unanswered] == UInt64(connections) else {
            throw ScenarioError("it did not keep \(connections) connections with one byte")
        }
        return memory
    }

    /// Memory while so many streams wait for an answer.
    private func open(_ process: ProxyProcess, connections: Int, streams: Int) throws(ScenarioError) -> Double {
        let (memory, result) = try whileHeld(process, .http2, connections: connections, streams: streams, path: "/hold?delay=60000")
        guard result.failures[.timeout] + result.failures[.unanswered] == UInt64(connections * streams) else {
            throw ScenarioError("it did not keep \(connections * streams) streams open")
        }
        return memory
    }

    /// How long connections are held. - Unit: seconds.
    private static let holdTime = 2.5

    private func whileHeld(
        _ process: ProxyProcess, _ spoken: LoadProtocol, connections: Int, streams: Int, path: String
    ) throws(ScenarioError) -> (memory: Double, result: LoadResult) {
        var run = LoadRun(
            try holding(
                process, spoken, connections: connections, streams: streams, path: path, requests: connections * streams,
                seconds: MemoryMeasurement.holdTime))
        var seen: Double?
        run.onProgress = { progress in
            // The last look before the end: everything has been sent a second ago.
            guard progress.phase == .measuring, progress.elapsed > MemoryMeasurement.holdTime - 0.5 else { return }
            seen = MachineUse.memory(process.pid)?.now
        }
        let result = try run.run()
        guard process.isAlive, let seen else { throw ScenarioError("it ended: \(process.lastWords)") }
        return (seen, result)
    }

    /// - Parameter requests: one for each connection and stream within a second; nil for a closed loop.
    private func holding(
        _ process: ProxyProcess, _ spoken: LoadProtocol, connections: Int, streams: Int, path: String,
        answerSize: Int = ComparisonScenario.standardSize, requests: Int?, seconds: Double
    ) throws(ScenarioError) -> LoadScenario {
        guard let target = Address(ip: "127.0.0.1", port: process.setup.port) else { throw ScenarioError("no address 127.0.0.1") }
        var tls: LoadTLS?
        if process.setup.door == .mtls {
            tls = LoadTLS(serverName: "localhost", clientChain: bench.certificates.clientChain, clientKey: bench.certificates.clientKey)
        }
        let request = PlannedRequest(authority: "127.0.0.1:\(process.setup.port)", path: path, bodySize: spoken == .tcp ? 1 : 0)
        let shape = requests.map { count in
            LoadShape.open(.replay((0..<count).map { UInt64($0) * 1_000_000_000 / UInt64(count) }))
        }
        var plan = RequestPlan(requests: [request])
        // The first byte of a method, or nginx refuses it at once.
        if spoken == .tcp { plan.content = [UInt8(ascii: "G")] }
        // What is not answered is given up soon after the end, and not before.
        var load = LoadScenario(
            name: scenario.name, target: target, loadProtocol: spoken, tls: tls, requests: plan, shape: shape ?? .closed,
            connections: connections, streams: streams, duration: seconds, warmUp: 0, timeout: requests == nil ? 10 : seconds + 0.5)
        if spoken != .tcp { load.expected = ComparisonScenario.Load(answerSize: answerSize).expected }
        // A storm of handshakes would leave its highest memory behind, and that is not what an idle connection takes.
        if requests != nil { load.opensAtOnce = MemoryMeasurement.opensAtOnce }
        return load
    }

    private static let opensAtOnce = 8
}
