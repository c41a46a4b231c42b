// SPDX-License-Identifier: Apache-2.0
import Foundation
import MeshProto
import Testing

struct BootstrapDecoderTests {
    struct Refusal: CustomTestStringConvertible, Sendable {
        let what: String
        let find: String
        let put: String
        let error: String
        var testDescription: String { what }
    }

    static let refusals = [
        Refusal(
            what: "a typo in a field name", find: "stat_prefix: in", put: "stat_prefx: in",
            error: """
                b.yaml: static_resources.listeners[0].filter_chains[0].filters[0].typed_config.stat_prefx: found an unknown field; \
                allowed: the fields of envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager \
                (codec_type, stat_prefix, rds, route_config, scoped_routes, http_filters, add_user_agent, tracing, \
                common_http_protocol_options, http1_safe_max_connection_duration, http_protocol_options, http2_protocol_options \
                and 46 more); did you mean "stat_prefix"?
                """),
        Refusal(
            what: "an empty stat_prefix", find: "stat_prefix: in", put: "stat_prefix: ''",
            error: """
                b.yaml: static_resources.listeners[0].filter_chains[0].filters[0].typed_config.stat_prefix: found nothing; \
                allowed: at least 1 character
                """),
        Refusal(
            what: "a cluster without a name", find: "- name: up\n    connect", put: "- alt_stat_name: up\n    connect",
            error: "b.yaml: static_resources.clusters[0].name: found nothing; allowed: at least 1 character"),
        Refusal(
            what: "a connect timeout of zero", find: "connect_timeout: 0.25s", put: "connect_timeout: 0s",
            error: "b.yaml: static_resources.clusters[0].connect_timeout: found 0s; allowed: more than 0s"),
        Refusal(
            what: "a duration without unit", find: "connect_timeout: 0.25s", put: "connect_timeout: 0.25",
            error: """
                b.yaml: static_resources.clusters[0].connect_timeout: found 0.25; allowed: a duration in seconds such as "0.25s"
                """),
        Refusal(
            what: "an unknown enum name", find: "type: STATIC", put: "type: STATC",
            error: """
                b.yaml: static_resources.clusters[0].type: found "STATC"; allowed: STATIC, STRICT_DNS, LOGICAL_DNS, EDS, ORIGINAL_DST; \
                did you mean "STATIC"?
                """),
        Refusal(
            what: "an undefined enum number", find: "type: STATIC", put: "type: 9",
            error: """
                b.yaml: static_resources.clusters[0].type: found 9; allowed: STATIC, STRICT_DNS, LOGICAL_DNS, EDS, ORIGINAL_DST
                """),
        Refusal(
            what: "a port beyond 65535", find: "port_value: 8080", put: "port_value: 70000",
            error: """
                b.yaml: static_resources.listeners[0].address.socket_address.port_value: found 70000; allowed: at most 65535
                """),
        Refusal(
            what: "a negative port", find: "port_value: 8080", put: "port_value: -1",
            error: """
                b.yaml: static_resources.listeners[0].address.socket_address.port_value: found -1; \
                allowed: an integer from 0 to 4294967295
                """),
        Refusal(
            what: "an object where text belongs", find: "domains: [\"*\"]", put: "domains: {a: b}",
            error: """
                b.yaml: static_resources.listeners[0].filter_chains[0].filters[0].typed_config.route_config.virtual_hosts[0].domains[0]: \
                found {a}; allowed: a string
                """),
        Refusal(
            what: "a path_separated_prefix that ends in a slash", find: "match: {prefix: \"/\"}",
            put: "match: {path_separated_prefix: /a/}",
            error: """
                b.yaml: static_resources.listeners[0].filter_chains[0].filters[0].typed_config.route_config.virtual_hosts[0].routes[0]\
                .match.path_separated_prefix: found "/a/"; allowed: a path of two characters or more without ? and #, not ending in /
                """),
        Refusal(
            what: "a number where text belongs", find: "cluster_name: up", put: "cluster_name: 12",
            error: """
                b.yaml: static_resources.clusters[0].load_assignment.cluster_name: found 12; allowed: a string (put it in quotes)
                """),
        Refusal(
            what: "two members of a oneof", find: "match: {prefix: \"/\"}", put: "match: {prefix: \"/\", path: \"/\"}",
            error: """
                b.yaml: static_resources.listeners[0].filter_chains[0].filters[0].typed_config.route_config.virtual_hosts[0].routes[0]\
                .match.path: found "path" beside "prefix"; \
                allowed: one of prefix, path, safe_regex, connect_matcher, path_separated_prefix, path_match_policy
                """),
        Refusal(
            what: "no member of a required oneof", find: "match: {prefix: \"/\"}", put: "match: {case_sensitive: true}",
            error: """
                b.yaml: static_resources.listeners[0].filter_chains[0].filters[0].typed_config.route_config.virtual_hosts[0].routes[0]\
                .match: found no path_specifier; \
                allowed: one of prefix, path, safe_regex, connect_matcher, path_separated_prefix, path_match_policy
                """),
        Refusal(
            what: "a required field that is missing", find: "match: {prefix: \"/\"}\n", put: "name: x\n",
            error: """
                b.yaml: static_resources.listeners[0].filter_chains[0].filters[0].typed_config.route_config.virtual_hosts[0].routes[0]\
                .match: found nothing; allowed: a value, for the field is required
                """),
        Refusal(
            what: "a type URL with a typo", find: "router.v3.Router", put: "router.v3.Ruoter",
            error: """
                b.yaml: static_resources.listeners[0].filter_chains[0].filters[0].typed_config.http_filters[0].typed_config.@type: found \
                "type.googleapis.com/envoy.extensions.filters.http.router.v3.Ruoter"; \
                allowed: the type URL of a message of the v3 API, or of a TypedStruct around it; \
                did you mean "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"?
                """),
        Refusal(
            what: "a snake_case and a camelCase name of one field", find: "connect_timeout: 0.25s",
            put: "connect_timeout: 0.25s\n    connectTimeout: 1s",
            error: """
                b.yaml: static_resources.clusters[0].connect_timeout: found both "connect_timeout" and "connectTimeout"; \
                allowed: one of them
                """),
        Refusal(
            what: "a field that is known but not supported", find: "type: STATIC",
            put: "type: STATIC\n    close_connections_on_host_health_failure: true",
            error: """
                b.yaml: static_resources.clusters[0].close_connections_on_host_health_failure: found true; \
                allowed: nothing, for the field is not supported (--allow-unknown-static-fields makes this a warning)
                """),
    ]

