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
        active.set(id, nil)?.drain()
    }

    /// The running cluster at `id`; nil when there is none.
    func cluster(_ id: ClusterID) -> WorkerCluster? {
        if let cluster = active[id] { return cluster }
        guard let found = compiled[id] else { return nil }
        let cluster = WorkerCluster(
            compiled: found, loop: loop, stats: stats, http2Memory: http2Memory, tls: tls, seed: random.next())
        _ = active.set(id, cluster)
        return cluster
    }

    /// The cluster named `name`, for `cluster_header`. Makes a String: not for routes that name their cluster.
    func cluster(named name: UnsafeRawBufferPointer) -> WorkerCluster? {
        guard let id = names[String(decoding: name, as: UTF8.self)] else { return nil }
        return cluster(id)
    }

    func closeAll() {
        for cluster in active.all { cluster.closeAll() }
    }
}
