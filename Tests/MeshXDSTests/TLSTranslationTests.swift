// SPDX-License-Identifier: Apache-2.0
import Foundation
import MeshModel
import MeshProto
import MeshXDS
import Testing

/// What TLS contexts and HTTP/2 options become. The PEM here has only the form; the TLS library judges the content.
struct TLSTranslationTests {
    private static let tls = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3."
    private static let certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    private static let key = "-----BEGIN EC PRIVATE KEY-----\r\nAAAA\r\n-----END EC PRIVATE KEY-----\r\n"
    private static let list = "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n"

    private func quoted(_ text: String) -> String {
        "\"" + text.replacingOccurrences(of: "\r", with: "\\r").replacingOccurrences(of: "\n", with: "\\n") + "\""
    }

    private var pair: String {
        """
        {certificate_chain: {inline_string: \(quoted(Self.certificate))}, private_key: {inline_string: \(quoted(Self.key))}}
        """
    }

    private func model(_ yaml: String) throws -> BootstrapModel {
        let decoded = try BootstrapDecoder.decode(.bytes(Array(yaml.utf8), name: "b.yaml"))
        return try Translate.bootstrap(decoded.message, source: "b.yaml")
    }

    /// The listener of a TCP chain with these options, in flow form.
    private func listener(chain: String = "", filters: String = "") throws -> Listener {
        let proxy = "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy"
        let resources = try model(
            """
            static_resources:
              clusters: [{name: up}]
              listeners:
              - address: {socket_address: {address: 127.0.0.1, port_value: 0}}
                listener_filters: [\(filters)]
                filter_chains:
                - {filters: [{name: t, typed_config: {"@type": \(proxy), stat_prefix: s, cluster: up}}]\(chain)}
            """
        ).resources
        return try #require(resources.listeners.first)
    }

    private func downstream(_ fields: String) throws -> DownstreamTLS {
        let socket = "{name: t, typed_config: {\"@type\": \(Self.tls)DownstreamTlsContext, \(fields)}}"
        return try #require(try listener(chain: ", transport_socket: \(socket)").filterChains.first?.tls)
    }

    private func cluster(_ fields: String) throws -> Cluster {
        try #require(try model("static_resources: {clusters: [{name: up, \(fields)}]}").resources.clusters.first)
    }

    private func upstream(_ fields: String) throws -> UpstreamTLS {
        let socket = "{name: t, typed_config: {\"@type\": \(Self.tls)UpstreamTlsContext, \(fields)}}"
        return try #require(try cluster("transport_socket: \(socket)").tls)
    }

    private func manager(_ options: String) throws -> HTTPTerminal {
        let http =
            "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
        let router = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"
        let routes = """
            {virtual_hosts: [{name: v, domains: ["*"], routes: [{match: {prefix: /, grpc: {}}, route: {cluster: up, \
            max_grpc_timeout: 5s, grpc_timeout_offset: 1s}}]}]}
            """
        let resources = try model(
            """
            static_resources:
              clusters: [{name: up}]
              listeners:
              - address: {socket_address: {address: 127.0.0.1, port_value: 0}}
                filter_chains:
                - filters:
                  - name: http
                    typed_config:
                      "@type": \(http)
                      stat_prefix: in
                      http_filters: [{name: router, typed_config: {"@type": \(router)}}]
                      route_config: \(routes)
            \(options.split(separator: "\n").map { "          \($0)" }.joined(separator: "\n"))
            """
        ).resources
        guard case .http(let terminal)? = resources.listeners.first?.filterChains.first?.terminal else { throw Missing() }
        return terminal
    }

    struct Missing: Error {}

    // MARK: Downstream

    @Test func aServerContextHasEnvoysDefaults() throws {
        let tls = try downstream("common_tls_context: {tls_certificates: [\(pair)]}")
        var context = TLSContextConfig()
        context.certificates = [
            TLSCertificateConfig(
                chain: .inline(Array(Self.certificate.utf8)), privateKey: .inline(Array(Self.key.utf8)))
        ]
        #expect(tls == DownstreamTLS(context: context))
        #expect(!tls.requiresClientCertificate && !tls.requiresServerName && tls.tickets == .ownKeys && tls.keepsSessions)
        #expect(tls.context.parameters.minimumVersion == .tls12 && tls.context.parameters.maximumVersion == nil)
    }

    @Test func aPlainChainHasNoTLS() throws {
        #expect(try listener().filterChains.first?.tls == nil)
        let raw = "type.googleapis.com/envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer"
        let chain = ", transport_socket: {name: r, typed_config: {\"@type\": \(raw)}}, transport_socket_connect_timeout: 15s"
        let plain = try listener(chain: chain).filterChains.first
        #expect(plain?.tls == nil && plain?.transportConnectTimeout == .seconds(15))
        #expect(try listener(chain: ", transport_socket_connect_timeout: 0s").filterChains.first?.transportConnectTimeout == nil)
    }

