// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshIO
import MeshModel
package import MeshStats

/// One listener. Scope `listener.<address>.`.
package struct ListenerStats: StatGroup {
    let connectionsTotal: CounterID
    let connectionsActive: GaugeID
    let connectionsDestroyed: CounterID
    let connectionsOverflow: CounterID
    let connectionsGlobalOverflow: CounterID
    let connectionsOverloadReject: CounterID
    let preConnectionsActive: GaugeID
    let preConnectionsTimeout: CounterID
    let noFilterChainMatch: CounterID
    let listenerFilterRemoteClose: CounterID
    let listenerFilterError: CounterID
    let transportSocketTimeout: CounterID
    let connectionDuration: HistogramID

    package init(in scope: inout StatScope) {
        connectionsTotal = scope.counter("downstream_cx_total", "Connections accepted.")
        connectionsActive = scope.gauge("downstream_cx_active", "Connections open.")
        connectionsDestroyed = scope.counter("downstream_cx_destroy", "Connections ended.")
        connectionsOverflow = scope.counter("downstream_cx_overflow", "Connections refused by the listener's limit.")
        connectionsGlobalOverflow = scope.counter(
            "downstream_global_cx_overflow", "Connections refused by the process-wide limit.")
        connectionsOverloadReject = scope.counter(
            "downstream_cx_overload_reject", "Connections refused because the process is overloaded.")
        preConnectionsActive = scope.gauge("downstream_pre_cx_active", "Connections still in the listener filters.")
        preConnectionsTimeout = scope.counter(
            "downstream_pre_cx_timeout", "Connections whose listener filters did not finish in time.")
        noFilterChainMatch = scope.counter("no_filter_chain_match", "Connections that no filter chain matched.")
        listenerFilterRemoteClose = scope.counter(
            "downstream_listener_filter_remote_close", "Connections the client closed inside the listener filters.")
        listenerFilterError = scope.counter(
            "downstream_listener_filter_error", "Connections closed by an error of a listener filter.")
        transportSocketTimeout = scope.counter(
            "downstream_cx_transport_socket_connect_timeout", "Connections whose TLS handshake took too long.")
        connectionDuration = scope.histogram("downstream_cx_length_ms", unit: .milliseconds, "Life of a connection.")
    }

    /// Lists each worker's part, which is what that worker's own pages say.
    func showWorkers(_ workers: Int, of name: String, in catalog: StatCatalog) {
        for worker in 0..<workers {
            let scope = StatScopeName.listenerWorker(name, worker)
            catalog.show(connectionsTotal, as: "downstream_cx_total", in: scope, ofWorker: worker)
            catalog.show(connectionsActive, as: "downstream_cx_active", in: scope, ofWorker: worker)
        }
    }
}
