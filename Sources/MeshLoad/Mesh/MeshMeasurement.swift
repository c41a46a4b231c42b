// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
import MeshIO

/// Which meshes are put before which data planes.
public struct MeshPlan: Sendable {
    /// Of Envoy's configuration: Apus and Envoy.
    public var proxies: [ProxyChoice]
    public var shapes: [MeshShape]
    public var form: MeshForm
    public var rounds: Int
    /// Of the load. - Unit: seconds.
    public var seconds: Double
    /// Services that are asked.
    public var asked: Int
    public var proxyCPU: Int
    public var loadCPU: Int
    public var folder: String
    public var command: String

    public init(
        proxies: [ProxyChoice], shapes: [MeshShape], form: MeshForm = .bootstrap, rounds: Int = 3, seconds: Double = 1, asked: Int = 10,
        proxyCPU: Int = 0, loadCPU: Int = 1, folder: String, command: String = "meshbench mesh"
    ) {
        self.proxies = proxies
        self.shapes = shapes
        self.form = form
        self.rounds = rounds
        self.seconds = seconds
        self.asked = asked
        self.proxyCPU = proxyCPU
        self.loadCPU = loadCPU
        self.folder = folder
        self.command = command
    }

    /// The kinds that read such a configuration.
    public static let kinds: [ProxyKind] = [.apus, .envoy]

    public func check() throws(ScenarioError) {
        for shape in shapes { try shape.check() }
        if shapes.isEmpty { throw ScenarioError("services: found none") }
        guard (1...100).contains(rounds) else { throw ScenarioError("rounds: found \(rounds); allowed: 1 to 100") }
        guard seconds >= 0.2, seconds <= 600 else { throw ScenarioError("duration: found \(seconds) s; allowed: 0.2 to 600") }
        guard asked >= 1 else { throw ScenarioError("asked: found \(asked); allowed: 1 or more") }
        for proxy in proxies {
            guard MeshPlan.kinds.contains(proxy.kind) else {
                throw ScenarioError("proxy '\(proxy.label)': a mesh's configuration is read by apus and envoy only")
            }
            // Apus takes its configuration whole, at its start.
            if proxy.kind == .apus, form == .xds {
                throw ScenarioError("proxy '\(proxy.label)': apus does not read a folder of xDS; allowed: --form bootstrap, or --proxy envoy")
            }
        }
    }
}

/// Starts data planes on meshes of growing size.
public struct MeshMeasurement {
    private let plan: MeshPlan
    private let onEvent: (ComparisonEvent) -> Void
    private let search: ProxyInventory

    /// - Throws: `ScenarioError` for a plan that cannot be run, or when no proxy is on the machine.
    public init(_ plan: MeshPlan, onEvent: @escaping (ComparisonEvent) -> Void) throws(ScenarioError) {
        try plan.check()
        self.plan = plan
        self.onEvent = onEvent
        search = try ProxyInventory(plan.proxies, folder: plan.folder, cpu: plan.loadCPU)
    }

    public var notFound: [String] { search.missing }

    /// Runs to the end; blocks the calling thread.
    public func run() throws(ScenarioError) -> MeshReport {
        try Machine.pin(to: plan.loadCPU, log: plan.folder + "/taskset.log")
        let endpoints = plan.shapes.map(\.endpoints).max() ?? 1
        var servers: [BenchServer] = []
        var behaviour = ServedBehaviour()
        behaviour.size = ComparisonScenario.standardSize
        for port in try LocalPort.free(endpoints) {
            guard let address = Address(ip: "127.0.0.1", port: port) else { throw ScenarioError("no address 127.0.0.1") }
            servers.append(try BenchServer(address, behaviour: behaviour))
        }
        defer { for server in servers { server.stop() } }
        var readings: [MeshReading] = []
        var broken: [String] = []
        let total = plan.shapes.count * plan.rounds * search.found.count
        var done = 0
        for shape in plan.shapes {
            for round in 0..<plan.rounds {
                for proxy in search.found {
                    let name = "\(shape.services) services, round \(round + 1)/\(plan.rounds), \(proxy.choice.label)"
                    onEvent(.live(done: done, total: total, text: name))
                    done += 1
                    do throws(ScenarioError) {
                        let reading = try measure(proxy, shape, round, servers.compactMap(\.address.port))
                        readings.append(reading)
                        onEvent(.step(done: done, total: total, text: "\(name): \(MeshMeasurement.text(reading))"))
                    } catch {
                        broken.append("\(name): \(error.description)")
                        onEvent(.step(done: done, total: total, text: "\(name): FAILED: \(error.description)"))
                    }
                }
            }
        }
        return MeshReport(
            date: ISO8601DateFormatter().string(from: Date()), machine: MachineUse.machine(), command: plan.command, form: plan.form,
            asked: plan.asked, participants: search.participants, readings: readings, broken: broken)
    }