    @Test(arguments: refusals)
    func aWrongDocumentIsRefusedWithPathAndRemedy(_ refusal: Refusal) {
        let text = Fixture.yaml.replacingOccurrences(of: refusal.find, with: refusal.put)
        #expect(text != Fixture.yaml)
        #expect(Fixture.refusal(text) == refusal.error)
    }

    @Test func yamlAndJSONGiveTheSameMessage() throws {
        let yaml = try Fixture.decode(Fixture.yaml)
        let json = try Fixture.decode(Fixture.json, name: "b.json")
        #expect(yaml.message == json.message)
        #expect(yaml.wire == json.wire)
        #expect(yaml.message.staticResources.clusters.first?.connectTimeout.nanos == 250_000_000)
        #expect(yaml.unsupported.isEmpty)
    }

    @Test func jsonIsTakenUnderAYAMLName() throws {
        #expect(try Fixture.decode(Fixture.json, name: "b.yaml").wire == Fixture.decode(Fixture.yaml).wire)
    }

    @Test func anOverlayReplacesScalarsMergesMessagesAndAppendsLists() throws {
        let merged = try Fixture.decode(
            Fixture.yaml,
            overlay: """
                node: {id: other}
                static_resources: {clusters: [{name: second, connect_timeout: 1s}]}
                admin: {address: {socket_address: {address: "::1", port_value: 15000}}}
                """)
        #expect(merged.message.node.id == "other")
        #expect(merged.message.node.cluster == "c")
        #expect(merged.message.staticResources.clusters.map(\.name) == ["up", "second"])
        #expect(merged.message.staticResources.listeners.count == 1)
        #expect(merged.message.admin.address.socketAddress.portValue == 15000)
        let printed = try Transcoder().json(fromWire: merged.wire, type: BootstrapDecoder.type, pretty: false)
        #expect(
            printed.hasPrefix(
                "{\"node\":{\"id\":\"other\",\"cluster\":\"c\"},\"static_resources\":{\"listeners\":[{\"name\":\"main\""
            ))
    }

    @Test func anOverlayCanReplaceTheMemberOfAOneof() throws {
        let base = "admin: {address: {socket_address: {address: 127.0.0.1, port_value: 1}}}"
        let merged = try Fixture.decode(base, overlay: "{admin: {address: {pipe: {path: /x}}}}")
        #expect(merged.message.admin.address.pipe.path == "/x")
        let printed = try Transcoder().json(fromWire: merged.wire, type: BootstrapDecoder.type, pretty: false)
        #expect(printed == #"{"admin":{"address":{"pipe":{"path":"/x"}}}}"#)
    }

    @Test func anErrorInTheOverlayNamesTheOverlay() {
        #expect(
            Fixture.refusal(Fixture.yaml, overlay: "nod: {id: x}")
                == """
                --config-yaml: nod: found an unknown field; allowed: the fields of envoy.config.bootstrap.v3.Bootstrap (node, \
                node_context_params, static_resources, dynamic_resources, cluster_manager, hds_config, flags_path, stats_sinks, \
                deferred_stat_options, stats_config, stats_flush_interval, stats_flush_on_admin and 28 more); did you mean "node"?
                """)
    }

    @Test func anOverlayAloneIsABootstrap() throws {
        let decoded = try BootstrapDecoder.decode(nil, overlayYAML: Fixture.yaml)
        #expect(decoded.message.staticResources.listeners.count == 1)
    }

    @Test func aMissingFileIsNamed() {
        #expect(
            throws: ConfigError(
                source: "/nowhere/b.yaml", path: "", found: "no such file", allowed: "a readable YAML or JSON file")
        ) {
            try BootstrapDecoder.decode(.file("/nowhere/b.yaml"))
        }
    }

    @Test func unknownNamesAreRowsWhenAllowed() throws {
        let text = Fixture.yaml.replacingOccurrences(
            of: "stat_prefix: in", with: "stat_prefix: in\n          sta_prefix: 5"
        )
        .replacingOccurrences(
            of: "type: STATIC", with: "type: STATIC\n    transport_socket_matches: [{name: tls}]\n    close_connections_on_host_health_failure: true")
        let decoded = try Fixture.decode(text, allowsUnknownFields: true)
        #expect(
            decoded.unsupported.map(\.description) == [
                """
                degraded: static_resources.listeners[0].filter_chains[0].filters[0].typed_config.sta_prefix = 5 \
                (envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager has no such field; \
                did you mean "stat_prefix"?)
                """,
                "refused: static_resources.clusters[0].transport_socket_matches = a list of 1 (the field is not supported)",
                "degraded: static_resources.clusters[0].close_connections_on_host_health_failure = true (the field is not supported)",
            ])
    }

    @Test func aFieldThatIsSafeToIgnoreIsNoError() throws {
        let decoded = try Fixture.decode("enable_dispatcher_stats: true")
        #expect(
            decoded.unsupported == [
                UnsupportedField(
                    path: "enable_dispatcher_stats", value: "true", severity: .ignoredSafe,
                    reason: "the field is not supported")
            ])
    }

    @Test func anExtensionThatIsNotSupportedIsARow() throws {
        let text = Fixture.yaml.replacingOccurrences(
            of: "http_filters:",
            with: """
                http_filters:
                          - name: rbac
                            typed_config:
                              "@type": type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC
                              rules: {policies: {}}
                          - name: peer
                            typed_config:
                              "@type": type.googleapis.com/udpa.type.v1.TypedStruct
                              type_url: type.googleapis.com/io.istio.http.peer_metadata.Config
                              value: {shared_with_upstream: true}
                """)
        let decoded = try Fixture.decode(text, allowsUnknownFields: true)
        let filters = "static_resources.listeners[0].filter_chains[0].filters[0].typed_config.http_filters"
        #expect(
            decoded.unsupported == [
                UnsupportedField(
                    path: filters + "[0].typed_config",
                    value: "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC",
                    severity: .refused, reason: "the extension is not supported"),
                UnsupportedField(
                    path: filters + "[1].typed_config", value: "type.googleapis.com/io.istio.http.peer_metadata.Config",
                    severity: .degraded, reason: "the extension is not supported"),
            ])
    }
}