    @Test func aServerContextTakesEveryField() throws {
        let ticket = Data(repeating: 7, count: 80).base64EncodedString()
        let tls = try downstream(
            """
            require_client_certificate: true, require_sni: true, session_timeout: 90.5s, \
            session_ticket_keys: {keys: [{inline_bytes: \(ticket)}]}, disable_stateful_session_resumption: true, \
            full_scan_certs_on_sni_mismatch: true, common_tls_context: {tls_certificates: [\(pair), \(pair)], \
            alpn_protocols: [h2, "http/1.1,istio"], tls_params: {tls_minimum_protocol_version: TLSv1_0, \
            tls_maximum_protocol_version: TLSv1_2, cipher_suites: [A, B], ecdh_curves: [P-256]}}
            """)
        #expect(tls.requiresClientCertificate && tls.requiresServerName && tls.scansAllCertificates && !tls.keepsSessions)
        #expect(tls.sessionTimeoutSeconds == 90 && tls.context.certificates.count == 2)
        #expect(tls.tickets == .keys([.inline([UInt8](repeating: 7, count: 80))]))
        #expect(tls.context.applicationProtocols == ["h2", "http/1.1", "istio"])
        let parameters = tls.context.parameters
        #expect(parameters.minimumVersion == .tls10 && parameters.maximumVersion == .tls12)
        #expect(parameters.cipherSuites == ["A", "B"] && parameters.curves == ["P-256"])
        let silent = "disable_stateless_session_resumption: true, common_tls_context: {tls_certificates: [\(pair)]}"
        #expect(try downstream(silent).tickets == .disabled)
    }

    // MARK: Validation and files

    @Test func aValidationContextTakesEveryField() throws {
        let hash = String(repeating: "ab", count: 32)
        let colons = [String](repeating: "CD", count: 32).joined(separator: ":")
        let pin = Data(repeating: 9, count: 32).base64EncodedString()
        let tls = try downstream(
            """
            common_tls_context: {tls_certificates: [\(pair)], validation_context: {\
            trusted_ca: {inline_string: \(quoted(Self.certificate))}, crl: {inline_string: \(quoted(Self.list))}, \
            verify_certificate_hash: [\(hash), "\(colons)"], verify_certificate_spki: ["\(pin)"], \
            match_typed_subject_alt_names: [{san_type: URI, matcher: {prefix: "spiffe://a/"}}, \
            {san_type: IP_ADDRESS, matcher: {exact: "10.0.0.1"}}, {san_type: DNS, matcher: {exact: A, ignore_case: true}}, \
            {san_type: EMAIL, matcher: {safe_regex: {regex: "a.*"}}}], match_subject_alt_names: [{exact: ignored}], \
            allow_expired_certificate: true, trust_chain_verification: ACCEPT_UNTRUSTED, only_verify_leaf_cert_crl: true, \
            max_verify_depth: 3, watched_directory: {path: /d}}}
            """)
        var expected = CertificateValidation()
        expected.trustedCA = .inline(Array(Self.certificate.utf8))
        expected.revocationList = .inline(Array(Self.list.utf8))
        expected.certificateHashes = [[UInt8](repeating: 0xAB, count: 32), [UInt8](repeating: 0xCD, count: 32)]
        expected.keyPins = [[UInt8](repeating: 9, count: 32)]
        expected.names = [
            SANMatcher(.uri, StringMatcher(.prefix("spiffe://a/"))), SANMatcher(.ipAddress, StringMatcher(.exact("10.0.0.1"))),
            SANMatcher(.dns, StringMatcher(.exact("A"), ignoreCase: true)), SANMatcher(.email, StringMatcher(.regex("a.*"))),
        ]
        expected.allowsExpired = true
        expected.acceptsUntrusted = true
        expected.checksRevocationOfLeafOnly = true
        expected.maxDepth = 3
        expected.watchedDirectory = "/d"
        #expect(tls.context.validation == expected)
    }

    @Test func untypedNamesMatchAnyType() throws {
        let tls = try upstream(
            """
            common_tls_context: {validation_context: {trusted_ca: {inline_string: \(quoted(Self.certificate))}, \
            match_subject_alt_names: [{prefix: "spiffe://"}]}}
            """)
        #expect(tls.context.validation?.names == [SANMatcher(.any, StringMatcher(.prefix("spiffe://")))])
    }

