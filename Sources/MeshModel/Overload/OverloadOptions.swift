// SPDX-License-Identifier: Apache-2.0

/// What is watched and what is done when it runs short. Source: `envoy.config.overload.v3.OverloadManager`.
package struct OverloadOptions: Equatable, Sendable {
    /// How often the monitors are read. Source: `refresh_interval`. Default: 1 s.
    package var refreshInterval: Duration = .seconds(1)
    /// Source: `resource_monitors`, without those that only limit connections.
    package var monitors: [ResourceMonitor] = []
    /// Source: `actions`, then `loadshed_points`, each in order.
    package var rules: [OverloadRule] = []
    /// Streams that hold less than 2^this bytes are never reset.
    /// Source: `buffer_factory_config.minimum_account_to_track_power_of_two`. Default: nil, which for Envoy means that no
    /// stream's memory is followed; the action then does nothing.
    package var minimumAccountPower: UInt32?

    package init() {}
}

/// One thing that may run short, as a pressure from 0 to 1.
package struct ResourceMonitor: Equatable, Sendable {
    package enum Kind: Equatable, Sendable {
        /// Heap against `max_heap_size_bytes`.
        case fixedHeap(maxBytes: UInt64)
        /// The cgroup's memory against its limit, or `max_memory_bytes` where that is lower and not 0.
        case cgroupMemory(maxBytes: UInt64)
        /// The number written in a file.
        case injected(path: String)
        /// CPU time used of what the machine has, or of the cgroup's quota.
        case cpu(ofContainer: Bool)
        /// Resident memory against the process's limit, which is not in Envoy's configuration.
        case residentMemory(maxBytes: UInt64)
    }

    /// Triggers and stats call it so. Source: `name`.
    package var name: String
    package var kind: Kind

    package init(name: String, kind: Kind) {
        self.name = name
        self.kind = kind
    }
}

/// An overload action or load shed point: what is done, and when.
package struct OverloadRule: Equatable, Sendable {
    package enum Effect: Equatable, Sendable {
        /// Requests are answered 503.
        case stopRequests
        /// Responses end their connections.
        case disableKeepAlive
        /// Nothing is accepted; connections wait in the kernel.
        case stopConnections
        /// Accepted connections are closed.
        case rejectConnections
        /// Free memory goes back to the system.
        case shrinkHeap
        /// Timeouts shrink.
        case reduceTimeouts([ScaledTimer])
        /// The streams that hold most memory are reset.
        case resetHeaviest
    }

    /// Stats call it so. Source: `name`.
    package var name: String
    package var effect: Effect
    /// The strongest of them counts. Source: `triggers`.
    package var triggers: [OverloadTrigger]

    package init(name: String, effect: Effect, triggers: [OverloadTrigger]) {
        self.name = name
        self.effect = effect
        self.triggers = triggers
    }
}

/// How a monitor's pressure becomes the strength of an action.
package struct OverloadTrigger: Equatable, Sendable {
    package enum Kind: Equatable, Sendable {
        /// All or nothing, from this pressure on. Source: `threshold.value`.
        case threshold(Double)
        /// Grows evenly between two pressures. Source: `scaled.scaling_threshold`, `scaled.saturation_threshold`.
        case scaled(from: Double, to: Double)
    }

    /// Position of the monitor in `OverloadOptions.monitors`.
    package var monitor: Int
    package var kind: Kind

    package init(monitor: Int, kind: Kind) {
        self.monitor = monitor
        self.kind = kind
    }

    /// The strength at a pressure, from 0 to 1.
    package func strength(at pressure: Double) -> Double {
        switch kind {
        case .threshold(let value): pressure >= value ? 1 : 0
        case .scaled(let from, let to):
            if pressure <= from { 0 } else if pressure >= to { 1 } else { (pressure - from) / (to - from) }
        }
    }
}

/// A timer that `reduce_timeouts` shrinks. Source: `ScaleTimersOverloadActionConfig.ScaleTimer`.
package struct ScaledTimer: Equatable, Sendable {
    package enum Timer: UInt8, Sendable, CaseIterable {
        case connectionIdle, streamIdle, transportConnect
    }

    package enum Minimum: Equatable, Sendable {
        /// Source: `min_timeout`.
        case duration(Duration)
        /// A part of the timeout, from 0 to 1. Source: `min_scale`.
        case part(Double)
    }

    package var timer: Timer
    package var minimum: Minimum

    package init(timer: Timer, minimum: Minimum) {
        self.timer = timer
        self.minimum = minimum
    }
}
