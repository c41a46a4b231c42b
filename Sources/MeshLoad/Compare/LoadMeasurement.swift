// SPDX-License-Identifier: Apache-2.0
import MeshIO

/// The load scenarios: every variant once per round, all proxies alive through all rounds.
struct LoadMeasurement {
    let scenario: ComparisonScenario
    let plan: ComparisonPlan
    let bench: ComparisonBench

    struct Result {
        var runs: [ComparisonRunRecord] = []
        var broken: [String: String] = [:]
    }

    func measure(_ proxies: [(variant: ComparisonVariant, process: ProxyProcess)], _ upstreams: UpstreamServers) -> Result {
        var result = Result()
        var schedule = RoundSchedule(variants: proxies.count, rounds: plan.rounds(scenario))
        var counted = schedule.left
        while let turn = schedule.next {
            let (variant, process) = proxies[turn.variant]
            let name = "\(scenario.name) round \(turn.round + 1)/\(plan.rounds(scenario)) \(variant.label)"
            do throws(ScenarioError) {
                if !process.isAlive {
                    bench.live("\(scenario.name): starting \(variant.label)")
                    try process.start()
                    _ = try run(variant, process, upstreams, round: -1, seconds: plan.warmUp, name: name + ", warm-up")
                }
                let record = try run(variant, process, upstreams, round: turn.round, seconds: plan.seconds(scenario), name: name)
                result.runs.append(record)
                schedule.ended(record.isDropped ? .dropped : .clean)
                bench.step("\(name): \(LoadMeasurement.text(record))")
            } catch {
                result.broken[variant.label] = error.description
                schedule.ended(.failed)
                bench.step("\(name): FAILED: \(error.description)")
            }
            counted -= 1
            // A round that makes up for dropped runs, or a proxy that takes no further part.
            let left = schedule.left
            if left != counted {
                bench.grow(by: left - counted)
                counted = left
            }
        }
        return result
    }

    // MARK: One run

    private func run(
        _ variant: ComparisonVariant, _ process: ProxyProcess, _ upstreams: UpstreamServers, round: Int, seconds: Double, name: String
    ) throws(ScenarioError) -> ComparisonRunRecord {
        let one = try measureOnce(process, upstreams, variant, seconds: seconds, name: name)
        guard case .beside(let rate) = scenario.kind, round >= 0 else { return record(variant, round, one) }
        let flood = try Flood(process, bench: bench, rate: rate, seconds: seconds + 1)
        let beside = try measureOnce(process, upstreams, variant, seconds: seconds, name: name + " beside handshakes")
        let handshakes = try flood.end()
        return record(variant, round, one, beside: beside, handshakes: handshakes)
    }

    /// What one stretch of load found.
    private struct Once {
        let result: LoadResult
        let use: MachineUse
        let memory: Double
    }

    private func measureOnce(
        _ process: ProxyProcess, _ upstreams: UpstreamServers, _ variant: ComparisonVariant, seconds: Double, name: String
    ) throws(ScenarioError) -> Once {
        var run = LoadRun(try loadScenario(variant, process, seconds: seconds))
        run.onProgress = { progress in
            guard progress.phase == .measuring, progress.elapsed > 0.3 else { return }
            bench.live("\(name): \(DurationText.count(Double(progress.completed) / progress.elapsed))/s"
                + (progress.failed > 0 ? ", \(progress.failed) FAILED" : ""))
        }
        let before = MachineUse.now(proxy: process.pid, upstreams: upstreams.pids)
        let result = try run.run()
        let after = MachineUse.now(proxy: process.pid, upstreams: upstreams.pids)
        guard process.isAlive, let memory = MachineUse.memory(process.pid) else {
            throw ScenarioError("it ended during the run: \(process.lastWords)")
        }
        return Once(result: result, use: after - before, memory: memory.now)
    }

    func loadScenario(_ variant: ComparisonVariant, _ process: ProxyProcess, seconds: Double) throws(ScenarioError) -> LoadScenario {
        guard let target = Address(ip: "127.0.0.1", port: process.setup.port) else { throw ScenarioError("no address 127.0.0.1") }
        let load = scenario.load
        var tls: LoadTLS?
        if variant.door == .mtls {
            tls = LoadTLS(
                serverName: "localhost", clientChain: bench.certificates.clientChain, clientKey: bench.certificates.clientKey,
                resumes: load.resumes)
            if load.clientCertificates > 1 { tls?.moreClients = bench.certificates.clients.map { LoadClient(chain: $0.chain, key: $0.key) } }
        }
        let request = PlannedRequest(
            authority: "127.0.0.1:\(process.setup.port)", path: scenario.path(variant), bodySize: load.bodySize)
        return LoadScenario(
            name: scenario.name, target: target, loadProtocol: load.loadProtocol, tls: tls, requests: RequestPlan(requests: [request]),
            shape: load.rate.map { .open(.poisson($0)) } ?? .closed, connections: load.connections, streams: load.streams,
            connectsPerRequest: load.connectsPerRequest, duration: seconds, warmUp: 0, tcpMode: load.isBulk ? .upload : .echo,
            expected: load.expected)
    }

