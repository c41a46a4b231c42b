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
    /// Idle connections that stay however long nobody needs them, until they time out.
    private static let keptIdle = 16

    // MARK: Requests

    override func start(_ request: UpstreamRequest) {
        switch state.requestArrived(
            hasRequestRoom: breakers.requests.hasRoom, hasPendingRoom: breakers.pending.hasRoom)
        {
        case .useIdle:
            guard let connection = idle.pop() else {
                assertionFailure("PoolState counts an idle connection that the pool does not have")
                return request.onPoolFailure(.localReset)
            }
            connection._withUnsafeGuaranteedRef { assign($0, to: request) }
            if preconnectRatio > 1 { openAsNeeded() }
        case .wait:
            breakers.pending.add(stats)
            enqueue(request)
            openAsNeeded()
        case .overflow(.pending):
            stats.add(counts.requestsPendingOverflow)
            request.onPoolFailure(.overflow)
        case .overflow(.requests):
            stats.add(counts.requestsActiveOverflow)
            request.onPoolFailure(.overflow)
        }
    }

    override func waitingEnded() {
        state.waitingEnded()
        breakers.pending.remove(stats)
    }

    private func assign(_ connection: HTTP1UpstreamConnection, to request: UpstreamRequest) {
        breakers.requests.add(stats)
        endpoint.activeRequests &+= 1
        endpoint.totalRequests &+= 1
        connection.begin(request)
        request.onConnection(connection)
    }

    // MARK: Connections

    /// Opens what the requests at hand call for.
    private func openAsNeeded() {
        for _ in 0..<ConnectionPool.connectionsPerEvent where state.wantsConnection(preconnectRatio: preconnectRatio) {
            let hasRoom = breakers.connections.hasRoom
            if !hasRoom {
                stats.add(counts.connectionsOverflow)
                // A pool without any connection may always open one, so that a cluster at its limit still reaches each of
                // its endpoints.
                guard state.connections == 0 else { return }
            }
            state.connecting()
            open(HTTP1UpstreamConnection(pool: self))
            if !hasRoom { return }
        }
    }

    /// The connection is usable for the first time.
    func connected(_ connection: HTTP1UpstreamConnection) {
        state.connected()
        offer(connection)
    }

    /// The connection has answered its request and can take another.
    func released(_ connection: HTTP1UpstreamConnection) {
        endpoint.activeRequests &-= 1
        breakers.requests.remove(stats)
        offer(connection)
    }

    private func offer(_ connection: HTTP1UpstreamConnection) {
        while true {
            switch state.offer(hasRequestRoom: breakers.requests.hasRoom) {
            case .keep:
                idle.push(Unmanaged.passUnretained(connection))
                connection.becameIdle()
                // Nobody will come for a connection of an endpoint that was removed.
                if isDraining { connection.closeIdle() }
                return
            case .serve:
                guard let request = takeWaiting() else { return }
                assign(connection, to: request)
                // As in Envoy: whoever still waits may have a connection of its own by now.
                if state.waiting > 0 { openAsNeeded() }
                return
            case .refuse:
                guard let request = takeWaiting() else { return }
                stats.add(counts.requestsActiveOverflow)
                request.onPoolFailure(.overflow)
            }
        }
    }

    private func takeWaiting() -> UpstreamRequest? {
        guard let request = nextWaiting() else {
            assertionFailure("PoolState counts a waiting request that the pool does not have")
            return nil
        }
        breakers.pending.remove(stats)
        stoppedWaiting(request)
        return request
    }

    override func trim() -> Int {
        let unneeded = idle.takeFewest()
        let surplus = compiled.closesSurplus ? max(0, min(unneeded, idle.count - HTTP1ConnectionPool.keptIdle)) : 0
        for _ in 0..<surplus { idle[0]._withUnsafeGuaranteedRef { $0.closeSurplus() } }
        return surplus
    }

    override func settle() {
        for index in 0..<idle.count { idle[index]._withUnsafeGuaranteedRef { $0.settle() } }
        _ = idle.shrink()
        super.settle()
    }

    /// The connection is gone. `failure` is why it could not be made, when it could not.
    func ended(
        _ connection: HTTP1UpstreamConnection, was phase: HTTP1UpstreamConnection.Phase, failure: UpstreamFailure?
    ) {
        switch phase {
        case .connecting:
            state.connectFailed()
            endpoint.connectFailures &+= 1
        case .idle:
            _ = idle.remove(connection)
            state.idleClosed()
        case .busy:
            endpoint.activeRequests &-= 1
            breakers.requests.remove(stats)
            state.busyClosed()
        case .closed:
            break
        }
        remove(connection)
        if phase == .connecting { failWaiting(failure ?? .connectFailure(0)) }
        if state.waiting > 0 { openAsNeeded() }
        endedIfUnused()
    }
}
