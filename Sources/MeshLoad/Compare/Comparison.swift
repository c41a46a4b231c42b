// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc

/// What is to be compared, and how thoroughly.
public struct ComparisonPlan: Sendable {
    /// The first one is what the others are compared with.
    public var proxies: [ProxyChoice]
    public var scenarios: [ComparisonScenario]
    public var rounds: Int
    /// Of a run. - Unit: seconds.
    public var seconds: Double
    /// Load on a proxy before its first run. - Unit: seconds.
    public var warmUp: Double
    /// The CPU of the proxy, alone; and that of upstream and load together.
    public var proxyCPU: Int
    public var loadCPU: Int
    /// For configurations, certificates and logs.
    public var folder: String
    /// For the report.
    public var command: String

    public init(
        proxies: [ProxyChoice], scenarios: [ComparisonScenario], rounds: Int = 5, seconds: Double = 1, warmUp: Double = 0.5,
        proxyCPU: Int = 0, loadCPU: Int = 1, folder: String, command: String = "meshbench compare"
    ) {
        self.proxies = proxies
        self.scenarios = scenarios
        self.rounds = rounds
        self.seconds = seconds
        self.warmUp = warmUp
        self.proxyCPU = proxyCPU
        self.loadCPU = loadCPU
        self.folder = folder
        self.command = command
    }

    /// An open loop leaves the proxy idle between requests, and what waking up costs differs from run to run by a tenth, and
    /// hardly less when they are longer; more of them help. Memory repeats within a percent, and takes its time.
    func rounds(_ scenario: ComparisonScenario) -> Int {
        switch scenario.kind {
        case .load where scenario.isOpen: rounds * ComparisonPlan.openRounds
        case .load, .beside: rounds
        case .flatMemory: min(rounds, 2)
        case .idleMemory, .connectionMemory, .burstMemory: 1
        }
    }

    /// Of a run: more of them are shorter, but no shorter than half a second, or what making the connections costs would count.
    func seconds(_ scenario: ComparisonScenario) -> Double {
        guard case .load = scenario.kind, scenario.isOpen else { return seconds }
        return min(seconds, max(0.5, seconds / 2))
    }

    /// Times as many rounds for an open loop.
    static let openRounds = 3

    /// Says what cannot be run.
    public func check() throws(ScenarioError) {
        guard (1...100).contains(rounds) else { throw ScenarioError("rounds: found \(rounds); allowed: 1 to 100") }
        guard seconds >= 0.2, seconds <= 600 else { throw ScenarioError("seconds: found \(seconds); allowed: 0.2 to 600") }
        guard proxyCPU != loadCPU else { throw ScenarioError("proxy-cpu and load-cpu: found \(proxyCPU) for both; allowed: two different ones") }
        let labels = proxies.map(\.label)
        for label in labels where labels.filter({ $0 == label }).count > 1 {
            throw ScenarioError("proxy: found '\(label)' twice; allowed: different labels, such as apus@before=/path/to/apus")
        }
    }
}

/// How a comparison goes on.
public enum ComparisonEvent: Sendable {
    /// Something that is happening right now.
    case live(done: Int, total: Int, text: String)
    /// A step is done.
    case step(done: Int, total: Int, text: String)
}

/// How somebody else starts a variant's proxy, and where it looks for its upstream.
public struct ComparisonStart: Equatable, Sendable, Codable {
    public let scenario: String
    public let label: String
    public let port: UInt16
    public let upstreamPort: UInt16
    public let command: [String]

    enum CodingKeys: String, CodingKey {
        case scenario, label, port, command
        case upstreamPort = "upstream_port"
    }
}

/// What every measurement of a comparison shares.
final class ComparisonBench {
    let program: String
    let folder: String
    let proxyCPU: Int
    let loadCPU: Int
    let certificates: RunCertificates
    private let onEvent: (ComparisonEvent) -> Void
    private var done = 0
    private var total: Int

    init(
        program: String, plan: ComparisonPlan, certificates: RunCertificates, steps: Int, onEvent: @escaping (ComparisonEvent) -> Void
    ) {
        self.program = program
        folder = plan.folder
        proxyCPU = plan.proxyCPU
        loadCPU = plan.loadCPU
        self.certificates = certificates
        total = steps
        self.onEvent = onEvent
    }

    func live(_ text: String) { onEvent(.live(done: done, total: total, text: text)) }

    func step(_ text: String) {
        done += 1
        onEvent(.step(done: done, total: max(total, done), text: text))
    }

    /// There is more to do than was thought, or less.
    func grow(by steps: Int) { total += steps }
}

/// Starts proxies with equivalent configurations and an upstream, and loads them in turns.
public struct Comparison {
    private let plan: ComparisonPlan
    private let program: String
    private let onEvent: (ComparisonEvent) -> Void
    private let inventory: ProxyInventory

    /// Looks for the proxies.
    /// - Throws: `ScenarioError` for a plan that cannot be run, or when none of the proxies is on the machine.
    public init(_ plan: ComparisonPlan, onEvent: @escaping (ComparisonEvent) -> Void) throws(ScenarioError) {
        try plan.check()
        self.plan = plan
        self.onEvent = onEvent
        program = Machine.ownProgram
        inventory = try ProxyInventory(plan.proxies, folder: plan.folder, cpu: plan.loadCPU)
    }

