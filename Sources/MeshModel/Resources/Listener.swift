// SPDX-License-Identifier: Apache-2.0
package import MeshIO

/// Where connections are accepted and what is done with them first.
///
/// - Source: `envoy.config.listener.v3.Listener`.
package struct Listener: Equatable, Sendable {
    /// Unique among listeners. Source: `name`; an unnamed listener gets its first address as name.
    package var name: String
    /// The first is `address`, the others `additional_addresses`; all share chains, filters and stats.
    package var addresses: [ListenerAddress]
    /// Source: `filter_chains`, in order; `FilterChainTable` holds the compiled match.
    package var filterChains: [FilterChain] = []
    /// Taken when no chain matches. Source: `default_filter_chain`. Default: nil (the connection is closed).
    package var defaultFilterChain: FilterChain?
    /// Hand an accepted connection to the listener of its original destination. Source: `use_original_dst`. Default:
    /// false.
    package var useOriginalDestination = false
    /// Whether a socket is bound. Source: `bind_to_port`, `deprecated_v1.bind_to_port`. Default: true.
    package var bindToPort = true
    /// Read and write buffer limit of a connection, in bytes. Source: `per_connection_buffer_limit_bytes`. Default: 1
    /// MiB.
    package var bufferLimitBytes: UInt32 = 1_048_576
    /// Source: `listener_filters`, in order.
    package var listenerFilters: [ListenerFilterConfig] = []
    /// How long the listener filters may take. Source: `listener_filters_timeout`. Default: 15 s; nil disables.
    package var listenerFiltersTimeout: Duration? = .seconds(15)
    /// Match a chain with what is known when the timeout fires, instead of closing.
    /// Source: `continue_on_listener_filters_timeout`. Default: false.
    package var continueOnListenerFiltersTimeout = false
    /// Source: `traffic_direction`. Default: unspecified.
    package var trafficDirection = TrafficDirection.unspecified
    /// Connections accepted per wake of the socket. Source: `max_connections_to_accept_per_socket_event`. Default: nil
    /// (no limit of the listener; the worker's accept budget holds).
    package var acceptsPerSocketEvent: UInt32?
    /// Most connections at a time. Source: runtime key `envoy.resource_limits.listener.<name>.connection_limit`.
    /// Default: nil.
    package var connectionLimit: UInt64?
    /// Connections of this listener do not count towards the global limit. Source: `ignore_global_conn_limit`. Default:
    /// false.
    package var ignoreGlobalConnectionLimit = false
    /// Connections go on as if the process were not overloaded. Source: `bypass_overload_manager`. Default: false.
    package var bypassesOverloadManager = false
    /// A failed health check (`/healthcheck/fail`) drains it, too. Source: `drain_type`, DEFAULT or MODIFY_ONLY. Default:
    /// true.
    package var drainsWhenUnhealthy = true
    /// Set IP_TRANSPARENT on the sockets. Source: `transparent`. Default: nil (left alone).
    package var transparent: Bool?
    /// Backlog of `listen(2)`. Source: `tcp_backlog_size`. Default: nil (the kernel's `somaxconn`).
    package var backlog: UInt32?
    /// Scope of the listener's stats. Source: `stat_prefix`. Default: empty (the address is used).
    package var statPrefix = ""
    /// Logs of connections which no chain took over. Source: `access_log`.
    package var accessLogs: [AccessLogConfig] = []
    /// Source: `metadata`.
    package var metadata = MetadataTable()
    /// One socket per worker by SO_REUSEPORT. Source: `enable_reuse_port`. Default: true.
    package var reusePort = true
    /// Spread connections exactly evenly over workers. Source: `connection_balance_config.exact_balance`. Default:
    /// false.
    package var exactBalance = false

    package init(name: String, addresses: [ListenerAddress]) {
        self.name = name
        self.addresses = addresses
    }
}

/// One address of a listener.
package struct ListenerAddress: Hashable, Sendable {
    /// Port 0 lets the kernel choose.
    package var address: Address
    /// A `::` socket accepts IPv4 too. Source: `socket_address.ipv4_compat`. Default: false.
    package var ipv4Compat: Bool
    /// Permission bits of a unix socket; 0 leaves them to the umask. Source: `pipe.mode`.
    package var pipeMode: UInt32

    package init(_ address: Address, ipv4Compat: Bool = false, pipeMode: UInt32 = 0) {
        self.address = address
        self.ipv4Compat = ipv4Compat
        self.pipeMode = pipeMode
    }
}

/// Whether a listener serves the workload or its outgoing calls. Source: `envoy.config.core.v3.TrafficDirection`.
package enum TrafficDirection: UInt8, Sendable {
    case unspecified = 0
    case inbound = 1
    case outbound = 2
}
