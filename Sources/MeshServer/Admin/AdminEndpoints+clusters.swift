// SPDX-License-Identifier: Apache-2.0
import MeshDataPlane
import MeshIO
import MeshModel
import MeshStats

extension AdminEndpoints {
    /// `/clusters`, as text and with `format=json`.
    func clusters(_ request: LocalRequest) -> LocalResponse {
        let matches: ((String) -> Bool)?
        switch nameFilter(request.parameter("filter")) {
        case .failure(let refusal): return refusal.response
        case .success(let predicate): matches = predicate
        }
        let clusters = context.view.current.clusters.filter { matches?($0.name) ?? true }.sorted { $0.name < $1.name }
        if request.parameter("format") == "json" {
            let statuses = clusters.map { json($0) }
            return AdminEndpoints.list("cluster_statuses", statuses)
        }
        return LocalResponse(clusters.map { text($0) }.joined())
    }

    private func text(_ cluster: Cluster) -> String {
        let name = cluster.name
        var text = "\(name)::observability_name::\(cluster.statName)\n"
        for (priority, limits) in [("default", cluster.breakers), ("high", cluster.highPriorityBreakers)] {
            text += "\(name)::\(priority)_priority::max_connections::\(limits.maxConnections)\n"
            text += "\(name)::\(priority)_priority::max_pending_requests::\(limits.maxPendingRequests)\n"
            text += "\(name)::\(priority)_priority::max_requests::\(limits.maxRequests)\n"
            text += "\(name)::\(priority)_priority::max_retries::\(limits.maxRetries)\n"
        }
        text += "\(name)::added_via_api::false\n"
        for group in hosts(of: cluster) {
            for host in group.endpoints {
                let lead = "\(name)::\(host.address)"
                let counts = counts(of: host, in: cluster)
                for (stat, value) in (counts.counters + counts.gauges).sorted(by: { $0.name < $1.name }) {
                    text += "\(lead)::\(stat)::\(value)\n"
                }
                text += "\(lead)::hostname::\(host.hostname)\n"
                text += "\(lead)::health_flags::\(AdminEndpoints.healthFlags(host.health))\n"
                text += "\(lead)::weight::\(host.weight)\n"
                text += "\(lead)::region::\(group.locality.region)\n"
                text += "\(lead)::zone::\(group.locality.zone)\n"
                text += "\(lead)::sub_zone::\(group.locality.subZone)\n"
                text += "\(lead)::canary::\(host.isCanary)\n"
                text += "\(lead)::priority::\(group.priority)\n"
                text += "\(lead)::success_rate::-1\n"
                text += "\(lead)::local_origin_success_rate::-1\n"
            }
        }
        return text
    }

    /// The hosts that configuration names, or, where connections name them, those in use.
    private func hosts(of cluster: Cluster) -> [LocalityEndpoints] {
        let view = context.view.current
        if case .originalDestination = cluster.discovery {
            let addresses = view.hosts?.hosts(of: cluster.name) ?? []
            let endpoints = addresses.sorted { $0.description < $1.description }.map { Endpoint($0) }
            return [LocalityEndpoints(endpoints: endpoints)]
        }
        return view.endpoints(of: cluster)?.localities ?? []
    }

    private struct HostCounts {
        var counters: [(name: String, value: UInt64)] = []
        var gauges: [(name: String, value: UInt64)] = []
    }

    /// By Envoy's names; 0 for a host that no worker has used.
    private func counts(of host: Endpoint, in cluster: Cluster) -> HostCounts {
        let rows = context.view.current.hosts?.find(cluster: cluster.name, address: host.address)
        func counter(_ id: CounterID?) -> UInt64 { id.map { context.catalog.value($0) } ?? 0 }
        func gauge(_ id: GaugeID?) -> UInt64 { UInt64(clamping: id.map { context.catalog.value($0) } ?? 0) }
        return HostCounts(
            counters: [
                ("cx_connect_fail", counter(rows?.connectFailures)), ("cx_total", counter(rows?.connectionsTotal)),
                ("rq_error", counter(rows?.requestsFailed)), ("rq_success", counter(rows?.requestsSucceeded)),
                ("rq_timeout", counter(rows?.requestsTimedOut)), ("rq_total", counter(rows?.requestsTotal)),
            ],
            gauges: [
                ("cx_active", gauge(rows?.connectionsActive)), ("rq_active", gauge(rows?.requestsActive)),
                ("rq_pending_active", gauge(rows?.requestsPending)),
            ])
    }

    private static func healthFlags(_ health: EndpointHealth) -> String {
        switch health {
        case .healthy: "healthy"
        case .degraded: "/degraded_eds_health"
        case .unhealthy: "/failed_eds_health"
        case .draining: "/eds_status_draining"
        }
    }

