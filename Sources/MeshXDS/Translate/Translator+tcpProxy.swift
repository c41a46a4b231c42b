// SPDX-License-Identifier: Apache-2.0
import MeshModel
import MeshProto

extension Translator {
    func tcpTerminal(
        _ message: Envoy_Extensions_Filters_Network_TcpProxy_V3_TcpProxy, at path: String
    ) throws(ConfigError) -> TCPTerminal {
        var targets: [WeightedTarget] = []
        switch message.clusterSpecifier {
        case .cluster(let name)?: targets = [WeightedTarget(cluster: name)]
        case .weightedClusters(let weighted)?:
            targets = weighted.clusters.map { WeightedTarget(cluster: $0.name, weight: $0.weight) }
            let total = targets.reduce(UInt64(0)) { $0 + UInt64($1.weight) }
            guard total > 0, total <= UInt64(UInt32.max) else {
                throw error(
                    path + ".weighted_clusters", found: "weights that add up to \(total)", allowed: "1 to \(UInt32.max)"
                )
            }
        case nil:
            throw error(path, found: "no cluster", allowed: "cluster or weighted_clusters")
        }
        var terminal = TCPTerminal(statPrefix: message.statPrefix, clusters: targets)
        if message.hasIdleTimeout { terminal.idleTimeout = message.idleTimeout.timeout }
        if message.hasMaxDownstreamConnectionDuration {
            terminal.maxDuration = message.maxDownstreamConnectionDuration.timeout
        }
        if message.hasMaxConnectAttempts { terminal.maxConnectAttempts = message.maxConnectAttempts.value }
        terminal.hashesSourceIP = message.hashPolicy.contains {
            if case .sourceIp? = $0.policySpecifier { true } else { false }
        }
        terminal.accessLogs = try accessLogs(message.accessLog, at: path + ".access_log")
        terminal.accessLogOptions = try accessLogOptions(message, at: path)
        return terminal
    }
}
