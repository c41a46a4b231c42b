// SPDX-License-Identifier: Apache-2.0
import MeshStats

/// How a cluster's hosts came to be. Scope `cluster.<name>.`.
struct ClusterUpdateStats: Sendable {
    let attempts: CounterID
    let successes: CounterID
    let failures: CounterID
    let empties: CounterID
    let unchanged: CounterID
    let membershipChanges: CounterID
    let membershipExcluded: GaugeID

    init(in scope: inout StatScope) {
        attempts = scope.counter("update_attempt", "Times hosts were asked for.")
        successes = scope.counter("update_success", "Times hosts were learned.")
        failures = scope.counter("update_failure", "Times asking for hosts failed.")
        empties = scope.counter("update_empty", "Times an answer had no hosts in it.")
        unchanged = scope.counter("update_no_rebuild", "Times an answer changed nothing.")
        membershipChanges = scope.counter("membership_change", "Times hosts came or went.")
        membershipExcluded = scope.gauge("membership_excluded", "Endpoints left out of balancing.")
    }
}
