// SPDX-License-Identifier: Apache-2.0

/// A filter that looks at a connection before its chain is chosen.
///
/// - Source: `envoy.config.listener.v3.ListenerFilter`.
package struct ListenerFilterConfig: Equatable, Sendable {
    /// Source: `name`.
    package var name: String
    package var kind: Kind
    /// The filter is skipped where this holds. Source: `filter_disabled`. Default: nil (never).
    package var disabled: DestinationPredicate?

    /// The filters this build knows.
    package enum Kind: Equatable, Sendable {
        /// Detects HTTP/1.0, HTTP/1.1 and h2c. Source: `…listener.http_inspector.v3.HttpInspector`.
        case httpInspector
        /// Detects TLS, its server name and protocols. Source: `…listener.tls_inspector.v3.TlsInspector`.
        case tlsInspector(TLSInspectorOptions)
        /// Reads a PROXY protocol header. Source: `…listener.proxy_protocol.v3.ProxyProtocol`.
        case proxyProtocol(ProxyProtocolOptions)
        /// Restores the destination from before a redirect. Source: `…listener.original_dst.v3.OriginalDst`.
        case originalDestination
        /// Another filter, left to the registry.
        case other(TypedConfig)
    }

    package init(name: String, kind: Kind, disabled: DestinationPredicate? = nil) {
        self.name = name
        self.kind = kind
        self.disabled = disabled
    }
}

/// Options of the PROXY protocol listener filter.
package struct ProxyProtocolOptions: Equatable, Sendable {
    /// Take connections that do not begin with a PROXY header as they are.
    /// Source: `allow_requests_without_proxy_protocol`. Default: false.
    package var allowWithoutHeader = false
    /// Accept the text form. Default: true.
    package var acceptsVersion1 = true
    /// Accept the binary form. Default: true.
    package var acceptsVersion2 = true
    /// Scope of the filter's stats (`proxy_proto.` or `proxy_proto.<prefix>.`). Source: `stat_prefix`. Default: empty.
    package var statPrefix = ""

    package init() {}
}

/// Options of the TLS inspector.
///
/// - Source: `envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector`.
package struct TLSInspectorOptions: Hashable, Sendable {
    /// Bytes read at first, doubled while the ClientHello is not over; never more than `maxClientHelloBytes`. A hint
    /// without effect here: what has been received is looked at. Source: `initial_read_buffer_size`. Default: 16,384.
    package var initialReadBufferSize: UInt32 = 16_384
    /// A longer ClientHello closes the connection. Source: `max_client_hello_size`. Default: 16,384, which is the most.
    package var maxClientHelloBytes: UInt32 = 16_384
    /// Close what does not begin with a ClientHello. Source: `close_connection_on_client_hello_parsing_errors`.
    /// Default: false (it is a plain connection).
    package var closesOnParsingErrors = false

    package init() {}
}

/// A condition on the destination port of a connection.
///
/// - Source: `envoy.config.listener.v3.ListenerFilterChainMatchPredicate`.
package indirect enum DestinationPredicate: Equatable, Sendable {
    case any
    case or([DestinationPredicate])
    case and([DestinationPredicate])
    case not(DestinationPredicate)
    /// `start` inclusive, `end` exclusive. Source: `destination_port_range`.
    case port(start: Int32, end: Int32)

    /// Evaluates the condition; a connection without a port (unix socket) is in no range.
    package func holds(port: UInt16?) -> Bool {
        switch self {
        case .any: true
        case .or(let rules): rules.contains { $0.holds(port: port) }
        case .and(let rules): rules.allSatisfy { $0.holds(port: port) }
        case .not(let rule): !rule.holds(port: port)
        case .port(let start, let end):
            if let port { Int32(port) >= start && Int32(port) < end } else { false }
        }
    }
}