    private func record(
        _ variant: ComparisonVariant, _ round: Int, _ one: Once, beside: Once? = nil, handshakes: Flood.Result? = nil
    ) -> ComparisonRunRecord {
        let result = one.result
        let count = Double(max(result.completed, 1))
        let seconds = result.scenario.duration
        var metrics: [ComparisonMetric: Double] = [
            .cpu: one.use.proxy * 1e6 / count, .throughput: result.throughput, .proxyCores: one.use.proxy / seconds,
            .loadCores: (one.use.load + one.use.upstream) / seconds, .outsideCores: one.use.outsideCores, .memory: one.memory,
        ]
        if result.completed > 0 {
            metrics[.p50] = Double(result.latency(50))
            metrics[.p99] = Double(result.latency(99))
        }
        if scenario.load.isBulk {
            let bytes = count * Double(scenario.load.bodySize)
            metrics[.cpuPerGigabyte] = one.use.proxy * 1e9 / bytes
            metrics[.bytesPerSecond] = result.throughput * Double(scenario.load.bodySize)
            for metric in [ComparisonMetric.cpu, .throughput, .p50, .p99] { metrics[metric] = nil }
        }
        var failures: [String: UInt64] = [:]
        for (kind, number) in result.failures.present { failures[kind.name] = number }
        if let beside {
            for (kind, number) in beside.result.failures.present { failures[kind.name, default: 0] += number }
            let alone = metrics[.p50]
            metrics[.alone] = alone
            if beside.result.completed > 0 { metrics[.beside] = Double(beside.result.latency(50)) }
            if let alone, let with = metrics[.beside], alone > 0 { metrics[.change] = with / alone }
        }
        if let handshakes {
            metrics[.handshakes] = handshakes.perSecond
            for (kind, number) in handshakes.failures { failures[kind, default: 0] += number }
        }
        return ComparisonRunRecord(
            variant: variant.label, round: round, metrics: Dictionary(uniqueKeysWithValues: metrics.map { ($0.key.rawValue, $0.value) }),
            failures: failures, completed: result.completed, wrong: wrong(one), isDropped: one.use.isSpoiled)
    }

    /// What is wrong with the run as a whole; answers that were wrong are among its failures.
    private func wrong(_ one: Once) -> String {
        let result = one.result
        guard result.completed > 0 else { return "no request was answered rightly" }
        if scenario.load.isBulk {
            return BulkCheck(
                taken: Double(result.recorder.bytesSent), delivered: one.use.delivered, connections: scenario.load.connections
            ).wrong
        }
        guard scenario.load.resumes else { return "" }
        return ResumptionCheck(
            connections: result.recorder.connections, resumed: result.recorder.resumedSessions, atOnce: scenario.load.connections
        ).wrong
    }

    static func text(_ record: ComparisonRunRecord) -> String {
        func figure(_ metric: ComparisonMetric) -> String { record.metrics[metric.rawValue].map(metric.text) ?? "–" }
        var text =
            record.metrics[ComparisonMetric.cpuPerGigabyte.rawValue] != nil
            ? "\(figure(.cpuPerGigabyte)) of CPU per GB, \(figure(.bytesPerSecond))/s, proxy \(figure(.proxyCores)) of its core"
            : "\(figure(.cpu)) of CPU per request, \(figure(.throughput))/s, p50 \(figure(.p50)), proxy \(figure(.proxyCores)) of its core"
        if record.metrics[ComparisonMetric.beside.rawValue] != nil {
            text += "; beside \(figure(.handshakes)) handshakes/s p50 \(figure(.beside))"
        }
        if record.failed > 0 { text += "; \(record.failed) FAILED" }
        if !record.wrong.isEmpty { text += "; WRONG: \(record.wrong)" }
        if record.isDropped { text += "; dropped: others used \(figure(.outsideCores)) cores" }
        return text
    }
}

/// Whether connections were resumed where they should have been.
struct ResumptionCheck: Equatable, Sendable {
    var connections: UInt64
    var resumed: UInt64
    /// Connections at a time: the first ones have no session to resume.
    var atOnce: Int

    var wrong: String {
        resumed + UInt64(2 * atOnce) < connections ? "\(connections - resumed) of \(connections) connections were not resumed" : ""
    }
}

/// Whether a proxy passed on what it took in bulk, of which no answer tells.
struct BulkCheck: Equatable, Sendable {
    /// Bytes that the proxy took from the load.
    var taken: Double
    /// Bytes that IP delivered meanwhile: to the proxy and from it.
    var delivered: Double
    var connections: Int

    /// What may still be on its way through a connection at the end, in the buffers of the kernel and of the proxy. - Unit: bytes.
    static let underWay = 16.0 * 1_048_576

    var wrong: String {
        let passed = delivered - taken
        guard passed + Double(connections) * BulkCheck.underWay < taken else { return "" }
        return "it took \(DurationText.bytes(UInt64(taken))) and passed \(DurationText.bytes(UInt64(max(0, passed)))) on at most"
    }
}
