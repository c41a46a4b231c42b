// SPDX-License-Identifier: Apache-2.0
import MeshStats

/// What a cluster's retries did. In the cluster's own scope; the responses they replaced are `WorkerCluster.replaced`.
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
    }

}
