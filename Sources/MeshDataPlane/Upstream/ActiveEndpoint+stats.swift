// SPDX-License-Identifier: Apache-2.0
import MeshStats

// What is counted of the host, in rows that `/clusters` adds up over the workers. Written as fields, one plain load and store each.
extension ActiveEndpoint {
    /// Requests in flight. The balancer reads its own copy.
    var activeRequests: UInt32 {
        get { activeRequestsPlace.pointee }
        set {
            add(counts.requestsActive, newValue, activeRequestsPlace.pointee)
            activeRequestsPlace.pointee = newValue
        }
    }

    var activeConnections: UInt32 {
        get { UInt32(truncatingIfNeeded: stats.value(counts.connectionsActive) ?? 0) }
        set { add(counts.connectionsActive, newValue, activeConnections) }
    }

    /// Requests that wait for a connection.
    var pendingRequests: UInt32 {
        get { UInt32(truncatingIfNeeded: stats.value(counts.requestsPending) ?? 0) }
        set { add(counts.requestsPending, newValue, pendingRequests) }
    }

    var totalConnections: UInt64 {
        get { stats.value(counts.connectionsTotal) }
        set { stats.add(counts.connectionsTotal, newValue &- totalConnections) }
    }

    var connectFailures: UInt64 {
        get { stats.value(counts.connectFailures) }
        set { stats.add(counts.connectFailures, newValue &- connectFailures) }
    }

    var totalRequests: UInt64 {
        get { stats.value(counts.requestsTotal) }
        set { stats.add(counts.requestsTotal, newValue &- totalRequests) }
    }

    /// Answered with a status of 500 or above, reset, or never sent because no connection could be made.
    var failedRequests: UInt64 {
        get { stats.value(counts.requestsFailed) }
        set { stats.add(counts.requestsFailed, newValue &- failedRequests) }
    }

    var succeededRequests: UInt64 {
        get { stats.value(counts.requestsSucceeded) }
        set { stats.add(counts.requestsSucceeded, newValue &- succeededRequests) }
    }

    var timedOutRequests: UInt64 {
        get { stats.value(counts.requestsTimedOut) }
        set { stats.add(counts.requestsTimedOut, newValue &- timedOutRequests) }
    }

    /// By difference: while a cluster is replaced its old and its new object for the host write the same rows.
    @inline(__always) private func add(_ gauge: GaugeID, _ new: UInt32, _ old: UInt32) {
        stats.increment(gauge, UInt64(new) &- UInt64(old))
    }
}
