// SPDX-License-Identifier: Apache-2.0
import Foundation
import MeshProto
import Testing

/// Which fields of a TLS context are honoured, and what is made of the others.
struct TLSFieldTests {
    private static let anything =
        "{name: extension, typed_config: {\"@type\": type.googleapis.com/envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer}}"

    private func rows(_ context: String, fields: String = "") throws -> [String] {
        let type = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"
        let socket = "{name: t, typed_config: {\"@type\": \(type), common_tls_context: {\(context)}\(fields)}}"
        let text = Fixture.yaml.replacingOccurrences(
            of: "type: STATIC", with: "type: STATIC\n    transport_socket: \(socket)")
        let place = "static_resources.clusters[0].transport_socket.typed_config."
        return try Fixture.decode(text, allowsUnknownFields: true).unsupported.map {
            "\($0.severity.rawValue) \($0.path.replacingOccurrences(of: place, with: ""))"
        }
    }

    @Test func whatIsHonouredIsNoRow() throws {
        let rows = try rows(
            """
            alpn_protocols: [h2], tls_params: {tls_minimum_protocol_version: TLSv1_2, cipher_suites: [A], ecdh_curves: [P-256]}, \
            tls_certificates: [{certificate_chain: {filename: c}, private_key: {filename: k}, watched_directory: {path: d}}], \
            validation_context: {trusted_ca: {filename: ca}, crl: {filename: l}, allow_expired_certificate: true, \
            trust_chain_verification: ACCEPT_UNTRUSTED, only_verify_leaf_cert_crl: true, max_verify_depth: 1, \
            match_typed_subject_alt_names: [{san_type: DNS, matcher: {exact: a}}]}
            """, fields: ", sni: a, auto_host_sni: true, auto_sni_san_validation: true, max_session_keys: 1")
        #expect(rows == [])
    }

    @Test(arguments: [
        ("tls_certificate_sds_secret_configs: [{name: default}]", "tls_certificate_sds_secret_configs"),
        ("validation_context_sds_secret_config: {name: ROOTCA}", "validation_context_sds_secret_config"),
        (
            "combined_validation_context: {default_validation_context: {}, validation_context_sds_secret_config: {name: R}}",
            "combined_validation_context.validation_context_sds_secret_config"
        ),
        ("custom_handshaker: \(Self.anything)", "custom_handshaker"),
        ("tls_params: {signature_algorithms: [a]}", "tls_params.signature_algorithms"),
        ("tls_params: {compliance_policies: [FIPS_202205]}", "tls_params.compliance_policies"),
        ("tls_certificates: [{pkcs12: {filename: p}}]", "tls_certificates[0].pkcs12"),
        ("validation_context: {system_root_certs: {}}", "validation_context.system_root_certs"),
        (
            "validation_context: {custom_validator_config: \(Self.anything)}", "validation_context.custom_validator_config"
        ),
    ])
    func whatWouldBeLessSecureWithoutItIsRefused(context: String, field: String) throws {
        #expect(try rows(context) == ["refused common_tls_context.\(field)"])
    }

    @Test func renegotiationIsRefused() throws {
        #expect(try rows("", fields: ", allow_renegotiation: true") == ["refused allow_renegotiation"])
    }

    @Test func whatOnlyObservesIsDegraded() throws {
        #expect(try rows("key_log: {path: /tmp/k}") == ["degraded common_tls_context.key_log"])
    }
}