    /// Those that were asked for and are not there, with how to get them.
    public var notFound: [String] { inventory.missing }

    /// Writes configurations and certificates and starts nothing.
    public func write() throws(ScenarioError) -> [ComparisonStart] {
        let certificates = try RunCertificates(folder: plan.folder, clients: 0)
        var starts: [ComparisonStart] = []
        for scenario in plan.scenarios {
            for (place, variant) in scenario.variants(inventory.found.map(\.choice)).enumerated() {
                let ports = try LocalPort.free(3 * (starts.count + 1)).suffix(3)
                guard let proxy = inventory.found.first(where: { $0.choice == variant.proxy }) else { continue }
                let setup = ProxySetup(
                    kind: variant.proxy.kind, door: variant.door, port: ports[ports.startIndex], adminPort: ports[ports.startIndex + 1],
                    upstreamPort: ports[ports.startIndex + 2], folder: "\(plan.folder)/\(scenario.name)-\(place)",
                    certificates: certificates.folder, routes: variant.routes)
                let process = try ProxyProcess(label: variant.label, setup: setup, binary: proxy.path, cpu: plan.proxyCPU)
                starts.append(
                    ComparisonStart(
                        scenario: scenario.name, label: variant.label, port: setup.port, upstreamPort: setup.upstreamPort,
                        command: process.arguments))
            }
        }
        return starts
    }

    /// Runs to the end; blocks the calling thread.
    public func run() throws(ScenarioError) -> ComparisonReport {
        try Machine.pin(to: plan.loadCPU, log: plan.folder + "/taskset.log")
        let clients = plan.scenarios.map(\.load.clientCertificates).max() ?? 1
        let certificates = try RunCertificates(folder: plan.folder, clients: clients > 1 ? clients : 0)
        let steps = plan.scenarios.reduce(0) { $0 + $1.variants(inventory.found.map(\.choice)).count * plan.rounds($1) }
        let bench = ComparisonBench(program: program, plan: plan, certificates: certificates, steps: steps, onEvent: onEvent)
        var outcomes: [ScenarioOutcome] = []
        for scenario in plan.scenarios { outcomes.append(try measure(scenario, bench)) }
        return ComparisonReport(
            date: ISO8601DateFormatter().string(from: Date()), machine: MachineUse.machine(), command: plan.command, rounds: plan.rounds,
            secondsPerRun: plan.seconds,
            participants: inventory.participants, missing: inventory.missing, scenarios: outcomes)
    }

    private func measure(_ scenario: ComparisonScenario, _ bench: ComparisonBench) throws(ScenarioError) -> ScenarioOutcome {
        let variants = scenario.variants(inventory.found.map(\.choice))
        var kinds: [UpstreamKind] = []
        for door in variants.map(\.door) + (scenario.isMemory ? [.http, .h2, .mtls] : []) where !kinds.contains(door.upstream) {
            kinds.append(door.upstream)
        }
        let upstreams = try UpstreamServers(
            kinds, program: program, certificates: bench.certificates.folder, cpu: plan.loadCPU, folder: plan.folder)
        defer { upstreams.stop() }
        if scenario.isMemory {
            let measurement = MemoryMeasurement(scenario: scenario, bench: bench, rounds: plan.rounds(scenario)) {
                variant, door throws(ScenarioError) in
                try make(scenario, variant, door: door, upstreams, bench, place: 0)
            }
            let result = measurement.measure(variants)
            return ScenarioOutcome(scenario, variants: variants, runs: result.runs, broken: result.broken)
        }
        var proxies: [(variant: ComparisonVariant, process: ProxyProcess)] = []
        for (place, variant) in variants.enumerated() {
            proxies.append((variant, try make(scenario, variant, door: variant.door, upstreams, bench, place: place)))
        }
        defer { for (_, process) in proxies { process.stop() } }
        let result = LoadMeasurement(scenario: scenario, plan: plan, bench: bench).measure(proxies, upstreams)
        return ScenarioOutcome(scenario, variants: variants, runs: result.runs, broken: result.broken)
    }

    private func make(
        _ scenario: ComparisonScenario, _ variant: ComparisonVariant, door: Door, _ upstreams: UpstreamServers, _ bench: ComparisonBench,
        place: Int
    ) throws(ScenarioError) -> ProxyProcess {
        guard let proxy = inventory.found.first(where: { $0.choice == variant.proxy }), let upstream = upstreams.ports[door.upstream] else {
            throw ScenarioError("\(variant.label) has no binary or no upstream")
        }
        // Those of one scenario live at the same time; a memory scenario starts one after the other at one place.
        let ports = try LocalPort.free(2 * (place + 1)).suffix(2)
        let setup = ProxySetup(
            kind: variant.proxy.kind, door: door, port: ports[ports.startIndex], adminPort: ports[ports.startIndex + 1], upstreamPort: upstream,
            folder: "\(plan.folder)/\(scenario.name)-\(place)", certificates: bench.certificates.folder, routes: variant.routes)
        return try ProxyProcess(label: variant.label, setup: setup, binary: proxy.path, cpu: plan.proxyCPU)
    }
}
