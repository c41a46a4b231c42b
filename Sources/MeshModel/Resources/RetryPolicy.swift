// SPDX-License-Identifier: Apache-2.0

/// When and how a request is sent again. A route's takes the place of its virtual host's.
///
/// - Source: `envoy.config.route.v3.RetryPolicy`.
package struct RetryPolicy: Equatable, Sendable {
    /// Source: `retry_on`; unknown names are passed over.
    package var conditions: RetryConditions = []
    /// Attempts after the first. Source: `num_retries`. Default: 1.
    package var retries: UInt32 = 1
    /// From the connection, or the end of the request if that is later, to the response's head. Source: `per_try_timeout`.
    /// Default: nil (only the route's timeout).
    package var perTryTimeout: Duration?
    /// Without a byte of the response. Source: `per_try_idle_timeout`. Default: nil.
    package var perTryIdleTimeout: Duration?
    /// Another host than those that failed, where one is found. Source: `retry_host_predicate` with
    /// `envoy.retry_host_predicates.previous_hosts`. Default: false.
    package var avoidsPreviousHosts = false
    /// No host that is a canary, where one is found. Source: `retry_host_predicate` with
    /// `envoy.retry_host_predicates.omit_canary_hosts`. Default: false.
    package var omitsCanaryHosts = false
    /// How often to look for such a host. Source: `host_selection_retry_max_attempts`. Default: 1.
    package var hostSelectionAttempts: UInt32 = 1
    /// Leave the priorities that failed out, each after so many attempts. Source: `retry_priority` with
    /// `envoy.retry_priorities.previous_priorities`, `update_frequency`. Default: nil (off).
    package var priorityUpdateFrequency: UInt32?
    /// Of the condition `retriable-status-codes`. Source: `retriable_status_codes`.
    package var statusCodes: [UInt32] = []
    /// Of the condition `retriable-headers`: any of them on the response. Source: `retriable_headers`.
    package var responseHeaders: [HeaderMatcher] = []
    /// Only requests that meet one of them are made again, unless there is none. Source: `retriable_request_headers`.
    package var requestHeaders: [HeaderMatcher] = []
    /// Upper bound of the first wait. Source: `retry_back_off.base_interval`. Default: 25 ms.
    package var baseInterval: Duration = .milliseconds(25)
    /// Upper bound of every wait. Source: `retry_back_off.max_interval`. Default: nil (ten times the first).
    package var maxInterval: Duration?
    /// Response headers that say when to come again; the first with an acceptable value counts.
    /// Source: `rate_limited_retry_back_off.reset_headers`.
    package var resetHeaders: [ResetHeader] = []
    /// Longest wait a header may ask for. Source: `rate_limited_retry_back_off.max_interval`. Default: 300 s.
    package var maxResetInterval: Duration = .seconds(300)

    /// Source: `RetryPolicy.ResetHeader`.
    package struct ResetHeader: Equatable, Sendable {
        package var name: String
        package var format: ResetHeaderFormat

        package init(name: String, format: ResetHeaderFormat) {
            self.name = name
            self.format = format
        }
    }

    package init() {}
}

/// How much of a request's body is kept to send it again.
package enum RequestBufferLimit: Equatable, Sendable {
    /// As much as the listener's connections buffer.
    case inherit
    /// Source: `per_request_buffer_limit_bytes`: no more than the listener's connections buffer.
    case atMost(UInt64)
    /// Source: `request_body_buffer_limit`.
    case bytes(UInt64)
}
