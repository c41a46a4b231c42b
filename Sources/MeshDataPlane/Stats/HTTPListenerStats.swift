// SPDX-License-Identifier: Apache-2.0
package import MeshStats

/// Responses of one connection manager on one listener. Scope `listener.<address>.http.<stat_prefix>.`. One row a response:
/// what is counted of all statuses, and of the manager on all listeners, is the sum.
package struct HTTPListenerStats: StatGroup {
    let responses1xx: CounterID
    let responses2xx: CounterID
    let responses3xx: CounterID
    let responses4xx: CounterID
    let responses5xx: CounterID

    package init(in scope: inout StatScope) {
        _ = scope.counter("downstream_rq_completed", "Requests that got a response.")
        responses1xx = scope.counter("downstream_rq_1xx", "Informational responses.")
        responses2xx = scope.counter("downstream_rq_2xx", "Successful responses.")
        responses3xx = scope.counter("downstream_rq_3xx", "Redirecting responses.")
        responses4xx = scope.counter("downstream_rq_4xx", "Client-error responses.")
        responses5xx = scope.counter("downstream_rq_5xx", "Server-error responses.")
    }

    /// Makes the sums: of all statuses, and of the manager.
    func addUp(_ scope: StatScopeName, for manager: StatScopeName, in catalog: StatCatalog) {
        for (index, id) in [responses1xx, responses2xx, responses3xx, responses4xx, responses5xx].enumerated() {
            catalog.show(id, as: "downstream_rq_\(index + 1)xx", in: manager)
            catalog.show(id, as: "downstream_rq_completed", in: manager)
            catalog.show(id, as: "downstream_rq_completed", in: scope)
        }
    }
}
