// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshIO
import MeshModel
import MeshStats

/// An endpoint of a cluster on one worker: its pools and what they are doing.
final class ActiveEndpoint {
    let endpoint: Endpoint
    /// What logs print of it beside its address.
    let facts: HostFacts?
    /// The cluster owns its endpoints.
    unowned(unsafe) let cluster: WorkerCluster
    private var pools: ContiguousArray<ConnectionPool> = []
    /// The pool that almost every request uses, once there is one.
    private var shared: Unmanaged<ConnectionPool>?

    /// Where the balancer reads the requests in flight; own memory for an endpoint that is not balanced.
    let activeRequestsPlace: UnsafeMutablePointer<UInt32>
    private let ownsPlace: Bool
    let stats: StatPages
    let counts: HostStats
    /// For `deinit`, when the cluster may be gone.
    private let hostTable: HostStatsTable
    private let clusterName: String

    /// - Parameter activeRequests: the cluster's count of this endpoint; nil for one that no balancer knows.
    init(endpoint: Endpoint, cluster: WorkerCluster, activeRequests: UnsafeMutablePointer<UInt32>?) {
        self.endpoint = endpoint
        facts = HostFacts(endpoint)
        self.cluster = cluster
        stats = cluster.stats
        hostTable = cluster.compiled.hosts
        clusterName = cluster.compiled.cluster.name
        counts = hostTable.use(cluster: clusterName, address: endpoint.address)
        ownsPlace = activeRequests == nil
        activeRequestsPlace = activeRequests ?? .allocate(capacity: 1)
        if ownsPlace { activeRequestsPlace.initialize(to: 0) }
    }

    deinit {
        if ownsPlace { activeRequestsPlace.deallocate() }
        // What was open has been closed by now, or is never counted down: nobody else reads this worker's part.
        hostTable.release(cluster: clusterName, address: endpoint.address)
    }

    var address: Address { endpoint.address }

    /// What connections to this endpoint speak: the cluster's protocol, until ALPN showed another.
    var wireProtocol: PoolKey.WireProtocol { speaksHTTP1 ? .http1 : cluster.wireProtocol }
    private var speaksHTTP1 = false

    /// The upstream, asked by ALPN, does not speak HTTP/2. Returns where requests of the pool with `key` go instead.
    func fallBackToHTTP1(from key: PoolKey) -> Unmanaged<ConnectionPool> {
        speaksHTTP1 = true
        shared = nil
        var other = key
        other.wireProtocol = .http1
        return pool(other)
    }

    /// The pool of requests that ask for nothing special. It lives as long as the endpoint.
    var sharedPool: Unmanaged<ConnectionPool> {
        if let shared { return shared }
        var key = PoolKey()
        key.options = cluster.connectOptions
        key.wireProtocol = wireProtocol
        let made = pool(key)
        shared = made
        return made
    }

    /// The pool of connections for tunnels that end here.
    var tunnelPool: Unmanaged<ConnectionPool> {
        var key = PoolKey()
        key.options = cluster.connectOptions
        key.wireProtocol = .tcp
        return pool(key)
    }

    /// The pool for `key`, made on first use.
    func pool(_ key: PoolKey) -> Unmanaged<ConnectionPool> {
        for pool in pools where pool.key == key { return Unmanaged.passUnretained(pool) }
        let pool = ConnectionPool.make(cluster: cluster, endpoint: self, key: key)
        pools.append(pool)
        return Unmanaged.passUnretained(pool)
    }

    /// Pools there are.
    var poolCount: Int { pools.count }

    /// Gives back pools without connections, when there are more than `limit`; the shared one stays.
    func forgetUnusedPools(above limit: Int) {
        guard pools.count > limit else { return }
        pools.removeAll { pool in
            if let shared, shared.toOpaque() == Unmanaged.passUnretained(pool).toOpaque() { return false }
            return pool.isUnused
        }
        // All of them are in use: the older half takes no more requests, and ends with those it has.
        guard pools.count > limit else { return }
        for _ in 0..<(limit / 2) {
            guard let oldest = pools.firstIndex(where: { !$0.key.serverName.isEmpty || !$0.key.subjectName.isEmpty })
            else { return }
            pools.remove(at: oldest).drain()
        }
    }

    /// Whether nothing refers to the endpoint any more, so that it can be forgotten.
    var isUnused: Bool { pools.allSatisfy { $0.isUnused } }

    func drain() { for pool in pools { pool.drain() } }
    func closeAll() { for pool in pools { pool.closeAll() } }
}
