// SPDX-License-Identifier: Apache-2.0

/// The HTTP connection manager's options.
///
/// - Source: `envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager`; field names below are
///   its.
package struct HTTPTerminal: Equatable, Sendable {
    /// Scope `http.<stat_prefix>.` of the stats. Source: `stat_prefix`.
    package var statPrefix: String
    /// Source: `codec_type`. Default: auto.
    package var codec = Codec.auto
    /// Where routes come from. Source: `route_config` (inline) or `rds`.
    package var routes: RouteSource
    /// In order; the last is the router. Source: `http_filters`; disabled ones are left out by the translation.
    package var httpFilters: [TypedConfig] = []
    /// Value of the `server` response header. Source: `server_name`. Default: `envoy`.
    package var serverName = "envoy"
    /// Source: `server_header_transformation`. Default: overwrite.
    package var serverHeaderTransformation = ServerHeaderTransformation.overwrite
    /// Take the peer's address as the client's and append it to x-forwarded-for. Source: `use_remote_address`. Default:
    /// false.
    package var useRemoteAddress = false
    /// Trusted proxies in front. Source: `xff_num_trusted_hops`. Default: 0.
    package var xffTrustedHops: UInt32 = 0
    /// Do not append to x-forwarded-for. Source: `skip_xff_append`. Default: false.
    package var skipXFFAppend = false
    /// Set x-forwarded-port. Source: `append_x_forwarded_port`. Default: false.
    package var appendXForwardedPort = false
    /// Peers taken as internal (their x-envoy-* headers are kept). Source: `internal_address_config.cidr_ranges`.
    /// Default: none.
    package var internalRanges: [CIDRRange] = []
    /// Unix socket peers are internal. Source: `internal_address_config.unix_sockets`. Default: false.
    package var internalUnixSockets = false
    /// Appended to `via` of requests and responses. Source: `via`. Default: empty (none).
    package var via = ""
    /// Set `user-agent` and x-envoy-downstream-service-cluster of the local node. Source: `add_user_agent`. Default:
    /// false.
    package var addUserAgent = false
    /// Write IPv4 peers as mapped IPv6 in headers. Source: `represent_ipv4_remote_address_as_ipv4_mapped_ipv6`.
    /// Default: false.
    package var representIPv4AsMappedIPv6 = false
    package var requestID = RequestIDOptions()
    package var paths = PathOptions()
    package var host = HostOptions()
    package var limits = HeadLimits()
    package var timeouts = DownstreamTimeouts()
    package var http1 = HTTP1Options()
    package var http2 = HTTP2Options()
    package var forwardClientCertificate = ForwardClientCertificate()
    /// Requests after which a connection is closed. Source: `common_http_protocol_options.max_requests_per_connection`.
    /// Default: nil (no limit); 0 in the configuration means no limit.
    package var maxRequestsPerConnection: UInt32?
    /// Source: `upgrade_configs`; names in lower case.
    package var upgrades: [UpgradeOption] = []
    /// Let the upstream answer `expect: 100-continue`. Source: `proxy_100_continue`. Default: false.
    package var proxy100Continue = false
    /// Answer an invalid message without closing the connection. Source: `stream_error_on_invalid_http_message`,
    /// overridden by `http_protocol_options.override_stream_error_on_invalid_http_message`. Default: false.
    package var streamErrorOnInvalidMessage = false
    /// Source: `access_log`.
    package var accessLogs: [AccessLogConfig] = []
    /// Source: `access_log_options` and the fields it replaces.
    package var accessLogOptions = AccessLogOptions()
    /// Source: `local_reply_config`. Default: nil.
    package var localReplies: LocalReplyPolicy?

    /// Source: `HttpConnectionManager.CodecType`.
    package enum Codec: UInt8, Sendable {
        case auto, http1, http2
    }

    /// What to do with the upstream's `server` header. Source: `ServerHeaderTransformation`.
    package enum ServerHeaderTransformation: UInt8, Sendable {
        case overwrite, appendIfAbsent, passThrough
    }

    /// Where the route configuration comes from.
    package enum RouteSource: Equatable, Sendable {
        /// Written in the listener.
        case inline(RouteConfiguration)
        /// The name of a dynamic one.
        case dynamic(String)
    }

    package init(statPrefix: String, routes: RouteSource) {
        self.statPrefix = statPrefix
        self.routes = routes
    }
}

/// How x-request-id is made and kept.
package struct RequestIDOptions: Equatable, Sendable {
    /// Source: `generate_request_id`. Default: true.
    package var generate = true
    /// Keep the id of an external client. Source: `preserve_external_request_id`. Default: false.
    package var preserveExternal = false
    /// Source: `always_set_request_id_in_response`. Default: false.
    package var alwaysSetInResponse = false
    /// Write the trace reason into the id. Source: `UuidRequestIdConfig.pack_trace_reason`. Default: true.
    package var packTraceReason = true
    /// Source: `UuidRequestIdConfig.use_request_id_for_trace_sampling`. Default: true.
    package var useForTraceSampling = true

    package init() {}
}

