// SPDX-License-Identifier: Apache-2.0
package import MeshModel
package import MeshProto
import MeshIO

extension Translator {
    /// A cluster of static or original-destination hosts.
    package func cluster(_ message: Envoy_Config_Cluster_V3_Cluster, at path: String) throws(ConfigError) -> Cluster {
        var cluster = Cluster(name: message.name, discovery: try discovery(message, at: path))
        if !message.altStatName.isEmpty { cluster.statName = message.altStatName }
        cluster.metadata = metadata(message.metadata)
        if message.hasConnectTimeout { cluster.connectTimeout = message.connectTimeout.duration }
        if message.hasPerConnectionBufferLimitBytes {
            cluster.bufferLimitBytes = message.perConnectionBufferLimitBytes.value
        }
        if message.hasCleanupInterval { cluster.cleanupInterval = message.cleanupInterval.duration }
        cluster.balancing = try balancing(message, at: path)
        if message.commonLbConfig.hasHealthyPanicThreshold {
            cluster.panicThresholdPercent = message.commonLbConfig.healthyPanicThreshold.value
        }
        for thresholds in message.circuitBreakers.thresholds {
            if thresholds.priority == .high {
                cluster.highPriorityBreakers = breakers(thresholds)
            } else {
                cluster.breakers = breakers(thresholds)
            }
        }
        cluster.http = try upstreamOptions(message, at: path)
        if message.hasTransportSocket {
            cluster.tls = try upstreamTLS(message.transportSocket, at: path + ".transport_socket")
        }
        if cluster.http.protocolSelection == .auto, cluster.tls == nil {
            throw error(
                path + ".transport_socket", found: "no TLS for a cluster whose protocol is chosen by ALPN",
                allowed: "an UpstreamTlsContext")
        }
        try setConnectOptions(of: &cluster, message, at: path)
        return cluster
    }

    private func discovery(_ message: Envoy_Config_Cluster_V3_Cluster, at path: String) throws(ConfigError)
        -> Cluster.Discovery
    {
        switch message.type {
        case .static:
            guard message.hasLoadAssignment else { return .static(EndpointSet()) }
            return .static(try endpointSet(message.loadAssignment, at: path + ".load_assignment"))
        case .originalDst:
            guard !message.hasLoadAssignment else {
                throw error(
                    path + ".load_assignment", found: "hosts", allowed: "none, for a cluster of type ORIGINAL_DST")
            }
            var options = OriginalDestinationOptions()
            let place = path + ".original_dst_lb_config"
            options.useHTTPHeader = message.originalDstLbConfig.useHTTPHeader
            if !message.originalDstLbConfig.httpHeaderName.isEmpty {
                options.headerName = message.originalDstLbConfig.httpHeaderName.lowercased()
            }
            if message.originalDstLbConfig.hasUpstreamPortOverride {
                let port = message.originalDstLbConfig.upstreamPortOverride.value
                guard let port = UInt16(exactly: port) else {
                    throw error(place + ".upstream_port_override", found: "\(port)", allowed: "at most 65535")
                }
                options.portOverride = port
            }
            guard !message.originalDstLbConfig.hasMetadataKey else {
                throw error(
                    place + ".metadata_key", found: "a key",
                    allowed: "use_http_header or the connection's own destination")
            }
            return .originalDestination(options)
        default:
            throw error(path + ".type", found: "\(message.type)", allowed: "STATIC or ORIGINAL_DST")
        }
    }

    private func balancing(_ message: Envoy_Config_Cluster_V3_Cluster, at path: String) throws(ConfigError)
        -> LoadBalancingPolicy
    {
        let place = path + ".lb_policy"
        let isOriginal = message.type == .originalDst
        guard (message.lbPolicy == .clusterProvided) == isOriginal else {
            throw error(
                place, found: "\(message.lbPolicy) for a cluster of type \(message.type)",
                allowed: isOriginal ? "CLUSTER_PROVIDED" : "ROUND_ROBIN, LEAST_REQUEST or RANDOM")
        }
        switch message.lbPolicy {
        case .roundRobin: return .roundRobin
        case .random: return .random
        case .clusterProvided: return .clusterProvided
        case .leastRequest:
            let config = message.leastRequestLbConfig
            let bias = config.hasActiveRequestBias ? config.activeRequestBias.defaultValue : 1
            guard bias >= 0 else {
                throw error(
                    path + ".least_request_lb_config.active_request_bias.default_value", found: "\(bias)",
                    allowed: "0 or more")
            }
            return .leastRequest(choices: config.hasChoiceCount ? config.choiceCount.value : 2, bias: bias)
        default:
            throw error(place, found: "\(message.lbPolicy)", allowed: "ROUND_ROBIN, LEAST_REQUEST or RANDOM")
        }
    }

