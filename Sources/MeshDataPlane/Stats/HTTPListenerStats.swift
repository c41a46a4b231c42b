// SPDX-License-Identifier: Apache-2.0
import MeshStats

/// Responses of one connection manager on one listener. Scope `listener.<address>.http.<stat_prefix>.`.
package struct HTTPListenerStats: Sendable {
    private let completed: CounterID
    private let responses1xx: CounterID
    private let responses2xx: CounterID
    private let responses3xx: CounterID
    private let responses4xx: CounterID
    private let responses5xx: CounterID

    init(in scope: inout StatScope) {
        completed = scope.counter("downstream_rq_completed", "Requests that got a response.")
        responses1xx = scope.counter("downstream_rq_1xx", "Informational responses.")
        responses2xx = scope.counter("downstream_rq_2xx", "Successful responses.")
        responses3xx = scope.counter("downstream_rq_3xx", "Redirecting responses.")
        responses4xx = scope.counter("downstream_rq_4xx", "Client-error responses.")
        responses5xx = scope.counter("downstream_rq_5xx", "Server-error responses.")
    }

    /// Counts the end of a request that got `status`.
    @inline(__always) func count(_ status: UInt16, _ pages: StatPages) {
        pages.add(completed)
        switch status / 100 {
        case 2: pages.add(responses2xx)
        case 3: pages.add(responses3xx)
        case 4: pages.add(responses4xx)
        case 5: pages.add(responses5xx)
        default: pages.add(responses1xx)
        }
    }
}
