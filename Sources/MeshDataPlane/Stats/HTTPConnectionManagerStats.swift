// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshIO
import MeshModel
package import MeshStats

/// One HTTP connection manager. Scope `http.<stat_prefix>.`.
package struct HTTPConnectionManagerStats: StatGroup {
    let connectionsTotal: CounterID
    let connectionsActive: GaugeID
    let connectionsHTTP1Total: CounterID
    let connectionsHTTP2Total: CounterID
    let connectionsHTTP1Active: GaugeID
    let connectionsHTTP2Active: GaugeID
    let connectionsSSLTotal: CounterID
    let connectionsSSLActive: GaugeID
    let connectionsIdleTimeout: CounterID
    let connectionsMaxDuration: CounterID
    let connectionsMaxRequests: CounterID
    let connectionsDestroyed: CounterID
    let connectionsDestroyedLocal: CounterID
    let connectionsDestroyedRemote: CounterID
    let connectionsDestroyedActiveRequests: CounterID
    let connectionsDestroyedLocalActiveRequests: CounterID
    let connectionsDestroyedRemoteActiveRequests: CounterID
    let connectionsProtocolError: CounterID
    let connectionsDrainClose: CounterID
    let connectionsOverloadDisableKeepAlive: CounterID
    let requestsOverloadClose: CounterID
    let connectionsDelayedCloseTimeout: CounterID
    let bytesReceived: CounterID
    let bytesSent: CounterID
    let upgradesTotal: CounterID
    let upgradesActive: GaugeID
    let requestsTotal: CounterID
    let requestsHTTP1: CounterID
    let requestsHTTP2: CounterID
    let requestsTooManyPrematureResets: CounterID
    let requestsResetSent: CounterID
    let requestsActive: GaugeID
    let requestsTooLarge: CounterID
    let requestsNonRelativePath: CounterID
    let requestsFailedPathNormalization: CounterID
    let requestsResetReceived: CounterID
    let requestsTimeout: CounterID
    let requestsHeaderTimeout: CounterID
    let requestsIdleTimeout: CounterID
    let requestsMaxDuration: CounterID
    let requestsRejectedViaIPDetection: CounterID
    let requestsRedirectedWithNormalizedPath: CounterID
    let responsesBeforeRequestComplete: CounterID
    let flowControlPausedReading: CounterID
    let flowControlResumedReading: CounterID
    let wsOnNonWSRoute: CounterID
    let routerRequests: CounterID
    let routerNoRoute: CounterID
    let routerNoCluster: CounterID
    let routerRedirects: CounterID
    let routerDirectResponses: CounterID
    let requestDuration: HistogramID
    let connectionDuration: HistogramID

    package init(in scope: inout StatScope) {
        connectionsTotal = scope.counter("downstream_cx_total", "Connections handed to the manager.")
        connectionsActive = scope.gauge("downstream_cx_active", "Connections open.")
        connectionsHTTP1Total = scope.counter("downstream_cx_http1_total", "HTTP/1 connections.")
        connectionsHTTP1Active = scope.gauge("downstream_cx_http1_active", "HTTP/1 connections open.")
        connectionsHTTP2Total = scope.counter("downstream_cx_http2_total", "HTTP/2 connections.")
        connectionsHTTP2Active = scope.gauge("downstream_cx_http2_active", "HTTP/2 connections open.")
        connectionsSSLTotal = scope.counter("downstream_cx_ssl_total", "TLS connections.")
        connectionsSSLActive = scope.gauge("downstream_cx_ssl_active", "TLS connections open.")
        connectionsIdleTimeout = scope.counter("downstream_cx_idle_timeout", "Connections closed by idle_timeout.")
        connectionsMaxDuration = scope.counter(
            "downstream_cx_max_duration_reached", "Connections closed by max_connection_duration.")
        connectionsMaxRequests = scope.counter(
            "downstream_cx_max_requests_reached", "Connections closed by max_requests_per_connection.")
        connectionsDestroyed = scope.counter("downstream_cx_destroy", "Connections ended.")
        connectionsDestroyedLocal = scope.counter("downstream_cx_destroy_local", "Connections ended by the proxy.")
        connectionsDestroyedRemote = scope.counter("downstream_cx_destroy_remote", "Connections ended by the client.")
        connectionsDestroyedActiveRequests = scope.counter(
            "downstream_cx_destroy_active_rq", "Connections ended with a request in flight.")
        connectionsDestroyedLocalActiveRequests = scope.counter(
            "downstream_cx_destroy_local_active_rq", "Connections the proxy ended with a request in flight.")
        connectionsDestroyedRemoteActiveRequests = scope.counter(
            "downstream_cx_destroy_remote_active_rq", "Connections the client ended with a request in flight.")
        connectionsProtocolError = scope.counter("downstream_cx_protocol_error", "Connections with a protocol error.")
        connectionsOverloadDisableKeepAlive = scope.counter(
            "downstream_cx_overload_disable_keepalive", "Connections ended after a response because of overload.")
        requestsOverloadClose = scope.counter(
            "downstream_rq_overload_close", "Requests answered 503 because the process is overloaded.")
        connectionsDrainClose = scope.counter("downstream_cx_drain_close", "Connections closed by draining.")
        connectionsDelayedCloseTimeout = scope.counter(
            "downstream_cx_delayed_close_timeout", "Connections whose client did not close in delayed_close_timeout.")
        bytesReceived = scope.counter("downstream_cx_rx_bytes_total", "Bytes received.")
        bytesSent = scope.counter("downstream_cx_tx_bytes_total", "Bytes sent.")
        upgradesTotal = scope.counter("downstream_cx_upgrades_total", "Upgraded connections, CONNECT included.")
        upgradesActive = scope.gauge("downstream_cx_upgrades_active", "Upgraded connections open.")
        requestsTotal = scope.counter("downstream_rq_total", "Requests begun.")
        requestsHTTP1 = scope.counter("downstream_rq_http1_total", "HTTP/1 requests.")
        requestsHTTP2 = scope.counter("downstream_rq_http2_total", "HTTP/2 requests.")
        requestsTooManyPrematureResets = scope.counter(
            "downstream_rq_too_many_premature_resets", "Connections closed for resetting too many streams early.")
        requestsResetSent = scope.counter("downstream_rq_tx_reset", "Requests the proxy reset.")
        requestsActive = scope.gauge("downstream_rq_active", "Requests not yet finished.")
        // Raised by way of `HTTPListenerStats`.
        _ = scope.counter("downstream_rq_1xx", "Informational responses.")
        _ = scope.counter("downstream_rq_2xx", "Successful responses.")
        _ = scope.counter("downstream_rq_3xx", "Redirecting responses.")
        _ = scope.counter("downstream_rq_4xx", "Client-error responses.")
        _ = scope.counter("downstream_rq_5xx", "Server-error responses.")
        _ = scope.counter("downstream_rq_completed", "Requests that got a response.")
        requestsTooLarge = scope.counter("downstream_rq_too_large", "Requests answered 413.")
        requestsNonRelativePath = scope.counter("downstream_rq_non_relative_path", "Requests with a refused path form.")
        requestsFailedPathNormalization = scope.counter(
            "downstream_rq_failed_path_normalization", "Requests refused because their path cannot be normalised.")
        requestsResetReceived = scope.counter("downstream_rq_rx_reset", "Requests the client reset.")
        requestsTimeout = scope.counter("downstream_rq_timeout", "Requests ended by request_timeout.")
        requestsHeaderTimeout = scope.counter("downstream_rq_header_timeout", "Requests ended by request_headers_timeout.")
        requestsIdleTimeout = scope.counter("downstream_rq_idle_timeout", "Requests ended by stream_idle_timeout.")
        requestsMaxDuration = scope.counter("downstream_rq_max_duration_reached", "Requests ended by max_stream_duration.")
        requestsRejectedViaIPDetection = scope.counter(
            "downstream_rq_rejected_via_ip_detection", "Requests refused by address detection.")
        requestsRedirectedWithNormalizedPath = scope.counter(
            "downstream_rq_redirected_with_normalized_path", "Requests redirected to their unescaped path.")
        responsesBeforeRequestComplete = scope.counter(
            "downstream_rq_response_before_rq_complete", "Responses sent before the request was complete.")
        flowControlPausedReading = scope.counter(
            "downstream_flow_control_paused_reading_total", "Times reading the client was paused.")
        flowControlResumedReading = scope.counter(
            "downstream_flow_control_resumed_reading_total", "Times reading the client went on.")
        wsOnNonWSRoute = scope.counter("downstream_rq_ws_on_non_ws_route", "Upgrades refused.")
        routerRequests = scope.counter("rq_total", "Requests that reached the router.")
        routerNoRoute = scope.counter("no_route", "Requests without a route.")
        routerNoCluster = scope.counter("no_cluster", "Requests whose route names an unknown cluster.")
        routerRedirects = scope.counter("rq_redirect", "Requests answered by a redirect route.")
        routerDirectResponses = scope.counter("rq_direct_response", "Requests answered by a direct response route.")
        requestDuration = scope.histogram("downstream_rq_time", unit: .milliseconds, "Head received to last byte sent.")
        connectionDuration = scope.histogram("downstream_cx_length_ms", unit: .milliseconds, "Life of a connection.")
    }
}

/// HTTP/1 codec errors. Scope `http1.`, shared by every connection manager and upstream, as in Envoy.
package struct HTTP1CodecStats: Sendable {
    let droppedUnderscores: CounterID
    let rejectedUnderscores: CounterID
    let responseFlood: CounterID

    init(in scope: inout StatScope) {
        droppedUnderscores = scope.counter("dropped_headers_with_underscores", "Header fields dropped for an underscore.")
        rejectedUnderscores = scope.counter(
            "requests_rejected_with_underscores_in_headers", "Requests refused for an underscore in a header name.")
        responseFlood = scope.counter("response_flood", "Connections closed for too many pipelined requests.")
    }
}
