// SPDX-License-Identifier: Apache-2.0
package import MeshHTTP

/// The `%COMMAND%`s of format strings whose value the data plane knows.
///
/// The raw value is Envoy's name. Header commands, `HOSTNAME` and `ENVIRONMENT` are not here: the engine evaluates
/// them.
/// Those of `valuelessNames` are `unavailable`: they are accepted and have no value.
package enum FormatCommand: String, CaseIterable, Sendable {
    case startTime = "START_TIME"
    case startTimeLocal = "START_TIME_LOCAL"
    case emitTime = "EMIT_TIME"
    case emitTimeLocal = "EMIT_TIME_LOCAL"
    case `protocol` = "PROTOCOL"
    case upstreamProtocol = "UPSTREAM_PROTOCOL"
    case responseCode = "RESPONSE_CODE"
    case responseCodeDetails = "RESPONSE_CODE_DETAILS"
    case connectionTerminationDetails = "CONNECTION_TERMINATION_DETAILS"
    case responseFlags = "RESPONSE_FLAGS"
    case responseFlagsLong = "RESPONSE_FLAGS_LONG"
    case bytesReceived = "BYTES_RECEIVED"
    case bytesSent = "BYTES_SENT"
    case bytesRetransmitted = "BYTES_RETRANSMITTED"
    case packetsRetransmitted = "PACKETS_RETRANSMITTED"
    case duration = "DURATION"
    case commonDuration = "COMMON_DURATION"
    case requestDuration = "REQUEST_DURATION"
    case requestTxDuration = "REQUEST_TX_DURATION"
    case responseDuration = "RESPONSE_DURATION"
    case responseTxDuration = "RESPONSE_TX_DURATION"
    case roundtripDuration = "ROUNDTRIP_DURATION"
    case downstreamHandshakeDuration = "DOWNSTREAM_HANDSHAKE_DURATION"
    case upstreamConnectionPoolReadyDuration = "UPSTREAM_CONNECTION_POOL_READY_DURATION"
    case requestHeadersBytes = "REQUEST_HEADERS_BYTES"
    case responseHeadersBytes = "RESPONSE_HEADERS_BYTES"
    case responseTrailersBytes = "RESPONSE_TRAILERS_BYTES"
    case upstreamHost = "UPSTREAM_HOST"
    case upstreamHostName = "UPSTREAM_HOST_NAME"
    case upstreamHostNameWithoutPort = "UPSTREAM_HOST_NAME_WITHOUT_PORT"
    // The host of the last attempt, if it got a connection: Envoy 1.40 keeps no more of earlier ones.
    case upstreamHostsAttempted = "UPSTREAM_HOSTS_ATTEMPTED"
    case upstreamHostsAttemptedWithoutPort = "UPSTREAM_HOSTS_ATTEMPTED_WITHOUT_PORT"
    case upstreamHostNamesAttempted = "UPSTREAM_HOST_NAMES_ATTEMPTED"
    case upstreamHostNamesAttemptedWithoutPort = "UPSTREAM_HOST_NAMES_ATTEMPTED_WITHOUT_PORT"
    case upstreamConnectionIDsAttempted = "UPSTREAM_CONNECTION_IDS_ATTEMPTED"
    case upstreamCluster = "UPSTREAM_CLUSTER"
    case upstreamClusterRaw = "UPSTREAM_CLUSTER_RAW"
    case upstreamConnectionID = "UPSTREAM_CONNECTION_ID"
    case upstreamLocalAddress = "UPSTREAM_LOCAL_ADDRESS"
    case upstreamLocalAddressWithoutPort = "UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT"
    case upstreamLocalPort = "UPSTREAM_LOCAL_PORT"
    case upstreamRemoteAddress = "UPSTREAM_REMOTE_ADDRESS"
    case upstreamRemoteAddressWithoutPort = "UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT"
    case upstreamRemotePort = "UPSTREAM_REMOTE_PORT"
    case upstreamTransportFailureReason = "UPSTREAM_TRANSPORT_FAILURE_REASON"
    case upstreamRequestAttemptCount = "UPSTREAM_REQUEST_ATTEMPT_COUNT"
    case upstreamWireBytesReceived = "UPSTREAM_WIRE_BYTES_RECEIVED"
    case upstreamWireBytesSent = "UPSTREAM_WIRE_BYTES_SENT"
    case upstreamHeaderBytesReceived = "UPSTREAM_HEADER_BYTES_RECEIVED"
    case upstreamHeaderBytesSent = "UPSTREAM_HEADER_BYTES_SENT"
    case upstreamDecompressedHeaderBytesReceived = "UPSTREAM_DECOMPRESSED_HEADER_BYTES_RECEIVED"
    case upstreamDecompressedHeaderBytesSent = "UPSTREAM_DECOMPRESSED_HEADER_BYTES_SENT"
    case downstreamLocalAddress = "DOWNSTREAM_LOCAL_ADDRESS"
    case downstreamLocalAddressWithoutPort = "DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT"
    case downstreamLocalPort = "DOWNSTREAM_LOCAL_PORT"
    case downstreamDirectLocalAddress = "DOWNSTREAM_DIRECT_LOCAL_ADDRESS"
    case downstreamDirectLocalAddressWithoutPort = "DOWNSTREAM_DIRECT_LOCAL_ADDRESS_WITHOUT_PORT"
    case downstreamDirectLocalPort = "DOWNSTREAM_DIRECT_LOCAL_PORT"
    case downstreamRemoteAddress = "DOWNSTREAM_REMOTE_ADDRESS"
    case downstreamRemoteAddressWithoutPort = "DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT"
    case downstreamRemotePort = "DOWNSTREAM_REMOTE_PORT"
    case downstreamDirectRemoteAddress = "DOWNSTREAM_DIRECT_REMOTE_ADDRESS"
    case downstreamDirectRemoteAddressWithoutPort = "DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT"
    case downstreamDirectRemotePort = "DOWNSTREAM_DIRECT_REMOTE_PORT"
    case downstreamWireBytesReceived = "DOWNSTREAM_WIRE_BYTES_RECEIVED"
    case downstreamWireBytesSent = "DOWNSTREAM_WIRE_BYTES_SENT"
    case downstreamHeaderBytesReceived = "DOWNSTREAM_HEADER_BYTES_RECEIVED"
    case downstreamHeaderBytesSent = "DOWNSTREAM_HEADER_BYTES_SENT"
    case downstreamDecompressedHeaderBytesReceived = "DOWNSTREAM_DECOMPRESSED_HEADER_BYTES_RECEIVED"
    case downstreamDecompressedHeaderBytesSent = "DOWNSTREAM_DECOMPRESSED_HEADER_BYTES_SENT"
    case downstreamTransportFailureReason = "DOWNSTREAM_TRANSPORT_FAILURE_REASON"
    case downstreamLocalCloseReason = "DOWNSTREAM_LOCAL_CLOSE_REASON"
    case downstreamDetectedCloseType = "DOWNSTREAM_DETECTED_CLOSE_TYPE"
    case connectionID = "CONNECTION_ID"
    case streamID = "STREAM_ID"
    case uniqueID = "UNIQUE_ID"
    case traceID = "TRACE_ID"
    case requestedServerName = "REQUESTED_SERVER_NAME"
    case routeName = "ROUTE_NAME"
    /// Not one of Envoy's.
    case virtualHostName = "VIRTUAL_HOST_NAME"
    case virtualClusterName = "VIRTUAL_CLUSTER_NAME"
    case filterChainName = "FILTER_CHAIN_NAME"
    case listenerName = "LISTENER_NAME"
    case path = "PATH"
    case queryParameter = "QUERY_PARAM"
    case queryParameters = "QUERY_PARAMS"
    /// A request header without its query. Needs the formatter `envoy.formatter.req_without_query`.
    case requestWithoutQuery = "REQ_WITHOUT_QUERY"
    case customFlags = "CUSTOM_FLAGS"
    case downstreamLocalEndpointID = "DOWNSTREAM_LOCAL_ADDRESS_ENDPOINT_ID"
    case downstreamDirectLocalEndpointID = "DOWNSTREAM_DIRECT_LOCAL_ADDRESS_ENDPOINT_ID"
    case upstreamRemoteEndpointID = "UPSTREAM_REMOTE_ADDRESS_ENDPOINT_ID"
    /// Not Envoy's; `%DYNAMIC_METADATA(apus:reason)%` is the same and passes in both.
    case reason = "APUS_REASON"
    /// As `reason`, for `%DYNAMIC_METADATA(apus:explanation)%`.
    case explanation = "APUS_EXPLANATION"
    case grpcStatus = "GRPC_STATUS"
    case grpcStatusNumber = "GRPC_STATUS_NUMBER"
    case accessLogType = "ACCESS_LOG_TYPE"
    case localReplyBody = "LOCAL_REPLY_BODY"
    case dynamicMetadata = "DYNAMIC_METADATA"
    case filterState = "FILTER_STATE"
    case upstreamFilterState = "UPSTREAM_FILTER_STATE"
    case upstreamMetadata = "UPSTREAM_METADATA"
    case clusterMetadata = "CLUSTER_METADATA"
    case metadata = "METADATA"
    case downstreamPeerSubject = "DOWNSTREAM_PEER_SUBJECT"
    case downstreamPeerIssuer = "DOWNSTREAM_PEER_ISSUER"
    case downstreamPeerSerial = "DOWNSTREAM_PEER_SERIAL"
    case downstreamPeerCertificate = "DOWNSTREAM_PEER_CERT"
    case downstreamPeerCertificateStart = "DOWNSTREAM_PEER_CERT_V_START"
    case downstreamPeerCertificateEnd = "DOWNSTREAM_PEER_CERT_V_END"
    case downstreamPeerFingerprint256 = "DOWNSTREAM_PEER_FINGERPRINT_256"
    case downstreamPeerFingerprint1 = "DOWNSTREAM_PEER_FINGERPRINT_1"
    case downstreamPeerChainFingerprints1 = "DOWNSTREAM_PEER_CHAIN_FINGERPRINTS_1"
    case downstreamPeerChainFingerprints256 = "DOWNSTREAM_PEER_CHAIN_FINGERPRINTS_256"
    case downstreamPeerChainSerials = "DOWNSTREAM_PEER_CHAIN_SERIALS"
    case downstreamPeerIssuerFingerprint256 = "DOWNSTREAM_PEER_ISSUER_FINGERPRINT_256"
    case downstreamPeerIssuerSerial = "DOWNSTREAM_PEER_ISSUER_SERIAL"
    case downstreamPeerURINames = "DOWNSTREAM_PEER_URI_SAN"
    case downstreamPeerDNSNames = "DOWNSTREAM_PEER_DNS_SAN"
    case downstreamPeerIPNames = "DOWNSTREAM_PEER_IP_SAN"
    case downstreamPeerEmailNames = "DOWNSTREAM_PEER_EMAIL_SAN"
    case downstreamLocalSubject = "DOWNSTREAM_LOCAL_SUBJECT"
    case downstreamLocalURINames = "DOWNSTREAM_LOCAL_URI_SAN"
    case downstreamLocalDNSNames = "DOWNSTREAM_LOCAL_DNS_SAN"
    case downstreamLocalIPNames = "DOWNSTREAM_LOCAL_IP_SAN"
    case downstreamLocalEmailNames = "DOWNSTREAM_LOCAL_EMAIL_SAN"
    case downstreamTLSCipher = "DOWNSTREAM_TLS_CIPHER"
    case downstreamTLSGroup = "DOWNSTREAM_TLS_GROUP"
    case downstreamTLSVersion = "DOWNSTREAM_TLS_VERSION"
    case upstreamPeerSubject = "UPSTREAM_PEER_SUBJECT"
    case upstreamPeerIssuer = "UPSTREAM_PEER_ISSUER"
    case upstreamPeerCertificate = "UPSTREAM_PEER_CERT"
    case upstreamPeerCertificateStart = "UPSTREAM_PEER_CERT_V_START"
    case upstreamPeerCertificateEnd = "UPSTREAM_PEER_CERT_V_END"
    case upstreamPeerURINames = "UPSTREAM_PEER_URI_SAN"
    case upstreamPeerDNSNames = "UPSTREAM_PEER_DNS_SAN"
    case upstreamPeerIPNames = "UPSTREAM_PEER_IP_SAN"
    case upstreamLocalURINames = "UPSTREAM_LOCAL_URI_SAN"
    case upstreamLocalDNSNames = "UPSTREAM_LOCAL_DNS_SAN"
    case upstreamLocalIPNames = "UPSTREAM_LOCAL_IP_SAN"
    case upstreamTLSCipher = "UPSTREAM_TLS_CIPHER"
    case upstreamTLSGroup = "UPSTREAM_TLS_GROUP"
    /// The name we asked an upstream for.
    case upstreamServerName = "UPSTREAM_SERVER_NAME"
    case upstreamTLSVersion = "UPSTREAM_TLS_VERSION"
    /// An expression; its value as text, and in JSON with its type.
    case expression = "CEL"
    case typedExpression = "TYPED_CEL"
    /// A command of `valuelessNames`.
    case unavailable = ""

    /// What may follow a command's name.
    struct Syntax: OptionSet {
        let rawValue: UInt8
        /// Something in parentheses may follow.
        static let parameters = Syntax(rawValue: 1)
        /// Something in parentheses must follow.
        static let required = Syntax(rawValue: 3)
        /// A length may follow.
        static let length = Syntax(rawValue: 4)
    }

    var syntax: Syntax {
        switch self {
        case .startTime, .startTimeLocal, .emitTime, .emitTimeLocal, .responseCodeDetails, .grpcStatus,
            .downstreamPeerCertificateStart, .downstreamPeerCertificateEnd, .upstreamPeerCertificateStart,
            .upstreamPeerCertificateEnd, .requestedServerName, .queryParameters:
            [.parameters]
        case .commonDuration: [.required]
        case .dynamicMetadata, .filterState, .upstreamFilterState, .upstreamMetadata, .clusterMetadata, .metadata,
            .queryParameter, .requestWithoutQuery:
            [.required, .length]
        case .path, .expression, .typedExpression: [.parameters, .length]
        default: []
        }
    }

    /// What a command's value is in JSON.
    enum ValueKind { case text, number, structured }

    /// - Parameter argument: the text between the parentheses.
    func valueKind(_ argument: UnsafeRawBufferPointer) -> ValueKind {
        switch self {
        case .responseCode, .bytesReceived, .bytesSent, .bytesRetransmitted, .packetsRetransmitted, .duration,
            .commonDuration, .requestDuration, .requestTxDuration, .responseDuration, .responseTxDuration,
            .roundtripDuration, .downstreamHandshakeDuration, .upstreamConnectionPoolReadyDuration,
            .requestHeadersBytes, .responseHeadersBytes, .responseTrailersBytes, .upstreamConnectionID,
            .upstreamLocalPort, .upstreamRemotePort, .upstreamRequestAttemptCount, .upstreamWireBytesReceived,
            .upstreamWireBytesSent, .upstreamHeaderBytesReceived, .upstreamHeaderBytesSent, .downstreamLocalPort,
            .downstreamDirectLocalPort, .downstreamRemotePort, .downstreamDirectRemotePort,
            .downstreamWireBytesReceived, .downstreamWireBytesSent, .downstreamHeaderBytesReceived,
            .downstreamHeaderBytesSent, .upstreamDecompressedHeaderBytesReceived, .upstreamDecompressedHeaderBytesSent,
            .downstreamDecompressedHeaderBytesReceived, .downstreamDecompressedHeaderBytesSent, .connectionID, .grpcStatusNumber:
            .number
        case .grpcStatus: argument.equalsIgnoringCase("NUMBER") ? .number : .text
        case .metadata, .clusterMetadata, .upstreamMetadata: .structured
        default: .text
        }
    }

    /// Whether it prints how many bytes heads had, which is counted only where a log asks.
    var isAboutHeadBytes: Bool {
        switch self {
        case .downstreamHeaderBytesReceived, .downstreamHeaderBytesSent, .upstreamHeaderBytesReceived, .upstreamHeaderBytesSent,
            .downstreamDecompressedHeaderBytesReceived, .downstreamDecompressedHeaderBytesSent,
            .upstreamDecompressedHeaderBytesReceived, .upstreamDecompressedHeaderBytesSent:
            true
        default: false
        }
    }

    /// Every name a format may use, for the nearest one to a wrong one.
    package static var allNames: [String] {
        allCases.map(\.rawValue).filter { !$0.isEmpty } + Array(valuelessNames)
            + ["REQ", "RESP", "TRAILER", "REQUEST_HEADER", "RESPONSE_HEADER", "RESPONSE_TRAILER", "HOSTNAME", "ENVIRONMENT"]
    }

    /// Commands that are accepted and have no value.
    package static let valuelessNames: Set<String> = [
        "DOWNSTREAM_PEER_OTHERNAME_SAN", "DOWNSTREAM_LOCAL_OTHERNAME_SAN", "DOWNSTREAM_TLS_SESSION_ID",
        "UPSTREAM_TLS_SESSION_ID", "TLS_JA3_FINGERPRINT", "TLS_JA4_FINGERPRINT", "UPSTREAM_DETECTED_CLOSE_TYPE",
        "UPSTREAM_LOCAL_CLOSE_REASON", "SPAN_ID", "DOWNSTREAM_CX_RTT", "ROUTE_RESOLUTION_COUNT",
        "ROUTE_RESOLUTION_TIME_US",
    ]
}

