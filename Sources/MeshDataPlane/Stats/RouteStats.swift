// SPDX-License-Identifier: Apache-2.0
import MeshStats

/// A route with a `stat_prefix`, or a virtual cluster, on one worker. Scopes `vhost.<virtual host>.route.<stat_prefix>.` and
/// `vhost.<virtual host>.vcluster.<name>.`.
final class RouteStats {
    let responses: ResponseStats
    private let pages: StatPages
    private let total: CounterID
    private let timeouts: CounterID
    private let retries: CounterID
    private let retriesSucceeded: CounterID
    private let retriesOverflow: CounterID
    private let retryLimitExceeded: CounterID

    /// Of the virtual cluster; empty for a route, and for what belongs to none.
    let name: String

    init(catalog: StatCatalog, scope: StatScopeName, pages: StatPages, name: String = "") {
        self.name = name
        responses = ResponseStats(catalog: catalog, scope: scope, pages: pages, tellsOrigin: false)
        self.pages = pages
        (total, timeouts, retries, retriesSucceeded, retriesOverflow, retryLimitExceeded) = catalog.declare(scope) { scope in
            _ = scope.counter("upstream_rq_completed", "Responses.")
            return (
                scope.counter("upstream_rq_total", "Attempts that got a connection."),
                scope.counter("upstream_rq_timeout", "Requests ended by the route's timeout."),
                scope.counter("upstream_rq_retry", "Attempts after the first."),
                scope.counter("upstream_rq_retry_success", "Retries whose outcome was passed on."),
                scope.counter("upstream_rq_retry_overflow", "Retries refused by max_retries or the retry budget."),
                scope.counter("upstream_rq_retry_limit_exceeded", "Requests that used up their retries.")
            )
        }
    }

    /// An attempt, whether the first or a retry, has a connection.
    func attemptBegan() { pages.add(total) }
    func timedOut() { pages.add(timeouts) }
    func retried() { pages.add(retries) }
    func retrySucceeded() { pages.add(retriesSucceeded) }
    func retryOverflowed() { pages.add(retriesOverflow) }
    func retriesUsedUp() { pages.add(retryLimitExceeded) }
}

@available(*, unavailable) extension RouteStats: Sendable {}
