// SPDX-License-Identifier: Apache-2.0

/// The TCP proxy's options.
///
/// - Source: `envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy`.
package struct TCPTerminal: Equatable, Sendable {
    /// Scope `tcp.<stat_prefix>.` of the stats. Source: `stat_prefix`.
    package var statPrefix: String
    /// Source: `cluster` (one target of weight 1) or `weighted_clusters`. Never empty.
    package var clusters: [WeightedTarget]
    /// No byte in either direction. Source: `idle_timeout`. Default: 1 h; nil disables.
    package var idleTimeout: Duration? = .seconds(3600)
    /// Source: `max_downstream_connection_duration`. Default: nil.
    package var maxDuration: Duration?
    /// Connection attempts before the downstream is closed. Source: `max_connect_attempts`. Default: 1.
    package var maxConnectAttempts: UInt32 = 1
    /// Hash the peer's IP for consistent balancing. Source: `hash_policy.source_ip`. Default: false.
    package var hashesSourceIP = false
    /// Source: `access_log`.
    package var accessLogs: [AccessLogConfig] = []
    /// Source: `access_log_options` and the fields it replaces.
    package var accessLogOptions = AccessLogOptions()

    package init(statPrefix: String, clusters: [WeightedTarget]) {
        self.statPrefix = statPrefix
        self.clusters = clusters
    }

    /// The target for a uniformly random 64-bit value.
    package func target(random: UInt64) -> Int {
        WeightedTarget.pick(from: clusters, random: random)
    }
}

/// A cluster and its share of connections.
package struct WeightedTarget: Hashable, Sendable {
    package var cluster: String
    package var weight: UInt32

    package init(cluster: String, weight: UInt32 = 1) {
        self.cluster = cluster
        self.weight = weight
    }

    /// Index of the target that `random` falls on; 0 when there is one or all weights are 0.
    package static func pick(from targets: [WeightedTarget], random: UInt64) -> Int {
        guard targets.count > 1 else { return 0 }
        var total: UInt64 = 0
        for target in targets { total &+= UInt64(target.weight) }
        guard total > 0 else { return 0 }
        var rest = random % total
        for index in targets.indices {
            let weight = UInt64(targets[index].weight)
            if rest < weight { return index }
            rest -= weight
        }
        return 0
    }
}
