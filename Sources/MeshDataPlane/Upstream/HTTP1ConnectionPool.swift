// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshIO
import MeshModel
import MeshStats

/// Connections of HTTP/1, which serve one request at a time: performs what `PoolState` decides.
///
/// Idle connections are reused last in, first out, so that surplus ones stay unused and time out.
final class HTTP1ConnectionPool: ConnectionPool {
    private(set) var state = PoolState()
    private var idle = UncountedStack<HTTP1UpstreamConnection>()

    // MARK: Requests

    override func start(_ request: UpstreamRequest) {
        switch state.requestArrived(limits: compiled.cluster.breakers, usage: &cluster.usage) {
        case .useIdle:
            guard let connection = idle.pop() else {
                assertionFailure("PoolState counts an idle connection that the pool does not have")
                return request.onPoolFailure(.localReset)
            }
            connection._withUnsafeGuaranteedRef { assign($0, to: request) }
        case .connectAndQueue:
            enqueue(request)
            open(HTTP1UpstreamConnection(pool: self))
        case .queue:
            enqueue(request)
        case .overflow(.pending), .overflow(.requests):
            stats.add(counts.requestsPendingOverflow)
            request.onPoolFailure(.overflow)
        }
    }

    override func waitingEnded() { state.waitingEnded(usage: &cluster.usage) }

    private func assign(_ connection: HTTP1UpstreamConnection, to request: UpstreamRequest) {
        endpoint.activeRequests &+= 1
        endpoint.totalRequests &+= 1
        connection.begin(request)
        request.onConnection(connection)
    }

    // MARK: Connections

    /// The connection is usable for the first time.
    func connected(_ connection: HTTP1UpstreamConnection) {
        if state.connected(usage: &cluster.usage) {
            giveToWaiting(connection)
        } else {
            idle.push(Unmanaged.passUnretained(connection))
            connection.becameIdle()
        }
    }

    /// The connection has answered its request and can take another.
    func released(_ connection: HTTP1UpstreamConnection) {
        endpoint.activeRequests &-= 1
        if state.released(usage: &cluster.usage) {
            giveToWaiting(connection)
        } else {
            idle.push(Unmanaged.passUnretained(connection))
            connection.becameIdle()
        }
    }

    private func giveToWaiting(_ connection: HTTP1UpstreamConnection) {
        guard let request = nextWaiting() else {
            assertionFailure("PoolState counts a waiting request that the pool does not have")
            return
        }
        stoppedWaiting(request)
        assign(connection, to: request)
    }

    /// The connection is gone. `failure` is why it could not be made, when it could not.
    func ended(
        _ connection: HTTP1UpstreamConnection, was phase: HTTP1UpstreamConnection.Phase, failure: UpstreamFailure?
    ) {
        remove(connection)
        switch phase {
        case .connecting:
            state.connectFailed(usage: &cluster.usage)
            endpoint.connectFailures &+= 1
            failWaiting(failure ?? .connectFailure(0))
        case .idle:
            _ = idle.remove(connection)
            state.idleClosed(usage: &cluster.usage)
        case .busy:
            endpoint.activeRequests &-= 1
            state.busyClosed(usage: &cluster.usage)
        case .closed:
            break
        }
        if state.shouldReconnect(limits: compiled.cluster.breakers, usage: &cluster.usage) {
            open(HTTP1UpstreamConnection(pool: self))
        }
    }
}
