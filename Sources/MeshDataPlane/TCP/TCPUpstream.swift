// SPDX-License-Identifier: Apache-2.0
import MeshIO
import MeshModel
import MeshStats

/// One attempt of a TCP proxy to reach an endpoint: the stream, and everything it counts towards.
///
/// Invariants:
/// - what `init` counted is taken back by exactly one `end`.
final class TCPUpstream {
    let cluster: WorkerCluster
    let endpoint: ActiveEndpoint
    let stream: ByteStream
    let number = ConnectionNumber.next()
    private let start: MonotonicInstant
    private(set) var isConnected = false
    private var isEnded = false
    /// What the handshake ended with; nil on a plain connection.
    private(set) var tls: ConnectionTLS?

    /// Begins to connect; the outcome is reported to `handler`.
    init(cluster: WorkerCluster, endpoint: ActiveEndpoint, handler: StreamHandler) {
        self.cluster = cluster
        self.endpoint = endpoint
        start = cluster.loop.now
        let counts = cluster.compiled.stats
        cluster.usage.connections &+= 1
        endpoint.activeConnections &+= 1
        endpoint.totalConnections &+= 1
        // The balancer compares endpoints by requests; a TCP connection is one, as in Envoy.
        endpoint.activeRequests &+= 1
        cluster.stats.add(counts.connectionsTotal)
        cluster.stats.increment(counts.connectionsActive)
        cluster.stats.add(counts.requestsPendingTotal)
        cluster.stats.increment(counts.requestsPendingActive)
        var key = PoolKey()
        key.options = cluster.connectOptions
        key.wireProtocol = .tcp
        stream = cluster.connect(to: endpoint, key: key, handler: handler)
        stream.setBufferLimit(Int(cluster.compiled.cluster.bufferLimitBytes))
    }

    /// The stream is connected and carries bytes from now on.
    func connected() {
        isConnected = true
        tls = cluster.connected(stream)
        let counts = cluster.compiled.stats
        endpoint.totalRequests &+= 1
        cluster.stats.decrement(counts.requestsPendingActive)
        cluster.stats.add(counts.requestsTotal)
        cluster.stats.increment(counts.requestsActive)
        cluster.stats.record(counts.connectDuration, cluster.loop.now.nanoseconds(since: start) / 1_000_000)
    }

    /// The session failed: the number of its reason.
    func tlsFailed() -> Int32 { cluster.tlsFailed(stream) }

    /// The stream is closed.
    /// - Parameter isLocal: whether the proxy closed it, and not the upstream.
    func end(isLocal: Bool) {
        guard !isEnded else { return }
        isEnded = true
        let counts = cluster.compiled.stats
        let stats = cluster.stats
        cluster.usage.connections &-= 1
        endpoint.activeConnections &-= 1
        endpoint.activeRequests &-= 1
        stats.decrement(counts.connectionsActive)
        stats.add(counts.connectionsDestroyed)
        stats.add(isLocal ? counts.connectionsDestroyedLocal : counts.connectionsDestroyedRemote)
        stats.record(counts.connectionDuration, cluster.loop.now.nanoseconds(since: start) / 1_000_000)
        if isConnected {
            stats.decrement(counts.requestsActive)
            stats.add(counts.connectionsDestroyedWithActiveRequest)
            stats.add(
                isLocal
                    ? counts.connectionsDestroyedLocalWithActiveRequest
                    : counts.connectionsDestroyedRemoteWithActiveRequest)
        } else {
            stats.decrement(counts.requestsPendingActive)
        }
    }

    /// The connection could not be made, by `connect_timeout` or because it was refused.
    func failed(byTimeout: Bool) {
        let counts = cluster.compiled.stats
        endpoint.connectFailures &+= 1
        cluster.stats.add(counts.connectionsConnectFail)
        cluster.stats.add(counts.requestsPendingFailureEject)
        if byTimeout { cluster.stats.add(counts.connectionsConnectTimeout) }
        end(isLocal: byTimeout)
    }
}

@available(*, unavailable) extension TCPUpstream: Sendable {}
