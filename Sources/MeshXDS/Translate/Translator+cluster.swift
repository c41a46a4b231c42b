// SPDX-License-Identifier: Apache-2.0
package import MeshModel
package import MeshProto
import MeshIO

extension Translator {
    /// A cluster of static hosts, of names, or of original destinations.
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
        if message.preconnectPolicy.hasPerUpstreamPreconnectRatio {
            cluster.preconnectRatio = message.preconnectPolicy.perUpstreamPreconnectRatio.value
        }
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
        case .strictDns, .logicalDns:
            return .dns(try dnsDiscovery(message, at: path))
        default:
            throw error(
                path + ".type", found: "\(message.type)", allowed: "STATIC, STRICT_DNS, LOGICAL_DNS or ORIGINAL_DST")
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
        if message.hasRetryBudget { thresholds.retryBudget = retryBudget(message.retryBudget) }
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
            cluster.extraBindAddresses.append(address)
        }
        cluster.connectOptions.socketOptions = try socketOptions(
            message.upstreamBindConfig.socketOptions, at: place + ".socket_options")
        let eyeballs = message.upstreamConnectionOptions.happyEyeballsConfig
        cluster.happyEyeballs.firstFamily =
            switch eyeballs.firstAddressFamilyVersion {
            case .v4: .ipv4
            case .v6: .ipv6
            default: .ofFirst
            }
        if eyeballs.hasFirstAddressFamilyCount { cluster.happyEyeballs.firstCount = eyeballs.firstAddressFamilyCount.value }
        guard message.upstreamConnectionOptions.hasTcpKeepalive else { return }
        let keepAlive = message.upstreamConnectionOptions.tcpKeepalive
        cluster.connectOptions.keepAlive = TCPKeepAlive(
            probes: Int32(clamping: keepAlive.keepaliveProbes.value),
            idleSeconds: Int32(clamping: keepAlive.keepaliveTime.value),
            intervalSeconds: Int32(clamping: keepAlive.keepaliveInterval.value))
    }

    private func socketOptions(
        _ messages: [Envoy_Config_Core_V3_SocketOption], at path: String
    ) throws(ConfigError) -> [SocketOption] {
        var options: [SocketOption] = []
        for (index, message) in messages.enumerated() {
            let place = "\(path)[\(index)]"
            guard let level = Int32(exactly: message.level), let name = Int32(exactly: message.name) else {
                throw error(place, found: "level \(message.level), name \(message.name)", allowed: "32-bit numbers")
            }
            let isAfterBind = message.state == .stateBound
            switch message.value {
            case .intValue(let number)?:
                guard let number = Int32(exactly: number) ?? UInt32(exactly: number).map({ Int32(bitPattern: $0) }) else {
                    throw error(place + ".int_value", found: "\(number)", allowed: "a 32-bit number")
                }
                options.append(SocketOption(level: level, name: name, number: number, isAfterBind: isAfterBind))
            case .bufValue(let bytes)?:
                options.append(SocketOption(level: level, name: name, value: Array(bytes), isAfterBind: isAfterBind))
            case nil: throw error(place, found: "no value", allowed: "int_value or buf_value")
            }
        }
        // The client's socket never listens.
        return zip(messages, options).filter { $0.0.state != .stateListening }.map(\.1)
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
        var endpoint = Endpoint(
            try address(host.address, at: path + ".endpoint.address"), hostname: host.hostname,
            weight: message.hasLoadBalancingWeight ? message.loadBalancingWeight.value : 1,
            health: health(message.healthStatus))
        for (index, extra) in host.additionalAddresses.enumerated() {
            let place = "\(path).endpoint.additional_addresses[\(index)].address"
            let address = try address(extra.address, at: place)
            guard address.isIP else { throw error(place, found: "\(address)", allowed: "a socket_address") }
            endpoint.additionalAddresses.append(address)
        }
        endpoint.metadata = metadata(message.metadata)
        return endpoint
    }

    func health(_ status: Envoy_Config_Core_V3_HealthStatus) -> EndpointHealth {
        switch status {
        case .unhealthy, .timeout: .unhealthy
        case .draining: .draining
        case .degraded: .degraded
        default: .healthy
        }
    }
}
