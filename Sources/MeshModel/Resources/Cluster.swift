// SPDX-License-Identifier: Apache-2.0
package import MeshIO

/// A group of upstream hosts and how to talk to them.
///
/// - Source: `envoy.config.cluster.v3.Cluster`.
package struct Cluster: Equatable, Sendable {
    /// Unique among clusters. Source: `name`.
    package var name: String
    /// Scope `cluster.<this>.` of the stats. Source: `alt_stat_name`; default: the name.
    package var statName: String
    /// Source: `metadata`.
    package var metadata = MetadataTable()
    package var discovery: Discovery
    /// Source: `connect_timeout`. Default: 5 s.
    package var connectTimeout: Duration = .seconds(5)
    package var balancing = LoadBalancingPolicy.roundRobin
    /// Share of healthy hosts below which all are used, in percent. Source: `common_lb_config.healthy_panic_threshold`.
    /// Default: 50; 0 never panics.
    package var panicThresholdPercent = 50.0
    /// Thresholds of priority `DEFAULT`. Source: `circuit_breakers.thresholds`.
    package var breakers = CircuitBreakerThresholds()
    /// Thresholds of priority `HIGH`.
    package var highPriorityBreakers = CircuitBreakerThresholds()
    package var http = UpstreamHTTPOptions()
    /// Source: `transport_socket`. Default: nil (plain).
    package var tls: UpstreamTLS?
    /// Source: `upstream_bind_config`, `upstream_connection_options`.
    package var connectOptions = ConnectOptions()
    /// Source address for IPv6 upstreams. Source: `upstream_bind_config.extra_source_addresses`. Default: nil.
    package var ipv6BindAddress: Address?
    /// Read and write buffer limit of a connection, in bytes. Source: `per_connection_buffer_limit_bytes`. Default: 1
    /// MiB.
    package var bufferLimitBytes: UInt32 = 1_048_576
    /// How long an unused original-destination host is kept. Source: `cleanup_interval`. Default: 5 s.
    package var cleanupInterval: Duration = .seconds(5)

    /// Where hosts come from. Source: `type`.
    package enum Discovery: Equatable, Sendable {
        /// The hosts are in the configuration.
        case `static`(EndpointSet)
        /// The host is the connection's original destination.
        case originalDestination(OriginalDestinationOptions)
    }

    package init(name: String, discovery: Discovery) {
        self.name = name
        self.statName = name
        self.discovery = discovery
    }
}

/// How an original-destination cluster finds its host. Source: `Cluster.OriginalDstLbConfig`.
package struct OriginalDestinationOptions: Equatable, Sendable {
    /// Take the address from a request header. Source: `use_http_header`. Default: false.
    package var useHTTPHeader = false
    /// Source: `http_header_name`. Default: `x-envoy-original-dst-host`.
    package var headerName = "x-envoy-original-dst-host"
    /// Source: `upstream_port_override`. Default: nil.
    package var portOverride: UInt16?

    package init() {}
}

/// How a host is chosen. Source: `lb_policy` with its `lb_config`.
package enum LoadBalancingPolicy: Equatable, Sendable {
    case roundRobin
    /// The less busy of `choices` random hosts; with unequal weights a weighted turn order, weight divided by
    /// (active + 1)^bias. Source: `least_request_lb_config`; defaults 2 and 1.0.
    case leastRequest(choices: UInt32, bias: Double)
    case random
    /// The cluster's own way; only for an original-destination cluster.
    case clusterProvided
}

/// Limits after which requests fail at once. Source: `CircuitBreakers.Thresholds`.
package struct CircuitBreakerThresholds: Equatable, Sendable {
    /// Source: `max_connections`. Default: 1024.
    package var maxConnections: UInt32 = 1024
    /// Source: `max_pending_requests`. Default: 1024.
    package var maxPendingRequests: UInt32 = 1024
    /// Source: `max_requests`. Default: 1024.
    package var maxRequests: UInt32 = 1024
    /// Source: `max_retries`. Default: 3.
    package var maxRetries: UInt32 = 3
    /// Source: `max_connection_pools`. Default: unlimited.
    package var maxConnectionPools: UInt32 = .max
    /// Publish the remaining amounts as gauges. Source: `track_remaining`. Default: false.
    package var trackRemaining = false

    package init() {}
}

/// HTTP toward the upstream. Source: `envoy.extensions.upstreams.http.v3.HttpProtocolOptions`, else the cluster's own
/// fields.
package struct UpstreamHTTPOptions: Equatable, Sendable {
    package var protocolSelection = ProtocolSelection.http1
    /// A connection without requests. Source: `common_http_protocol_options.idle_timeout`. Default: 1 h; nil disables.
    package var idleTimeout: Duration? = .seconds(3600)
    /// Source: `max_requests_per_connection`. Default: nil (no limit).
    package var maxRequestsPerConnection: UInt32?
    /// Source: `common_http_protocol_options.max_connection_duration`. Default: nil.
    package var maxConnectionDuration: Duration?
    /// Source: `common_http_protocol_options.max_stream_duration`. Default: nil.
    package var maxStreamDuration: Duration?
    /// Limit on response headers. Source: `common_http_protocol_options.max_headers_count`. Default: 100.
    package var maxResponseHeadersCount: UInt32 = 100
    package var http1 = HTTP1Options()
    package var http2 = HTTP2Options()
    /// Send the request's host, or the value of `autoSNIHeader`, as the server name. Source:
    /// `upstream_http_protocol_options.auto_sni`. Default: false.
    package var autoSNI = false
    /// Check that the server's certificate is for that name. Source: `auto_san_validation`. Default: false.
    package var autoSANValidation = false
    /// Header that the server name is taken from, lower case; the host where a request has none.
    /// Source: `override_auto_sni_header`. Default: empty (the host).
    package var autoSNIHeader = ""

    /// Which protocol is spoken.
    package enum ProtocolSelection: UInt8, Sendable {
        case http1
        case http2
        /// The downstream's. Source: `use_downstream_protocol_config`.
        case downstream
        /// By ALPN. Source: `auto_config`.
        case auto
    }

    package init() {}
}