    private func breakers(_ message: Envoy_Config_Cluster_V3_CircuitBreakers.Thresholds) -> CircuitBreakerThresholds {
        var thresholds = CircuitBreakerThresholds()
        if message.hasMaxConnections { thresholds.maxConnections = message.maxConnections.value }
        if message.hasMaxPendingRequests { thresholds.maxPendingRequests = message.maxPendingRequests.value }
        if message.hasMaxRequests { thresholds.maxRequests = message.maxRequests.value }
        if message.hasMaxRetries { thresholds.maxRetries = message.maxRetries.value }
        if message.hasMaxConnectionPools { thresholds.maxConnectionPools = message.maxConnectionPools.value }
        thresholds.trackRemaining = message.trackRemaining
        return thresholds
    }

    private func setConnectOptions(
        of cluster: inout Cluster, _ message: Envoy_Config_Cluster_V3_Cluster, at path: String
    ) throws(ConfigError) {
        let place = path + ".upstream_bind_config"
        if message.upstreamBindConfig.hasSourceAddress {
            cluster.connectOptions.bindAddress = try address(
                message.upstreamBindConfig.sourceAddress, at: place + ".source_address")
        }
        for (index, extra) in message.upstreamBindConfig.extraSourceAddresses.enumerated() {
            let address = try address(extra.address, at: "\(place).extra_source_addresses[\(index)].address")
            if case .ipv6 = address { cluster.ipv6BindAddress = address }
        }
        guard message.upstreamConnectionOptions.hasTcpKeepalive else { return }
        let keepAlive = message.upstreamConnectionOptions.tcpKeepalive
        cluster.connectOptions.keepAlive = TCPKeepAlive(
            probes: Int32(clamping: keepAlive.keepaliveProbes.value),
            idleSeconds: Int32(clamping: keepAlive.keepaliveTime.value),
            intervalSeconds: Int32(clamping: keepAlive.keepaliveInterval.value))
    }

    // MARK: Endpoints

    /// The hosts of a cluster.
    package func endpointSet(
        _ message: Envoy_Config_Endpoint_V3_ClusterLoadAssignment, at path: String
    ) throws(ConfigError) -> EndpointSet {
        var set = EndpointSet()
        if message.policy.hasOverprovisioningFactor {
            set.overprovisioningPercent = message.policy.overprovisioningFactor.value
        }
        for (index, group) in message.endpoints.enumerated() {
            let place = "\(path).endpoints[\(index)]"
            var endpoints: [Endpoint] = []
            for (number, host) in group.lbEndpoints.enumerated() {
                endpoints.append(try endpoint(host, at: "\(place).lb_endpoints[\(number)]"))
            }
            set.localities.append(
                LocalityEndpoints(
                    locality: locality(group.locality), weight: group.loadBalancingWeight.value,
                    priority: group.priority,
                    endpoints: endpoints))
        }
        return set
    }

    private func endpoint(_ message: Envoy_Config_Endpoint_V3_LbEndpoint, at path: String) throws(ConfigError)
        -> Endpoint
    {
        guard case .endpoint(let host)? = message.hostIdentifier else {
            throw error(path, found: "no host", allowed: "endpoint")
        }
        let health: EndpointHealth =
            switch message.healthStatus {
            case .unhealthy, .draining, .timeout: .unhealthy
            case .degraded: .degraded
            default: .healthy
            }
        var endpoint = Endpoint(
            try address(host.address, at: path + ".endpoint.address"), hostname: host.hostname,
            weight: message.hasLoadBalancingWeight ? message.loadBalancingWeight.value : 1, health: health)
        endpoint.metadata = metadata(message.metadata)
        return endpoint
    }
}
