// SPDX-License-Identifier: Apache-2.0
import MeshIO
import MeshModel

extension AdminEndpoints {
    /// `/clusters`, as text and with `format=json`.
    func clusters(_ request: LocalRequest) -> LocalResponse {
        let matches: ((String) -> Bool)?
        switch nameFilter(request.parameter("filter")) {
        case .failure(let refusal): return refusal.response
        case .success(let predicate): matches = predicate
        }
        let view = context.view.current
        let clusters = view.clusters.filter { matches?($0.name) ?? true }.sorted { $0.name < $1.name }
        if request.parameter("format") == "json" {
            let statuses = clusters.map { AdminEndpoints.json($0, view.endpoints(of: $0)) }
            return LocalResponse(
                JSONValue.object([.init("cluster_statuses", .array(statuses))]).text, contentType: LocalResponse.json)
        }
        return LocalResponse(clusters.map { AdminEndpoints.text($0, view.endpoints(of: $0)) }.joined())
    }

    private static func text(_ cluster: Cluster, _ endpoints: EndpointSet?) -> String {
        let name = cluster.name
        var text = "\(name)::observability_name::\(cluster.statName)\n"
        for (priority, limits) in [("default", cluster.breakers), ("high", cluster.highPriorityBreakers)] {
            text += "\(name)::\(priority)_priority::max_connections::\(limits.maxConnections)\n"
            text += "\(name)::\(priority)_priority::max_pending_requests::\(limits.maxPendingRequests)\n"
            text += "\(name)::\(priority)_priority::max_requests::\(limits.maxRequests)\n"
            text += "\(name)::\(priority)_priority::max_retries::\(limits.maxRetries)\n"
        }
        text += "\(name)::added_via_api::false\n"
        for group in endpoints?.localities ?? [] {
            for host in group.endpoints {
                let lead = "\(name)::\(host.address)"
                text += "\(lead)::hostname::\(host.hostname)\n"
                text += "\(lead)::health_flags::\(healthFlags(host.health))\n"
                text += "\(lead)::weight::\(host.weight)\n"
                text += "\(lead)::region::\(group.locality.region)\n"
                text += "\(lead)::zone::\(group.locality.zone)\n"
                text += "\(lead)::sub_zone::\(group.locality.subZone)\n"
                text += "\(lead)::canary::false\n"
                text += "\(lead)::priority::\(group.priority)\n"
                text += "\(lead)::success_rate::-1\n"
                text += "\(lead)::local_origin_success_rate::-1\n"
            }
        }
        return text
    }

    private static func healthFlags(_ health: EndpointHealth) -> String {
        switch health {
        case .healthy: "healthy"
        case .degraded: "/eds_degraded"
        case .unhealthy: "/failed_eds_health"
        }
    }

    private static func json(_ cluster: Cluster, _ endpoints: EndpointSet?) -> JSONValue {
        var members: [JSONValue.Member] = [.init("name", .string(cluster.name))]
        var hosts: [JSONValue] = []
        for group in endpoints?.localities ?? [] {
            for host in group.endpoints { hosts.append(json(host, in: group)) }
        }
        if !hosts.isEmpty { members.append(.init("host_statuses", .array(hosts))) }
        let thresholds = [json(cluster.breakers, isHigh: false), json(cluster.highPriorityBreakers, isHigh: true)]
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

    private static func json(_ host: Endpoint, in group: LocalityEndpoints) -> JSONValue {
        let health = switch host.health {
        case .healthy: "HEALTHY"
        case .degraded: "DEGRADED"
        case .unhealthy: "UNHEALTHY"
        }
        var members: [JSONValue.Member] = [
            .init("address", json(host.address)),
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
        return LocalResponse(
            JSONValue.object([.init("listener_statuses", .array(statuses))]).text, contentType: LocalResponse.json)
    }
}
