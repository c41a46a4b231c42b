// SPDX-License-Identifier: Apache-2.0
import MeshStats
import Testing

struct StatOutputTests {
    let catalog = StatCatalog()
    let pages: StatPages

    init() {
        pages = catalog.makePages()
        let requests = catalog.declare(.http("ingress")) { scope in
            _ = scope.counter("downstream_rq_4xx", "")
            _ = scope.gauge("downstream_cx_active", "")
            return scope.counter("downstream_rq_2xx", "")
        }
        pages.add(requests, 6)
        let (worker, state) = catalog.declare(.literal("listener_manager.")) {
            ($0.gauge("workers_started", ""), $0.gauge("total_filter_chains_draining", ""))
        }
        pages.set(worker, 1)
        _ = state
        let live = catalog.declare(.literal("server.")) { $0.gauge("state", "") }
        pages.set(live, 0)
        let (code, time) = catalog.declare(.cluster("outbound|80||a.ns.svc;")) {
            ($0.counter("upstream_rq_200", ""), $0.histogram("upstream_rq_time", unit: .milliseconds, ""))
        }
        pages.add(code, 3)
        for value: UInt64 in [6, 6, 7] { pages.record(time, value) }
        let accepted = catalog.declare(.listenerWorker("127.0.0.1:80", 1)) { $0.counter("downstream_cx_total", "") }
        pages.add(accepted, 4)
        let nested = catalog.declare(.listenerHTTP("127.0.0.1:80", "ingress")) { $0.counter("downstream_rq_2xx", "") }
        pages.add(nested, 6)
    }

    func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

