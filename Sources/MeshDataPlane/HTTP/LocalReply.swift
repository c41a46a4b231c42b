// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshIO
package import MeshModel
import MeshStats

/// A response the proxy makes itself.
package struct LocalReply: Sendable {
    package var status: UInt16
    /// `%RESPONSE_CODE_DETAILS%`.
    package var details: StaticString
    package var flags: ResponseFlags
    /// Plain text body; empty for none.
    package var body: StaticString
    /// Whether the connection must not be used again after the reply.
    package var closesConnection: Bool
    /// What a gRPC client is told; nil for what `status` means to one.
    package var grpcStatus: GRPCStatus?

    package init(
        _ status: UInt16, details: StaticString, flags: ResponseFlags = [], body: StaticString = "",
        closesConnection: Bool = false, grpcStatus: GRPCStatus? = nil
    ) {
        self.status = status
        self.details = details
        self.flags = flags
        self.body = body
        self.closesConnection = closesConnection
        self.grpcStatus = grpcStatus
    }

    package static var routeNotFound: LocalReply { LocalReply(404, details: "route_not_found", flags: .noRouteFound) }
    package static var noHealthyUpstream: LocalReply {
        LocalReply(503, details: "no_healthy_upstream", flags: .noHealthyUpstream, body: "no healthy upstream")
    }
    /// The overload manager takes no requests now.
    package static var overloaded: LocalReply { LocalReply(503, details: "overload", body: "envoy overloaded") }
    package static var requestHeaderTimeout: LocalReply {
        LocalReply(408, details: "request_header_timeout", body: "request header timeout", closesConnection: true)
    }
    package static var requestTimeout: LocalReply {
        LocalReply(408, details: "request_overall_timeout", body: "request timeout", closesConnection: true)
    }
    /// The request stalled: nothing arrived for `stream_idle_timeout`.
    package static var streamIdleWhileReceiving: LocalReply {
        LocalReply(
            408, details: "stream_idle_timeout", flags: .streamIdleTimeout, body: "stream timeout", closesConnection: true)
    }
    /// The upstream stalled: the whole request was received.
    package static var streamIdleWhileWaiting: LocalReply {
        LocalReply(504, details: "stream_idle_timeout", flags: .streamIdleTimeout, body: "stream timeout")
    }
    package static var upstreamTimeout: LocalReply {
        LocalReply(504, details: "response_timeout", flags: .upstreamRequestTimeout, body: "upstream request timeout")
    }
    package static var maxStreamDuration: LocalReply {
        LocalReply(
            504, details: "max_duration_timeout", body: "downstream duration timeout", grpcStatus: .deadlineExceeded)
    }
    package static var pathNormalizationFailed: LocalReply {
        LocalReply(400, details: "path_normalization_failed", closesConnection: true)
    }
    package static var absolutePathRejected: LocalReply { LocalReply(404, details: "absolute_path_rejected") }
    package static var upgradeNotAllowed: LocalReply { LocalReply(403, details: "upgrade_failed") }
    package static var websocketHandshakeUnsuccessful: LocalReply {
        LocalReply(200, details: "websocket_handshake_unsuccessful", closesConnection: true)
    }
    package static var payloadTooLarge: LocalReply {
        LocalReply(413, details: "request_payload_too_large", body: "Payload Too Large")
    }
}

/// Why an upstream stream ended before its response was whole.
package enum UpstreamFailure: Equatable, Sendable {
    /// No connection could be made. errno 0 stands for a connect timeout.
    case connectFailure(Int32)
    /// The connection ended (FIN or RST) with the request on it.
    case connectionTermination
    /// The upstream broke the protocol.
    case protocolError
    /// A limit of the cluster was reached.
    case overflow
    /// We ended the stream ourselves.
    case localReset
    /// The upstream reset the stream.
    case remoteReset
    /// The upstream did not take the stream: REFUSED_STREAM, or GOAWAY below it.
    case remoteRefused

    /// Envoy's reset reason, as it stands in details and in the body of the reply.
    package var reason: StaticString {
        switch self {
        case .connectFailure(0): "connection timeout"
        case .connectFailure: "remote connection failure"
        case .connectionTermination: "connection termination"
        case .protocolError: "protocol error"
        case .overflow: "overflow"
        case .localReset: "local reset"
        case .remoteReset: "remote reset"
        case .remoteRefused: "remote refused stream reset"
        }
    }

    package var flags: ResponseFlags {
        switch self {
        case .connectFailure: .upstreamConnectionFailure
        case .connectionTermination: .upstreamConnectionTermination
        case .protocolError: .upstreamProtocolError
        case .overflow: .upstreamOverflow
        case .localReset: .localReset
        case .remoteReset, .remoteRefused: .upstreamRemoteReset
        }
    }

    /// The reply when no response head was forwarded yet.
    package var reply: LocalReply {
        switch self {
        case .connectFailure(0):
            LocalReply(
                503, details: "upstream_reset_before_response_started{connection_timeout}", flags: flags,
                body: "upstream connect error or disconnect/reset before headers. reset reason: connection timeout")
        case .connectFailure:
            LocalReply(
                503, details: "upstream_reset_before_response_started{remote_connection_failure}", flags: flags,
                body: "upstream connect error or disconnect/reset before headers. reset reason: remote connection failure")
        case .connectionTermination:
            LocalReply(
                503, details: "upstream_reset_before_response_started{connection_termination}", flags: flags,
                body: "upstream connect error or disconnect/reset before headers. reset reason: connection termination")
        case .protocolError:
            LocalReply(
                502, details: "upstream_reset_before_response_started{protocol_error}", flags: flags,
                body: "upstream connect error or disconnect/reset before headers. reset reason: protocol error")
        case .overflow:
            LocalReply(
                503, details: "upstream_reset_before_response_started{overflow}", flags: flags,
                body: "upstream connect error or disconnect/reset before headers. reset reason: overflow")
        case .localReset:
            LocalReply(
                503, details: "upstream_reset_before_response_started{local_reset}", flags: flags,
                body: "upstream connect error or disconnect/reset before headers. reset reason: local reset")
        case .remoteReset:
            LocalReply(
                503, details: "upstream_reset_before_response_started{remote_reset}", flags: flags,
                body: "upstream connect error or disconnect/reset before headers. reset reason: remote reset")
        case .remoteRefused:
            LocalReply(
                503, details: "upstream_reset_before_response_started{remote_refused_stream_reset}", flags: flags,
                body: "upstream connect error or disconnect/reset before headers. reset reason: remote refused stream reset")
        }
    }

    /// The details when the response had started and was cut.
    package var detailsAfterResponseStarted: StaticString {
        switch self {
        case .connectFailure: "upstream_reset_after_response_started{remote_connection_failure}"
        case .connectionTermination: "upstream_reset_after_response_started{connection_termination}"
        case .protocolError: "upstream_reset_after_response_started{protocol_error}"
        case .overflow: "upstream_reset_after_response_started{overflow}"
        case .localReset: "upstream_reset_after_response_started{local_reset}"
        case .remoteReset: "upstream_reset_after_response_started{remote_reset}"
        case .remoteRefused: "upstream_reset_after_response_started{remote_refused_stream_reset}"
        }
    }
}
