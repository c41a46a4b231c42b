// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshIO
import MeshModel
package import MeshStats

/// One TCP proxy. Scope `tcp.<stat_prefix>.`.
package struct TCPProxyStats: StatGroup {
    let connectionsTotal: CounterID
    let connectionsNoRoute: CounterID
    let bytesReceived: CounterID
    let bytesSent: CounterID
    let bytesSentBuffered: GaugeID
    let flowControlPausedReading: CounterID
    let flowControlResumedReading: CounterID
    let idleTimeout: CounterID
    let maxDuration: CounterID
    let upstreamFlushTotal: CounterID
    let upstreamFlushActive: GaugeID

    package init(in scope: inout StatScope) {
        connectionsTotal = scope.counter("downstream_cx_total", "Connections proxied.")
        connectionsNoRoute = scope.counter("downstream_cx_no_route", "Connections without a cluster.")
        bytesReceived = scope.counter("downstream_cx_rx_bytes_total", "Bytes received from clients.")
        bytesSent = scope.counter("downstream_cx_tx_bytes_total", "Bytes sent to clients.")
        bytesSentBuffered = scope.gauge("downstream_cx_tx_bytes_buffered", "Bytes waiting to be sent to clients.")
        flowControlPausedReading = scope.counter(
            "downstream_flow_control_paused_reading_total", "Times reading a client was paused.")
        flowControlResumedReading = scope.counter(
            "downstream_flow_control_resumed_reading_total", "Times reading a client went on.")
        idleTimeout = scope.counter("idle_timeout", "Connections closed by idle_timeout.")
        maxDuration = scope.counter(
            "max_downstream_connection_duration", "Connections closed by max_downstream_connection_duration.")
        upstreamFlushTotal = scope.counter("upstream_flush_total", "Connections flushed upstream after the client left.")
        upstreamFlushActive = scope.gauge("upstream_flush_active", "Connections being flushed upstream.")
    }
}
