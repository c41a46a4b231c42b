// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshIO
import MeshModel
import MeshStats

/// The connections to one endpoint that share a `PoolKey`, and the requests that wait for one.
class ConnectionPool {
    let cluster: WorkerCluster
    let endpoint: ActiveEndpoint
    let key: PoolKey
    let stats: StatPages
    let compiled: CompiledCluster
    let counts: ClusterStats
    /// Limits of the cluster for the priority of the pool's requests.
    let breakers: CircuitBreakers
    /// Connections wanted per request (`per_upstream_preconnect_ratio`); 1 opens them as requests come.
    let preconnectRatio: Double
    /// How names of request fields are written.
    let fieldNames: FieldNameCase
    /// Connections carry one tunnel each, which ends at this proxy on the other side.
    let isTunnel: Bool
    /// What requests are sent in, as logs say; nil for a tunnel.
    let version: HTTPVersion?

    private var waiting: ContiguousArray<UpstreamRequest?> = []
    private var firstWaiting = 0
    /// Every connection, in no order; what keeps them alive.
    private(set) var all: ContiguousArray<UpstreamConnection> = []
    /// Set when the endpoint was removed: connections end with their requests.
    private(set) var isDraining = false

    init(cluster: WorkerCluster, endpoint: ActiveEndpoint, key: PoolKey) {
        self.cluster = cluster
        self.endpoint = endpoint
        self.key = key
        stats = cluster.stats
        compiled = cluster.compiled
        counts = cluster.compiled.stats
        breakers = key.isHighPriority ? cluster.compiled.highBreakers : cluster.compiled.breakers
        preconnectRatio = cluster.compiled.cluster.preconnectRatio
        breakers.pools.add(cluster.stats)
        fieldNames = cluster.compiled.fieldNames
        isTunnel = key.wireProtocol == .tcp
        version = isTunnel ? nil : key.wireProtocol == .http2 ? .http2 : .http11
    }

    deinit { breakers.pools.remove(stats) }

    /// Where the next connection goes.
    var address: Address { endpoint.address }

    /// Most connections opened at one event: more are opened at the next one, as in Envoy.
    static let connectionsPerEvent = 3

    /// The pool for a key, by what its connections speak.
    static func make(cluster: WorkerCluster, endpoint: ActiveEndpoint, key: PoolKey) -> ConnectionPool {
        switch key.wireProtocol {
        case .http1, .tcp: HTTP1ConnectionPool(cluster: cluster, endpoint: endpoint, key: key)
        case .http2: HTTP2ConnectionPool(cluster: cluster, endpoint: endpoint, key: key)
        }
    }

    // MARK: Requests

    /// Finds a connection for `request`, which is told at once or later through `onConnection` or `onPoolFailure`.
    func start(_ request: UpstreamRequest) {}

    /// A request that waited was given up.
    func waitingEnded() {}

    func enqueue(_ request: UpstreamRequest) {
        stats.add(counts.requestsPendingTotal)
        stats.increment(counts.requestsPendingActive)
        endpoint.pendingRequests &+= 1
        request.isWaiting = true
        waiting.append(request)
    }

    /// The request does not want a connection any more.
    func cancel(_ request: UpstreamRequest) {
        guard request.isWaiting else { return }
        var index = firstWaiting
        while index < waiting.count {
            if waiting[index] === request {
                waiting[index] = nil
                break
            }
            index += 1
        }
        stoppedWaiting(request)
        waitingEnded()
        stats.add(counts.requestsCancelled)
    }

    func stoppedWaiting(_ request: UpstreamRequest) {
        request.isWaiting = false
        stats.decrement(counts.requestsPendingActive)
        endpoint.pendingRequests &-= 1
    }

    func nextWaiting() -> UpstreamRequest? {
        while firstWaiting < waiting.count {
            let request = waiting[firstWaiting]
            waiting[firstWaiting] = nil
            firstWaiting += 1
            if firstWaiting == waiting.count {
                waiting.removeAll(keepingCapacity: true)
                firstWaiting = 0
            }
            if let request { return request }
        }
        return nil
    }

    /// As Envoy does: one failed connection fails everything that waits for this endpoint, so that a dead endpoint answers
    /// after one connect timeout and not after one per request.
    func failWaiting(_ failure: UpstreamFailure) {
        while let request = nextWaiting() {
            stoppedWaiting(request)
            waitingEnded()
            stats.add(counts.requestsPendingFailureEject)
            request.onPoolFailure(failure)
        }
    }

    // MARK: Connections

    /// After every `trim`: the pool's own tables shrink, and idle connections move to the front of the loop's, for they may have
    /// been opened in the middle of a burst.
    func settle() {
        if firstWaiting == waiting.count, waiting.capacity > TableSize.smallest {
            waiting = []
            firstWaiting = 0
        }
        _ = all.shrink()
    }

    func open(_ connection: UpstreamConnection) {
        breakers.connections.add(stats)
        connection.place = all.count
        all.append(connection)
        endpoint.activeConnections &+= 1
        endpoint.totalConnections &+= 1
        connection.connect()
    }

    /// Lets go of a connection that ended.
    func remove(_ connection: UpstreamConnection) {
        guard connection.place >= 0, let last = all.last else { return }
        // It may be the one that is being called.
        cluster.loop.keepUntilEndOfTurn(connection)
        all[connection.place] = last
        last.place = connection.place
        all.removeLast()
        connection.place = -1
        breakers.connections.remove(stats)
        endpoint.activeConnections &-= 1
    }

    /// Tells the endpoint when a pool that is drained has nothing left. The last step of a connection's end.
    func endedIfUnused() { if isDraining, isUnused { endpoint.poolDrained() } }

    /// Whether nothing refers to the pool any more.
    var isUnused: Bool { all.isEmpty && firstWaiting == waiting.count }

    /// Ends idle connections that nobody needed since the last call, if they are many; returns how many.
    func trim() -> Int { 0 }

    /// Ends idle connections now and the others with their requests, also those that still wait.
    func drain() {
        isDraining = true
        for connection in Array(all) { connection.closeIdle() }
    }

    /// Ends everything.
    func closeAll() {
        isDraining = true
        for connection in Array(all) { connection.closeNow() }
    }
}

@available(*, unavailable) extension ConnectionPool: Sendable {}
