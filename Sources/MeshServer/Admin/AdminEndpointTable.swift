// SPDX-License-Identifier: Apache-2.0

extension AdminEndpoints {
    /// Every path, in the order of `/help`. Texts are Envoy's, so that what reads them finds what it knows.
    static let all: [AdminEndpoint] = [
        AdminEndpoint(path: "/", help: "Admin home page") { _, _ in HomePage.response() },
        AdminEndpoint(
            path: "/allocprofiler", help: "enable/disable the allocation profiler (if supported)",
            parameters: [("enable", "enable/disable the allocation profiler; One of (y, n)")], isMutating: true
        ) { allocationProfiler($1) },
        AdminEndpoint(path: "/certs", help: "print certs on machine") { endpoints, _ in endpoints.certificates() },
        AdminEndpoint(
            path: "/clusters", help: "upstream cluster status",
            parameters: [("filter", "Regular expression (Google re2) for filtering clusters by name")]
        ) { $0.clusters($1) },
        AdminEndpoint(path: "/config_dump", help: "dump current Envoy configs", parameters: configDumpParameters) {
            $0.configDump($1)
        },
        AdminEndpoint(path: "/contention", help: "dump current Envoy mutex contention stats (if enabled)") { _, _ in contention },
        AdminEndpoint(
            path: "/cpuprofiler", help: "enable/disable the CPU profiler",
            parameters: [("enable", "enables the CPU profiler; One of (y, n)")], isMutating: true
        ) { cpuProfiler($1) },
        AdminEndpoint(path: "/drain_listeners", help: "drain listeners", parameters: drainParameters, isMutating: true) {
            $0.drainListeners($1)
        },
        AdminEndpoint(path: "/healthcheck/fail", help: "cause the server to fail health checks", isMutating: true) {
            endpoints, _ in endpoints.setHealth(failing: true)
        },
        AdminEndpoint(path: "/healthcheck/ok", help: "cause the server to pass health checks", isMutating: true) {
            endpoints, _ in endpoints.setHealth(failing: false)
        },
        AdminEndpoint(path: "/heap_dump", help: "dump current Envoy heap (if supported)") { _, _ in heapDump },
        AdminEndpoint(
            path: "/heapprofiler", help: "enable/disable the heap profiler",
            parameters: [("enable", "enable/disable the heap profiler; One of (y, n)")], isMutating: true
        ) { _, _ in heapProfiler },
        AdminEndpoint(path: "/help", help: "print out list of admin commands") { _, _ in LocalResponse(helpText) },
        AdminEndpoint(path: "/hot_restart_version", help: "print the hot restart compatibility version") { _, _ in
            LocalResponse("disabled")
        },
        AdminEndpoint(
            path: "/init_dump", help: "dump current Envoy init manager information (experimental)",
            parameters: [("mask", "The desired component to dump unready targets. The mask is parsed as a Protobuf::FieldMask. For example, get the unready targets of all listeners with /init_dump?mask=listener`")]
        ) { _, _ in initDump },
        AdminEndpoint(
            path: "/listeners", help: "print listener info", parameters: [("format", "File format to use; One of (text, json)")]
        ) { $0.listeners($1) },
        AdminEndpoint(path: "/logging", help: "query/change logging levels", parameters: loggingParameters, isMutating: true) {
            $0.logging($1)
        },
        AdminEndpoint(path: "/memory", help: "print current allocation/heap usage") { endpoints, _ in endpoints.memory() },
        AdminEndpoint(path: "/memory/tcmalloc", help: "print TCMalloc stats") { endpoints, _ in endpoints.allocatorText() },
        AdminEndpoint(path: "/peak_heap_dump", help: "dump peak Envoy heap (if supported)") { _, _ in heapDump },
        AdminEndpoint(path: "/quitquitquit", help: "exit the server", isMutating: true) { endpoints, _ in
            endpoints.context.command(.quit)
            return LocalResponse("OK\n")
        },
        AdminEndpoint(path: "/ready", help: "print server state, return 200 if LIVE, otherwise return 503") { endpoints, _ in
            let state = endpoints.context.view.current.shownState
            return LocalResponse(state == .live ? 200 : 503, state.name + "\n")
        },
        AdminEndpoint(path: "/recent_errors", help: "print the last warnings and errors of the log (Apus)") { endpoints, _ in
            endpoints.recentErrors()
        },
        AdminEndpoint(path: "/reopen_logs", help: "reopen access logs", isMutating: true) { endpoints, _ in
            endpoints.context.command(.reopenLogs)
            return LocalResponse("OK\n")
        },
        AdminEndpoint(path: "/reset_counters", help: "reset all counters to zero", isMutating: true) { endpoints, _ in
            endpoints.resetCounters()
        },
        AdminEndpoint(path: "/runtime", help: "print runtime values") { endpoints, _ in endpoints.runtime() },
        AdminEndpoint(
            path: "/runtime_modify",
            help: "Adds or modifies runtime values as passed in query parameters. To delete a previously added key, use an empty string as the value. Note that deletion only applies to overrides added via this endpoint; values loaded from disk can be modified via override but not deleted. E.g. ?key1=value1&key2=value2...",
            isMutating: true
        ) { $0.modifyRuntime($1) },
        AdminEndpoint(path: "/server_info", help: "print server version/status information") { endpoints, _ in
            endpoints.serverInfo()
        },
        AdminEndpoint(
            path: "/stats", help: "print server stats",
            parameters: statParameters + [
                ("format", "Format to use; One of (text, json, prometheus)"),
                ("type", "Stat types to include.; One of (All, Counters, Histograms, Gauges)"),
            ]
        ) { $0.stats($1) },
        AdminEndpoint(
            path: "/stats/prometheus", help: "print server stats in prometheus format",
            parameters: statParameters + [("histogram_buckets", "Histogram bucket display mode; One of (cumulative, summary)")]
        ) { $0.prometheus($1) },
        AdminEndpoint(path: "/unsupported", help: "print what the configuration asks for and Apus does not do") { endpoints, _ in
            LocalResponse(UnsupportedReport.text(endpoints.context.view.current.unsupported))
        },
    ]

