// SPDX-License-Identifier: Apache-2.0
import CProcess
import MeshDataPlane
import MeshIO
import MeshModel
import MeshStats

/// Reads the resource monitors in turn and says what workers have to do; the control thread's part of the overload manager.
///
/// Beside what is configured it watches the process's own limit of memory, which is there where the cgroup has one or
/// `--memory-limit-mb` was given: near it requests are answered 503, connections are closed and the heaviest streams reset, for
/// otherwise the kernel would end the process with all of them.
final class OverloadWatch {
    private var state: OverloadState
    private var readers: [ResourceReader]
    private let pages: StatPages
    private let monitorStats: [MonitorStats]
    private let ruleStats: [RuleStats]
    private let shrinkCount: CounterID
    private let memoryRule: Int?
    private var sent = OverloadLevels()
    private var nextRefresh = MonotonicInstant(nanoseconds: 0)
    private var nextShrink = MonotonicInstant(nanoseconds: 0)
    /// Whether anything has to be watched.
    var isNeeded: Bool { !readers.isEmpty }
    /// How often `tick` is to be called. - Unit: milliseconds.
    let interval: UInt64

    private struct MonitorStats {
        let pressure: GaugeID
        let failedUpdates: CounterID
        let skippedUpdates: CounterID
    }

    private struct RuleStats {
        let active: GaugeID
        let scalePercent: GaugeID
    }

    /// What has to be told.
    struct Orders {
        var levels: OverloadLevels?
        var resetHeaviest: HeavyStreams?
        var trims = false
    }

    /// What clients send and upstreams answer between two looks must fit into the twentieth of the limit that is left.
    /// - Unit: milliseconds.
    private static let memoryInterval: UInt64 = 250
    /// Giving memory back walks the whole heap. - Unit: milliseconds. Envoy does it every ten seconds.
    private static let shrinkInterval: UInt64 = 10_000
    private static let memoryLimitName = "apus.memory_limit"
    /// Streams below 64 KiB are not worth a reset.
    private static let memoryLimitPower: UInt32 = 16

    init(_ options: OverloadOptions, memoryLimit: UInt64?, catalog: StatCatalog, pages: StatPages) {
        var options = options
        memoryRule = memoryLimit.map { limit in OverloadWatch.addMemoryLimit(limit, to: &options) }
        state = OverloadState(options)
        readers = options.monitors.map { ResourceReader($0.kind) }
        self.pages = pages
        let refresh = max(options.refreshInterval.wholeMilliseconds, 1)
        interval = memoryLimit == nil ? refresh : min(refresh, OverloadWatch.memoryInterval)
        monitorStats = options.monitors.map { monitor in
            catalog.declare(.literal("overload.\(monitor.name).")) { scope in
                MonitorStats(
                    pressure: scope.gauge("pressure", "Percent of the resource in use."),
                    failedUpdates: scope.counter("failed_updates", "Readings that failed."),
                    skippedUpdates: scope.counter("skipped_updates", "Readings left out because one was under way."))
            }
        }
        ruleStats = options.rules.map { rule in
            catalog.declare(.literal("overload.\(rule.name).")) { scope in
                RuleStats(
                    active: scope.gauge("active", "1 when the action is at full strength."),
                    scalePercent: scope.gauge("scale_percent", "Strength of the action in percent."))
            }
        }
        shrinkCount = catalog.declare(.literal("overload.envoy.overload_actions.shrink_heap.")) {
            $0.counter("shrink_count", "Times free memory was given back.")
        }
    }

    private static func addMemoryLimit(_ limit: UInt64, to options: inout OverloadOptions) -> Int {
        let monitor = options.monitors.count
        options.monitors.append(ResourceMonitor(name: memoryLimitName, kind: .residentMemory(maxBytes: limit)))
        func add(_ name: String, _ effect: OverloadRule.Effect, _ kind: OverloadTrigger.Kind) {
            options.rules.append(OverloadRule(
                name: "\(memoryLimitName).\(name)", effect: effect, triggers: [OverloadTrigger(monitor: monitor, kind: kind)]))
        }
        add("shrink_heap", .shrinkHeap, .threshold(0.9))
        add("stop_accepting_requests", .stopRequests, .threshold(0.95))
        add("reject_incoming_connections", .rejectConnections, .threshold(0.95))
        // All eight classes from 95 % on would end streams of 64 KiB while ones of megabytes do.
        add("reset_high_memory_stream", .resetHeaviest, .scaled(from: 0.92, to: 0.98))
        return options.rules.count - 1
    }

    /// Reads what is due.
    func tick(at now: MonotonicInstant) -> Orders {
        let isRefresh = now >= nextRefresh
        if isRefresh { nextRefresh = now.advanced(byNanoseconds: UInt64(state.options.refreshInterval.wholeMilliseconds) * 1_000_000) }
        for index in readers.indices {
            guard isRefresh || state.options.monitors[index].name == OverloadWatch.memoryLimitName else { continue }
            guard let pressure = readers[index].read(at: now) else {
                pages.add(monitorStats[index].failedUpdates)
                continue
            }
            state.pressureRead(pressure, of: index)
            pages.set(monitorStats[index].pressure, UInt64(state.pressures[index] * 100))
        }
        for index in ruleStats.indices {
            let strength = state.strength(ofRule: index)
            pages.set(ruleStats[index].active, strength >= 1 ? 1 : 0)
            pages.set(ruleStats[index].scalePercent, UInt64(strength * 100))
        }
        return orders(at: now)
    }

    private func orders(at now: MonotonicInstant) -> Orders {
        var orders = Orders()
        let levels = state.levels
        if levels != sent {
            sent = levels
            orders.levels = levels
        }
        if let choice = heaviest { orders.resetHeaviest = choice }
        if state.shrinksHeap, now >= nextShrink {
            nextShrink = now.advanced(byMilliseconds: memoryRule == nil ? OverloadWatch.shrinkInterval : 1_000)
            orders.trims = true
            pages.add(shrinkCount)
        }
        return orders
    }

    /// The configured action needs an account of streams, ours has its own.
    private var heaviest: HeavyStreams? {
        if let memoryRule, state.strength(ofRule: memoryRule) > 0 {
            return HeavyStreams(
                minimumPower: min(state.options.minimumAccountPower ?? .max, OverloadWatch.memoryLimitPower),
                strength: state.resetStrength)
        }
        guard let power = state.options.minimumAccountPower, state.resetStrength > 0 else { return nil }
        return HeavyStreams(minimumPower: power, strength: state.resetStrength)
    }
}

extension Duration {
    /// - Returns: milliseconds, rounded down.
    fileprivate var wholeMilliseconds: UInt64 {
        UInt64(clamping: components.seconds) &* 1_000 &+ UInt64(clamping: components.attoseconds / 1_000_000_000_000_000)
    }
}
