// SPDX-License-Identifier: Apache-2.0
import MeshHTTP

// 600 lines: one table, and it is to stand in one place.

/// Why the proxy answered as it did, or ended a connection: a name that does not change, and a sentence that says which
/// part of the configuration decides. docs/reasons.md is printed from this table.
///
/// A reason is found when somebody asks for it, from what is recorded of the request anyway.
package enum ReplyReason: UInt8, CaseIterable, Sendable {
    case routeNotFound
    case routesMissing
    case clusterNotFound
    case noHealthyUpstream
    case directResponse
    case maintenance
    case overload
    case requestHeaderTimeout
    case requestTimeout
    case streamIdle
    case upstreamTimeout
    case perTryTimeout
    case perTryIdleTimeout
    case maxDuration
    case upstreamMaxDuration
    case retryBufferExceeded
    case pathRejected
    case absolutePathRejected
    case upgradeNotAllowed
    case websocketUnsuccessful
    case requestTooLarge
    case responseTooLarge
    case upstreamConnectTimeout
    case upstreamConnectFailed
    case upstreamTLSFailed
    case upstreamLocalConnectFailed
    case upstreamClosed
    case upstreamClosedReusedUnsent
    case upstreamClosedReusedSent
    case upstreamProtocolError
    case upstreamOverflow
    case upstreamLocalReset
    case upstreamReset
    case upstreamRefused
    case cutConnect
    case cutTermination
    case cutProtocol
    case cutOverflow
    case cutLocal
    case cutReset
    case cutRefused
    case clientGone
    case clientReset
    case clientRefused
    case lowVersion
    case badURL
    case badScheme
    case badCharacters
    case underscore1
    case headersTooLarge
    case tooManyHeaders
    case missingHost
    case badAuthority
    case badConnection
    case lengthAndChunked
    case lengthNotAllowed
    case badTransferEncoding
    case transferEncodingNotAllowed
    case bodyNotAllowed
    case codecError
    case badField2
    case badMessage2
    case headersTooLarge2
    case tooManyHeaders2
    case underscore2
    case emptyFrames
    case outboundFlood
    case http2Error
    case noFilterChain
    case connectAttempts
    case connectionTooOld
    case connectionIdle
    case downstreamTLSFailed
    case unlisted

    /// What a reason is found by and what it says.
    package struct Row: Sendable {
        package let name: StaticString
        /// `%RESPONSE_CODE_DETAILS%` that mean it; empty where more than these decides.
        package let details: StaticString
        package let sentence: StaticString

        init(_ name: StaticString, _ details: StaticString, _ sentence: StaticString) {
            self.name = name
            self.details = details
            self.sentence = sentence
        }
    }

    /// What is known of a request or connection that was not simply answered by an upstream.
    package struct Facts {
        /// Empty without any.
        package var details = UnsafeRawBufferPointer(start: nil, count: 0)
        /// `ResponseFlags`, by their bits.
        package var flags: UInt64 = 0
        /// The session with the upstream, or with the client, failed.
        package var hasUpstreamTLSFailed = false
        package var hasDownstreamTLSFailed = false
        /// The upstream connection was lost: requests it had been given, and bytes of this one that were sent, -1 where
        /// that is not known.
        package var lostRequests: UInt32 = 0
        package var lostSentBytes: Int64 = -1
        /// The TCP proxy's idle timeout.
        package var idled = false

        package init() {}
    }

    /// Nil for what an upstream answered.
    package init?(_ facts: Facts) {
        if facts.details.isEmpty {
            guard let reason = ReplyReason(flags: facts) else { return nil }
            self = reason
            return
        }
        if facts.details.equals("via_upstream") { return nil }
        let found = ReplyReason.allCases.first { reason in
            let details = reason.row.details
            return details.utf8CodeUnitCount > 0 && facts.details.equals(details)
        }
        switch found {
        case nil: self = .unlisted
        case .upstreamConnectFailed? where facts.hasUpstreamTLSFailed: self = .upstreamTLSFailed
        case .upstreamClosed? where facts.lostRequests > 1:
            self = facts.lostSentBytes == 0 ? .upstreamClosedReusedUnsent : .upstreamClosedReusedSent
        case let reason?: self = reason
        }
    }

    /// Of a connection that has only flags.
    private init?(flags facts: Facts) {
        func has(_ name: StaticString) -> Bool {
            let bit = ResponseFlagNames.short.firstIndex { $0.equals(name) } ?? 63
            return facts.flags & (1 << UInt64(bit)) != 0
        }
        if facts.hasDownstreamTLSFailed {
            self = .downstreamTLSFailed
        } else if facts.hasUpstreamTLSFailed {
            self = .upstreamTLSFailed
        } else if facts.idled {
            self = .connectionIdle
        } else if has("NC") {
            self = .clusterNotFound
        } else if has("UH") {
            self = .noHealthyUpstream
        } else if has("UO") {
            self = .upstreamOverflow
        } else if has("URX") {
            self = .connectAttempts
        } else if has("UF") {
            self = .upstreamConnectFailed
        } else if has("UR") {
            self = .cutReset
        } else if has("DT") {
            self = .connectionTooOld
        } else if has("DC") {
            self = .clientGone
        } else if has("NR") {
            self = .noFilterChain
        } else {
            return nil
        }
    }

    package var row: Row {
        switch self {
        case .routeNotFound:
            Row(
                "no_route", "route_not_found",
                """
                No virtual host has the request's domain, or no route of it matches; see virtual_hosts[].domains and \
                routes[].match.
                """)
        case .routesMissing:
            Row(
                "no_route_configuration", "route_configuration_not_found",
                """
                The listener has no routes yet; see route_config or rds of its connection manager.
                """)
        case .clusterNotFound:
            Row(
                "no_cluster", "cluster_not_found",
                """
                The route names a cluster that does not exist; see route.cluster or cluster_header, and \
                cluster_not_found_response_code for the status.
                """)
        case .noHealthyUpstream:
            Row(
                "no_healthy_endpoint", "no_healthy_upstream",
                """
                The cluster has no endpoint that may be used; see its load_assignment, health_status and \
                common_lb_config.healthy_panic_threshold.
                """)
        case .directResponse:
            Row(
                "answered_by_route", "direct_response",
                """
                The route answers by itself; see direct_response, redirect, or require_tls of the virtual host.
                """)
        case .maintenance:
            Row(
                "cluster_in_maintenance", "maintenance_mode",
                """
                The cluster is in maintenance; see runtime key upstream.maintenance_mode.<cluster>.
                """)
        case .overload:
            Row(
                "overloaded", "overload",
                """
                The proxy is over a limit of its own; see overload_manager.actions and its resource monitors.
                """)
        case .requestHeaderTimeout:
            Row(
                "request_header_timeout", "request_header_timeout",
                """
                The head of the request did not arrive in time; see request_headers_timeout of the connection \
                manager.
                """)
        case .requestTimeout:
            Row(
                "request_timeout", "request_overall_timeout",
                """
                The request did not arrive in time; see request_timeout of the connection manager.
                """)
        case .streamIdle:
            Row(
                "stream_idle", "stream_idle_timeout",
                """
                Nothing moved in either direction for too long; see stream_idle_timeout of the connection manager \
                and idle_timeout of the route.
                """)
        case .upstreamTimeout:
            Row(
                "upstream_timeout", "response_timeout",
                """
                The upstream did not answer in time; see timeout of the route, max_grpc_timeout, and x-envoy- \
                upstream-rq-timeout-ms.
                """)
        case .perTryTimeout:
            Row(
                "upstream_per_try_timeout", "upstream_per_try_timeout",
                """
                The last attempt did not answer in time; see retry_policy.per_try_timeout and num_retries.
                """)
        case .perTryIdleTimeout:
            Row(
                "upstream_per_try_idle_timeout", "upstream_per_try_idle_timeout",
                """
                Nothing moved on the last attempt for too long; see retry_policy.per_try_idle_timeout.
                """)
        case .maxDuration:
            Row(
                "stream_too_long", "max_duration_timeout",
                """
                The stream lived as long as it may; see max_stream_duration of the route or of \
                common_http_protocol_options.
                """)
        case .upstreamMaxDuration:
            Row(
                "upstream_stream_too_long", "upstream_max_stream_duration_reached",
                """
                The upstream part of the stream lived as long as it may; see max_stream_duration of the cluster's \
                common_http_protocol_options.
                """)
        case .retryBufferExceeded:
            Row(
                "retry_buffer_exceeded", "request_payload_exceeded_retry_buffer_limit",
                """
                The body was too large to be kept for another attempt; see request_body_buffer_limit of the route \
                and per_connection_buffer_limit_bytes.
                """)
        case .pathRejected:
            Row(
                "path_rejected", "path_normalization_failed",
                """
                The path cannot be normalised, or has a fragment; see normalize_path and \
                path_with_escaped_slashes_action.
                """)
        case .absolutePathRejected:
            Row(
                "path_not_relative", "absolute_path_rejected",
                """
                The request target is no path; only CONNECT and OPTIONS may have another form.
                """)
        case .upgradeNotAllowed:
            Row(
                "upgrade_not_allowed", "upgrade_failed",
                """
                Neither the connection manager nor the route allows this upgrade; see upgrade_configs.
                """)
        case .websocketUnsuccessful:
            Row(
                "websocket_not_accepted", "websocket_handshake_unsuccessful",
                """
                The upstream answered a WebSocket handshake with 200 and not 101; look at the upstream.
                """)
        case .requestTooLarge:
            Row(
                "request_too_large", "request_payload_too_large",
                """
                The body is larger than a filter may hold; see per_connection_buffer_limit_bytes of the listener.
                """)
        case .responseTooLarge:
            Row(
                "response_too_large", "response_payload_too_large",
                """
                The response is larger than a filter may hold; see per_connection_buffer_limit_bytes of the \
                listener.
                """)
        case .upstreamConnectTimeout:
            Row(
                "upstream_connect_timeout", "upstream_reset_before_response_started{connection_timeout}",
                """
                No connection to the upstream was made in time; see connect_timeout of the cluster, and whether the \
                address answers at all.
                """)
        case .upstreamConnectFailed:
            Row(
                "upstream_connect_failed", "upstream_reset_before_response_started{remote_connection_failure}",
                """
                The upstream did not take the connection; see the cluster's endpoints, and whether the server \
                listens.
                """)
        case .upstreamTLSFailed:
            Row(
                "upstream_tls_failed", "",
                """
                The TLS session with the upstream could not be made; see transport_socket of the cluster: \
                trusted_ca, subject alternative names, certificates, tls_params.
                """)
        case .upstreamLocalConnectFailed:
            Row(
                "upstream_connect_failed_locally", "upstream_reset_before_response_started{local_connection_failure}",
                """
                This machine could not begin the connection; see upstream_bind_config of the cluster, and the limits \
                on open files and ports.
                """)
        case .upstreamClosed:
            Row(
                "upstream_closed_connection", "upstream_reset_before_response_started{connection_termination}",
                """
                The upstream closed a new connection before it answered; look at the upstream's log. retry_on reset \
                tries again.
                """)
        case .upstreamClosedReusedUnsent:
            Row(
                "upstream_closed_reused_connection_before_request", "",
                """
                The upstream closed a connection that had served requests before, just as this request was to be \
                sent on it, and took no byte of it; make idle_timeout of the cluster shorter than the server's keep- \
                alive.
                """)
        case .upstreamClosedReusedSent:
            Row(
                "upstream_closed_reused_connection_after_request", "",
                """
                The upstream closed a connection that had served requests before, after it took bytes of this \
                request; make idle_timeout of the cluster shorter than the server's keep-alive, or let retry_on \
                reset try again what may be repeated.
                """)
        case .upstreamProtocolError:
            Row(
                "upstream_protocol_error", "upstream_reset_before_response_started{protocol_error}",
                """
                The upstream's answer breaks HTTP; see whether its port speaks the protocol of the cluster \
                (typed_extension_protocol_options).
                """)
        case .upstreamOverflow:
            Row(
                "upstream_overflow", "upstream_reset_before_response_started{overflow}",
                """
                A limit of the cluster is reached; see circuit_breakers.thresholds: max_connections, \
                max_pending_requests, max_requests, max_retries.
                """)
        case .upstreamLocalReset:
            Row(
                "upstream_ended_by_proxy", "upstream_reset_before_response_started{local_reset}",
                """
                The proxy ended the upstream connection itself: its endpoint was removed, or the proxy stops.
                """)
        case .upstreamReset:
            Row(
                "upstream_reset", "upstream_reset_before_response_started{remote_reset}",
                """
                The upstream reset the stream before it answered; look at the upstream's log. retry_on reset tries \
                again.
                """)
        case .upstreamRefused:
            Row(
                "upstream_refused_stream", "upstream_reset_before_response_started{remote_refused_stream_reset}",
                """
                The upstream did not take the stream, and nothing of it was looked at; see its limit of streams, and \
                max_concurrent_streams of the cluster. retry_on refused-stream tries again.
                """)
        case .cutConnect:
            Row(
                "response_cut_by_connection", "upstream_reset_after_response_started{remote_connection_failure}",
                """
                The upstream connection was lost after the response had begun; look at the upstream.
                """)
        case .cutTermination:
            Row(
                "response_cut_by_upstream_close", "upstream_reset_after_response_started{connection_termination}",
                """
                The upstream closed the connection after the response had begun and before it was whole; look at the \
                upstream.
                """)
        case .cutProtocol:
            Row(
                "response_cut_by_protocol_error", "upstream_reset_after_response_started{protocol_error}",
                """
                The rest of the upstream's response breaks HTTP; look at the upstream.
                """)
        case .cutOverflow:
            Row(
                "response_cut_by_overflow", "upstream_reset_after_response_started{overflow}",
                """
                A limit was reached after the response had begun; see circuit_breakers.thresholds of the cluster.
                """)
        case .cutLocal:
            Row(
                "response_cut_by_proxy", "upstream_reset_after_response_started{local_reset}",
                """
                The proxy ended the upstream connection after the response had begun: its endpoint was removed, or \
                the proxy stops.
                """)
        case .cutReset:
            Row(
                "response_cut_by_upstream_reset", "upstream_reset_after_response_started{remote_reset}",
                """
                The upstream reset the stream after the response had begun; look at the upstream.
                """)
        case .cutRefused:
            Row(
                "response_cut_by_upstream_refusal", "upstream_reset_after_response_started{remote_refused_stream_reset}",
                """
                The upstream refused the stream after it had begun to answer; look at the upstream.
                """)
        case .clientGone:
            Row(
                "client_gone", "downstream_remote_disconnect",
                """
                The client closed its connection before the response was whole.
                """)
        case .clientReset:
            Row(
                "client_reset", "http2.remote_reset",
                """
                The client reset the stream before the response was whole.
                """)
        case .clientRefused:
            Row(
                "client_refused", "http2.remote_refuse",
                """
                The client refused the stream.
                """)
        case .lowVersion:
            Row(
                "http_version_too_low", "low_version",
                """
                HTTP/1.0 is not served; see http_protocol_options.accept_http_10.
                """)
        case .badURL:
            Row(
                "bad_url", "http1.invalid_url",
                """
                The request target is malformed.
                """)
        case .badScheme:
            Row(
                "bad_scheme", "http1.invalid_scheme",
                """
                The request target has a scheme that is not served.
                """)
        case .badCharacters:
            Row(
                "bad_characters", "http1.invalid_characters",
                """
                A header has characters that it must not have (RFC 9110, section 5.5).
                """)
        case .underscore1:
            Row(
                "underscore_in_header", "http1.unexpected_underscore",
                """
                A header name has an underscore; see headers_with_underscores_action.
                """)
        case .headersTooLarge:
            Row(
                "headers_too_large", "http1.headers_too_large",
                """
                The head is too large; see max_request_headers_kb.
                """)
        case .tooManyHeaders:
            Row(
                "too_many_headers", "http1.too_many_headers",
                """
                The head has too many fields; see common_http_protocol_options.max_headers_count.
                """)
        case .missingHost:
            Row(
                "missing_host", "missing_host_header",
                """
                The request names no host.
                """)
        case .badAuthority:
            Row(
                "bad_authority", "http.invalid_authority",
                """
                The host of the request is malformed.
                """)
        case .badConnection:
            Row(
                "bad_connection_header", "http1.connection_header_rejected",
                """
                The connection header names what must not be taken off.
                """)
        case .lengthAndChunked:
            Row(
                "length_and_chunked", "http1.content_length_and_chunked_not_allowed",
                """
                The request has both a length and chunks; see http_protocol_options.allow_chunked_length.
                """)
        case .lengthNotAllowed:
            Row(
                "length_not_allowed", "http1.content_length_not_allowed",
                """
                The request has a length where it must have none.
                """)
        case .badTransferEncoding:
            Row(
                "bad_transfer_encoding", "http1.invalid_transfer_encoding",
                """
                The transfer-encoding is not one that is served.
                """)
        case .transferEncodingNotAllowed:
            Row(
                "transfer_encoding_not_allowed", "http1.transfer_encoding_not_allowed",
                """
                The request has a transfer-encoding where it must have none.
                """)
        case .bodyNotAllowed:
            Row(
                "body_not_allowed", "http1.body_disallowed",
                """
                The request has a body where it must have none.
                """)
        case .codecError:
            Row(
                "malformed_request", "http1.codec_error",
                """
                The request is no well-formed HTTP/1.
                """)
        case .badField2:
            Row(
                "bad_header_field", "http2.invalid.header.field",
                """
                A header field is not valid in HTTP/2 (RFC 9113, section 8.2).
                """)
        case .badMessage2:
            Row(
                "bad_message", "http2.violation.of.messaging.rule",
                """
                The message breaks a rule of HTTP/2 (RFC 9113, section 8.1).
                """)
        case .headersTooLarge2:
            Row(
                "header_list_too_large", "http2.header_list_size_too_large",
                """
                The header list is too large; see max_request_headers_kb.
                """)
        case .tooManyHeaders2:
            Row(
                "too_many_header_fields", "http2.too_many_headers",
                """
                The head has too many fields; see common_http_protocol_options.max_headers_count.
                """)
        case .underscore2:
            Row(
                "underscore_in_header_field", "http2.unexpected_underscore",
                """
                A header name has an underscore; see headers_with_underscores_action.
                """)
        case .emptyFrames:
            Row(
                "empty_frame_flood", "http2.inbound_empty_frames_flood",
                """
                The peer sends frames without content; see \
                http2_protocol_options.max_consecutive_inbound_frames_with_empty_payload.
                """)
        case .outboundFlood:
            Row(
                "outbound_frame_flood", "http2.outbound_frames_flood",
                """
                The peer makes the proxy queue more frames than it reads; see \
                http2_protocol_options.max_outbound_frames and max_outbound_control_frames.
                """)
        case .http2Error:
            Row(
                "http2_error", "http2.unknown.nghttp2.error",
                """
                The connection broke HTTP/2, or did too much of what costs the other side more.
                """)
        case .noFilterChain:
            Row(
                "no_filter_chain", "filter_chain_not_found",
                """
                No filter chain is for the connection's address, server name and protocol; see filter_chain_match \
                and default_filter_chain.
                """)
        case .connectAttempts:
            Row(
                "connect_attempts_exceeded", "",
                """
                As many connections as allowed were tried and none was made; see max_connect_attempts of the TCP \
                proxy, connect_timeout of the cluster and its endpoints.
                """)
        case .connectionTooOld:
            Row(
                "connection_too_old", "",
                """
                The connection lived as long as it may; see max_downstream_connection_duration of the TCP proxy.
                """)
        case .connectionIdle:
            Row(
                "connection_idle", "",
                """
                Nothing moved in either direction for too long; see idle_timeout of the TCP proxy.
                """)
        case .downstreamTLSFailed:
            Row(
                "downstream_tls_failed", "",
                """
                The TLS session with the client could not be made; see transport_socket of the filter chain.
                """)
        case .unlisted:
            Row(
                "unlisted", "",
                """
                The proxy made the response; response_code_details says more.
                """)
        }
    }
}

extension StaticString {
    fileprivate func equals(_ other: StaticString) -> Bool { UnsafeRawBufferPointer(self).equals(other) }
}
