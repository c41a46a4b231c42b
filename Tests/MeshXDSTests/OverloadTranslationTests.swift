// SPDX-License-Identifier: Apache-2.0
import MeshModel
import MeshProto
import MeshXDS
import Testing

struct OverloadTranslationTests {
    private func options(_ yaml: String) throws -> OverloadOptions {
        let decoded = try BootstrapDecoder.decode(.bytes(Array(yaml.utf8), name: "b.yaml"))
        return try Translate.bootstrap(decoded.message, source: "b.yaml").overload
    }

    private static let type = "type.googleapis.com/envoy."
    private static let monitors = """
        overload_manager:
          refresh_interval: 0.25s
          resource_monitors:
          - name: heap
            typed_config: {"@type": \(type)extensions.resource_monitors.fixed_heap.v3.FixedHeapConfig, max_heap_size_bytes: 1000}
          - name: file
            typed_config: {"@type": \(type)extensions.resource_monitors.injected_resource.v3.InjectedResourceConfig, filename: /x}
          - name: group
            typed_config: {"@type": \(type)extensions.resource_monitors.cgroup_memory.v3.CgroupMemoryConfig, max_memory_bytes: 5}
          - name: cpu
            typed_config: {"@type": \(type)extensions.resource_monitors.cpu_utilization.v3.CpuUtilizationConfig, mode: CONTAINER}

        """

    @Test func monitorsActionsAndLoadShedPoints() throws {
        let made = try options(Self.monitors + """
              buffer_factory_config: {minimum_account_to_track_power_of_two: 20}
              actions:
              - name: envoy.overload_actions.stop_accepting_requests
                triggers: [{name: heap, threshold: {value: 0.9}}, {name: cpu, scaled: {scaling_threshold: 0.5, saturation_threshold: 0.75}}]
              - name: envoy.overload_actions.reduce_timeouts
                triggers: [{name: file, threshold: {value: 0.5}}]
                typed_config:
                  "@type": \(Self.type)config.overload.v3.ScaleTimersOverloadActionConfig
                  timer_scale_factors:
                  - {timer: HTTP_DOWNSTREAM_CONNECTION_IDLE, min_timeout: 2s}
                  - {timer: TRANSPORT_SOCKET_CONNECT, min_scale: {value: 20}}
              loadshed_points:
              - name: envoy.load_shed_points.tcp_listener_accept
                triggers: [{name: file, threshold: {value: 0.8}}]
            """)
        #expect(made.refreshInterval == .milliseconds(250) && made.minimumAccountPower == 20)
        #expect(made.monitors == [
            ResourceMonitor(name: "heap", kind: .fixedHeap(maxBytes: 1000)), ResourceMonitor(name: "file", kind: .injected(path: "/x")),
            ResourceMonitor(name: "group", kind: .cgroupMemory(maxBytes: 5)), ResourceMonitor(name: "cpu", kind: .cpu(ofContainer: true)),
        ])
        #expect(made.rules.map(\.effect) == [
            .stopRequests,
            .reduceTimeouts([
                ScaledTimer(timer: .connectionIdle, minimum: .duration(.seconds(2))),
                ScaledTimer(timer: .transportConnect, minimum: .part(0.2)),
            ]),
            .rejectConnections,
        ])
        #expect(made.rules.first?.triggers == [
            OverloadTrigger(monitor: 0, kind: .threshold(0.9)), OverloadTrigger(monitor: 3, kind: .scaled(from: 0.5, to: 0.75)),
        ])
    }

    @Test(arguments: [
        ("actions: [{name: envoy.overload_actions.shrink_heaps, triggers: [{name: heap, threshold: {value: 1}}]}]", "actions[0].name"),
        ("actions: [{name: envoy.overload_actions.shrink_heap, triggers: [{name: heep, threshold: {value: 1}}]}]", "actions[0].triggers[0].name"),
        (
            "actions: [{name: envoy.overload_actions.shrink_heap, triggers: [{name: heap, scaled: {scaling_threshold: 0.9, saturation_threshold: 0.5}}]}]",
            "actions[0].triggers[0].scaled.scaling_threshold"
        ),
        ("actions: [{name: envoy.overload_actions.reduce_timeouts, triggers: [{name: heap, threshold: {value: 1}}]}]", "actions[0].typed_config"),
        ("loadshed_points: [{name: envoy.load_shed_points.none, triggers: [{name: heap, threshold: {value: 1}}]}]", "loadshed_points[0].name"),
    ])
    func aMistakeIsNamed(text: String, path: String) throws {
        let error = try #require(throws: ConfigError.self) { try options(Self.monitors + "  \(text)\n") }
        #expect(error.path == "overload_manager.\(path)")
    }
}
