// SPDX-License-Identifier: Apache-2.0
import MeshIO
import MeshModel
import MeshProto

// Clusters whose hosts are names (STRICT_DNS, LOGICAL_DNS).
extension Translator {
    func dnsDiscovery(
        _ message: Envoy_Config_Cluster_V3_Cluster, at path: String
    ) throws(ConfigError) -> DNSDiscovery {
        let kind: DNSDiscovery.Kind = message.type == .logicalDns ? .logical : .strict
        var localities: [DNSLocality] = []
        for (index, group) in message.loadAssignment.endpoints.enumerated() {
            let place = "\(path).load_assignment.endpoints[\(index)]"
            var targets: [DNSTarget] = []
            for (number, host) in group.lbEndpoints.enumerated() {
                targets.append(try dnsTarget(host, at: "\(place).lb_endpoints[\(number)]"))
            }
            localities.append(
                DNSLocality(
                    locality: locality(group.locality), weight: group.loadBalancingWeight.value, priority: group.priority,
                    targets: targets))
        }
        let count = localities.reduce(0) { $0 + $1.targets.count }
        guard kind == .strict || localities.count == 1 && count == 1 else {
            throw error(
                path + ".load_assignment", found: "\(count) hosts in \(localities.count) localities",
                allowed: "one host in one locality, for a cluster of type LOGICAL_DNS")
        }
        var discovery = DNSDiscovery(kind, localities)
        if message.loadAssignment.policy.hasOverprovisioningFactor {
            discovery.overprovisioningPercent = message.loadAssignment.policy.overprovisioningFactor.value
        }
        discovery.family =
            switch message.dnsLookupFamily {
            case .v4Only: .ipv4Only
            case .v6Only: .ipv6Only
            case .v4Preferred: .ipv4Preferred
            case .all: .all
            default: .auto
            }
        discovery.refresh = try refreshPolicy(message, at: path)
        if message.hasWaitForWarmOnInit { discovery.waitsForWarm = message.waitForWarmOnInit.value }
        discovery.resolver = try resolverOptions(message, at: path)
        return discovery
    }

    private func refreshPolicy(
        _ message: Envoy_Config_Cluster_V3_Cluster, at path: String
    ) throws(ConfigError) -> DNSRefreshPolicy {
        var policy = DNSRefreshPolicy()
        if message.hasDnsRefreshRate { policy.rate = message.dnsRefreshRate.duration }
        if message.hasDnsJitter { policy.jitter = message.dnsJitter.duration }
        policy.respectsTimeToLive = message.respectDnsTtl
        guard message.hasDnsFailureRefreshRate else { return policy }
        let base = message.dnsFailureRefreshRate.baseInterval.duration
        let longest =
            message.dnsFailureRefreshRate.hasMaxInterval ? message.dnsFailureRefreshRate.maxInterval.duration : base * 10
        guard longest >= base else {
            throw error(
                path + ".dns_failure_refresh_rate.max_interval", found: "less than base_interval",
                allowed: "base_interval or more")
        }
        policy.failureBackoff = DNSRefreshPolicy.FailureBackoff(base: base, longest: longest)
        return policy
    }

    private func dnsTarget(
        _ message: Envoy_Config_Endpoint_V3_LbEndpoint, at path: String
    ) throws(ConfigError) -> DNSTarget {
        guard case .endpoint(let host)? = message.hostIdentifier else {
            throw error(path, found: "no host", allowed: "endpoint")
        }
        let weight = message.hasLoadBalancingWeight ? message.loadBalancingWeight.value : 1
        var target = DNSTarget(
            try dnsHost(host.address, at: path + ".endpoint.address"), hostname: hostname(host), weight: weight,
            health: health(message.healthStatus))
        target.metadata = metadata(message.metadata)
        return target
    }

