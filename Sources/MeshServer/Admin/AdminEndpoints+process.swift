// SPDX-License-Identifier: Apache-2.0
import MeshIO
import MeshModel

extension AdminEndpoints {
    /// `/server_info` (`envoy.admin.v3.ServerInfo`).
    func serverInfo() -> LocalResponse {
        let view = context.view.current
        let uptime = "\(MonotonicInstant.current().nanoseconds(since: view.startedAt) / 1_000_000_000)s"
        let version = ApusVersion.envoy
        let node: [JSONValue.Member] = [
            .init("id", .string(view.node.id)),
            .init("cluster", .string(view.node.cluster)),
            .init("metadata", view.nodeMetadata),
            .init("locality", .object([
                .init("region", .string(view.node.locality.region)), .init("zone", .string(view.node.locality.zone)),
                .init("sub_zone", .string(view.node.locality.subZone)),
            ])),
            .init("user_agent_name", .string("envoy")),
            .init("user_agent_build_version", .object([
                .init("version", .object([
                    .init("major_number", .integer(version.major)), .init("minor_number", .integer(version.minor)),
                    .init("patch", .integer(version.patch)),
                ])),
                .init("metadata", .object(ApusVersion.metadata.map { .init($0.name, .string($0.value)) })),
            ])),
            .init("extensions", .array([])), .init("client_features", .array([])), .init("listening_addresses", .array([])), .init("dynamic_parameters", .object([])),
        ]
        return LocalResponse(
            JSONValue.object([
                .init("version", .string(ApusVersion.text)), .init("state", .string(view.shownState.name)),
                .init("uptime_current_epoch", .string(uptime)), .init("uptime_all_epochs", .string(uptime)),
                .init("hot_restart_version", .string("disabled")),
                .init("command_line_options", AdminEndpoints.json(view.options, concurrency: view.concurrency)),
                .init("node", .object(node)), .init("hot_restart_initializing", .bool(false)),
            ]).text, contentType: LocalResponse.json)
    }

    private static func json(_ options: ServerOptions, concurrency: Int) -> JSONValue {
        func capitalized(_ text: String) -> String { text.prefix(1).uppercased() + text.dropFirst() }
        let mode = switch options.mode {
        case .serve: "Serve"
        case .validate: "Validate"
        case .initOnly: "InitOnly"
        }
        return .object([
            .init("base_id", .string(String(options.baseID))), .init("concurrency", .integer(concurrency)),
            .init("config_path", .string(options.configPath ?? "")), .init("config_yaml", .string(options.configYAML ?? "")),
            .init("allow_unknown_static_fields", .bool(options.allowUnknownStaticFields)),
            .init("admin_address_path", .string(options.adminAddressPath)),
            .init("local_address_ip_version", .string(options.localAddressIPVersion.rawValue)),
            .init("log_level", .string(options.logLevel.name)),
            .init("component_log_level", .string(options.componentLogLevel)),
            .init("log_format", .string(options.logFormat)), .init("log_path", .string(options.logPath)),
            .init("service_cluster", .string(options.serviceCluster)), .init("service_node", .string(options.serviceNode)),
            .init("service_zone", .string(options.serviceZone)),
            .init("file_flush_interval", .string(seconds(options.fileFlushIntervalMilliseconds))),
            .init("drain_time", .string("\(options.drainTimeSeconds)s")),
            .init("parent_shutdown_time", .string("\(options.parentShutdownTimeSeconds)s")),
            .init("mode", .string(mode)), .init("disable_hot_restart", .bool(options.disableHotRestart)),
            .init("enable_mutex_tracing", .bool(options.enableMutexTracing)),
            .init("restart_epoch", .integer(options.restartEpoch)), .init("cpuset_threads", .bool(options.cpusetThreads)),
            .init("reject_unknown_dynamic_fields", .bool(options.rejectUnknownDynamicFields)),
            .init("log_format_escaped", .bool(options.logFormatEscaped)),
            .init("disabled_extensions", .array(options.disabledExtensions.map { .string($0) })),
            .init("ignore_unknown_dynamic_fields", .bool(options.ignoreUnknownDynamicFields)),
            .init("use_dynamic_base_id", .bool(options.useDynamicBaseID)),
            .init("base_id_path", .string(options.baseIDPath)),
            .init("drain_strategy", .string(capitalized(options.drainStrategy.rawValue))),
            .init("enable_fine_grain_logging", .bool(options.enableFineGrainLogging)),
            .init("socket_path", .string(options.socketPath)), .init("socket_mode", .integer(options.socketMode)),
            .init("enable_core_dump", .bool(options.enableCoreDump)),
            .init("stats_tag", .array(options.statsTags.map { .string($0) })),
            .init("skip_hot_restart_on_no_parent", .bool(options.skipHotRestartOnNoParent)),
            .init("skip_hot_restart_parent_stats", .bool(options.skipHotRestartParentStats)),
            .init("skip_deprecated_logs", .bool(options.skipDeprecatedLogs)),
            .init("file_flush_min_size", .integer(options.fileFlushMinSizeKilobytes)),
            .init("log_stacktrace_single_entry", .bool(options.logStacktraceSingleEntry)),
        ])
    }

    /// Milliseconds as protobuf's JSON writes a duration.
    private static func seconds(_ milliseconds: UInt32) -> String {
        let rest = milliseconds % 1_000
        guard rest > 0 else { return "\(milliseconds / 1_000)s" }
        let digits = String(rest + 1_000).dropFirst()
        return "\(milliseconds / 1_000).\(digits)s"
    }

    /// `/memory` (`envoy.admin.v3.Memory`).
    func memory() -> LocalResponse {
        let memory = ProcessMemory.current()
        return LocalResponse(
            JSONValue.object([
                .init("allocated", .string(String(memory.allocated))), .init("heap_size", .string(String(memory.heap))),
                .init("pageheap_unmapped", .string("0")), .init("pageheap_free", .string(String(memory.free))),
                .init("total_thread_cache", .string("0")), .init("total_physical_bytes", .string(String(memory.resident))),
            ]).text, contentType: LocalResponse.json)
    }

    /// `/memory/tcmalloc`, of the C library's allocator, which is the one in use.
    func allocatorText() -> LocalResponse {
        let memory = ProcessMemory.current()
        return LocalResponse("""
            MALLOC: \(memory.allocated) bytes in use by application
            MALLOC: \(memory.free) bytes free in the heap
            MALLOC: \(memory.heap) bytes taken from the system
            RSS: \(memory.resident) bytes resident

            """)
    }

    /// `POST /reset_counters`.
    func resetCounters() -> LocalResponse {
        context.process.resetCounters(of: context.catalog)
        return LocalResponse("OK\n")
    }

    /// `POST /healthcheck/fail` and `/healthcheck/ok`.
    func setHealth(failing: Bool) -> LocalResponse {
        context.view.update { $0.isHealthCheckFailing = failing }
        context.command(.failHealthCheck(failing))
        return LocalResponse("OK\n")
    }

    /// `POST /drain_listeners`.
    func drainListeners(_ request: LocalRequest) -> LocalResponse {
        context.command(.drainListeners(
            inboundOnly: request.has("inboundonly"), graceful: request.has("graceful"), skipExit: request.has("skip_exit")))
        return LocalResponse("OK\n")
    }
}
