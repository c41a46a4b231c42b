// SPDX-License-Identifier: Apache-2.0

/// One admin path.
struct AdminEndpoint: Sendable {
    let path: String
    let help: String
    /// Envoy's texts of the parameters, for `/help`.
    var parameters: [(name: String, help: String)] = []
    /// Needs POST, for it changes something.
    var isMutating = false
    let handle: @Sendable (AdminEndpoints, LocalRequest) -> LocalResponse
}

/// The admin paths, and how a request finds its own.
package struct AdminEndpoints: Sendable {
    let context: AdminContext

    package init(context: AdminContext) { self.context = context }

    /// Answers a request.
    package func answer(_ request: LocalRequest) -> LocalResponse {
        let path = request.path.isEmpty ? "/" : request.path
        guard let endpoint = AdminEndpoints.all.first(where: { $0.path == path }) else {
            return LocalResponse(404, "invalid path. " + AdminEndpoints.helpText)
        }
        if endpoint.isMutating, request.method != "POST" {
            context.log.error(
                "admin", "admin path \"\(path)\" mutates state, method=\(request.method) rather than POST")
            var response = LocalResponse(405, "Method \(request.method) not allowed, POST required.")
            response.headers = [("allow", "POST")]
            return response
        }
        return endpoint.handle(self, request)
    }

    /// What `/help` prints.
    static let helpText: String = {
        var text = "admin commands are:\n"
        for endpoint in all {
            text += "  \(endpoint.path)\(endpoint.isMutating ? " (POST)" : ""): \(endpoint.help)\n"
            for (name, help) in endpoint.parameters { text += "      \(name): \(help)\n" }
        }
        return text
    }()

    private static let usedOnly = (
        name: "usedonly", help: "Only include stats that have been written by system since restart"
    )
    private static let statFilters = [
        (name: "filter", help: "Regular expression (Google re2) for filtering stats"),
        (name: "invert_filter", help: "Invert the filter regex"),
    ]

    /// Every path, in the order of `/help`.
    static let all: [AdminEndpoint] = [
        AdminEndpoint(path: "/", help: "Admin home page") { _, _ in LocalResponse(helpText) },
        AdminEndpoint(path: "/certs", help: "print certs on machine") { endpoints, _ in endpoints.certificates() },
        AdminEndpoint(
            path: "/clusters", help: "upstream cluster status",
            parameters: [("filter", "Regular expression (Google re2) for filtering clusters by name"), ("format", "File format to use; One of (text, json)")]
        ) { $0.clusters($1) },
        AdminEndpoint(
            path: "/config_dump", help: "dump current configs",
            parameters: [("name_regex", "Dump only the currently loaded configurations whose names match the specified regex."), ("resource", "The resource to dump")]
        ) { $0.configDump($1) },
        AdminEndpoint(
            path: "/drain_listeners", help: "drain listeners",
            parameters: [
                ("graceful", "When draining listeners, enter a graceful drain period prior to closing listeners."),
                ("skip_exit", "When draining listeners, drain the connections but never stop the listeners."),
                ("inboundonly", "Drains all inbound listeners."),
            ], isMutating: true
        ) { $0.drainListeners($1) },
        AdminEndpoint(path: "/help", help: "print out list of admin commands") { _, _ in LocalResponse(helpText) },
        AdminEndpoint(path: "/hot_restart_version", help: "print the hot restart compatibility version") { _, _ in
            LocalResponse("disabled")
        },
        AdminEndpoint(
            path: "/listeners", help: "print listener info", parameters: [("format", "File format to use; One of (text, json)")]
        ) { $0.listeners($1) },
        AdminEndpoint(
            path: "/logging", help: "query/change logging levels",
            parameters: [
                ("paths", "Change multiple logging levels by setting to <logger_name1>:<desired_level1>,<logger_name2>:<desired_level2>."),
                ("level", "desired logging level, this will change all loggers's level; One of (, trace, debug, info, warning, error, critical, off)"),
            ], isMutating: true
        ) { $0.logging($1) },
        AdminEndpoint(path: "/memory", help: "print current allocation/heap usage") { endpoints, _ in endpoints.memory() },
        AdminEndpoint(path: "/quitquitquit", help: "exit the server", isMutating: true) { endpoints, _ in
            endpoints.context.command(.quit)
            return LocalResponse("OK\n")
        },
        AdminEndpoint(path: "/ready", help: "print server state, return 200 if LIVE, otherwise return 503") { endpoints, _ in
            let state = endpoints.context.view.current.state
            return LocalResponse(state == .live ? 200 : 503, state.name + "\n")
        },
        AdminEndpoint(path: "/reopen_logs", help: "reopen access logs", isMutating: true) { endpoints, _ in
            endpoints.context.command(.reopenLogs)
            return LocalResponse("OK\n")
        },
        AdminEndpoint(path: "/reset_counters", help: "reset all counters to zero", isMutating: true) { endpoints, _ in
            endpoints.resetCounters()
        },
        AdminEndpoint(path: "/server_info", help: "print server version/status information") { endpoints, _ in
            endpoints.serverInfo()
        },
        AdminEndpoint(
            path: "/stats", help: "print server stats",
            parameters: [usedOnly] + statFilters + [
                ("format", "Format to use; One of (html, active-html, text, json)"),
                ("type", "Stat types to include.; One of (All, Counters, Histograms, Gauges, TextReadouts)"),
                ("histogram_buckets", "Histogram bucket display mode; One of (cumulative, disjoint, detailed, summary)"),
            ]
        ) { $0.stats($1) },
        AdminEndpoint(
            path: "/stats/prometheus", help: "print server stats in prometheus format",
            parameters: [
                usedOnly,
                ("text_readouts", "Render text_readouts as new gaugues with value 0 (increases Prometheus data size)"),
            ] + statFilters + [("histogram_buckets", "Histogram bucket display mode; One of (cumulative, summary)")]
        ) { $0.prometheus($1) },
        AdminEndpoint(path: "/stats/recentlookups", help: "Show recent stat-name lookups") { _, _ in
            LocalResponse(recentLookups)
        },
        AdminEndpoint(
            path: "/stats/recentlookups/clear", help: "clear list of stat-name lookups and counter", isMutating: true
        ) { _, _ in LocalResponse("OK\n") },
        AdminEndpoint(
            path: "/stats/recentlookups/disable", help: "disable recording of reset stat-name lookup names", isMutating: true
        ) { _, _ in LocalResponse("OK\n") },
        AdminEndpoint(
            path: "/stats/recentlookups/enable", help: "enable recording of reset stat-name lookup names", isMutating: true
        ) { _, _ in LocalResponse("OK\n") },
        AdminEndpoint(path: "/unsupported", help: "print what the configuration asks for and Apus does not do") { endpoints, _ in
            LocalResponse(UnsupportedReport.text(endpoints.context.view.current.unsupported))
        },
    ]
}
