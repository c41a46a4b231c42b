// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshIO
import MeshModel
import MeshStats

/// What one cluster has in use on one worker, for its circuit breakers.
struct ClusterUsage {
    var connections: UInt32 = 0
    var pending: UInt32 = 0
    var requests: UInt32 = 0
}

/// What a pool does about a new request.
enum PoolAction: Equatable {
    /// Send it on an idle connection.
    case useIdle
    /// Let it wait, and open a connection for it.
    case connectAndQueue
    /// Let it wait for a connection that is being opened or will become idle.
    case queue
    /// Refuse it: a limit of the cluster is reached.
    case overflow(Limit)

    enum Limit: Equatable { case requests, pending }
}

/// The counts of one HTTP/1 pool and the decisions that follow from them; no connection in sight.
///
/// Invariants: `connecting` connections were asked for and are not yet usable; `waiting` requests have no connection.
struct PoolState: Equatable {
    private(set) var idle = 0
    private(set) var busy = 0
    private(set) var connecting = 0
    private(set) var waiting = 0

    /// Connections in any state.
    var connections: Int { idle + busy + connecting }

    /// A request wants a connection.
    mutating func requestArrived(limits: CircuitBreakerThresholds, usage: inout ClusterUsage) -> PoolAction {
        if usage.requests >= limits.maxRequests { return .overflow(.requests) }
        if idle > 0 {
            idle -= 1
            busy += 1
            usage.requests += 1
            return .useIdle
        }
        if usage.pending >= limits.maxPendingRequests { return .overflow(.pending) }
        usage.pending += 1
        waiting += 1
        // One connection per waiting request, no more. A pool without any connection may always open one, so that a
        // cluster at its connection limit still reaches each of its endpoints.
        if connecting >= waiting { return .queue }
        if usage.connections >= limits.maxConnections, connections > 0 { return .queue }
        connecting += 1
        usage.connections += 1
        return .connectAndQueue
    }

    /// A connection was made. Returns whether a waiting request takes it.
    mutating func connected(usage: inout ClusterUsage) -> Bool {
        connecting -= 1
        return becameAvailable(usage: &usage)
    }

    /// A response ended and the connection can be used again. Returns whether a waiting request takes it.
    mutating func released(usage: inout ClusterUsage) -> Bool {
        busy -= 1
        usage.requests -= 1
        return becameAvailable(usage: &usage)
    }

    private mutating func becameAvailable(usage: inout ClusterUsage) -> Bool {
        if waiting > 0 {
            waiting -= 1
            busy += 1
            usage.pending -= 1
            usage.requests += 1
            return true
        }
        idle += 1
        return false
    }

    /// A connection that was being opened failed.
    mutating func connectFailed(usage: inout ClusterUsage) {
        connecting -= 1
        usage.connections -= 1
    }

    /// A connection with a request on it ended.
    mutating func busyClosed(usage: inout ClusterUsage) {
        busy -= 1
        usage.requests -= 1
        usage.connections -= 1
    }

    /// An idle connection ended.
    mutating func idleClosed(usage: inout ClusterUsage) {
        idle -= 1
        usage.connections -= 1
    }

    /// A waiting request was given up or failed.
    mutating func waitingEnded(usage: inout ClusterUsage) {
        waiting -= 1
        usage.pending -= 1
    }

    /// Whether another connection should be opened for what waits; call after a connection ended.
    mutating func shouldReconnect(limits: CircuitBreakerThresholds, usage: inout ClusterUsage) -> Bool {
        guard waiting > connecting else { return false }
        if usage.connections >= limits.maxConnections, connections > 0 { return false }
        connecting += 1
        usage.connections += 1
        return true
    }
}
