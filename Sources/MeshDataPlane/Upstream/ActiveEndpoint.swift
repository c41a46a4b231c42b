// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshIO
import MeshModel
import MeshStats

/// An endpoint of a cluster on one worker: its pools and what they are doing.
///
/// It survives changes of the cluster's endpoint set for as long as it is a member. Then it is drained, and lives until
/// its pools have nothing left.
final class ActiveEndpoint {
    /// What the configuration says now.
    private(set) var endpoint: Endpoint
    /// What logs print of it beside its address.
    private(set) var facts: HostFacts?
    /// Of its locality; 0 is tried first.
    var priority: UInt32 = 0
    /// The cluster owns its endpoints.
    unowned(unsafe) let cluster: WorkerCluster
    private var pools: ContiguousArray<ConnectionPool> = []
    /// The pools that almost every request uses, by priority, once there are.
    private var shared: Unmanaged<ConnectionPool>?
    private var sharedHigh: Unmanaged<ConnectionPool>?
    /// The pool that the last request with a name of its own used (`auto_sni`): the next one often has the same name.
    private var named: NamedPool?

    /// Where the balancer reads the requests in flight: the cluster's memory while it is a member, else its own.
    private(set) var activeRequestsPlace: UnsafeMutablePointer<UInt32>
    private var ownsPlace: Bool
    /// The endpoint was removed.
    private(set) var isDraining = false
    let stats: StatPages
    private(set) var counts: HostStats
    /// For `deinit`, when the cluster may be gone.
    private let hostTable: HostStatsTable
    private let clusterName: String

    /// The name that `pool` is for, with the key it was looked up by.
    private struct NamedPool {
        let base: PoolKey
        let name: [UInt8]
        let pool: Unmanaged<ConnectionPool>
    }

    /// An endpoint that no balancer knows, until `join`.
    init(endpoint: Endpoint, cluster: WorkerCluster) {
        self.endpoint = endpoint
        facts = HostFacts(endpoint)
        self.cluster = cluster
        stats = cluster.stats
        hostTable = cluster.compiled.hosts
        clusterName = cluster.compiled.cluster.name
        counts = hostTable.use(cluster: clusterName, address: endpoint.address)
        ownsPlace = true
        activeRequestsPlace = .allocate(capacity: 1)
        activeRequestsPlace.initialize(to: 0)
    }

    deinit {
        if ownsPlace { activeRequestsPlace.deallocate() }
        // What was open has been closed by now, or is never counted down: nobody else reads this worker's part.
        hostTable.release(cluster: clusterName, address: address)
    }

    /// It is a member of the cluster's set, whose balancer reads `place`.
    func join(as endpoint: Endpoint, countingAt place: UnsafeMutablePointer<UInt32>) {
        if endpoint.address != address { countAt(endpoint.address) }
        if endpoint != self.endpoint { facts = HostFacts(endpoint) }
        self.endpoint = endpoint
        move(to: place, owned: false)
    }

    /// It is no member any more: idle connections end now, the others with their requests.
    func leave() {
        let place = UnsafeMutablePointer<UInt32>.allocate(capacity: 1)
        move(to: place, owned: true)
        drain()
    }

    /// A logical host has another address, under which `/clusters` looks for what it has open.
    private func countAt(_ other: Address) {
        let (old, new) = (counts, hostTable.use(cluster: clusterName, address: other))
        for gauge in [\HostStats.connectionsActive, \.requestsActive, \.requestsPending] {
            let open = UInt64(max(stats.value(old[keyPath: gauge]) ?? 0, 0))
            stats.decrement(old[keyPath: gauge], open)
            stats.increment(new[keyPath: gauge], open)
        }
        counts = new
        hostTable.release(cluster: clusterName, address: address)
    }

    private func move(to place: UnsafeMutablePointer<UInt32>, owned: Bool) {
        place.initialize(to: activeRequestsPlace.pointee)
        if ownsPlace { activeRequestsPlace.deallocate() }
        activeRequestsPlace = place
        ownsPlace = owned
    }

    var address: Address { endpoint.address }

    /// What connections to this endpoint speak: the cluster's protocol, until ALPN showed another.
    var wireProtocol: PoolKey.WireProtocol { speaksHTTP1 ? .http1 : cluster.wireProtocol }
    private var speaksHTTP1 = false

    /// The upstream, asked by ALPN, does not speak HTTP/2. Returns where requests of the pool with `key` go instead.
    func fallBackToHTTP1(from key: PoolKey) -> Unmanaged<ConnectionPool>? {
        speaksHTTP1 = true
        shared = nil
        sharedHigh = nil
        var other = key
        other.wireProtocol = .http1
        return pool(other)
    }

    /// The pool of requests that ask for nothing special; nil when `max_connection_pools` is reached. It lives as long as
    /// the endpoint.
    @inline(__always) func sharedPool(isHighPriority: Bool) -> Unmanaged<ConnectionPool>? {
        if !isHighPriority, let shared { return shared }
        return findSharedPool(isHighPriority: isHighPriority)
    }

