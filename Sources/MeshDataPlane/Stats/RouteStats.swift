// SPDX-License-Identifier: Apache-2.0
import MeshStats

/// A route with a `stat_prefix`, on one worker. Scope `vhost.<virtual host>.route.<stat_prefix>.`.
final class RouteStats {
    let responses: ResponseStats
    private let pages: StatPages
    private let total: CounterID
    private let timeouts: CounterID

    init(catalog: StatCatalog, scope: StatScopeName, pages: StatPages) {
        responses = ResponseStats(catalog: catalog, scope: scope, pages: pages, tellsOrigin: false)
        self.pages = pages
        (total, timeouts) = catalog.declare(scope) { scope in
            _ = scope.counter("upstream_rq_completed", "Responses.")
            return (
                scope.counter("upstream_rq_total", "Attempts."),
                scope.counter("upstream_rq_timeout", "Requests ended by the route's timeout.")
            )
        }
    }

    func attemptBegan() { pages.add(total) }
    func timedOut() { pages.add(timeouts) }
}

@available(*, unavailable) extension RouteStats: Sendable {}
