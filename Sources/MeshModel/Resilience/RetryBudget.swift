// SPDX-License-Identifier: Apache-2.0

/// Retries as a share of what a cluster does, in place of a fixed number.
///
/// - Source: `CircuitBreakers.Thresholds.retry_budget`.
package struct RetryBudget: Equatable, Sendable {
    /// Share of the requests in flight and waiting. Source: `budget_percent`. - Unit: percent. Default: 20.
    package var percent = 20.0
    /// Retries that are always allowed. Source: `min_retry_concurrency`. Default: 3.
    package var minConcurrency: UInt32 = 3

    package init() {}

    /// Most retries at a time, with so many requests in flight or waiting.
    package func limit(active: UInt32) -> UInt32 {
        let share = percent / 100 * Double(active)
        return max(minConcurrency, share < Double(UInt32.max) ? UInt32(max(share, 0)) : .max)
    }
}