    @Test func textListsScalarsByNameAndThenHistograms() {
        #expect(text(catalog.text(StatQuery())) == """
            cluster.outbound|80||a.ns.svc;.upstream_rq_200: 3
            http.ingress.downstream_cx_active: 0
            http.ingress.downstream_rq_2xx: 6
            http.ingress.downstream_rq_4xx: 0
            listener.127.0.0.1_80.http.ingress.downstream_rq_2xx: 6
            listener.127.0.0.1_80.worker_1.downstream_cx_total: 4
            listener_manager.total_filter_chains_draining: 0
            listener_manager.workers_started: 1
            server.state: 0
            cluster.outbound|80||a.ns.svc;.upstream_rq_time: P0(nan,6.033333333333333) P25(nan,6.033333333333333) \
            P50(nan,6.066666666666666) P75(nan,7.05) P90(nan,7.05) P95(nan,7.05) P99(nan,7.05) P99.5(nan,7.05) \
            P99.9(nan,7.05) P100(nan,7.05)

            """)
    }

    @Test func usedOnlyKeepsGaugesThatWereSetToZero() {
        var query = StatQuery()
        query.usedOnly = true
        query.matches = { $0.hasPrefix("server.") || $0.hasPrefix("listener_manager.") || $0.hasPrefix("http.") }
        #expect(text(catalog.text(query)) == """
            http.ingress.downstream_rq_2xx: 6
            listener_manager.workers_started: 1
            server.state: 0

            """)
    }

    @Test func jsonHasEnvoysShape() {
        var query = StatQuery()
        query.matches = { $0.hasPrefix("cluster.") }
        let quantile = { (value: String) in "{\"cumulative\":\(value),\"interval\":null}" }
        let low = quantile("6.033333333333333")
        let values = ([low, low, quantile("6.066666666666666")] + Array(repeating: quantile("7.05"), count: 7))
            .joined(separator: ",")
        #expect(text(catalog.json(query)) ==
            "{\"stats\":[{\"name\":\"cluster.outbound|80||a.ns.svc;.upstream_rq_200\",\"value\":3},"
            + "{\"histograms\":{\"supported_quantiles\":[0,25,50,75,90,95,99,99.5,99.9,100],\"computed_quantiles\":["
            + "{\"name\":\"cluster.outbound|80||a.ns.svc;.upstream_rq_time\",\"values\":[\(values)]}]}}]}")
    }

    @Test func prometheusGroupsByExtractedNameWithInnerLabelsFirst() {
        var query = StatQuery()
        query.usedOnly = true
        query.bucketBounds = { _ in [5, 10] }
        #expect(text(catalog.prometheus(query)) == """
            # TYPE envoy_cluster_ns_svc__upstream_rq counter
            envoy_cluster_ns_svc__upstream_rq{envoy_response_code="200",envoy_cluster_name="outbound|80||a"} 3
            # TYPE envoy_http_downstream_rq_xx counter
            envoy_http_downstream_rq_xx{envoy_response_code_class="2",envoy_http_conn_manager_prefix="ingress"} 6
            # TYPE envoy_listener_http_downstream_rq_xx counter
            envoy_listener_http_downstream_rq_xx{envoy_response_code_class="2",\
            envoy_http_conn_manager_prefix="ingress",envoy_listener_address="127.0.0.1_80"} 6
            # TYPE envoy_listener_worker_downstream_cx_total counter
            envoy_listener_worker_downstream_cx_total{envoy_worker_id="1",envoy_listener_address="127.0.0.1_80"} 4
            # TYPE envoy_listener_manager_workers_started gauge
            envoy_listener_manager_workers_started{} 1
            # TYPE envoy_server_state gauge
            envoy_server_state{} 0
            # TYPE envoy_cluster_ns_svc__upstream_rq_time histogram
            envoy_cluster_ns_svc__upstream_rq_time_bucket{envoy_cluster_name="outbound|80||a",le="5"} 0
            envoy_cluster_ns_svc__upstream_rq_time_bucket{envoy_cluster_name="outbound|80||a",le="10"} 3
            envoy_cluster_ns_svc__upstream_rq_time_bucket{envoy_cluster_name="outbound|80||a",le="+Inf"} 3
            envoy_cluster_ns_svc__upstream_rq_time_sum{envoy_cluster_name="outbound|80||a"} 19
            envoy_cluster_ns_svc__upstream_rq_time_count{envoy_cluster_name="outbound|80||a"} 3

            """)
    }

    @Test func summariesHaveEnvoysDigits() {
        var query = StatQuery()
        query.kinds = [.histogram]
        query.histogramForm = .summary
        #expect(text(catalog.prometheus(query)).hasPrefix("""
            # TYPE envoy_cluster_ns_svc__upstream_rq_time summary
            envoy_cluster_ns_svc__upstream_rq_time{envoy_cluster_name="outbound|80||a",quantile="0"} \
            6.0333333333333332149095440399833
            """))
    }

    @Test(arguments: [
        (HistogramForm.cumulative, "B5(0,0) B6.5(0,2) B1.8e+06(0,3)"), (.disjoint, "B5(0,0) B6.5(0,2) B1.8e+06(0,1)"),
    ])
    func bucketsInText(form: HistogramForm, expected: String) {
        var query = StatQuery()
        query.kinds = [.histogram]
        query.histogramForm = form
        query.bucketBounds = { _ in [5, 6.5, 1_800_000] }
        #expect(text(catalog.text(query)) == "cluster.outbound|80||a.ns.svc;.upstream_rq_time: \(expected)\n")
    }

    @Test func detailsInText() {
        var query = StatQuery()
        query.kinds = [.histogram]
        query.histogramForm = .detailed
        #expect(text(catalog.text(query)).hasPrefix("""
            cluster.outbound|80||a.ns.svc;.upstream_rq_time:
              totals=6,0.1:2, 7,0.1:1
              intervals=
              summary=P0(nan,6.033333333333333) P25(
            """))
    }

    @Test func bucketsInJSON() {
        var query = StatQuery()
        query.kinds = [.histogram]
        query.histogramForm = .disjoint
        query.bucketBounds = { _ in [6.5, 300_000, 1_800_000] }
        #expect(text(catalog.json(query)) == """
            {"stats":[{"histograms":[{"name":"cluster.outbound|80||a.ns.svc;.upstream_rq_time","buckets":[\
            {"upper_bound":6.5,"interval":0,"cumulative":2},{"upper_bound":3e+05,"interval":0,"cumulative":1},\
            {"upper_bound":1800000,"interval":0,"cumulative":0}]}]}]}
            """)
        query.histogramForm = .detailed
        let detailed = text(catalog.json(query))
        #expect(detailed.hasPrefix("{\"stats\":[{\"histograms\":{\"supported_percentiles\":[0,25,"))
        #expect(detailed.contains("\"totals\":[{\"lower_bound\":6,\"width\":0.1,\"count\":2},{\"lower_bound\":7,\"width\":0.1,\"count\":1}],\"intervals\":[],"))
        #expect(detailed.hasSuffix("]}]}}]}"))
        query.matches = { _ in false }
        #expect(text(catalog.json(query)) == "{\"stats\":[]}")
    }

    @Test func theLastIntervalStandsBeforeTheTotal() {
        let intervals = HistogramIntervals(catalog)
        let time = catalog.declare(.cluster("outbound|80||a.ns.svc;")) { $0.histogram("upstream_rq_time", unit: .milliseconds, "") }
        var query = StatQuery()
        query.kinds = [.histogram]
        query.intervals = intervals
        query.histogramForm = .cumulative
        query.bucketBounds = { _ in [10, 100] }
        func line() -> String { text(catalog.text(query)) }
        intervals.flush()
        #expect(line().hasSuffix(": B10(3,3) B100(3,3)\n"))
        pages.record(time, 50)
        pages.record(time, 0)
        #expect(line().hasSuffix(": B10(3,4) B100(3,5)\n"))
        intervals.flush()
        #expect(line().hasSuffix(": B10(1,4) B100(2,5)\n"))
        intervals.flush()
        #expect(line().hasSuffix(": B10(0,4) B100(0,5)\n"))
    }

    @Test func labelValuesAreEscaped() {
        let odd = catalog.declare(.cluster("a\"b\\c\nd")) { $0.counter("x", "") }
        pages.add(odd)
        var query = StatQuery()
        query.matches = { $0.hasPrefix("cluster.a") }
        #expect(text(catalog.prometheus(query)).contains(#"envoy_cluster_x{envoy_cluster_name="a\"b\\c\nd"} 1"#))
    }

    @Test func customNamespacesGetNoPrefix() {
        let id = catalog.declare(StatScopeName.root.inCustomNamespace()) { $0.counter("istio_requests_total", "") }
        pages.add(id)
        var query = StatQuery()
        query.matches = { $0 == "istio_requests_total" }
        #expect(text(catalog.prometheus(query)) == "# TYPE istio_requests_total counter\nistio_requests_total{} 1\n")
    }
}