/// Which headers of a stream a command reads.
package enum FormatHeaders: UInt8, BitwiseCopyable, Sendable {
    case request
    case response
    case responseTrailers
}

/// What a format string is evaluated against; the data plane's stream and connection records implement it.
package protocol FormatContext: AnyObject {
    /// The first value of a header, by token when it has one, else by its lower-case name. Nil when absent.
    /// The bytes must stay valid until the next change of the headers.
    func headerValue(_ headers: FormatHeaders, token: HeaderToken, name: UnsafeRawBufferPointer)
        -> UnsafeRawBufferPointer?

    /// Appends the value of a command; false, with nothing appended, when it has none.
    ///
    /// - Parameter argument: the text between the parentheses, empty without any.
    func append(_ command: FormatCommand, argument: UnsafeRawBufferPointer, to sink: ByteSink) -> Bool

    /// Appends metadata of the configuration, for `METADATA` and its like; false as above.
    ///
    /// - Parameter quotes: for JSON: strings are quoted.
    func appendMetadata(
        _ command: FormatCommand, argument: UnsafeRawBufferPointer, quotes: Bool, to sink: ByteSink
    ) -> Bool

    /// Appends the gRPC status of a response whose head is being changed and cannot be asked for it; false as above.
    ///
    /// - Parameter field: the head's `grpc-status`.
    func appendGRPCStatus(_ form: GRPCStatusForm, field: UnsafeRawBufferPointer?, to sink: ByteSink) -> Bool

    /// The memory of this thread's expressions.
    var celScratch: CELScratch { get }

    /// A number that expressions read; nil where there is none.
    func celNumber(_ number: ContextNumber) -> UInt64?

    /// The TLS session of a side; nil where it is plain or was not made.
    func celTLS(_ side: ContextSide) -> ConnectionTLS?

    /// The metadata of a resource of the configuration.
    func celMetadata(_ source: MetadataSource) -> ContextMetadata

    /// Lends headers for the time of a call; does nothing where there are none.
    func readHeaders(_ headers: FormatHeaders, _ use: (borrowing HeaderBlock) -> Void)
}

extension FormatContext {
    /// For contexts without requests.
    package func appendGRPCStatus(_ form: GRPCStatusForm, field: UnsafeRawBufferPointer?, to sink: ByteSink) -> Bool {
        false
    }

    // For contexts that know none of this.
    package func celNumber(_ number: ContextNumber) -> UInt64? { nil }
    package func celTLS(_ side: ContextSide) -> ConnectionTLS? { nil }
    package func celMetadata(_ source: MetadataSource) -> ContextMetadata { .missing }
    package func readHeaders(_ headers: FormatHeaders, _ use: (borrowing HeaderBlock) -> Void) {}

    /// For contexts without metadata.
    package func appendMetadata(
        _ command: FormatCommand, argument: UnsafeRawBufferPointer, quotes: Bool, to sink: ByteSink
    ) -> Bool { false }
}
