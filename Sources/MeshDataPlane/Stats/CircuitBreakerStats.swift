// SPDX-License-Identifier: Apache-2.0
import MeshModel
import MeshStats

/// The circuit breakers of one priority. Scope `cluster.<name>.circuit_breakers.<default or high>.`.
struct CircuitBreakerStats: Sendable {
    let connectionsOpen: GaugeID
    let poolsOpen: GaugeID
    let pendingOpen: GaugeID
    let requestsOpen: GaugeID
    let retriesOpen: GaugeID
    /// With `track_remaining` only.
    let remainingConnections: GaugeID?
    let remainingPools: GaugeID?
    let remainingPending: GaugeID?
    let remainingRequests: GaugeID?
    let remainingRetries: GaugeID?

    init(_ thresholds: CircuitBreakerThresholds, in scope: inout StatScope) {
        connectionsOpen = scope.gauge("cx_open", "1 when max_connections is reached.")
        poolsOpen = scope.gauge("cx_pool_open", "1 when max_connection_pools is reached.")
        pendingOpen = scope.gauge("rq_pending_open", "1 when max_pending_requests is reached.")
        requestsOpen = scope.gauge("rq_open", "1 when max_requests is reached.")
        retriesOpen = scope.gauge("rq_retry_open", "1 when max_retries is reached.")
        guard thresholds.trackRemaining else {
            (remainingConnections, remainingPools, remainingPending) = (nil, nil, nil)
            (remainingRequests, remainingRetries) = (nil, nil)
            return
        }
        remainingConnections = scope.gauge("remaining_cx", "Connections left until max_connections.")
        remainingPools = scope.gauge("remaining_cx_pools", "Pools left until max_connection_pools.")
        remainingPending = scope.gauge("remaining_pending", "Requests left until max_pending_requests.")
        remainingRequests = scope.gauge("remaining_rq", "Requests left until max_requests.")
        remainingRetries = scope.gauge("remaining_retries", "Retries left until max_retries.")
    }

    /// What is left while nothing is in use; workers add and subtract on their own pages.
    func setRemaining(_ thresholds: CircuitBreakerThresholds, _ pages: StatPages) {
        func set(_ gauge: GaugeID?, _ limit: UInt32) { if let gauge { pages.set(gauge, UInt64(limit)) } }
        set(remainingConnections, thresholds.maxConnections)
        set(remainingPools, thresholds.maxConnectionPools)
        set(remainingPending, thresholds.maxPendingRequests)
        set(remainingRequests, thresholds.maxRequests)
        set(remainingRetries, thresholds.maxRetries)
    }
}
