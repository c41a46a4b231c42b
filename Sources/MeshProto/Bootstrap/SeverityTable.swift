// SPDX-License-Identifier: Apache-2.0

/// How bad it is that a field or an extension is not honoured. What is not listed is degraded.
enum SeverityTable {
    static func severity(field: String, of message: String) -> UnsupportedField.Severity {
        if refusedNames.contains(field) || refusedFields.contains(message + "." + field) { return .refused }
        if message.hasPrefix(tlsPackage), refusedTLSFields.contains(message.dropFirst(tlsPackage.count) + "." + field) {
            return .refused
        }
        if ignoredFields.contains(message + "." + field) { return .ignoredSafe }
        return .degraded
    }

    static func severity(type: String) -> UnsupportedField.Severity {
        if refusedTypes.contains(where: { type.hasPrefix($0) }) { return .refused }
        if ignoredTypes.contains(where: { type.hasPrefix($0) }) { return .ignoredSafe }
        return .degraded
    }

    /// Refused in whatever message they stand: traffic would go or be taken in clear text, or from anybody.
    private static let refusedNames: Set<String> = [
        "transport_socket", "transport_socket_matches", "transport_socket_matcher", "tls_context",
        "rbac",
        "forward_client_cert_matcher", "dynamic_metadata",
    ]

    private static let refusedFields: Set<String> = [
        // A route that matches more than it should, or a chain without its rules.
        "envoy.config.route.v3.RouteMatch.cookies", "envoy.config.route.v3.RouteMatch.filter_state",
        "envoy.config.route.v3.RouteMatch.path_match_policy", "envoy.config.listener.v3.Listener.filter_chain_matcher",
        "envoy.config.listener.v3.Filter.config_discovery", "envoy.config.listener.v3.ListenerFilter.config_discovery",
        "envoy.config.route.v3.VirtualHost.matcher", "envoy.config.bootstrap.v3.Admin.allow_paths",
        "envoy.extensions.filters.network.http_connection_manager.v3.HttpFilter.config_discovery",
        "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy.tunneling_config",
    ]

    /// TLS without a part of what makes it trustworthy, or without its certificates; within its package.
    private static let refusedTLSFields: Set<String> = [
        "UpstreamTlsContext.allow_renegotiation",
        "DownstreamTlsContext.session_ticket_keys_sds_secret_config",
        "DownstreamTlsContext.ocsp_staple_policy",
        "CommonTlsContext.tls_certificate_sds_secret_configs",
        "CommonTlsContext.tls_certificate_provider_instance",
        "CommonTlsContext.tls_certificate_certificate_provider",
        "CommonTlsContext.tls_certificate_certificate_provider_instance",
        "CommonTlsContext.custom_tls_certificate_selector",
        "CommonTlsContext.custom_handshaker",
        "CommonTlsContext.validation_context_sds_secret_config",
        "CommonTlsContext.validation_context_certificate_provider",
        "CommonTlsContext.validation_context_certificate_provider_instance",
        "CommonTlsContext.CombinedCertificateValidationContext.validation_context_sds_secret_config",
        "CommonTlsContext.CombinedCertificateValidationContext.validation_context_certificate_provider",
        "CommonTlsContext.CombinedCertificateValidationContext.validation_context_certificate_provider_instance",
        "TlsParameters.compliance_policies",
        "TlsParameters.signature_algorithms",
        "TlsCertificate.pkcs12",
        "TlsCertificate.private_key_provider",
        "TlsCertificate.password",
        "CertificateValidationContext.ca_certificate_provider_instance",
        "CertificateValidationContext.system_root_certs",
        "CertificateValidationContext.require_signed_certificate_timestamp",
        "CertificateValidationContext.custom_validator_config",
        "SubjectAltNameMatcher.oid",
    ]

    private static let tlsPackage = "envoy.extensions.transport_sockets.tls.v3."

    private static let refusedTypes = [
        "envoy.extensions.transport_sockets.", "envoy.extensions.filters.http.rbac.",
        "envoy.extensions.filters.network.rbac.",
        "envoy.extensions.filters.http.jwt_authn.", "envoy.extensions.filters.http.ext_authz.",
        "envoy.extensions.filters.network.ext_authz.", "envoy.extensions.filters.http.oauth2.",
        "envoy.extensions.filters.http.basic_auth.", "envoy.extensions.filters.http.api_key_auth.",
        "envoy.extensions.filters.http.csrf.", "envoy.extensions.filters.http.credential_injector.",
    ]

    private static let ignoredFields: Set<String> = [
        "envoy.config.bootstrap.v3.Bootstrap.enable_dispatcher_stats",
        "envoy.config.bootstrap.v3.Bootstrap.header_prefix",
        "envoy.config.bootstrap.v3.Bootstrap.perf_tracing_file_path",
        "envoy.config.bootstrap.v3.Bootstrap.stats_flush_on_admin",
        "envoy.config.bootstrap.v3.Bootstrap.memory_allocator_manager", "envoy.config.bootstrap.v3.Bootstrap.watchdog",
        "envoy.config.bootstrap.v3.Bootstrap.watchdogs", "envoy.config.bootstrap.v3.Bootstrap.stats_eviction_interval",
        "envoy.config.bootstrap.v3.Bootstrap.grpc_async_client_manager_config",
        "envoy.config.bootstrap.v3.Bootstrap.fatal_actions",
        "envoy.config.bootstrap.v3.ClusterManager.enable_deferred_cluster_creation",
        "envoy.config.cluster.v3.Cluster.track_cluster_stats",
        "envoy.config.cluster.v3.Cluster.track_timeout_budgets",
        "envoy.config.cluster.v3.Cluster.PreconnectPolicy.predictive_preconnect_ratio",
        "envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig.udp_max_queries",
        "envoy.config.cluster.v3.Cluster.lrs_report_endpoint_metrics",
        "envoy.config.metrics.v3.StatsConfig.histogram_bucket_settings",
        "envoy.config.core.v3.Node.user_agent_name", "envoy.config.core.v3.Node.user_agent_version",
        "envoy.config.core.v3.Node.user_agent_build_version", "envoy.config.core.v3.Node.extensions",
        "envoy.config.core.v3.Node.client_features", "envoy.config.core.v3.Node.dynamic_parameters",
        "envoy.config.core.v3.Metadata.typed_filter_metadata",
    ]

    private static let ignoredTypes = ["envoy.extensions.network.dns_resolver."]
}
