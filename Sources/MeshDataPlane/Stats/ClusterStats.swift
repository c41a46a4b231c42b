// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshIO
import MeshModel
package import MeshStats

/// One cluster. Scope `cluster.<alt_stat_name or name>.`.
package struct ClusterStats: StatGroup {
    let connectionsTotal: CounterID
    let connectionsActive: GaugeID
    let connectionsHTTP1Total: CounterID
    let connectionsHTTP2Total: CounterID
    let connectionsConnectFail: CounterID
    let connectionsConnectTimeout: CounterID
    let connectionsConnectAttemptsExceeded: CounterID
    let connectionsIdleTimeout: CounterID
    let connectionsMaxDuration: CounterID
    let connectionsMaxRequests: CounterID
    let connectionsOverflow: CounterID
    let connectionsPoolOverflow: CounterID
    let connectionsNoneHealthy: CounterID
    let connectionsProtocolError: CounterID
    let connectionsDestroyed: CounterID
    let connectionsDestroyedLocal: CounterID
    let connectionsDestroyedRemote: CounterID
    let connectionsDestroyedWithActiveRequest: CounterID
    let connectionsDestroyedLocalWithActiveRequest: CounterID
    let connectionsDestroyedRemoteWithActiveRequest: CounterID
    let bytesReceived: CounterID
    let bytesSent: CounterID
    let requestsTotal: CounterID
    let requestsActive: GaugeID
    let requestsPendingTotal: CounterID
    let requestsPendingActive: GaugeID
    let requestsPendingOverflow: CounterID
    let requestsActiveOverflow: CounterID
    let requestsPendingFailureEject: CounterID
    let requestsTimeout: CounterID
    let requestsCancelled: CounterID
    let requestsReceivedReset: CounterID
    let requestsSentReset: CounterID
    let requestsMaxDuration: CounterID
    let flowControlPausedReading: CounterID
    let flowControlResumedReading: CounterID
    let flowControlBackedUp: CounterID
    let flowControlDrained: CounterID
    let retry: RetryStats
    let connectDuration: HistogramID
    let requestsPerConnection: HistogramID
    let connectionDuration: HistogramID

    package init(in scope: inout StatScope) {
        connectionsTotal = scope.counter("upstream_cx_total", "Connections made.")
        connectionsActive = scope.gauge("upstream_cx_active", "Connections open.")
        connectionsHTTP1Total = scope.counter("upstream_cx_http1_total", "HTTP/1 connections made.")
        connectionsHTTP2Total = scope.counter("upstream_cx_http2_total", "HTTP/2 connections.")
        connectionsConnectFail = scope.counter("upstream_cx_connect_fail", "Connections that could not be made.")
        connectionsConnectTimeout = scope.counter("upstream_cx_connect_timeout", "Connections not made in connect_timeout.")
        connectionsConnectAttemptsExceeded = scope.counter(
            "upstream_cx_connect_attempts_exceeded", "TCP proxy connections that used up max_connect_attempts.")
        connectionsIdleTimeout = scope.counter("upstream_cx_idle_timeout", "Connections closed by idle_timeout.")
        connectionsMaxDuration = scope.counter(
            "upstream_cx_max_duration_reached", "Connections closed by max_connection_duration.")
        connectionsMaxRequests = scope.counter("upstream_cx_max_requests", "Connections closed by max_requests_per_connection.")
        connectionsOverflow = scope.counter("upstream_cx_overflow", "Times max_connections kept one from being made.")
        connectionsPoolOverflow = scope.counter("upstream_cx_pool_overflow", "Times the limit on pools was reached.")
        connectionsNoneHealthy = scope.counter("upstream_cx_none_healthy", "Times no endpoint could be chosen.")
        connectionsProtocolError = scope.counter("upstream_cx_protocol_error", "Connections with a protocol error.")
        connectionsDestroyed = scope.counter("upstream_cx_destroy", "Connections ended.")
        connectionsDestroyedLocal = scope.counter("upstream_cx_destroy_local", "Connections ended by the proxy.")
        connectionsDestroyedRemote = scope.counter("upstream_cx_destroy_remote", "Connections ended by the upstream.")
        connectionsDestroyedWithActiveRequest = scope.counter(
            "upstream_cx_destroy_with_active_rq", "Connections ended with a request in flight.")
        connectionsDestroyedLocalWithActiveRequest = scope.counter(
            "upstream_cx_destroy_local_with_active_rq", "Connections the proxy ended with a request in flight.")
        connectionsDestroyedRemoteWithActiveRequest = scope.counter(
            "upstream_cx_destroy_remote_with_active_rq", "Connections the upstream ended with a request in flight.")
        bytesReceived = scope.counter("upstream_cx_rx_bytes_total", "Bytes received.")
        bytesSent = scope.counter("upstream_cx_tx_bytes_total", "Bytes sent.")
        requestsTotal = scope.counter("upstream_rq_total", "Requests sent.")
        requestsActive = scope.gauge("upstream_rq_active", "Requests in flight.")
        requestsPendingTotal = scope.counter("upstream_rq_pending_total", "Requests that waited for a connection.")
        requestsPendingActive = scope.gauge("upstream_rq_pending_active", "Requests waiting for a connection.")
        requestsPendingOverflow = scope.counter(
            "upstream_rq_pending_overflow", "Requests refused by max_pending_requests.")
        requestsActiveOverflow = scope.counter("upstream_rq_active_overflow", "Requests refused by max_requests.")
        requestsPendingFailureEject = scope.counter(
            "upstream_rq_pending_failure_eject", "Waiting requests failed with their connection.")
        // Raised by way of the rows of each status: `ResponseStats`.
        _ = scope.counter("upstream_rq_completed", "Requests that got a response.")
        requestsTimeout = scope.counter("upstream_rq_timeout", "Requests ended by the route's timeout.")
        requestsCancelled = scope.counter("upstream_rq_cancelled", "Requests given up before a connection was ready.")
        requestsReceivedReset = scope.counter("upstream_rq_rx_reset", "Requests the upstream reset.")
        requestsSentReset = scope.counter("upstream_rq_tx_reset", "Requests the proxy reset.")
        requestsMaxDuration = scope.counter("upstream_rq_max_duration_reached", "Requests ended by max_stream_duration.")
        flowControlPausedReading = scope.counter(
            "upstream_flow_control_paused_reading_total", "Times reading the upstream was paused.")
        flowControlResumedReading = scope.counter(
            "upstream_flow_control_resumed_reading_total", "Times reading the upstream went on.")
        flowControlBackedUp = scope.counter(
            "upstream_flow_control_backed_up_total", "Times output to the upstream went above its high watermark.")
        flowControlDrained = scope.counter(
            "upstream_flow_control_drained_total", "Times output to the upstream fell to its low watermark.")
        retry = RetryStats(in: &scope)
        connectDuration = scope.histogram("upstream_cx_connect_ms", unit: .milliseconds, "Time to make a connection.")
        requestsPerConnection = scope.histogram("upstream_rq_per_cx", unit: .none, "Requests of a connection.")
        connectionDuration = scope.histogram("upstream_cx_length_ms", unit: .milliseconds, "Life of a connection.")
    }
}

/// What is known of a cluster's hosts, whether or not anyone uses it. Scope `cluster.<name>.`.
struct ClusterMembershipStats: StatGroup {
    let total: GaugeID
    let healthy: GaugeID
    let degraded: GaugeID

    init(in scope: inout StatScope) {
        total = scope.gauge("membership_total", "Endpoints.")
        healthy = scope.gauge("membership_healthy", "Endpoints that are healthy.")
        degraded = scope.gauge("membership_degraded", "Endpoints that are degraded.")
    }
}
