// SPDX-License-Identifier: Apache-2.0
import MeshStats

/// What a cluster's retries did. In the cluster's own scope.
package struct RetryStats: Sendable {
    let retries: CounterID
    let succeeded: CounterID
    let overflow: CounterID
    let limitExceeded: CounterID
    let backoffExponential: CounterID
    let backoffRateLimited: CounterID
    let perTryTimeout: CounterID
    let perTryIdleTimeout: CounterID
    let abandoned: CounterID
    /// Responses in whose place another attempt was made.
    let completed: CounterID
    let responses2xx: CounterID
    let responses3xx: CounterID
    let responses4xx: CounterID
    let responses5xx: CounterID
    let responses503: CounterID

    init(in scope: inout StatScope) {
        retries = scope.counter("upstream_rq_retry", "Attempts after the first.")
        succeeded = scope.counter("upstream_rq_retry_success", "Retries whose outcome was passed on.")
        overflow = scope.counter("upstream_rq_retry_overflow", "Retries refused by max_retries or the retry budget.")
        limitExceeded = scope.counter("upstream_rq_retry_limit_exceeded", "Requests that used up their retries.")
        backoffExponential = scope.counter("upstream_rq_retry_backoff_exponential", "Retries after a wait of the policy's.")
        backoffRateLimited = scope.counter(
            "upstream_rq_retry_backoff_ratelimited", "Retries after a wait that the response asked for.")
        perTryTimeout = scope.counter("upstream_rq_per_try_timeout", "Attempts ended by per_try_timeout.")
        perTryIdleTimeout = scope.counter("upstream_rq_per_try_idle_timeout", "Attempts ended by per_try_idle_timeout.")
        abandoned = scope.counter("retry_or_shadow_abandoned", "Requests with a body too large to be kept for a retry.")
        completed = scope.counter("retry.upstream_rq_completed", "Responses that a retry replaced.")
        responses2xx = scope.counter("retry.upstream_rq_2xx", "Successful responses that a retry replaced.")
        responses3xx = scope.counter("retry.upstream_rq_3xx", "Redirecting responses that a retry replaced.")
        responses4xx = scope.counter("retry.upstream_rq_4xx", "Client-error responses that a retry replaced.")
        responses5xx = scope.counter("retry.upstream_rq_5xx", "Server-error responses that a retry replaced.")
        responses503 = scope.counter("retry.upstream_rq_503", "Responses with status 503 that a retry replaced.")
    }

    /// A response was dropped for another attempt.
    func countReplaced(_ status: UInt16, in stats: StatPages) {
        stats.add(completed)
        switch status / 100 {
        case 2: stats.add(responses2xx)
        case 3: stats.add(responses3xx)
        case 4: stats.add(responses4xx)
        case 5: stats.add(responses5xx)
        default: break
        }
        if status == 503 { stats.add(responses503) }
    }
}