    @Test func filesStayFilesInTheModel() throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("tls-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let (chain, key) = (folder.appendingPathComponent("c.pem").path, folder.appendingPathComponent("k.pem").path)
        try Self.certificate.write(toFile: chain, atomically: true, encoding: .utf8)
        try Self.key.write(toFile: key, atomically: true, encoding: .utf8)
        let pair = """
            {certificate_chain: {filename: "\(chain)"}, private_key: {filename: "\(key)"}, \
            watched_directory: {path: "\(folder.path)"}}
            """
        let tls = try downstream(
            """
            common_tls_context: {tls_certificates: [\(pair)], validation_context: {trusted_ca: {filename: "\(chain)"}}}
            """)
        let expected = TLSCertificateConfig(chain: .file(chain), privateKey: .file(key), watchedDirectory: folder.path)
        #expect(tls.context.certificates == [expected])
        #expect(tls.context.validation?.trustedCA == .file(chain))
    }

    // MARK: Upstream

    @Test func aClientContextHasEnvoysDefaults() throws {
        #expect(try upstream("sni: \"\"") == UpstreamTLS())
        #expect(UpstreamTLS().maxSessionKeys == 1)
    }

    @Test func aClientContextTakesEveryField() throws {
        let tls = try upstream(
            """
            sni: A.test, auto_host_sni: true, auto_sni_san_validation: true, max_session_keys: 7, \
            common_tls_context: {tls_certificates: [\(pair)], validation_context: {}, alpn_protocols: [istio]}
            """)
        #expect(tls.serverName == "A.test" && tls.usesHostNameAsServerName && tls.validatesServerName)
        #expect(tls.maxSessionKeys == 7 && tls.context.certificates.count == 1)
        #expect(tls.context.applicationProtocols == ["istio"] && tls.context.validation == CertificateValidation())
    }

    private func options(_ fields: String) -> String {
        let type = "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
        return "typed_extension_protocol_options: {h: {\"@type\": \(type), \(fields)}}"
    }

    @Test func theUpstreamProtocolIsChosen() throws {
        var http2 = HTTP2Options()
        http2.maxConcurrentStreams = 10
        let two = "http2_protocol_options: {max_concurrent_streams: 10}"
        #expect(try cluster("connect_timeout: 1s").http.upstreamProtocol == .http1(HTTP1Options()))
        #expect(try cluster(two).http.upstreamProtocol == .http2(http2))
        #expect(try cluster(options("explicit_http_config: {\(two)}")).http.upstreamProtocol == .http2(http2))
        let downstream = options("use_downstream_protocol_config: {\(two)}")
        #expect(try cluster(downstream).http.upstreamProtocol == .downstream(http1: HTTP1Options(), http2: http2))
        let socket = "transport_socket: {name: t, typed_config: {\"@type\": \(Self.tls)UpstreamTlsContext}}"
        let auto = try cluster(options("auto_config: {\(two)}") + ", " + socket).http.upstreamProtocol
        #expect(auto == .auto(http1: HTTP1Options(), http2: http2))
        #expect(auto.applicationProtocols(downstreamIsHTTP2: false) == ["h2", "http/1.1"])
        // The extension goes before the cluster's own fields.
        let both = two + ", " + options("explicit_http_config: {http_protocol_options: {}}")
        #expect(try cluster(both).http.upstreamProtocol == .http1(HTTP1Options()))
    }

    @Test func theServerNameMayComeFromTheRequest() throws {
        let automatic = """
            upstream_http_protocol_options: {auto_sni: true, auto_san_validation: true, override_auto_sni_header: X-Name}
            """
        for cluster in [
            try cluster(automatic), try cluster(options("\(automatic), explicit_http_config: {http2_protocol_options: {}}")),
        ] {
            #expect(cluster.http.autoSNI && cluster.http.autoSANValidation && cluster.http.autoSNIHeader == "x-name")
        }
    }

    // MARK: HTTP

    @Test func http2OptionsHaveEnvoysDefaults() throws {
        let terminal = try manager("http2_protocol_options: {}")
        #expect(terminal.http2 == HTTP2Options() && terminal.codec == .auto)
        let options = terminal.http2
        #expect(options.hpackTableSize == 4096 && options.maxConcurrentStreams == 1024)
        #expect(options.initialStreamWindow == 16_777_216 && options.initialConnectionWindow == 25_165_824)
        #expect(options.maxOutboundFrames == 10_000 && options.maxOutboundControlFrames == 1000)
        #expect(options.maxConsecutiveEmptyFrames == 1 && options.maxPriorityFramesPerStream == 100)
        #expect(options.maxWindowUpdatesPerDataFrame == 10 && options.keepalive == nil && !options.allowsConnect)
    }

