// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshIO
import MeshModel
import MeshStats

/// The HTTP/1 connections to one endpoint that share a `PoolKey`: performs what `PoolState` decides.
///
/// Idle connections are reused last in, first out, so that surplus ones stay unused and time out.
final class ConnectionPool {
    let cluster: WorkerCluster
    let endpoint: ActiveEndpoint
    let key: PoolKey
    private(set) var state = PoolState()
    private let stats: StatPages
    private let compiled: CompiledCluster
    let counts: ClusterStats
    let address: Address
    /// How names of request fields are written.
    let fieldNames: FieldNameCase
    /// Connections carry one tunnel each, which ends at this proxy on the other side.
    let isTunnel: Bool

    private var idle = UncountedStack<UpstreamConnection>()
    private var waiting: ContiguousArray<UpstreamRequest?> = []
    private var firstWaiting = 0
    /// Every connection, in no order; what keeps them alive.
    private var all: ContiguousArray<UpstreamConnection> = []
    /// Set when the endpoint was removed: connections end with their request.
    private(set) var isDraining = false

    init(cluster: WorkerCluster, endpoint: ActiveEndpoint, key: PoolKey) {
        self.cluster = cluster
        self.endpoint = endpoint
        self.key = key
        stats = cluster.stats
        compiled = cluster.compiled
        counts = cluster.compiled.stats
        address = endpoint.address
        fieldNames = cluster.compiled.fieldNames
        isTunnel = key.wireProtocol == .tcp
    }

    // MARK: Requests

    /// Finds a connection for `request`, which is told at once or later through `onConnection` or `onPoolFailure`.
    func start(_ request: UpstreamRequest) {
        switch state.requestArrived(limits: compiled.cluster.breakers, usage: &cluster.usage) {
        case .useIdle:
            guard let connection = idle.pop() else {
                assertionFailure("PoolState counts an idle connection that the pool does not have")
                return request.onPoolFailure(.localReset)
            }
            connection._withUnsafeGuaranteedRef { assign($0, to: request) }
        case .connectAndQueue:
            enqueue(request)
            connect()
        case .queue:
            enqueue(request)
        case .overflow(.pending):
            stats.add(counts.requestsPendingOverflow)
            request.onPoolFailure(.overflow)
        case .overflow(.requests):
            stats.add(counts.requestsPendingOverflow)
            request.onPoolFailure(.overflow)
        }
    }

    private func enqueue(_ request: UpstreamRequest) {
        stats.add(counts.requestsPendingTotal)
        stats.increment(counts.requestsPendingActive)
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
        state.waitingEnded(usage: &cluster.usage)
        stats.add(counts.requestsCancelled)
    }

    private func stoppedWaiting(_ request: UpstreamRequest) {
        request.isWaiting = false
        stats.decrement(counts.requestsPendingActive)
    }

    private func nextWaiting() -> UpstreamRequest? {
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

    private func assign(_ connection: UpstreamConnection, to request: UpstreamRequest) {
        endpoint.activeRequests &+= 1
        endpoint.totalRequests &+= 1
        connection.begin(request)
        request.onConnection(connection)
    }

    // MARK: Connections

    private func connect() {
        let connection = UpstreamConnection(pool: self)
        connection.place = all.count
        all.append(connection)
        endpoint.activeConnections &+= 1
        endpoint.totalConnections &+= 1
        connection.connect()
    }

    /// The connection is usable for the first time.
    func connected(_ connection: UpstreamConnection) {
        if state.connected(usage: &cluster.usage) {
            giveToWaiting(connection)
        } else {
            idle.push(Unmanaged.passUnretained(connection))
            connection.becameIdle()
        }
    }

    /// The connection has answered its request and can take another.
    func released(_ connection: UpstreamConnection) {
        endpoint.activeRequests &-= 1
        if state.released(usage: &cluster.usage) {
            giveToWaiting(connection)
        } else {
            idle.push(Unmanaged.passUnretained(connection))
            connection.becameIdle()
        }
    }

    private func giveToWaiting(_ connection: UpstreamConnection) {
        guard let request = nextWaiting() else {
            assertionFailure("PoolState counts a waiting request that the pool does not have")
            return
        }
        stoppedWaiting(request)
        assign(connection, to: request)
    }

    /// The connection is gone. `failure` is why it could not be made, when it could not.
    func ended(_ connection: UpstreamConnection, was phase: UpstreamConnection.Phase, failure: UpstreamFailure?) {
        remove(connection)
        endpoint.activeConnections &-= 1
        switch phase {
        case .connecting:
            state.connectFailed(usage: &cluster.usage)
            endpoint.connectFailures &+= 1
            // As Envoy does: one failed connection fails everything that waits for this endpoint, so that a dead
            // endpoint answers after one connect timeout and not after one per request.
            while let request = nextWaiting() {
                stoppedWaiting(request)
                state.waitingEnded(usage: &cluster.usage)
                stats.add(counts.requestsPendingFailureEject)
                request.onPoolFailure(failure ?? .connectFailure(0))
            }
        case .idle:
            _ = idle.remove(connection)
            state.idleClosed(usage: &cluster.usage)
        case .busy:
            endpoint.activeRequests &-= 1
            state.busyClosed(usage: &cluster.usage)
        case .closed:
            break
        }
        if state.shouldReconnect(limits: compiled.cluster.breakers, usage: &cluster.usage) { connect() }
    }

    private func remove(_ connection: UpstreamConnection) {
        guard connection.place >= 0, let last = all.last else { return }
        // It may be the one that is being called.
        cluster.loop.keepUntilEndOfTurn(connection)
        all[connection.place] = last
        last.place = connection.place
        all.removeLast()
        connection.place = -1
    }

    /// Ends idle connections now and the others with their request.
    func drain() {
        isDraining = true
        closeIdle()
    }

    /// Ends idle connections; new ones may be made.
    func closeIdle() {
        while idle.count > 0 { idle[idle.count - 1]._withUnsafeGuaranteedRef { $0.closeIdle() } }
    }

    /// Ends everything.
    func closeAll() {
        isDraining = true
        for connection in Array(all) { connection.closeNow() }
    }
}
