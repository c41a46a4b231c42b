// SPDX-License-Identifier: Apache-2.0
import MeshModel
import MeshStats
import Synchronization

/// One limit of a cluster and what is in use of it, in all workers together, as in Envoy.
///
/// A limit of 2³²−1, Istio's default, is none: then nothing is counted, and workers share no memory over it.
///
/// Invariants:
/// - whoever `add`s takes it back by exactly one `remove`;
/// - each crossing of the limit is seen by exactly one worker, so the gauges of all workers add up to what is true.
struct CircuitBreaker: ~Copyable, Sendable {
    let limit: UInt32
    private let isCounted: Bool
    private let inUse = Atomic<UInt32>(0)
    private let openGauge: GaugeID
    /// Nil without `track_remaining`.
    private let remainingGauge: GaugeID?

    /// - Parameter counts: whether the number in use is wanted whatever the limit is.
    init(limit: UInt32, counts: Bool = false, open: GaugeID, remaining: GaugeID?) {
        self.limit = limit
        isCounted = limit != .max || counts || remaining != nil
        openGauge = open
        remainingGauge = remaining
    }

    /// Whether one more fits. Two workers that ask at the same time may both be told yes, as in Envoy.
    @inline(__always) var hasRoom: Bool { !isCounted || inUse.load(ordering: .relaxed) < limit }

    /// How many are in use; 0 where they are not counted.
    var count: UInt32 { inUse.load(ordering: .relaxed) }

    @inline(__always) func add(_ stats: StatPages) {
        guard isCounted else { return }
        let before = inUse.wrappingAdd(1, ordering: .relaxed).oldValue
        if before &+ 1 == limit { stats.increment(openGauge) }
        if let remainingGauge, before < limit { stats.decrement(remainingGauge) }
    }

    @inline(__always) func remove(_ stats: StatPages) {
        guard isCounted else { return }
        let before = inUse.wrappingSubtract(1, ordering: .relaxed).oldValue
        assert(before > 0, "taken back more often than taken")
        if before == limit { stats.decrement(openGauge) }
        if let remainingGauge, before <= limit { stats.increment(remainingGauge) }
    }
}

/// The limits of a cluster for the requests of one routing priority.
final class CircuitBreakers: Sendable {
    let connections: CircuitBreaker
    /// Requests without a connection.
    let pending: CircuitBreaker
    /// Requests on a connection; connections of a TCP proxy are requests too.
    let requests: CircuitBreaker
    /// Retries in flight or waiting for their back-off.
    let retries: CircuitBreaker
    /// Connection pools of all workers.
    let pools: CircuitBreaker
    /// In place of the limit on retries.
    private let retryBudget: RetryBudget?

    /// Whether one more retry may be under way.
    var hasRetryRoom: Bool {
        guard let retryBudget else { return retries.hasRoom }
        return retries.count < retryBudget.limit(active: requests.count &+ pending.count)
    }

    init(_ thresholds: CircuitBreakerThresholds, _ stats: CircuitBreakerStats) {
        retryBudget = thresholds.retryBudget
        // A budget is a share of what is under way, so that has to be known even without a limit.
        let counts = retryBudget != nil
        connections = CircuitBreaker(
            limit: thresholds.maxConnections, open: stats.connectionsOpen, remaining: stats.remainingConnections)
        pending = CircuitBreaker(
            limit: thresholds.maxPendingRequests, counts: counts, open: stats.pendingOpen, remaining: stats.remainingPending)
        requests = CircuitBreaker(
            limit: thresholds.maxRequests, counts: counts, open: stats.requestsOpen, remaining: stats.remainingRequests)
        retries = CircuitBreaker(
            limit: thresholds.maxRetries, counts: counts, open: stats.retriesOpen, remaining: stats.remainingRetries)
        pools = CircuitBreaker(
            limit: thresholds.maxConnectionPools, open: stats.poolsOpen, remaining: stats.remainingPools)
    }
}