    private func findSharedPool(isHighPriority: Bool) -> Unmanaged<ConnectionPool>? {
        if isHighPriority, let sharedHigh { return sharedHigh }
        var key = PoolKey()
        key.options = cluster.connectOptions(to: endpoint.address)
        key.wireProtocol = wireProtocol
        key.isHighPriority = isHighPriority
        let made = pool(key)
        if isHighPriority { sharedHigh = made } else { shared = made }
        return made
    }

    /// The pool of connections for tunnels that end here.
    func tunnelPool(isHighPriority: Bool) -> Unmanaged<ConnectionPool>? {
        var key = PoolKey()
        key.options = cluster.connectOptions(to: endpoint.address)
        key.wireProtocol = .tcp
        key.isHighPriority = isHighPriority
        return pool(key)
    }

    /// The pool for `key`, made on first use; nil when `max_connection_pools` is reached and none of this endpoint's is
    /// unused.
    func pool(_ key: PoolKey) -> Unmanaged<ConnectionPool>? {
        for pool in pools where pool.key == key { return Unmanaged.passUnretained(pool) }
        let breakers = key.isHighPriority ? cluster.compiled.highBreakers : cluster.compiled.breakers
        if !breakers.pools.hasRoom, !forgetOneUnused(isHighPriority: key.isHighPriority) {
            cluster.stats.add(cluster.compiled.stats.connectionsPoolOverflow)
            return nil
        }
        let pool = ConnectionPool.make(cluster: cluster, endpoint: self, key: key)
        pools.append(pool)
        // A request that chose the endpoint before it was removed.
        if isDraining { pool.drain() }
        return Unmanaged.passUnretained(pool)
    }

    /// The pool for `base` with `name` in it, made by `pool(_:)` on first use. Nearly always the one of the last call.
    @inline(__always)
    func pool(_ base: PoolKey, named name: UnsafeRawBufferPointer, _ key: () -> PoolKey) -> Unmanaged<ConnectionPool>? {
        if let named, named.base == base, named.name.withUnsafeBytes({ $0.hasSameBytes(as: name) }) { return named.pool }
        let found = pool(key())
        named = found.map { NamedPool(base: base, name: Array(name), pool: $0) }
        return found
    }

    /// Pools there are.
    var poolCount: Int { pools.count }

    /// Gives back pools without connections, when there are more than `limit`; the shared ones stay.
    func forgetUnusedPools(above limit: Int) {
        guard pools.count > limit else { return }
        forgetPools { $0.isUnused && !isShared($0) }
        // All of them are in use: the older half takes no more requests, and ends with those it has.
        guard pools.count > limit else { return }
        for _ in 0..<(limit / 2) {
            guard let oldest = pools.firstIndex(where: { !$0.key.serverName.isEmpty || !$0.key.subjectName.isEmpty })
            else { return }
            named = nil
            pools.remove(at: oldest).drain()
        }
    }

    private func isShared(_ pool: ConnectionPool) -> Bool {
        let place = Unmanaged.passUnretained(pool).toOpaque()
        return shared?.toOpaque() == place || sharedHigh?.toOpaque() == place
    }

    private func forgetPools(where isForgotten: (ConnectionPool) -> Bool) {
        named = nil
        pools.removeAll(where: isForgotten)
    }

    /// Makes room for a pool at the expense of one without requests and connections.
    private func forgetOneUnused(isHighPriority: Bool) -> Bool {
        guard
            let index = pools.firstIndex(where: { $0.key.isHighPriority == isHighPriority && $0.isUnused })
        else { return false }
        if isShared(pools[index]) { if isHighPriority { sharedHigh = nil } else { shared = nil } }
        named = nil
        pools.remove(at: index)
        return true
    }

    /// Whether nothing refers to the endpoint any more, so that it can be forgotten.
    var isUnused: Bool { pools.allSatisfy { $0.isUnused } }

    // MARK: Ending

    /// See `ConnectionPool.settle`.
    func settle() { for pool in pools { pool.settle() } }

    /// See `ConnectionPool.trim`.
    func trim() -> Int { pools.reduce(0) { $0 + $1.trim() } }

    /// Ends idle connections now and the others with their requests.
    func drain() {
        isDraining = true
        for pool in pools { pool.drain() }
    }

    /// A pool that is drained has nothing left.
    func poolDrained() { if isDraining, isUnused { cluster.endpointDrained(self) } }

    /// Lets go of the pools, which refer to their endpoint. Only of an endpoint that is unused.
    func forgetPools() {
        shared = nil
        sharedHigh = nil
        for pool in pools { cluster.loop.keepUntilEndOfTurn(pool) }
        forgetPools { _ in true }
    }

    func closeAll() {
        isDraining = true
        for pool in pools { pool.closeAll() }
    }
}
