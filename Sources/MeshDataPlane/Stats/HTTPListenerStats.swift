// SPDX-License-Identifier: Apache-2.0
import MeshStats

/// Responses of one connection manager on one listener. Scope `listener.<address>.http.<stat_prefix>.`.
package struct HTTPListenerStats: Sendable {
    let completed: CounterID
    let responses1xx: CounterID
    let responses2xx: CounterID
    let responses3xx: CounterID
    let responses4xx: CounterID
    let responses5xx: CounterID

    init(in scope: inout StatScope) {
        completed = scope.counter("downstream_rq_completed", "Requests that got a response.")
        responses1xx = scope.counter("downstream_rq_1xx", "Informational responses.")
        responses2xx = scope.counter("downstream_rq_2xx", "Successful responses.")
        responses3xx = scope.counter("downstream_rq_3xx", "Redirecting responses.")
        responses4xx = scope.counter("downstream_rq_4xx", "Client-error responses.")
        responses5xx = scope.counter("downstream_rq_5xx", "Server-error responses.")
    }
}