    private static let statParameters = [
        (name: "usedonly", help: "Only include stats that have been written by system since restart"),
        (name: "filter", help: "Regular expression (Google re2) for filtering stats"),
    ]

    private static let configDumpParameters = [
        (name: "resource", help: "The resource to dump"),
        (name: "mask", help: "The mask to apply. When both resource and mask are specified, the mask is applied to every element in the desired repeated field so that only a subset of fields are returned. The mask is parsed as a Protobuf::FieldMask"),
        (name: "name_regex", help: "Dump only the currently loaded configurations whose names match the specified regex. Can be used with both resource and mask query parameters."),
        (name: "include_eds", help: "Dump currently loaded configuration including EDS. See the response definition for more information"),
    ]

    private static let drainParameters = [
        (name: "graceful", help: "When draining listeners, enter a graceful drain period prior to closing listeners. This behaviour and duration is configurable via server options or CLI"),
        (name: "skip_exit", help: "When draining listeners, drain the connections but never stop the listeners. The graceful parameter has no effect when this is set, since the drain period only delays stopping the listeners"),
        (name: "inboundonly", help: "Drains all inbound listeners. traffic_direction field in envoy_v3_api_msg_config.listener.v3.Listener is used to determine whether a listener is inbound or outbound."),
    ]

    private static let loggingParameters = [
        (name: "paths", help: "Change multiple logging levels by setting to <logger_name1>:<desired_level1>,<logger_name2>:<desired_level2>. If fine grain logging is enabled, use __FILE__ or a glob experision as the logger name. For example, source/common*:warning"),
        (name: "group", help: "Change given logger group to desired level, set to <logger_group_name>:<desired_level>. logger_group_name must be a logger name."),
        (name: "level", help: "desired logging level, this will change all loggers's level; One of (, trace, debug, info, warning, error, critical, off)"),
    ]

    /// Static configuration waits for nothing that could be listed.
    private static let initDump = LocalResponse("{}\n", contentType: LocalResponse.json)
}
