// SPDX-License-Identifier: Apache-2.0

/// How traffic is spread over priorities by their health, in Envoy's arithmetic.
///
/// A priority is worth its healthy share times the overprovisioning factor, at most 100 %. Traffic goes to the first
/// priorities as far as they are worth it, then to their degraded hosts, then to the next. When all together are worth
/// less than 100 %, shares are scaled up, and a priority whose healthy share is under the panic threshold uses all its
/// hosts.
package struct PriorityLoads: Equatable, Sendable {
    /// Hosts of one priority by health.
    package struct Census: Equatable, Sendable {
        package var total: Int
        package var healthy: Int
        package var degraded: Int
        /// Of the total, those that no share is taken of.
        package var excluded: Int

        package init(total: Int, healthy: Int, degraded: Int, excluded: Int = 0) {
            self.total = total
            self.healthy = healthy
            self.degraded = degraded
            self.excluded = excluded
        }

        /// What shares are taken of.
        var counted: Int { total - excluded }
    }

    /// Percent of traffic for the healthy hosts of each priority.
    package private(set) var healthy: [Int]
    /// Percent of traffic for the degraded hosts of each priority.
    package private(set) var degraded: [Int]
    /// Whether a priority uses all its hosts, whatever their health.
    package private(set) var isPanicking: [Bool]

    package init(_ priorities: [Census], overprovisioningPercent: Int = 140, panicThresholdPercent: Double = 50) {
        let none = [Int](repeating: 0, count: priorities.count)
        (healthy, degraded) = (none, none)
        isPanicking = priorities.map { _ in false }
        let worth = priorities.map { $0.counted > 0 ? min(100, overprovisioningPercent * $0.healthy / $0.counted) : 0 }
        let degradedWorth = priorities.map {
            $0.counted > 0 ? min(100, overprovisioningPercent * $0.degraded / $0.counted) : 0
        }
        let available = min(100, (worth + degradedWorth).reduce(0, +))
        if available > 0 {
            var rest = 100
            for (index, value) in worth.enumerated() {
                healthy[index] = min(rest, value * 100 / available)
                rest -= healthy[index]
            }
            for (index, value) in degradedWorth.enumerated() {
                degraded[index] = min(rest, value * 100 / available)
                rest -= degraded[index]
            }
            // What rounding left over goes to the first that has any.
            if rest > 0 {
                if let first = worth.firstIndex(where: { $0 > 0 }) {
                    healthy[first] += rest
                } else if let first = degradedWorth.firstIndex(where: { $0 > 0 }) {
                    degraded[first] += rest
                }
            }
        }
        guard available < 100, panicThresholdPercent > 0 else { return }
        for (index, census) in priorities.enumerated() {
            let usable = census.counted > 0 ? 100 * Double(census.healthy + census.degraded) / Double(census.counted) : 0
            isPanicking[index] = usable < min(panicThresholdPercent, 100)
        }
        guard isPanicking.allSatisfy({ $0 }) else { return }
        // Everything is broken: health says nothing, so the number of hosts decides.
        let total = priorities.reduce(0) { $0 + $1.total }
        (healthy, degraded) = (none, none)
        guard total > 0 else { return }
        var rest = 100
        for (index, census) in priorities.enumerated() {
            healthy[index] = 100 * census.total / total
            rest -= healthy[index]
        }
        if let first = priorities.firstIndex(where: { $0.total > 0 }) { healthy[first] += rest }
    }
}
