// SPDX-License-Identifier: Apache-2.0
package import MeshModel
import MeshStats

// Endpoints of clusters: those of the configuration, and those that are learned later.
extension ConfigCompiler {
    /// Puts other endpoints in force for a cluster that was accepted.
    ///
    /// - Returns: whether they differ from those it had; nothing is posted where they do not. False for a cluster that is
    ///   not there (any more).
    @discardableResult
    package func setEndpoints(of name: String, _ set: EndpointSet) -> Bool {
        guard let cluster = clusters[name], let id = clusterID(name), endpoints[name] != set else { return false }
        let diff = EndpointDiff(from: endpoints[name]?.allEndpoints ?? [], to: set.allEndpoints)
        endpoints[name] = set
        setMembership(of: cluster, set)
        if diff.changesMembership { pages.add(cluster.updateStats.membershipChanges) }
        var delta = nextDelta()
        delta.endpoints.append((id, set))
        publishDelta(delta)
        return true
    }

    /// What is known of a cluster's hosts when it is configured, whether or not anyone ever uses it.
    func setFirstEndpoints(of cluster: CompiledCluster) {
        let set: EndpointSet? = if case .static(let set) = cluster.cluster.discovery { set } else { nil }
        endpoints[cluster.cluster.name] = set
        guard cluster.cluster.discovery.isBalanced else { return }
        setMembership(of: cluster, set ?? EndpointSet())
        if let set, !set.allEndpoints.isEmpty { pages.add(cluster.updateStats.membershipChanges) }
    }

    private func setMembership(of cluster: CompiledCluster, _ set: EndpointSet) {
        let endpoints = set.allEndpoints
        pages.set(cluster.membership.total, UInt64(endpoints.count))
        pages.set(cluster.membership.healthy, UInt64(endpoints.count { $0.health == .healthy }))
        pages.set(cluster.membership.degraded, UInt64(endpoints.count { $0.health == .degraded }))
        pages.set(cluster.updateStats.membershipExcluded, UInt64(endpoints.count { $0.health == .draining }))
    }

    /// The limits of a cluster with their stats.
    func compileBreakers(of cluster: Cluster) -> (normal: CircuitBreakers, high: CircuitBreakers) {
        func make(_ thresholds: CircuitBreakerThresholds, _ priority: String) -> CircuitBreakers {
            let scope = StatScopeName.cluster(cluster.statName).appending("circuit_breakers.\(priority).")
            let stats = catalog.declare(scope) { CircuitBreakerStats(thresholds, in: &$0) }
            stats.setRemaining(thresholds, pages)
            return CircuitBreakers(thresholds, stats)
        }
        return (make(cluster.breakers, "default"), make(cluster.highPriorityBreakers, "high"))
    }
}
