// SPDX-License-Identifier: Apache-2.0
import MeshIO
import MeshModel
import MeshProto
import MeshXDS
import Testing

/// Values that a bootstrap's fields become. The YAML is longer than 120 columns where it is one flow.
struct TranslationTests {
    private func model(_ yaml: String) throws -> BootstrapModel {
        let decoded = try BootstrapDecoder.decode(.bytes(Array(yaml.utf8), name: "b.yaml"))
        return try Translate.bootstrap(decoded.message, source: "b.yaml")
    }

    /// A listener around an HTTP connection manager's options and routes, in flow form.
    private func http(_ options: String = "", routes: String = "", route: String = "cluster: up") -> String {
        """
        static_resources:
          clusters: [{name: up}]
          listeners:
          - address: {socket_address: {address: 127.0.0.1, port_value: 0}}
            filter_chains:
            - filters:
              - name: http
                typed_config:
                  "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
                  stat_prefix: in
                  http_filters:
                  - name: router
                    typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
                  route_config: {virtual_hosts: [{name: v, domains: ["*"], routes: [{match: {prefix: /}, route: {\(route)}}]}]\(routes)}
        \(options.split(separator: "\n").map { "  \($0)" }.joined(separator: "\n"))
        """
    }

    private func terminal(_ options: String, route: String = "cluster: up") throws -> HTTPTerminal {
        let chains = try #require(try model(http(options, route: route)).resources.listeners.first?.filterChains)
        guard case .http(let terminal)? = chains.first?.terminal else { throw Missing() }
        return terminal
    }

    private func action(_ route: String) throws -> RouteAction {
        guard case .inline(let routes) = try terminal("", route: route).routes,
            case .forward(let action)? = routes.virtualHosts.first?.routes.first?.action
        else { throw Missing() }
        return action
    }

    struct Missing: Error {}

    @Test func unsetFieldsHaveEnvoysDefaults() throws {
        let model = try model(http())
        let listener = try #require(model.resources.listeners.first)
        #expect(listener.name == "127.0.0.1:0")
        #expect(listener.bufferLimitBytes == 1 << 20)
        #expect(listener.listenerFiltersTimeout == .seconds(15))
        #expect(listener.bindToPort && listener.reusePort && !listener.useOriginalDestination)
        guard case .http(let terminal)? = listener.filterChains.first?.terminal else { throw Missing() }
        var expected = HTTPTerminal(statPrefix: "in", routes: terminal.routes)
        expected.httpFilters = terminal.httpFilters
        #expect(terminal == expected)
        #expect(terminal.timeouts.streamIdle == .seconds(300))
        #expect(terminal.timeouts.idle == .seconds(3600))
        #expect(terminal.limits.maxRequestHeadersBytes == 61_440)
        let cluster = try #require(model.resources.clusters.first)
        #expect(cluster == Cluster(name: "up", discovery: .static(EndpointSet())))
        #expect(cluster.connectTimeout == .seconds(5))
        #expect(cluster.breakers.maxRetries == 3)
        #expect(model.adminAddress == nil)
        #expect(try action("cluster: up") == RouteAction(cluster: "up"))
    }

    @Test func zeroDisablesATimeout() throws {
        let terminal = try terminal(
            """
                    stream_idle_timeout: 0s
                    request_timeout: 0s
                    delayed_close_timeout: 0s
                    drain_timeout: 2.5s
                    common_http_protocol_options: {idle_timeout: 0s, max_requests_per_connection: 0}
            """)
        #expect(terminal.timeouts.streamIdle == nil)
        #expect(terminal.timeouts.request == nil)
        #expect(terminal.timeouts.delayedClose == nil)
        #expect(terminal.timeouts.drain == .milliseconds(2500))
        #expect(terminal.timeouts.idle == nil)
        #expect(terminal.maxRequestsPerConnection == nil)
    }