    /// A literal address has a hostname too where none is given: the text that stands for it.
    private func hostname(_ host: Envoy_Config_Endpoint_V3_Endpoint) -> String {
        host.hostname.isEmpty ? host.address.socketAddress.address : host.hostname
    }

    private func dnsHost(_ message: Envoy_Config_Core_V3_Address, at path: String) throws(ConfigError) -> DNSTarget.Host {
        guard case .socketAddress(let socket)? = message.address, Address(ip: socket.address, port: 0) == nil else {
            return .address(try address(message, at: path))
        }
        let place = path + ".socket_address"
        guard socket.resolverName.isEmpty else {
            throw error(place + ".resolver_name", found: "'\(socket.resolverName)'", allowed: "none")
        }
        guard !socket.address.isEmpty, socket.address.utf8.count <= 255, !socket.address.utf8.contains(0) else {
            throw error(place + ".address", found: "'\(socket.address)'", allowed: "a name of 1 to 255 bytes")
        }
        return .name(socket.address, port: try port(of: socket, at: place))
    }

    // MARK: Resolver

    /// The cluster's own resolver, by the newest of the fields that say it, else the bootstrap's.
    private func resolverOptions(
        _ message: Envoy_Config_Cluster_V3_Cluster, at path: String
    ) throws(ConfigError) -> ResolverOptions {
        if message.hasTypedDnsResolverConfig {
            return try resolverOptions(message.typedDnsResolverConfig, at: path + ".typed_dns_resolver_config")
        }
        var options = ResolverOptions()
        if message.hasDnsResolutionConfig {
            let place = path + ".dns_resolution_config"
            options.servers = try servers(message.dnsResolutionConfig.resolvers, at: place + ".resolvers")
            options.usesTCP = message.dnsResolutionConfig.dnsResolverOptions.useTcpForDnsLookups
            options.ignoresSearchDomains = message.dnsResolutionConfig.dnsResolverOptions.noDefaultSearchDomain
            return options
        }
        guard !message.dnsResolvers.isEmpty || message.useTcpForDnsLookups else { return defaultResolver }
        options.servers = try servers(message.dnsResolvers, at: path + ".dns_resolvers")
        options.usesTCP = message.useTcpForDnsLookups
        return options
    }

    func resolverOptions(
        _ message: Envoy_Config_Core_V3_TypedExtensionConfig, at path: String
    ) throws(ConfigError) -> ResolverOptions {
        typealias Cares = Envoy_Extensions_Network_DnsResolver_Cares_V3_CaresDnsResolverConfig
        let any = try unwrapped(message.typedConfig, at: path + ".typed_config")
        // Another resolver answers the same questions; which servers it would ask is not known here.
        guard TypeURL.messageName(any.typeURL) == Cares.protoMessageName else { return ResolverOptions() }
        let cares = try decode(Cares.self, from: any, at: path + ".typed_config")
        var options = ResolverOptions()
        options.servers = try servers(cares.resolvers, at: path + ".typed_config.resolvers")
        options.usesTCP = cares.dnsResolverOptions.useTcpForDnsLookups
        options.ignoresSearchDomains = cares.dnsResolverOptions.noDefaultSearchDomain
        if cares.hasQueryTimeoutSeconds { options.queryTimeoutSeconds = UInt32(clamping: cares.queryTimeoutSeconds.value) }
        if cares.hasQueryTries { options.queryTries = cares.queryTries.value }
        options.rotatesServers = cares.rotateNameservers
        return options
    }

    private func servers(_ messages: [Envoy_Config_Core_V3_Address], at path: String) throws(ConfigError) -> [Address] {
        var servers: [Address] = []
        for (index, message) in messages.enumerated() {
            let place = "\(path)[\(index)]"
            guard case .socketAddress(let socket)? = message.address,
                let server = Address(ip: socket.address, port: try port(of: socket, at: place + ".socket_address"))
            else { throw error(place, found: "no IP address", allowed: "a socket_address with an IP address") }
            servers.append(server)
        }
        return servers
    }
}
