// SPDX-License-Identifier: Apache-2.0
import MeshModel
import MeshProto

extension Translator {
    /// Monitors, actions and load shed points.
    func overload(_ message: Envoy_Config_Overload_V3_OverloadManager) throws(ConfigError) -> OverloadOptions {
        var options = OverloadOptions()
        if message.hasRefreshInterval { options.refreshInterval = message.refreshInterval.duration }
        for (index, monitor) in message.resourceMonitors.enumerated() {
            let path = "overload_manager.resource_monitors[\(index)]"
            guard let made = try resourceMonitor(monitor, at: path) else { continue }
            guard !options.monitors.contains(where: { $0.name == made.name }) else {
                throw error(path + ".name", found: "'\(made.name)' a second time", allowed: "each name once")
            }
            options.monitors.append(made)
        }
        for (index, action) in message.actions.enumerated() {
            let path = "overload_manager.actions[\(index)]"
            let effect = try effect(of: action, at: path)
            options.rules.append(OverloadRule(
                name: action.name, effect: effect, triggers: try triggers(action.triggers, options.monitors, at: path)))
        }
        for (index, point) in message.loadshedPoints.enumerated() {
            let path = "overload_manager.loadshed_points[\(index)]"
            guard let effect = Self.shedPoints[point.name] else {
                throw ConfigError(
                    source: source, path: path + ".name", found: "'\(point.name)'", allowed: "a load shed point",
                    suggestion: NearestName.of(point.name, among: Self.shedPoints.keys.sorted()))
            }
            options.rules.append(OverloadRule(
                name: point.name, effect: effect, triggers: try triggers(point.triggers, options.monitors, at: path)))
        }
        if message.hasBufferFactoryConfig {
            options.minimumAccountPower = message.bufferFactoryConfig.minimumAccountToTrackPowerOfTwo
        }
        return options
    }

    /// Nil for a monitor that is none of these: a limit of connections, or one this build does not have.
    private func resourceMonitor(
        _ message: Envoy_Config_Overload_V3_ResourceMonitor, at path: String
    ) throws(ConfigError) -> ResourceMonitor? {
        typealias Heap = Envoy_Extensions_ResourceMonitors_FixedHeap_V3_FixedHeapConfig
        typealias Cgroup = Envoy_Extensions_ResourceMonitors_CgroupMemory_V3_CgroupMemoryConfig
        typealias Injected = Envoy_Extensions_ResourceMonitors_InjectedResource_V3_InjectedResourceConfig
        typealias CPU = Envoy_Extensions_ResourceMonitors_CpuUtilization_V3_CpuUtilizationConfig
        let place = path + ".typed_config"
        let any = try unwrapped(message.typedConfig, at: place)
        let kind: ResourceMonitor.Kind
        switch String(TypeURL.messageName(any.typeURL)) {
        case Heap.protoMessageName:
            kind = .fixedHeap(maxBytes: try decode(Heap.self, from: any, at: place).maxHeapSizeBytes)
        case Cgroup.protoMessageName:
            kind = .cgroupMemory(maxBytes: try decode(Cgroup.self, from: any, at: place).maxMemoryBytes)
        case Injected.protoMessageName:
            kind = .injected(path: try decode(Injected.self, from: any, at: place).filename)
        case CPU.protoMessageName:
            kind = .cpu(ofContainer: try decode(CPU.self, from: any, at: place).mode == .container)
        default: return nil
        }
        return ResourceMonitor(name: message.name, kind: kind)
    }