    @Test func managerOptionsAreTaken() throws {
        let terminal = try terminal(
            """
                    server_name: s
                    server_header_transformation: PASS_THROUGH
                    use_remote_address: true
                    xff_num_trusted_hops: 2
                    via: v
                    generate_request_id: false
                    normalize_path: true
                    merge_slashes: true
                    path_with_escaped_slashes_action: UNESCAPE_AND_REDIRECT
                    strip_any_host_port: true
                    max_request_headers_kb: 8
                    upgrade_configs: [{upgrade_type: WebSocket}, {upgrade_type: CONNECT, enabled: false}]
                    http_protocol_options: {accept_http_10: true, header_key_format: {proper_case_words: {}}}
                    common_http_protocol_options: {headers_with_underscores_action: DROP_HEADER, max_headers_count: 7}
            """)
        #expect(terminal.serverName == "s" && terminal.via == "v")
        #expect(terminal.serverHeaderTransformation == .passThrough)
        #expect(terminal.useRemoteAddress && terminal.xffTrustedHops == 2 && !terminal.requestID.generate)
        #expect(
            terminal.paths.normalize && terminal.paths.mergeSlashes
                && terminal.paths.escapedSlashes == .unescapeAndRedirect)
        #expect(terminal.host.portStripping == .any)
        #expect(terminal.limits.maxRequestHeadersBytes == 8192 && terminal.limits.maxHeadersCount == 7)
        #expect(terminal.limits.underscores == .drop)
        #expect(
            terminal.upgrades == [UpgradeOption(name: "websocket"), UpgradeOption(name: "connect", enabled: false)])
        #expect(terminal.http1.acceptHTTP10 && terminal.http1.keyFormat == .properCase)
    }

    @Test func routeTimeoutsInheritOrSwitchOff() throws {
        let plain = try action("cluster: up")
        #expect(
            plain.timeout == .seconds(15) && plain.idleTimeout == .inherit && plain.maxStreamDuration.limit == .inherit)
        let zero = try action(
            "cluster: up, timeout: 0s, idle_timeout: 0s, max_stream_duration: {max_stream_duration: 0s, grpc_timeout_header_max: 0s}"
        )
        #expect(zero.timeout == nil && zero.idleTimeout == .disabled && zero.maxStreamDuration.limit == .disabled)
        #expect(zero.maxStreamDuration.grpcTimeoutHeaderMax == .zero)
        #expect(try action("cluster: up, idle_timeout: 1.5s").idleTimeout == .after(.milliseconds(1500)))
    }

    @Test func theOlderGRPCTimeoutsCountOnlyWithoutTheNewer() throws {
        let older = try action("cluster: up, max_grpc_timeout: 2s, grpc_timeout_offset: 0.1s").maxStreamDuration
        #expect(!older.isPresent && older.maxGRPCTimeout == .seconds(2))
        #expect(older.grpcTimeoutHeaderOffset == .milliseconds(100))
        let both = try action(
            "cluster: up, max_grpc_timeout: 2s, grpc_timeout_offset: 0.1s, max_stream_duration: {}").maxStreamDuration
        #expect(both.isPresent && both.maxGRPCTimeout == nil && both.grpcTimeoutHeaderOffset == nil)
        #expect(both.grpcTimeoutHeaderMax == nil && both.limit == .inherit)
    }

    @Test func clusterFieldsAreTaken() throws {
        let clusters = try model(
            """
            static_resources:
              clusters:
              - name: c
                alt_stat_name: alt
                connect_timeout: 0.25s
                lb_policy: LEAST_REQUEST
                least_request_lb_config: {choice_count: 3, active_request_bias: {default_value: 0.5, runtime_key: x}}
                common_lb_config: {healthy_panic_threshold: {value: 0}}
                circuit_breakers: {thresholds: [{max_requests: 7}, {priority: HIGH, max_retries: 9}]}
                upstream_bind_config: {source_address: {address: 127.0.0.6, port_value: 0}}
                upstream_connection_options: {tcp_keepalive: {keepalive_time: 30}}
                typed_extension_protocol_options:
                  envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
                    "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
                    common_http_protocol_options: {idle_timeout: 300s, max_requests_per_connection: 5}
                    use_downstream_protocol_config: {http_protocol_options: {}}
                load_assignment:
                  cluster_name: c
                  endpoints:
                  - locality: {region: r}
                    priority: 1
                    lb_endpoints:
                    - {endpoint: {hostname: h, address: {pipe: {path: /tmp/x}}}, load_balancing_weight: 4, health_status: DRAINING}
                    - {endpoint: {address: {socket_address: {address: "::1", port_value: 80}}}, health_status: DEGRADED}
            """
        ).resources.clusters
        let cluster = try #require(clusters.first)
        #expect(cluster.statName == "alt" && cluster.connectTimeout == .milliseconds(250))
        #expect(cluster.balancing == .leastRequest(choices: 3, bias: 0.5) && cluster.panicThresholdPercent == 0)
        #expect(cluster.breakers.maxRequests == 7 && cluster.highPriorityBreakers.maxRetries == 9)
        #expect(cluster.connectOptions.bindAddress == .ipv4(0x7F00_0006, port: 0))
        #expect(cluster.connectOptions.keepAlive == TCPKeepAlive(idleSeconds: 30))
        #expect(cluster.http.protocolSelection == .downstream && cluster.http.idleTimeout == .seconds(300))
        #expect(cluster.http.maxRequestsPerConnection == 5)
        #expect(
            cluster.discovery
                == .static(
                    EndpointSet([
                        LocalityEndpoints(
                            locality: Locality(region: "r"), priority: 1,
                            endpoints: [
                                Endpoint(.pipe("/tmp/x"), hostname: "h", weight: 4, health: .draining),
                                Endpoint(.ipv6(high: 0, low: 1, port: 80, scope: 0), health: .degraded),
                            ])
                    ])))
    }

    @Test func runtimeAndAdminAreTaken() throws {
        let model = try model(
            """
            node: {id: node, cluster: c, locality: {zone: z}}
            admin: {address: {socket_address: {address: 127.0.0.1, port_value: 15000}}}
            layered_runtime:
              layers:
              - {name: a, static_layer: {envoy.resource_limits.listener.l.connection_limit: 5, overload: {global_downstream_max_connections: 100}}}
              - {name: b, static_layer: {re2: {max_program_size: {error_level: 32768}}, flag: true}}
              - {name: c, admin_layer: {}}
            static_resources:
              listeners:
              - name: l
                address: {socket_address: {address: 127.0.0.1, port_value: 0}}
                filter_chains:
                - filters:
                  - name: t
                    typed_config:
                      "@type": type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy
                      stat_prefix: t
                      cluster: c
                      idle_timeout: 0s
                      max_connect_attempts: 3
                      access_log:
                      - name: a
                        typed_config:
                          "@type": type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog
                          log_format: {text_format_source: {inline_string: "%BYTES_SENT%"}}
            """)
        #expect(model.node.id == "node" && model.node.locality == Locality(zone: "z"))
        #expect(model.adminAddress?.address == .ipv4(0x7F00_0001, port: 15000))
        #expect(model.maxDownstreamConnections == 100)
        #expect(model.runtimeLayers.map(\.name) == ["a", "b", "c"] && model.runtimeLayers.map(\.isAdmin) == [false, false, true])
        #expect(model.runtimeLayers[1].values == ["re2.max_program_size.error_level": "32768", "flag": "true"])
        #expect(model.resources.listeners.first?.connectionLimit == 5)
        guard case .tcp(let terminal)? = model.resources.listeners.first?.filterChains.first?.terminal else {
            throw Missing()
        }
        #expect(terminal.clusters == [WeightedTarget(cluster: "c")])
        #expect(terminal.idleTimeout == nil && terminal.maxConnectAttempts == 3)
        #expect(
            terminal.accessLogs == [
                AccessLogConfig(.standardOutput, format: try FormatTemplate.compile("%BYTES_SENT%"))
            ])
    }

    @Test func typedStructIsUnwrappedBeforeTheLookup() throws {
        let terminal = try terminal("").httpFilters
        #expect(terminal.map(\.messageName) == ["envoy.extensions.filters.http.router.v3.Router"])
        let wrapped = http().replacing(
            #"typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}"#,
            with:
                #"typed_config: {"@type": type.googleapis.com/udpa.type.v1.TypedStruct, type_url: type.googleapis.com/envoy.extensions.filters.http.router.v3.Router, value: {suppress_envoy_headers: true}}"#
        )
        guard case .http(let unwrapped)? = try model(wrapped).resources.listeners.first?.filterChains.first?.terminal
        else {
            throw Missing()
        }
        #expect(unwrapped.httpFilters.map(\.messageName) == ["envoy.extensions.filters.http.router.v3.Router"])
        #expect(unwrapped.httpFilters.first?.bytes.isEmpty == false)
    }

    @Test func equalChainsHaveEqualDigests() throws {
        func digest(_ options: String) throws -> UInt64? {
            try model(http(options)).resources.listeners.first?.filterChains.first?.digest
        }
        #expect(try digest("") == digest(""))
        #expect(try digest("") != digest("        via: x"))
    }

    @Test func unknownClusterIsSuggestedANearOne() throws {
        let error = #expect(throws: ConfigError.self) { try model(http(route: "cluster: upp")) }
        #expect(error?.suggestion == "up")
    }
}
