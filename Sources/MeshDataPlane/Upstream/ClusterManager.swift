// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshHTTP2
import MeshIO
import MeshModel
import MeshStats

/// The clusters of one loop. A cluster costs a slot until its first request, which makes its `WorkerCluster`.
final class ClusterManager {
    let loop: EventLoop
    let stats: StatPages
    let tls: WorkerTLS
    private var compiled = SlotTable<CompiledCluster, CompiledCluster>()
    private var active = SlotTable<CompiledCluster, WorkerCluster>()
    /// The endpoints each cluster has now, for when it is first used.
    private var endpoints = SlotTable<CompiledCluster, EndpointSet>()
    /// Clusters that were replaced or removed and still have requests.
    private var draining: [WorkerCluster] = []
    private var names: [String: ClusterID] = [:]

    private var random: RandomSource
    private let http2Memory: HTTP2Memory

    init(loop: EventLoop, stats: StatPages, http2Memory: HTTP2Memory, seed: UInt64) {
        self.http2Memory = http2Memory
        random = RandomSource(seed: seed)
        self.loop = loop
        self.stats = stats
        tls = WorkerTLS(stats: stats)
    }

    /// Puts a cluster in place, replaces it, or takes it away. Requests in flight on a replaced or removed cluster end
    /// normally.
    func set(_ id: ClusterID, _ cluster: CompiledCluster?) {
        if let old = compiled.set(id, cluster) { names[old.cluster.name] = nil }
        if let cluster { names[cluster.cluster.name] = id }
        let set: EndpointSet? = if case .static(let set)? = cluster?.cluster.discovery { set } else { nil }
        _ = endpoints.set(id, set)
        if let old = active.set(id, nil) { retire(old) }
    }

    /// The same cluster with another TLS context: its endpoints and connections stay.
    func renew(_ id: ClusterID, _ cluster: CompiledCluster) {
        guard compiled[id] != nil else { return }
        _ = compiled.set(id, cluster)
        active[id]?.renew(cluster)
    }

    /// Other endpoints for a cluster that is there.
    func set(_ id: ClusterID, _ set: EndpointSet) {
        guard compiled[id] != nil else { return }
        _ = endpoints.set(id, set)
        active[id]?.set(set)
    }

    private func retire(_ cluster: WorkerCluster) {
        draining.append(cluster)
        cluster.onDrained = { [unowned self, unowned cluster] in
            draining.removeAll { $0 === cluster }
            loop.keepUntilEndOfTurn(cluster)
        }
        cluster.drain()
    }

    /// The running cluster at `id`; nil when there is none.
    func cluster(_ id: ClusterID) -> WorkerCluster? {
        if let cluster = active[id] { return cluster }
        guard let found = compiled[id] else { return nil }
        let cluster = WorkerCluster(
            compiled: found, loop: loop, stats: stats, http2Memory: http2Memory, tls: tls, endpoints: endpoints[id],
            seed: random.next())
        _ = active.set(id, cluster)
        return cluster
    }

    /// The cluster named `name`, for `cluster_header`. Makes a String: not for routes that name their cluster.
    func cluster(named name: UnsafeRawBufferPointer) -> WorkerCluster? {
        guard let id = names[String(decoding: name, as: UTF8.self)] else { return nil }
        return cluster(id)
    }

    /// See `ConnectionPool.settle`.
    func settle() { for cluster in active.all { cluster.settle() } }

    /// See `ConnectionPool.trim`.
    func trim() -> Int { active.all.reduce(0) { $0 + $1.trim() } }

    func closeAll() {
        for cluster in active.all + draining { cluster.closeAll() }
    }
}
