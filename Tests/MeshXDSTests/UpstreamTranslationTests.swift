// SPDX-License-Identifier: Apache-2.0
import MeshIO
import MeshModel
import MeshProto
import MeshXDS
import Testing

/// Clusters of names, and how connections to hosts are made.
struct UpstreamTranslationTests {
    private func cluster(_ fields: String, bootstrap: String = "") throws -> Cluster {
        let yaml = """
            \(bootstrap)
            static_resources:
              clusters:
              - {name: c, \(fields)}
            """
        let document = try ConfigText.read(Array(yaml.utf8), source: "b.yaml")
        let wire = try Transcoder().wire(document, type: BootstrapDecoder.type, source: "b.yaml").wire
        let model = try Translate.bootstrap(Envoy_Config_Bootstrap_V3_Bootstrap(serializedBytes: wire), source: "b.yaml")
        return try #require(model.resources.clusters.first)
    }

    private func discovery(_ fields: String, bootstrap: String = "") throws -> DNSDiscovery {
        guard case .dns(let discovery) = try cluster(fields, bootstrap: bootstrap).discovery else {
            throw ConfigError(source: "b.yaml", path: "", found: "no names", allowed: "names")
        }
        return discovery
    }

    private static func hosts(_ hosts: String...) -> String {
        let endpoints = hosts.map { "{endpoint: {address: {socket_address: {address: \"\($0)\", port_value: 80}}}}" }
        return "load_assignment: {cluster_name: c, endpoints: [{priority: 2, lb_endpoints: [\(endpoints.joined(separator: ","))]}]}"
    }

    private static let cares = "type.googleapis.com/envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig"

    private static func resolver(_ fields: String) -> String {
        "typed_dns_resolver_config: {name: r, typed_config: {\"@type\": \(cares), \(fields)}}"
    }

    @Test func namesAndAddressesAreToldApart() throws {
        let discovery = try discovery("type: STRICT_DNS, \(Self.hosts("a.test", "127.0.0.1", "::1"))")
        #expect(discovery.kind == .strict && discovery.localities.map(\.priority) == [2])
        #expect(discovery.localities[0].targets.map(\.host) == [
            .name("a.test", port: 80), .address(.ipv4(0x7F00_0001, port: 80)),
            .address(.ipv6(high: 0, low: 1, port: 80, scope: 0)),
        ])
        #expect(discovery.localities[0].targets.map(\.hostname) == ["a.test", "127.0.0.1", "::1"])
    }

    @Test func ratesAndFamiliesAreTaken() throws {
        let discovery = try discovery(
            """
            type: LOGICAL_DNS, dns_refresh_rate: 60s, dns_jitter: 0.1s, respect_dns_ttl: true, dns_lookup_family: V4_PREFERRED,
                dns_failure_refresh_rate: {base_interval: 2s}, wait_for_warm_on_init: false, \(Self.hosts("a.test"))
            """)
        #expect(discovery.kind == .logical && discovery.family == .ipv4Preferred && !discovery.waitsForWarm)
        #expect(discovery.refresh.rate == .seconds(60) && discovery.refresh.jitter == .milliseconds(100))
        #expect(discovery.refresh.respectsTimeToLive)
        #expect(discovery.refresh.failureBackoff == .init(base: .seconds(2), longest: .seconds(20)))
    }

    @Test func theNearestResolverIsAsked() throws {
        let dns = "type: STRICT_DNS, \(Self.hosts("a.test"))"
        let address = "{socket_address: {address: 10.0.0.1, port_value: 53}}"
        #expect(try discovery(dns).resolver == ResolverOptions())
        let everywhere = Self.resolver("query_tries: 7")
        #expect(try discovery(dns, bootstrap: everywhere).resolver.queryTries == 7)
        let own = Self.resolver("resolvers: [\(address)], dns_resolver_options: {use_tcp_for_dns_lookups: true}, query_timeout_seconds: 9")
        let options = try discovery("\(dns), \(own)", bootstrap: everywhere).resolver
        #expect(options.servers == [.ipv4(0x0A00_0001, port: 53)] && options.usesTCP && options.queryTimeoutSeconds == 9)
        #expect(options.queryTries == 4)
        let older = try discovery("\(dns), dns_resolution_config: {resolvers: [\(address)]}", bootstrap: everywhere).resolver
        #expect(older.servers == options.servers && !older.usesTCP && older.queryTries == 4)
        #expect(try discovery("\(dns), use_tcp_for_dns_lookups: true", bootstrap: everywhere).resolver.usesTCP)
    }

    @Test(arguments: [
        ("type: LOGICAL_DNS, \(hosts("a.test", "b.test"))", "static_resources.clusters[0].load_assignment"),
        ("type: LOGICAL_DNS", "static_resources.clusters[0].load_assignment"),
        (
            "type: STRICT_DNS, dns_failure_refresh_rate: {base_interval: 2s, max_interval: 1s}, \(hosts("a.test"))",
            "static_resources.clusters[0].dns_failure_refresh_rate.max_interval"
        ),
        (
            "type: STRICT_DNS, \(hosts("a.test")), \(resolver("resolvers: [{pipe: {path: /x}}]"))",
            "static_resources.clusters[0].typed_dns_resolver_config.typed_config.resolvers[0]"
        ),
        (
            "upstream_bind_config: {source_address: {address: 127.0.0.1, port_value: 0}, socket_options: [{level: 1, name: 2}]}",
            "static_resources.clusters[0].upstream_bind_config.socket_options[0]"
        ),
    ])
    func mistakesAreNamed(fields: String, path: String) {
        let error = #expect(throws: ConfigError.self) { try cluster(fields) }
        #expect(error?.path == path && error?.allowed.isEmpty == false)
    }

    @Test func connectionsAreMadeAsConfigured() throws {
        let cluster = try cluster(
            """
            preconnect_policy: {per_upstream_preconnect_ratio: 1.5},
                upstream_bind_config: {source_address: {address: 127.0.0.6, port_value: 0},
                    extra_source_addresses: [{address: {address: "::1", port_value: 0}}],
                    socket_options: [{level: 1, name: 36, int_value: 1337}, {level: 0, name: 1, buf_value: AQI=, state: STATE_BOUND},
                        {level: 1, name: 2, int_value: 1, state: STATE_LISTENING}]},
                upstream_connection_options: {happy_eyeballs_config: {first_address_family_version: V6, first_address_family_count: 2}},
                load_assignment: {cluster_name: c, endpoints: [{lb_endpoints: [{endpoint: {
                    address: {socket_address: {address: 10.0.0.1, port_value: 80}},
                    additional_addresses: [{address: {socket_address: {address: "::1", port_value: 81}}}]}}]}]}
            """)
        #expect(cluster.preconnectRatio == 1.5)
        #expect(cluster.connectOptions.socketOptions == [
            SocketOption(level: 1, name: 36, number: 1337), SocketOption(level: 0, name: 1, value: [1, 2], isAfterBind: true),
        ])
        let six = Address.ipv6(high: 0, low: 1, port: 81, scope: 0)
        #expect(cluster.bindAddress(for: six) == six.withPort(0))
        #expect(cluster.bindAddress(for: .ipv4(1, port: 2)) == .ipv4(0x7F00_0006, port: 0))
        #expect(cluster.happyEyeballs.firstFamily == .ipv6 && cluster.happyEyeballs.firstCount == 2)
        guard case .static(let set) = cluster.discovery else { return #expect(Bool(false), "no static hosts") }
        #expect(set.allEndpoints.first?.additionalAddresses == [six])
    }
}