    @Test func http2OptionsAreTaken() throws {
        let terminal = try manager(
            """
            codec_type: HTTP2
            http2_protocol_options:
              hpack_table_size: 1
              max_concurrent_streams: 2
              initial_stream_window_size: 65536
              initial_connection_window_size: 65537
              allow_connect: true
              max_outbound_frames: 3
              max_outbound_control_frames: 4
              max_consecutive_inbound_frames_with_empty_payload: 0
              max_inbound_priority_frames_per_stream: 0
              max_inbound_window_update_frames_per_data_frame_sent: 5
              connection_keepalive: {interval: 10s, timeout: 20s, interval_jitter: {value: 1.5}, connection_idle_interval: 3s}
            """)
        #expect(terminal.codec == .http2)
        var expected = HTTP2Options()
        expected.hpackTableSize = 1
        expected.maxConcurrentStreams = 2
        expected.initialStreamWindow = 65_536
        expected.initialConnectionWindow = 65_537
        expected.allowsConnect = true
        expected.maxOutboundFrames = 3
        expected.maxOutboundControlFrames = 4
        expected.maxConsecutiveEmptyFrames = 0
        expected.maxPriorityFramesPerStream = 0
        expected.maxWindowUpdatesPerDataFrame = 5
        var keepalive = HTTP2Keepalive(timeout: .seconds(20))
        keepalive.interval = .seconds(10)
        keepalive.jitterPercent = 1.5
        keepalive.idleInterval = .seconds(3)
        expected.keepalive = keepalive
        #expect(terminal.http2 == expected)
        let silent = try manager("http2_protocol_options: {connection_keepalive: {timeout: 1s}}").http2.keepalive
        #expect(silent == HTTP2Keepalive(timeout: .seconds(1)) && silent?.jitterPercent == 15)
    }

    @Test(arguments: [
        ("", false), ("stream_error_on_invalid_http_message: true", true),
        ("http2_protocol_options: {stream_error_on_invalid_http_messaging: true}", true),
        ("http2_protocol_options: {override_stream_error_on_invalid_http_message: true}", true),
        (
            "stream_error_on_invalid_http_message: true\n"
                + "http2_protocol_options: {override_stream_error_on_invalid_http_message: false}", false
        ),
    ])
    func theNearestStreamErrorOptionHolds(options: String, holds: Bool) throws {
        #expect(try manager(options).http2.streamErrorOnInvalidMessage == holds)
    }

    @Test func clientCertificatesAreForwardedAsConfigured() throws {
        #expect(try manager("").forwardClientCertificate == ForwardClientCertificate())
        let modes: [(String, ForwardClientCertificate.Mode)] = [
            ("SANITIZE", .sanitize), ("FORWARD_ONLY", .forwardOnly), ("APPEND_FORWARD", .appendForward),
            ("SANITIZE_SET", .sanitizeSet), ("ALWAYS_FORWARD_ONLY", .alwaysForwardOnly),
        ]
        for (name, mode) in modes {
            #expect(try manager("forward_client_cert_details: \(name)").forwardClientCertificate.mode == mode)
        }
        let details: [(String, ForwardClientCertificate.Details)] = [
            ("subject: true", .subject), ("subject: false", .none), ("cert: true", .certificate), ("chain: true", .chain),
            ("dns: true", .dns), ("uri: true", .uri), ("subject: true, uri: true", [.subject, .uri]),
        ]
        for (fields, expected) in details {
            let set = try manager("set_current_client_cert_details: {\(fields)}").forwardClientCertificate.details
            #expect(set == expected, "\(fields)")
        }
    }

    @Test func gRPCRoutesAskForTheContentTypeAndTakeTheOlderTimeouts() throws {
        guard case .inline(let routes) = try manager("").routes, let route = routes.virtualHosts.first?.routes.first,
            case .forward(let action) = route.action
        else { throw Missing() }
        #expect(route.match.headers.map(\.name) == ["content-type"])
        #expect(action.maxStreamDuration.maxGRPCTimeout == .seconds(5))
        #expect(action.maxStreamDuration.grpcTimeoutHeaderOffset == .seconds(1))
    }

    // MARK: Listener filter

    @Test(arguments: [
        ("", 16_384, 16_384), (", initial_read_buffer_size: 512", 512, 16_384),
        (", initial_read_buffer_size: 65536", 16_384, 16_384),
        (", initial_read_buffer_size: 4096, max_client_hello_size: 1024", 1024, 1024),
    ] as [(String, UInt32, UInt32)])
    func theInspectorsBuffersAreBounded(fields: String, initial: UInt32, largest: UInt32) throws {
        let type = "type.googleapis.com/envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector"
        let listener = try listener(filters: "{name: t, typed_config: {\"@type\": \(type)\(fields)}}")
        var options = TLSInspectorOptions()
        options.initialReadBufferSize = initial
        options.maxClientHelloBytes = largest
        #expect(listener.listenerFilters.map(\.kind) == [.tlsInspector(options)])
    }
}
