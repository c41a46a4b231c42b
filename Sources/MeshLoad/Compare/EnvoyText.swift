// SPDX-License-Identifier: Apache-2.0

/// The bootstrap of Envoy and of Apus, the same text for both: an HTTP connection manager with the router only, request ids and
/// stats on as by default, LEAST_REQUEST over one endpoint, limits out of the way.
enum EnvoyText {
    private static let types = "type.googleapis.com/envoy.extensions"

    static func bootstrap(_ setup: ProxySetup) -> String {
        """
        node: { id: bench, cluster: bench }
        admin:
          address: { socket_address: { address: 127.0.0.1, port_value: \(setup.adminPort) } }
        static_resources:
          listeners:
          - name: \(setup.door.rawValue)
            address: { socket_address: { address: 127.0.0.1, port_value: \(setup.port) } }
            filter_chains:
            - filters:
        \(indent(setup.door == .tcp || setup.door == .bulk ? tcpProxy(setup) : connectionManager(setup), 6))
        \(setup.door == .mtls ? indent(downstreamTLS(setup), 6) + "\n" : "")  clusters:
          - name: upstream
            type: STATIC
            connect_timeout: 5s
            lb_policy: LEAST_REQUEST
            circuit_breakers:
              thresholds:
              - { max_connections: 4294967295, max_pending_requests: 4294967295, max_requests: 4294967295, max_retries: 4294967295, track_remaining: true }
        \(indent(clusterOptions(setup), 4))    load_assignment:
              cluster_name: upstream
              endpoints:
              - lb_endpoints:
                - endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: \(setup.upstreamPort) } } }

        """
    }

    private static func tcpProxy(_ setup: ProxySetup) -> String {
        """
        - name: envoy.filters.network.tcp_proxy
          typed_config:
            "@type": \(types).filters.network.tcp_proxy.v3.TcpProxy
            stat_prefix: \(setup.door.rawValue)
            cluster: upstream
        """
    }

    /// Streams that are held open for a memory figure have no time limit.
    private static let hold = ["- { match: { path: \"/hold\" }, route: { cluster: upstream, timeout: 0s } }"]

    private static func connectionManager(_ setup: ProxySetup) -> String {
        let isHTTP2 = setup.door == .h2 || setup.door == .mtls
        let routes =
            setup.routes > 1
            ? (0..<setup.routes).map { "- { match: { \(RouteTable.match($0)) }, route: { cluster: upstream } }" }
            : (setup.door == .h2 ? hold : []) + ["- { match: { prefix: \"/\" }, route: { cluster: upstream } }"]
        return """
            - name: envoy.filters.network.http_connection_manager
              typed_config:
                "@type": \(types).filters.network.http_connection_manager.v3.HttpConnectionManager
                stat_prefix: \(setup.door.rawValue)
                codec_type: \(setup.door == .h2 ? "HTTP2" : "AUTO")
            \(isHTTP2 ? "    http2_protocol_options: { max_concurrent_streams: 1000 }\n" : "")    normalize_path: true
            \(setup.door == .logged ? indent(accessLog(setup), 4) + "\n" : "")    http_filters:
                - name: envoy.filters.http.router
                  typed_config:
                    "@type": \(types).filters.http.router.v3.Router
                route_config:
                  name: local
                  virtual_hosts:
                  - name: all
                    domains: ["*"]
                    routes:
            \(indent(routes.joined(separator: "\n"), 8))
            """
    }

    /// Istio's default format.
    private static func accessLog(_ setup: ProxySetup) -> String {
        #"""
        access_log:
        - name: envoy.access_loggers.file
          typed_config:
            "@type": \#(types).access_loggers.file.v3.FileAccessLog
            path: \#(setup.folder)/access.log
            log_format:
              text_format_source:
                inline_string: "[%START_TIME%] \"%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%\" %RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% \"%UPSTREAM_TRANSPORT_FAILURE_REASON%\" %BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% \"%REQ(X-FORWARDED-FOR)%\" \"%REQ(USER-AGENT)%\" \"%REQ(X-REQUEST-ID)%\" \"%REQ(:AUTHORITY)%\" \"%UPSTREAM_HOST%\" %UPSTREAM_CLUSTER_RAW% %UPSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% %REQUESTED_SERVER_NAME% %ROUTE_NAME%\n"
        """#
    }

    private static let parameters =
        "tls_params: { tls_minimum_protocol_version: TLSv1_3, tls_maximum_protocol_version: TLSv1_3, ecdh_curves: [X25519] }"

    /// Names are checked on either side, as a mesh does.
    private static func downstreamTLS(_ setup: ProxySetup) -> String {
        """
        transport_socket:
          name: envoy.transport_sockets.tls
          typed_config:
            "@type": \(types).transport_sockets.tls.v3.DownstreamTlsContext
            require_client_certificate: true
            common_tls_context:
              alpn_protocols: [h2, http/1.1]
              \(parameters)
              tls_certificates:
              - { certificate_chain: { filename: "\(setup.certificates)/server.pem" }, private_key: { filename: "\(setup.certificates)/server.key" } }
              validation_context:
                trusted_ca: { filename: "\(setup.certificates)/ca.pem" }
                match_typed_subject_alt_names:
                - { san_type: URI, matcher: { prefix: "spiffe://cluster.local/" } }
        """
    }

    private static func clusterOptions(_ setup: ProxySetup) -> String {
        guard setup.door == .h2 || setup.door == .toMTLS else { return "" }
        let http2 = """
            typed_extension_protocol_options:
              envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
                "@type": \(types).upstreams.http.v3.HttpProtocolOptions
                explicit_http_config: { http2_protocol_options: { } }

            """
        guard setup.door == .toMTLS else { return http2 }
        return http2 + """
            transport_socket:
              name: envoy.transport_sockets.tls
              typed_config:
                "@type": \(types).transport_sockets.tls.v3.UpstreamTlsContext
                sni: localhost
                common_tls_context:
                  alpn_protocols: [h2]
                  \(parameters)
                  tls_certificates:
                  - { certificate_chain: { filename: "\(setup.certificates)/client.pem" }, private_key: { filename: "\(setup.certificates)/client.key" } }
                  validation_context:
                    trusted_ca: { filename: "\(setup.certificates)/ca.pem" }
                    match_typed_subject_alt_names:
                    - { san_type: URI, matcher: { exact: "spiffe://cluster.local/ns/bench/sa/server" } }

            """
    }

    private static func indent(_ text: String, _ width: Int) -> String {
        let spaces = String(repeating: " ", count: width)
        return text.split(separator: "\n", omittingEmptySubsequences: false).map { $0.isEmpty ? "" : spaces + $0 }.joined(separator: "\n")
    }
}
