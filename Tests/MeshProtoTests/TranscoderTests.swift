// SPDX-License-Identifier: Apache-2.0
import Foundation
import MeshProto
import Testing

struct TranscoderTests {
    static let cluster = "envoy.config.cluster.v3.Cluster"
    static let route = "envoy.config.route.v3.Route"

    /// To the wire and back, on one line.
    private func roundTrip(_ text: String, type: String) throws -> String {
        let transcoder = Transcoder()
        let value = try ConfigText.read(Array(text.utf8), source: "t.yaml")
        let wire = try transcoder.wire(value, type: type, source: "t.yaml").wire
        return try transcoder.json(fromWire: wire, type: type, pretty: false)
    }

    struct Form: CustomTestStringConvertible, Sendable {
        let what: String
        let type: String
        let text: String
        let json: String
        var testDescription: String { what }
    }

    static let forms = [
        Form(
            what: "defaults are left out", type: cluster, text: "{name: a, lb_policy: ROUND_ROBIN}",
            json: #"{"name":"a"}"#),
        Form(
            what: "enums in any case, a list of one, booleans as text: as protobuf's own parser",
            type: "envoy.config.route.v3.VirtualHost",
            text: "{domains: '*', require_tls: external_only, include_request_attempt_count: 'true'}",
            json: #"{"domains":["*"],"require_tls":"EXTERNAL_ONLY","include_request_attempt_count":true}"#),
        Form(what: "a oneof's default is kept", type: cluster, text: "{type: STATIC}", json: #"{"type":"STATIC"}"#),
        Form(
            what: "durations keep their digits", type: cluster,
            text: "{connect_timeout: 1.000000001s, cleanup_interval: 9223372036s}",
            json: #"{"connect_timeout":"1.000000001s","cleanup_interval":"9223372036s"}"#),
        Form(
            what: "wrappers are bare, zero too", type: cluster, text: #"{"perConnectionBufferLimitBytes": "0"}"#,
            json: #"{"per_connection_buffer_limit_bytes":0}"#),
        Form(
            what: "64-bit integers are text", type: cluster,
            text: "{common_lb_config: {zone_aware_lb_config: {min_cluster_size: \"1\"}}}",
            json: #"{"common_lb_config":{"zone_aware_lb_config":{"min_cluster_size":"1"}}}"#),
        Form(
            what: "doubles", type: cluster, text: "{common_lb_config: {healthy_panic_threshold: {value: 12.5}}}",
            json: #"{"common_lb_config":{"healthy_panic_threshold":{"value":12.5}}}"#),
        Form(
            what: "a struct keeps types and order", type: cluster,
            text:
                #"{"metadata": {"filter_metadata": {"istio": {"b": [1, "x", null, true, {"c": 1.5}], "a": "32768"}}}}"#,
            json: #"{"metadata":{"filter_metadata":{"istio":{"b":[1,"x",null,true,{"c":1.5}],"a":"32768"}}}}"#),
        Form(
            what: "an Any is expanded", type: route,
            text:
                "{typed_per_filter_config: {f: {\"@type\": t/envoy.extensions.filters.http.fault.v3.HTTPFault, delay: {fixed_delay: 3s}}}}",
            json:
                #"{"typed_per_filter_config":{"f":{"@type":"t/envoy.extensions.filters.http.fault.v3.HTTPFault","delay":{"fixed_delay":"3s"}}}}"#
        ),
        Form(
            what: "an Any of a well-known type has a value", type: route,
            text: "{typed_per_filter_config: {f: {\"@type\": t/google.protobuf.StringValue, value: x}}}",
            json: #"{"typed_per_filter_config":{"f":{"@type":"t/google.protobuf.StringValue","value":"x"}}}"#),
        Form(
            what: "bytes are base64", type: route, text: "{direct_response: {status: 200, body: {inline_bytes: aGk_}}}",
            json: #"{"direct_response":{"status":200,"body":{"inline_bytes":"aGk/"}}}"#),
        Form(
            what: "null is absent", type: route, text: "{name: null, match: ~, decorator: {operation: x}}",
            json: #"{"decorator":{"operation":"x"}}"#),
        Form(
            what: "text is escaped", type: route, text: #"{"name": "a\"\\\n\u0001é"}"#,
            json: #"{"name":"a\"\\\n\u0001é"}"#),
        Form(
            what: "packed integers", type: "envoy.config.listener.v3.FilterChainMatch",
            text: "{source_ports: [1, 300, 65535]}",
            json: #"{"source_ports":[1,300,65535]}"#),
        Form(
            what: "times", type: "envoy.admin.v3.BootstrapConfigDump",
            text: "{last_updated: \"2024-02-29T23:59:59.5+01:00\"}",
            json: #"{"last_updated":"2024-02-29T22:59:59.500Z"}"#),
        Form(
            what: "negative enum-free integers", type: "envoy.type.v3.Int64Range",
            text: "{start: -9223372036854775808, end: \"9223372036854775807\"}",
            json: #"{"start":"-9223372036854775808","end":"9223372036854775807"}"#),
        Form(
            what: "anchors, aliases and merge keys", type: cluster,
            text:
                "common_lb_config: {healthy_panic_threshold: &p {value: 5}}\nname: x\nupstream_connection_options: {<<: {tcp_keepalive: {}}}",
            json:
                #"{"name":"x","common_lb_config":{"healthy_panic_threshold":{"value":5}},"upstream_connection_options":{"tcp_keepalive":{}}}"#
        ),
    ]

    @Test(arguments: forms)
    func eachFormComesBackInProtobufsOwn(_ form: Form) throws {
        #expect(try roundTrip(form.text, type: form.type) == form.json)
    }

    @Test func keysOfPrivateMaterialAreNotPrinted() throws {
        let text =
            "{tls_certificate: {private_key: {inline_string: SECRET}, certificate_chain: {inline_string: public}}}"
        let printed = try roundTrip(text, type: "envoy.extensions.transport_sockets.tls.v3.Secret")
        #expect(
            printed
                == #"{"tls_certificate":{"certificate_chain":{"inline_string":"public"},"private_key":{"inline_string":"[redacted]"}}}"#
        )
    }

    @Test func prettyJSONIsIndentedByOneSpace() throws {
        let transcoder = Transcoder()
        let wire = try transcoder.wire(.object([.init("name", .string("a"))]), type: Self.cluster, source: "t").wire
        #expect(try transcoder.json(fromWire: wire, type: Self.cluster) == "{\n \"name\": \"a\"\n}")
    }

    @Test(arguments: ["udpa.type.v1.TypedStruct", "xds.type.v3.TypedStruct"])
    func aTypedStructIsUnwrapped(type: String) throws {
        let transcoder = Transcoder()
        let value = ConfigValue.object([
            .init("type_url", .string("type.googleapis.com/envoy.extensions.filters.http.router.v3.Router")),
            .init("value", .object([.init("suppress_envoy_headers", .bool(true))])),
        ])
        var any = Google_Protobuf_Any()
        any.typeURL = "type.googleapis.com/" + type
        any.value = .init(try transcoder.wire(value, type: type, source: "t").wire)
        let inner = try transcoder.unwrapped(any, source: "t")
        #expect(inner.typeURL == "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router")
        #expect(try Envoy_Extensions_Filters_Http_Router_V3_Router(serializedBytes: inner.value).suppressEnvoyHeaders)
    }

    @Test func theSchemaKnowsEveryHonouredFieldOfTheBootstrap() throws {
        let bootstrap = try #require(Schema().message("envoy.config.bootstrap.v3.Bootstrap"))
        #expect(bootstrap.isDeclared)
        #expect(bootstrap.field(named: "staticResources")?.number == 2)
        #expect(bootstrap.field(number: 2)?.isHonoured == true)
        #expect(bootstrap.field(named: "dynamic_resources")?.isHonoured == false)
    }

    @Test func bytesThatAreNoMessageAreAnError() {
        #expect(throws: ConfigError.self) { try Transcoder().json(fromWire: [0x0A, 0x7F, 0x01], type: Self.cluster) }
    }
}
