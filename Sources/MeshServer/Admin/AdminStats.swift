// SPDX-License-Identifier: Apache-2.0
import MeshDataPlane
import MeshStats

/// What admin's own listener counts, by the names of any other: `listener.admin.…`, `http.admin.…`.
///
/// Admin is no listener of the data plane: what it has not is listed and stays 0.
final class AdminStats: LocalServerObserver {
    private let pages: StatPages
    private let connections: [CounterID]
    private let active: [GaugeID]
    private let destroyed: [CounterID]
    private let destroyedByClient: CounterID
    private let destroyedHere: CounterID
    private let lengths: [HistogramID]
    private let requests: [CounterID]
    private let activeRequests: GaugeID
    private let completed: CounterID
    /// By class of status, from 1xx.
    private let classes: [CounterID]
    private let requestTime: HistogramID
    private let received: CounterID
    private let sent: CounterID

    init(catalog: StatCatalog) {
        let (listener, manager) = (StatScopeName.listener("admin"), StatScopeName.http("admin"))
        catalog.announce(listener, ListenerStats.self)
        catalog.announce(manager, HTTPConnectionManagerStats.self)
        catalog.announce(listener.appending("http.admin."), HTTPListenerStats.self)
        let length = "downstream_cx_length_ms"
        let own = catalog.declare(listener) { scope in
            (
                scope.counter("downstream_cx_total", "Connections accepted."), scope.gauge("downstream_cx_active", "Open."),
                scope.counter("downstream_cx_destroy", "Ended."), scope.histogram(length, unit: .milliseconds, "Life.")
            )
        }
        let thread = listener.appending("main_thread.")
        catalog.show(own.0, as: "downstream_cx_total", in: thread)
        catalog.show(own.1, as: "downstream_cx_active", in: thread)
        var counters: [String: CounterID] = [:]
        var gauges: [GaugeID] = []
        var histograms: [HistogramID] = []
        catalog.declare(manager) { scope in
            for name in [
                "downstream_cx_total", "downstream_cx_http1_total", "downstream_cx_destroy", "downstream_cx_destroy_local",
                "downstream_cx_destroy_remote", "downstream_rq_total", "downstream_rq_http1_total", "downstream_rq_completed",
                "downstream_cx_rx_bytes_total", "downstream_cx_tx_bytes_total", "downstream_rq_1xx", "downstream_rq_2xx",
                "downstream_rq_3xx", "downstream_rq_4xx", "downstream_rq_5xx",
            ] { counters[name] = scope.counter(name, "Of admin.") }
            gauges = ["downstream_cx_active", "downstream_cx_http1_active", "downstream_rq_active"].map { scope.gauge($0, "Of admin.") }
            histograms = [length, "downstream_rq_time"].map { scope.histogram($0, unit: .milliseconds, "Of admin.") }
        }
        func counter(_ name: String) -> CounterID { counters["downstream_" + name] ?? .sink }
        connections = [own.0, counter("cx_total"), counter("cx_http1_total")]
        active = [own.1, gauges[0], gauges[1]]
        destroyed = [own.2, counter("cx_destroy")]
        destroyedByClient = counter("cx_destroy_remote")
        destroyedHere = counter("cx_destroy_local")
        lengths = [own.3, histograms[0]]
        requests = [counter("rq_total"), counter("rq_http1_total")]
        activeRequests = gauges[2]
        completed = counter("rq_completed")
        classes = (1...5).map { counter("rq_\($0)xx") }
        requestTime = histograms[1]
        received = counter("cx_rx_bytes_total")
        sent = counter("cx_tx_bytes_total")
        let repeated = listener.appending("http.admin.")
        for (index, id) in classes.enumerated() { catalog.show(id, as: "downstream_rq_\(index + 1)xx", in: repeated) }
        catalog.show(completed, as: "downstream_rq_completed", in: repeated)
        pages = catalog.makePages()
    }

    func accepted() {
        for id in connections { pages.add(id) }
        for id in active { pages.increment(id) }
    }

    func ended(byClient: Bool, afterMilliseconds length: Int64) {
        for id in active { pages.decrement(id) }
        for id in destroyed { pages.add(id) }
        pages.add(byClient ? destroyedByClient : destroyedHere)
        for id in lengths { pages.record(id, UInt64(max(0, length))) }
    }

    func requested() {
        for id in requests { pages.add(id) }
        pages.increment(activeRequests)
    }

    func answered(status: Int, afterMilliseconds time: Int64) {
        pages.decrement(activeRequests)
        pages.add(completed)
        if (1...5).contains(status / 100) { pages.add(classes[status / 100 - 1]) }
        pages.record(requestTime, UInt64(max(0, time)))
    }

    func transferred(received count: Int, sent sentCount: Int) {
        pages.add(received, UInt64(count))
        pages.add(sent, UInt64(sentCount))
    }
}
