// SPDX-License-Identifier: Apache-2.0
import MeshHTTP

/// What stands before the dot of an attribute.
package enum CELGroup: UInt8, CaseIterable, BitwiseCopyable, Sendable {
    case request, response, connection, upstream, source, destination
    case filterState, upstreamFilterState
    case xds, node

    /// The name in an expression; `node` is only in `xds`.
    private var name: StaticString? {
        switch self {
        case .request: "request"
        case .response: "response"
        case .connection: "connection"
        case .upstream: "upstream"
        case .source: "source"
        case .destination: "destination"
        case .filterState: "filter_state"
        case .upstreamFilterState: "upstream_filter_state"
        case .xds: "xds"
        case .node: nil
        }
    }

    init?(name: UnsafeRawBufferPointer) {
        guard let found = Self.allCases.first(where: { group in group.name.map { name.equals($0) } ?? false }) else { return nil }
        self = found
    }
}

/// An attribute of Envoy's that an expression may read. Source: "Attributes" of Envoy's documentation.
package enum CELAttribute: UInt8, CaseIterable, BitwiseCopyable, Sendable {
    case requestPath, requestURLPath, requestHost, requestScheme, requestMethod, requestHeaders, requestReferer
    case requestUserAgent, requestTime, requestID, requestProtocol, requestDuration, requestSize, requestTotalSize
    case requestQuery, requestHeadersBytes
    case responseCode, responseCodeDetails, responseFlags, responseGRPCStatus, responseHeaders, responseTrailers
    case responseSize, responseTotalSize, responseHeadersBytes, responseBackendLatency
    case sourceAddress, sourcePort, destinationAddress, destinationPort
    case connectionID, connectionIsMutual, connectionServerName, connectionTermination, connectionTransportFailure
    case downstreamTLSVersion, downstreamLocalSubject, downstreamPeerSubject, downstreamLocalDNSName, downstreamPeerDNSName
    case downstreamLocalURIName, downstreamPeerURIName, downstreamPeerDigest, downstreamPeerCertificate
    case upstreamAddress, upstreamPort, upstreamLocalAddress, upstreamTransportFailure, upstreamAttempts
    case upstreamPoolReadyDuration, upstreamEndpointCount
    case upstreamTLSVersion, upstreamLocalSubject, upstreamPeerSubject, upstreamLocalDNSName, upstreamPeerDNSName
    case upstreamLocalURIName, upstreamPeerURIName, upstreamPeerDigest, upstreamPeerCertificate
    case clusterName, clusterMetadata, routeName, routeMetadata, virtualHostName, virtualHostMetadata
    case upstreamHostMetadata, filterChainName, listenerMetadata, listenerDirection, node
    case nodeID, nodeCluster, nodeMetadata

    /// Group and name in an expression.
    private var place: (CELGroup, StaticString) {
        switch self {
        case .requestPath: (.request, "path")
        case .requestURLPath: (.request, "url_path")
        case .requestHost: (.request, "host")
        case .requestScheme: (.request, "scheme")
        case .requestMethod: (.request, "method")
        case .requestHeaders: (.request, "headers")
        case .requestReferer: (.request, "referer")
        case .requestUserAgent: (.request, "useragent")
        case .requestTime: (.request, "time")
        case .requestID: (.request, "id")
        case .requestProtocol: (.request, "protocol")
        case .requestDuration: (.request, "duration")
        case .requestSize: (.request, "size")
        case .requestTotalSize: (.request, "total_size")
        case .requestQuery: (.request, "query")
        case .requestHeadersBytes: (.request, "headers_bytes")
        case .responseCode: (.response, "code")
        case .responseCodeDetails: (.response, "code_details")
        case .responseFlags: (.response, "flags")
        case .responseGRPCStatus: (.response, "grpc_status")
        case .responseHeaders: (.response, "headers")
        case .responseTrailers: (.response, "trailers")
        case .responseSize: (.response, "size")
        case .responseTotalSize: (.response, "total_size")
        case .responseHeadersBytes: (.response, "headers_bytes")
        case .responseBackendLatency: (.response, "backend_latency")
        case .sourceAddress: (.source, "address")
        case .sourcePort: (.source, "port")
        case .destinationAddress: (.destination, "address")
        case .destinationPort: (.destination, "port")
        case .connectionID: (.connection, "id")
        case .connectionIsMutual: (.connection, "mtls")
        case .connectionServerName: (.connection, "requested_server_name")
        case .connectionTermination: (.connection, "termination_details")
        case .connectionTransportFailure: (.connection, "transport_failure_reason")
        case .downstreamTLSVersion: (.connection, "tls_version")
        case .downstreamLocalSubject: (.connection, "subject_local_certificate")
        case .downstreamPeerSubject: (.connection, "subject_peer_certificate")
        case .downstreamLocalDNSName: (.connection, "dns_san_local_certificate")
        case .downstreamPeerDNSName: (.connection, "dns_san_peer_certificate")
        case .downstreamLocalURIName: (.connection, "uri_san_local_certificate")
        case .downstreamPeerURIName: (.connection, "uri_san_peer_certificate")
        case .downstreamPeerDigest: (.connection, "sha256_peer_certificate_digest")
        case .downstreamPeerCertificate: (.connection, "peer_certificate")
        case .upstreamAddress: (.upstream, "address")
        case .upstreamPort: (.upstream, "port")
        case .upstreamLocalAddress: (.upstream, "local_address")
        case .upstreamTransportFailure: (.upstream, "transport_failure_reason")
        case .upstreamAttempts: (.upstream, "request_attempt_count")
        case .upstreamPoolReadyDuration: (.upstream, "cx_pool_ready_duration")
        case .upstreamEndpointCount: (.upstream, "num_endpoints")
        case .upstreamTLSVersion: (.upstream, "tls_version")
        case .upstreamLocalSubject: (.upstream, "subject_local_certificate")
        case .upstreamPeerSubject: (.upstream, "subject_peer_certificate")
        case .upstreamLocalDNSName: (.upstream, "dns_san_local_certificate")
        case .upstreamPeerDNSName: (.upstream, "dns_san_peer_certificate")
        case .upstreamLocalURIName: (.upstream, "uri_san_local_certificate")
        case .upstreamPeerURIName: (.upstream, "uri_san_peer_certificate")
        case .upstreamPeerDigest: (.upstream, "sha256_peer_certificate_digest")
        case .upstreamPeerCertificate: (.upstream, "peer_certificate")
        case .clusterName: (.xds, "cluster_name")
        case .clusterMetadata: (.xds, "cluster_metadata")
        case .routeName: (.xds, "route_name")
        case .routeMetadata: (.xds, "route_metadata")
        case .virtualHostName: (.xds, "virtual_host_name")
        case .virtualHostMetadata: (.xds, "virtual_host_metadata")
        case .upstreamHostMetadata: (.xds, "upstream_host_metadata")
        case .filterChainName: (.xds, "filter_chain_name")
        case .listenerMetadata: (.xds, "listener_metadata")
        case .listenerDirection: (.xds, "listener_direction")
        case .node: (.xds, "node")
        case .nodeID: (.node, "id")
        case .nodeCluster: (.node, "cluster")
        case .nodeMetadata: (.node, "metadata")
        }
    }

    /// Nil for what Envoy does not know either, or Apus has no value for: reading it is an error of the evaluation.
    init?(_ group: CELGroup, _ name: UnsafeRawBufferPointer) {
        let found = Self.allCases.first { attribute in
            let place = attribute.place
            return place.0 == group && name.equals(place.1)
        }
        guard let found else { return nil }
        self = found
    }
}

/// Numbers about a stream or connection that no format command prints as an expression needs them.
package enum ContextNumber: Sendable {
    /// When it began. - Unit: nanoseconds since 1970.
    case startTime
    /// How long it lasted, once it is over. - Unit: nanoseconds.
    case duration
    /// From the head's leaving to the last byte of the response. - Unit: nanoseconds.
    case backendLatency
    /// From asking for an upstream connection to having it. - Unit: nanoseconds.
    case poolReady
    /// `ResponseFlags`, by their bits.
    case flags
    /// The gRPC status, or what the HTTP status stands for.
    case grpcStatus
    /// Hosts of the upstream cluster.
    case endpoints
    /// `traffic_direction` of the listener.
    case direction
    /// There when a route was found; and a virtual host; and when an upstream was looked for.
    case route, virtualHost, upstream
}

/// What a context says of a resource's metadata.
package enum ContextMetadata {
    /// There is no such resource here.
    case missing
    /// The resource is there and has none: Envoy's null.
    case null
    /// The tree outlives the call; its owner is the configuration.
    case tree(Unmanaged<MetadataTree>)
}

/// A side of the proxy.
package enum ContextSide: Sendable { case downstream, upstream }