    private func measure(_ proxy: FoundProxy, _ shape: MeshShape, _ round: Int, _ endpoints: [UInt16]) throws(ScenarioError) -> MeshReading {
        let ports = try LocalPort.free(2)
        let folder = "\(plan.folder)/\(proxy.choice.label)-\(shape.services)"
        let bytes = try MeshFiles.write(
            MeshConfiguration(shape: shape, port: ports[0], adminPort: ports[1], endpointPorts: endpoints), form: plan.form, folder: folder)
        let own = proxy.choice.kind == .envoy ? ["--use-dynamic-base-id"] : []
        let began = BenchClock.now()
        let child = try ChildProcess(
            [proxy.path, "-c", folder + "/bootstrap.json", "--concurrency", "1", "--log-level", "error"] + own, cpu: plan.proxyCPU, log: folder + "/log")
        defer { child.stop() }
        try LocalPort.wait(ports[0], servedBy: child, name: proxy.choice.label, seconds: 300)
        try FirstAnswer.wait(port: ports[0], host: MeshShape.host(shape.services - 1), child: child, seconds: 300)
        let seconds = Double(BenchClock.now() - began) / 1e9
        // What starting leaves behind is given back within a moment or is not.
        usleep(500_000)
        let idle = MachineUse.memory(child.pid)?.now ?? 0
        _ = try load(shape, port: ports[0], seconds: min(plan.seconds, 0.5))
        let before = MachineUse.now(proxy: child.pid, upstreams: [])
        let result = try load(shape, port: ports[0], seconds: plan.seconds)
        let use = MachineUse.now(proxy: child.pid, upstreams: []) - before
        guard child.isAlive, let loaded = MachineUse.memory(child.pid)?.now else {
            throw ScenarioError("it ended during the load: \(child.lastWords)")
        }
        guard result.completed > 0 else { throw ScenarioError("no request was answered") }
        return MeshReading(
            proxy: proxy.choice.label, shape: shape, round: round, configurationBytes: bytes, secondsToServe: seconds,
            idleBytes: UInt64(idle), loadedBytes: UInt64(loaded), cpuMicroseconds: use.proxy * 1e6 / Double(result.completed),
            throughput: result.throughput, failed: result.failures.total, isDropped: use.isSpoiled)
    }

    private func load(_ shape: MeshShape, port: UInt16, seconds: Double) throws(ScenarioError) -> LoadResult {
        guard let target = Address(ip: "127.0.0.1", port: port) else { throw ScenarioError("no address 127.0.0.1") }
        return try LoadRun(
            LoadScenario(
                name: "mesh", target: target, loadProtocol: .http1, requests: shape.requests(plan.asked), shape: .closed, connections: 64,
                duration: seconds, warmUp: 0,
                expected: ExpectedAnswer(size: ComparisonScenario.standardSize, content: PreparedAnswers.content))
        ).run()
    }

    static func text(_ reading: MeshReading) -> String {
        "served after \(DurationText.text(UInt64(reading.secondsToServe * 1e9))), \(DurationText.bytes(reading.idleBytes)) idle, "
            + "\(DurationText.digits(reading.cpuMicroseconds)) µs of CPU per request, \(DurationText.count(reading.throughput))/s"
            + (reading.failed > 0 ? ", \(reading.failed) FAILED" : "") + (reading.isDropped ? ", noisy: others used the machine" : "")
    }
}

/// The first answer of a server: that it accepts says little, for the kernel does so before anybody reads.
enum FirstAnswer {
    /// Asks until an answer is 200.
    static func wait(port: UInt16, host: String, child: ChildProcess, seconds: Double) throws(ScenarioError) {
        let end = BenchClock.now() + UInt64(seconds * 1e9)
        var last = "no answer"
        while BenchClock.now() < end, child.isAlive {
            if let line = LocalPort.ask(port, host: host) {
                if line.contains(" 200") { return }
                last = line
            }
            usleep(2_000)
        }
        throw ScenarioError("\(host) is not served: \(last); \(child.lastWords)")
    }
}