    private func triggers(
        _ messages: [Envoy_Config_Overload_V3_Trigger], _ monitors: [ResourceMonitor], at path: String
    ) throws(ConfigError) -> [OverloadTrigger] {
        var triggers: [OverloadTrigger] = []
        for (index, message) in messages.enumerated() {
            let place = "\(path).triggers[\(index)]"
            guard let monitor = monitors.firstIndex(where: { $0.name == message.name }) else {
                throw ConfigError(
                    source: source, path: place + ".name", found: "'\(message.name)'", allowed: "the name of a resource monitor",
                    suggestion: NearestName.of(message.name, among: monitors.map(\.name).sorted()))
            }
            switch message.triggerOneof {
            case .threshold(let threshold)?:
                triggers.append(OverloadTrigger(monitor: monitor, kind: .threshold(threshold.value)))
            case .scaled(let scaled)?:
                guard scaled.scalingThreshold < scaled.saturationThreshold else {
                    throw error(
                        place + ".scaled.scaling_threshold", found: "\(scaled.scalingThreshold)",
                        allowed: "less than saturation_threshold, \(scaled.saturationThreshold)")
                }
                triggers.append(OverloadTrigger(
                    monitor: monitor, kind: .scaled(from: scaled.scalingThreshold, to: scaled.saturationThreshold)))
            case nil:
                throw error(place, found: "no trigger", allowed: "threshold or scaled")
            }
        }
        return triggers
    }

    // MARK: Actions

    private static let prefix = "envoy.overload_actions."
    private static let effects: [String: OverloadRule.Effect] = [
        prefix + "stop_accepting_requests": .stopRequests, prefix + "disable_http_keepalive": .disableKeepAlive,
        prefix + "stop_accepting_connections": .stopConnections,
        prefix + "reject_incoming_connections": .rejectConnections, prefix + "shrink_heap": .shrinkHeap,
        prefix + "reduce_timeouts": .reduceTimeouts([]), prefix + "reset_high_memory_stream": .resetHeaviest,
    ]
    private static let shedPoints: [String: OverloadRule.Effect] = [
        "envoy.load_shed_points.tcp_listener_accept": .rejectConnections,
        "envoy.load_shed_points.http_connection_manager_decode_headers": .stopRequests,
    ]

    private func effect(
        of message: Envoy_Config_Overload_V3_OverloadAction, at path: String
    ) throws(ConfigError) -> OverloadRule.Effect {
        guard let effect = Self.effects[message.name] else {
            throw ConfigError(
                source: source, path: path + ".name", found: "'\(message.name)'", allowed: "an overload action",
                suggestion: NearestName.of(message.name, among: Self.effects.keys.sorted()))
        }
        guard case .reduceTimeouts = effect else { return effect }
        typealias Scales = Envoy_Config_Overload_V3_ScaleTimersOverloadActionConfig
        let place = path + ".typed_config"
        guard message.hasTypedConfig else {
            throw error(place, found: "nothing", allowed: Scales.protoMessageName)
        }
        let scales = try decode(Scales.self, from: unwrapped(message.typedConfig, at: place), at: place)
        var timers: [ScaledTimer] = []
        for (index, factor) in scales.timerScaleFactors.enumerated() {
            let place = "\(place).timer_scale_factors[\(index)]"
            let timer: ScaledTimer.Timer
            switch factor.timer {
            case .httpDownstreamConnectionIdle: timer = .connectionIdle
            case .httpDownstreamStreamIdle: timer = .streamIdle
            case .transportSocketConnect: timer = .transportConnect
            default:
                throw error(
                    place + ".timer", found: "\(factor.timer.rawValue)",
                    allowed: "HTTP_DOWNSTREAM_CONNECTION_IDLE, HTTP_DOWNSTREAM_STREAM_IDLE or TRANSPORT_SOCKET_CONNECT")
            }
            switch factor.overloadAdjust {
            case .minTimeout(let duration)?:
                timers.append(ScaledTimer(timer: timer, minimum: .duration(duration.duration)))
            case .minScale(let percent)?:
                timers.append(ScaledTimer(timer: timer, minimum: .part(percent.value / 100)))
            case nil: throw error(place, found: "no adjustment", allowed: "min_timeout or min_scale")
            }
        }
        return .reduceTimeouts(timers)
    }
}
