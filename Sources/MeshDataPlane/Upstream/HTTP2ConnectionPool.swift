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

    // MARK: Requests

    override func start(_ request: UpstreamRequest) {
        let limits = compiled.cluster.breakers
        guard cluster.usage.requests < limits.maxRequests else { return overflow(request) }
        if let connection = connectionWithRoom {
            connection._withUnsafeGuaranteedRef { assign($0, to: request) }
            return
        }
        guard cluster.usage.pending < limits.maxPendingRequests else { return overflow(request) }
        cluster.usage.pending += 1
        waitingCount += 1
        enqueue(request)
        connectIfNeeded()
    }

    private func overflow(_ request: UpstreamRequest) {
        stats.add(counts.requestsPendingOverflow)
        request.onPoolFailure(.overflow)
    }

    private var connectionWithRoom: Unmanaged<HTTP2UpstreamConnection>? {
        for index in 0..<usable.count where usable[index]._withUnsafeGuaranteedRef({ $0.hasRoom }) { return usable[index] }
        return nil
    }

    /// One connection being opened is expected to have room for all that wait, up to what it may carry.
    private func connectIfNeeded() {
        let limits = compiled.cluster.breakers
        let perConnection = max(1, Int(compiled.cluster.http.http2.maxConcurrentStreams))
        while waitingCount > connecting * perConnection {
            // A pool without any connection may always open one, as with HTTP/1.
            guard cluster.usage.connections < limits.maxConnections || all.isEmpty else { return }
            cluster.usage.connections += 1
            connecting += 1
            open(HTTP2UpstreamConnection(pool: self))
        }
    }

    override func waitingEnded() {
        cluster.usage.pending -= 1
        waitingCount -= 1
    }

    private func assign(_ connection: HTTP2UpstreamConnection, to request: UpstreamRequest) {
        endpoint.activeRequests &+= 1
        endpoint.totalRequests &+= 1
        cluster.usage.requests += 1
        connection.requestAssigned()
        request.onConnection(connection)
    }

    /// A request of a connection is over.
    func requestEnded() {
        endpoint.activeRequests &-= 1
        cluster.usage.requests -= 1
    }

    /// Gives what waits to the connections that have room.
    func serveWaiting() {
        while waitingCount > 0, let connection = connectionWithRoom, let request = nextWaiting() {
            stoppedWaiting(request)
            waitingEnded()
            connection._withUnsafeGuaranteedRef { assign($0, to: request) }
        }
        if waitingCount > 0 { connectIfNeeded() }
    }

    // MARK: Connections

    func connected(_ connection: HTTP2UpstreamConnection) {
        connecting -= 1
        usable.push(Unmanaged.passUnretained(connection))
        serveWaiting()
    }

    /// The upstream chose HTTP/1: what waits goes there. The connection that found out is closed by the caller.
    func upstreamChoseHTTP1() {
        connecting -= 1
        let other = endpoint.fallBackToHTTP1(from: key)
        while let request = nextWaiting() {
            stoppedWaiting(request)
            waitingEnded()
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
        cluster.usage.connections -= 1
        if wasConnecting {
            connecting -= 1
            endpoint.connectFailures &+= 1
            failWaiting(failure ?? .connectFailure(0))
        }
        if waitingCount > 0 { connectIfNeeded() }
    }
}