    /// `envoy.admin.v3.ClusterStatus`.
    private func json(_ cluster: Cluster) -> JSONValue {
        var members: [JSONValue.Member] = [.init("name", .string(cluster.name))]
        var hosts: [JSONValue] = []
        for group in self.hosts(of: cluster) {
            for host in group.endpoints {
                hosts.append(AdminEndpoints.json(host, in: group, counts(of: host, in: cluster)))
            }
        }
        if !hosts.isEmpty { members.append(.init("host_statuses", .array(hosts))) }
        let thresholds = [
            AdminEndpoints.json(cluster.breakers, isHigh: false), AdminEndpoints.json(cluster.highPriorityBreakers, isHigh: true),
        ]
        members.append(.init("circuit_breakers", .object([.init("thresholds", .array(thresholds))])))
        members.append(.init("observability_name", .string(cluster.statName)))
        return .object(members)
    }

    private static func json(_ limits: CircuitBreakerThresholds, isHigh: Bool) -> JSONValue {
        var members: [JSONValue.Member] = isHigh ? [.init("priority", .string("HIGH"))] : []
        members.append(.init("max_connections", .integer(limits.maxConnections)))
        members.append(.init("max_pending_requests", .integer(limits.maxPendingRequests)))
        members.append(.init("max_requests", .integer(limits.maxRequests)))
        members.append(.init("max_retries", .integer(limits.maxRetries)))
        return .object(members)
    }

    /// `envoy.admin.v3.HostStatus`.
    private static func json(_ host: Endpoint, in group: LocalityEndpoints, _ counts: HostCounts) -> JSONValue {
        func metric(_ stat: (name: String, value: UInt64), type: [JSONValue.Member]) -> JSONValue {
            let value = stat.value == 0 ? [] : [JSONValue.Member("value", .string(String(stat.value)))]
            return .object(type + value + [.init("name", .string(stat.name))])
        }
        let stats = counts.counters.map { metric($0, type: []) }
            + counts.gauges.map { metric($0, type: [.init("type", .string("GAUGE"))]) }
        let health = switch host.health {
        case .healthy: "HEALTHY"
        case .degraded: "DEGRADED"
        case .unhealthy: "UNHEALTHY"
        case .draining: "DRAINING"
        }
        var members: [JSONValue.Member] = [
            .init("address", json(host.address)), .init("stats", .array(stats)),
            .init("health_status", .object([.init("eds_health_status", .string(health))])),
            .init("weight", .integer(host.weight)),
        ]
        if !host.hostname.isEmpty { members.append(.init("hostname", .string(host.hostname))) }
        if group.priority > 0 { members.append(.init("priority", .integer(group.priority))) }
        let locality = [
            ("region", group.locality.region), ("zone", group.locality.zone), ("sub_zone", group.locality.subZone),
        ].filter { !$0.1.isEmpty }
        members.append(.init("locality", .object(locality.map { .init($0.0, .string($0.1)) })))
        return .object(members)
    }

    /// `envoy.config.core.v3.Address`.
    static func json(_ address: Address) -> JSONValue {
        switch address {
        case .ipv4, .ipv6:
            return .object([.init("socket_address", .object([
                .init("address", .string(address.hostText)), .init("port_value", .integer(address.port ?? 0)),
            ]))])
        case .pipe(let path): return .object([.init("pipe", .object([.init("path", .string(path))]))])
        case .internal(let name):
            return .object([.init("envoy_internal_address", .object([.init("server_listener_name", .string(name))]))])
        }
    }

    /// `/listeners`, as text and with `format=json`.
    func listeners(_ request: LocalRequest) -> LocalResponse {
        let listeners = context.view.current.listeners
        guard request.parameter("format") == "json" else {
            return LocalResponse(listeners.flatMap { listener in
                listener.addresses.map { "\(listener.name)::\($0)\n" }
            }.joined())
        }
        let statuses = listeners.map { listener -> JSONValue in
            var members: [JSONValue.Member] = [.init("name", .string(listener.name))]
            if let first = listener.addresses.first { members.append(.init("local_address", AdminEndpoints.json(first))) }
            if listener.addresses.count > 1 {
                members.append(.init(
                    "additional_local_addresses", .array(listener.addresses.dropFirst().map { AdminEndpoints.json($0) })))
            }
            return .object(members)
        }
        return AdminEndpoints.list("listener_statuses", statuses)
    }

    /// An object of one list, which is left out when it is empty.
    private static func list(_ name: String, _ elements: [JSONValue]) -> LocalResponse {
        LocalResponse(
            JSONValue.object(elements.isEmpty ? [] : [.init(name, .array(elements))]).text, contentType: LocalResponse.json)
    }
}
