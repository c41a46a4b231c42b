// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshHTTP2
import MeshIO
import MeshModel
import MeshStats

/// Connections of HTTP/2, which carry many requests at a time: one is opened when nothing open or being opened has room.
///
/// The first connection with room is used, so that surplus ones run empty and time out.
final class HTTP2ConnectionPool: ConnectionPool {
    /// Connections that may take requests, in the order they were made.
    private var usable = UncountedStack<HTTP2UpstreamConnection>()
    private var connecting = 0
    private var waitingCount = 0
    /// Requests on connections.
    private var activeCount = 0

    // MARK: Requests

    override func start(_ request: UpstreamRequest) {
        if let connection = connectionWithRoom {
            guard breakers.requests.hasRoom else { return refuse(request) }
            connection._withUnsafeGuaranteedRef { assign($0, to: request) }
            if preconnectRatio > 1 { connectIfNeeded() }
            return
        }
        guard breakers.pending.hasRoom else {
            stats.add(counts.requestsPendingOverflow)
            return request.onPoolFailure(.overflow)
        }
        breakers.pending.add(stats)
        waitingCount += 1
        enqueue(request)
        connectIfNeeded()
    }

    /// `max_requests` is reached.
    private func refuse(_ request: UpstreamRequest) {
        stats.add(counts.requestsActiveOverflow)
        request.onPoolFailure(.overflow)
    }

    private var connectionWithRoom: Unmanaged<HTTP2UpstreamConnection>? {
        for index in 0..<usable.count where usable[index]._withUnsafeGuaranteedRef({ $0.hasRoom }) { return usable[index] }
        return nil
    }

    /// One connection being opened is expected to have room for all that wait, up to what it may carry.
    private func connectIfNeeded() {
        for _ in 0..<ConnectionPool.connectionsPerEvent where wantsConnection {
            let hasRoom = breakers.connections.hasRoom
            if !hasRoom {
                stats.add(counts.connectionsOverflow)
                // A pool without any connection may always open one, as with HTTP/1.
                guard all.isEmpty else { return }
            }
            connecting += 1
            open(HTTP2UpstreamConnection(pool: self))
            if !hasRoom { return }
        }
    }

    private var wantsConnection: Bool {
        let perConnection = max(1, Int(compiled.cluster.http.http2.maxConcurrentStreams))
        if preconnectRatio <= 1 || activeCount + waitingCount == 0 { return waitingCount > connecting * perConnection }
        var capacity = connecting * perConnection
        for index in 0..<usable.count { capacity += usable[index]._withUnsafeGuaranteedRef { $0.room } }
        return Double(activeCount + waitingCount) * preconnectRatio > Double(capacity + activeCount)
    }

    override func waitingEnded() {
        breakers.pending.remove(stats)
        waitingCount -= 1
    }

    private func assign(_ connection: HTTP2UpstreamConnection, to request: UpstreamRequest) {
        endpoint.activeRequests &+= 1
        endpoint.totalRequests &+= 1
        activeCount += 1
        breakers.requests.add(stats)
        connection.requestAssigned()
        request.onConnection(connection)
    }

    /// A request of a connection is over.
    func requestEnded() {
        endpoint.activeRequests &-= 1
        activeCount -= 1
        breakers.requests.remove(stats)
    }

    /// Gives what waits to the connections that have room.
    func serveWaiting() {
        while waitingCount > 0, let connection = connectionWithRoom, let request = nextWaiting() {
            stoppedWaiting(request)
            waitingEnded()
            guard breakers.requests.hasRoom else {
                refuse(request)
                continue
            }
            connection._withUnsafeGuaranteedRef { assign($0, to: request) }
        }
        if waitingCount > 0 { connectIfNeeded() }
    }

    // MARK: Connections

    func connected(_ connection: HTTP2UpstreamConnection) {
        connecting -= 1
        usable.push(Unmanaged.passUnretained(connection))
        serveWaiting()
        // It ends with the requests it has: others will not come to an endpoint that was removed.
        if isDraining { connection.closeIdle() }
    }

    /// The upstream chose HTTP/1: what waits goes there. The connection that found out is closed by the caller.
    func upstreamChoseHTTP1() {
        connecting -= 1
        let other = endpoint.fallBackToHTTP1(from: key)
        while let request = nextWaiting() {
            stoppedWaiting(request)
            waitingEnded()
            guard let other else {
                request.onPoolFailure(.overflow)
                continue
            }
            other._withUnsafeGuaranteedRef { request.move(to: $0) }
        }
    }

    /// The connection takes no new requests; those on it go on.
    func retire(_ connection: HTTP2UpstreamConnection) {
        _ = usable.remove(connection)
        if waitingCount > 0 { connectIfNeeded() }
    }

    /// The connection is gone. `failure` is why it could not be made, when it could not.
    func ended(_ connection: HTTP2UpstreamConnection, wasConnecting: Bool, failure: UpstreamFailure?) {
        _ = usable.remove(connection)
        remove(connection)
        if wasConnecting {
            connecting -= 1
            endpoint.connectFailures &+= 1
            failWaiting(failure ?? .connectFailure(0))
        }
        if waitingCount > 0 { connectIfNeeded() }
        endedIfUnused()
    }
}
