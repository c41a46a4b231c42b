// SPDX-License-Identifier: Apache-2.0

/// What happens to a connection once its listener has chosen: network filters, then a terminal.
///
/// - Source: `envoy.config.listener.v3.FilterChain`.
package struct FilterChain: Equatable, Sendable {
    /// Source: `name`; may be empty.
    package var name: String
    /// Source: `metadata`.
    package var metadata = MetadataTable()
    /// Source: `filter_chain_match`; absent means everything matches.
    package var match = FilterChainMatch()
    /// Source: `transport_socket`. Default: nil (plain).
    package var tls: DownstreamTLS?
    /// How long the handshake may take. Source: `transport_socket_connect_timeout`. Default: nil (as long as it likes).
    package var transportConnectTimeout: Duration?
    /// Filters before the terminal, in order; decoded by the filter registry.
    package var networkFilters: [TypedConfig] = []
    /// The last filter of the chain.
    package var terminal: Terminal
    /// Identity of the configuration: equal digests mean that connections may stay when the listener is replaced.
    package var digest: UInt64 = 0

    /// The two network filters that end a chain; the data plane runs them directly.
    package enum Terminal: Equatable, Sendable {
        case http(HTTPTerminal)
        case tcp(TCPTerminal)
    }

    package init(name: String = "", match: FilterChainMatch = FilterChainMatch(), terminal: Terminal) {
        self.name = name
        self.match = match
        self.terminal = terminal
    }
}

/// Which connections a chain is for; an empty list or nil matches all.
///
/// - Source: `envoy.config.listener.v3.FilterChainMatch`.
package struct FilterChainMatch: Hashable, Sendable {
    /// Port of the local (restored original) address. Source: `destination_port`.
    package var destinationPort: UInt16?
    /// Ranges of the local address. Source: `prefix_ranges`.
    package var prefixRanges: [CIDRRange] = []
    /// Ranges of the peer before any listener filter changed it. Source: `direct_source_prefix_ranges`.
    package var directSourcePrefixRanges: [CIDRRange] = []
    /// Source: `source_type`.
    package var sourceType = SourceType.any
    /// Ranges of the remote address. Source: `source_prefix_ranges`.
    package var sourcePrefixRanges: [CIDRRange] = []
    /// Ports of the remote address. Source: `source_ports`.
    package var sourcePorts: [UInt16] = []
    /// Lower-case names, or `*.suffix`. Source: `server_names`.
    package var serverNames: [String] = []
    /// `tls`, `raw_buffer`, or empty. Source: `transport_protocol`.
    package var transportProtocol = ""
    /// Source: `application_protocols`.
    package var applicationProtocols: [String] = []

    /// Where the client sits. Source: `ConnectionSourceType`.
    package enum SourceType: UInt8, Sendable {
        case any = 0
        case sameIPOrLoopback = 1
        case external = 2
    }

    package init() {}
}