/// How request paths are put in order before routing.
package struct PathOptions: Equatable, Sendable {
    /// RFC 3986 normalisation. Source: `normalize_path`. Default: false.
    package var normalize = false
    /// Source: `merge_slashes`. Default: false.
    package var mergeSlashes = false
    /// Source: `path_with_escaped_slashes_action`. Default: keep unchanged.
    package var escapedSlashes = EscapedSlashesAction.keepUnchanged

    /// What `%2F`, `%2f`, `%5C` and `%5c` in a path lead to. Source: `PathWithEscapedSlashesAction`.
    package enum EscapedSlashesAction: UInt8, Sendable {
        case keepUnchanged, reject, unescapeAndRedirect, unescapeAndForward
    }

    package init() {}
}

/// How the host is put in order before routing.
package struct HostOptions: Equatable, Sendable {
    package var portStripping = PortStripping.none
    /// Source: `strip_trailing_host_dot`. Default: false.
    package var stripTrailingDot = false

    /// Source: `strip_matching_host_port`, `strip_any_host_port`.
    package enum PortStripping: UInt8, Sendable {
        case none, matching, any
    }

    package init() {}
}

/// Limits on a request head.
package struct HeadLimits: Equatable, Sendable {
    /// Source: `max_request_headers_kb`, in bytes here. Default: 60 KiB.
    package var maxRequestHeadersBytes = 60 * 1024
    /// Source: `common_http_protocol_options.max_headers_count`. Default: 100.
    package var maxHeadersCount: UInt32 = 100
    /// Source: `common_http_protocol_options.headers_with_underscores_action`. Default: allow.
    package var underscores = UnderscoreAction.allow

    /// What a header name with an underscore leads to.
    package enum UnderscoreAction: UInt8, Sendable {
        case allow, reject, drop
    }

    package init() {}
}

/// Timeouts of the downstream side; nil disables.
package struct DownstreamTimeouts: Equatable, Sendable {
    /// No byte in either direction. Source: `stream_idle_timeout`. Default: 5 min.
    package var streamIdle: Duration? = .seconds(300)
    /// The whole request. Source: `request_timeout`. Default: nil.
    package var request: Duration?
    /// The head of a request. Source: `request_headers_timeout`. Default: nil.
    package var requestHeaders: Duration?
    /// A connection without streams. Source: `common_http_protocol_options.idle_timeout`. Default: 1 h.
    package var idle: Duration? = .seconds(3600)
    /// Source: `common_http_protocol_options.max_connection_duration`. Default: nil.
    package var maxConnectionDuration: Duration?
    /// Whether HTTP/1 only sends `connection: close` at `maxConnectionDuration`. Source:
    /// `http1_safe_max_connection_duration`.
    package var http1SafeMaxConnectionDuration = false
    /// Between the notice and the end of a draining connection. Source: `drain_timeout`. Default: 5 s.
    package var drain: Duration? = .seconds(5)
    /// How long a closed connection waits for the peer's close. Source: `delayed_close_timeout`. Default: 1 s.
    package var delayedClose: Duration? = .seconds(1)
    /// Source: `common_http_protocol_options.max_stream_duration`. Default: nil.
    package var maxStreamDuration: Duration?

    package init() {}
}

/// HTTP/1 on either side.
///
/// - Source: `envoy.config.core.v3.Http1ProtocolOptions`.
package struct HTTP1Options: Hashable, Sendable {
    /// Accept `GET http://host/path` and route by its host. Source: `allow_absolute_url`. Default: true.
    package var allowAbsoluteURL = true
    /// Source: `accept_http_10`. Default: false (426).
    package var acceptHTTP10 = false
    /// Source: `default_host_for_http_10`. Default: empty (400 without a host).
    package var defaultHostForHTTP10 = ""
    /// How names are written out. Source: `header_key_format`. Default: lower case.
    package var keyFormat = KeyFormat.lowerCase
    /// Pass trailers through. Source: `enable_trailers`. Default: false.
    package var enableTrailers = false
    /// Accept content-length beside `transfer-encoding: chunked` (the former is dropped). Source:
    /// `allow_chunked_length`. Default: false.
    package var allowChunkedLength = false

    /// How header names look on the wire.
    package enum KeyFormat: UInt8, Sendable {
        case lowerCase, properCase, preserve
    }

    package init() {}
}

/// One kind of upgrade.
///
/// - Source: `HttpConnectionManager.UpgradeConfig`, `RouteAction.UpgradeConfig`.
package struct UpgradeOption: Equatable, Sendable {
    /// Lower case: `websocket`, `connect`.
    package var name: String
    /// Source: `enabled`. Default: true.
    package var enabled: Bool
    /// CONNECT is ended here and its payload sent as TCP. Source: `connect_config` of a route. Default: false.
    package var terminatesConnect: Bool
    /// POST is taken for CONNECT. Source: `connect_config.allow_post`. Default: false.
    package var allowPost: Bool
    /// Filters instead of the manager's own; empty means the manager's. Source: `filters`.
    package var filters: [TypedConfig]

    package init(
        name: String, enabled: Bool = true, terminatesConnect: Bool = false, allowPost: Bool = false,
        filters: [TypedConfig] = []
    ) {
        self.name = name
        self.enabled = enabled
        self.terminatesConnect = terminatesConnect
        self.allowPost = allowPost
        self.filters = filters
    }
}
