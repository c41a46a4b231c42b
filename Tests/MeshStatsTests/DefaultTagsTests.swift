// SPDX-License-Identifier: Apache-2.0
import MeshStats
import Testing

/// Names with what Envoy 1.40 made of them.
struct DefaultTagsTests {
    struct Case: CustomTestStringConvertible, Sendable {
        let name: String
        let extracted: String
        let tags: String
        var testDescription: String { name }
    }

    @Test(arguments: [
        Case(name: "cluster.dead.upstream_rq_5xx", extracted: "cluster.upstream_rq_xx",
             tags: "envoy.response_code_class=5,envoy.cluster_name=dead"),
        Case(name: "cluster.outbound|80||web.ns.svc;.external.upstream_rq_404", extracted: "cluster.ns.svc;.external.upstream_rq",
             tags: "envoy.response_code=404,envoy.cluster_name=outbound|80||web"),
        Case(name: "http.outbound_0.0.0.0_80;.downstream_cx_total", extracted: "http.0.0.0_80;.downstream_cx_total",
             tags: "envoy.http_conn_manager_prefix=outbound_0"),
        Case(name: "listener.127.0.0.1_18258.http.secure.downstream_rq_2xx", extracted: "listener.http.downstream_rq_xx",
             tags: "envoy.response_code_class=2,envoy.http_conn_manager_prefix=secure,envoy.listener_address=127.0.0.1_18258"),
        Case(name: "listener.[__1]_80.downstream_cx_total", extracted: "listener.downstream_cx_total",
             tags: "envoy.listener_address=[__1]_80"),
        Case(name: "listener.shop.worker_1.downstream_cx_active", extracted: "listener.worker.downstream_cx_active",
             tags: "envoy.worker_id=1,envoy.listener_address=shop"),
        Case(name: "listener.admin.http.admin.downstream_rq_2xx", extracted: "listener.admin.http.downstream_rq_xx",
             tags: "envoy.response_code_class=2,envoy.http_conn_manager_prefix=admin"),
        Case(name: "listener.admin.main_thread.downstream_cx_total", extracted: "listener.admin.main_thread.downstream_cx_total", tags: ""),
        Case(name: "listener.127.0.0.1_1.ssl.versions.TLSv1.3", extracted: "listener.ssl.versions",
             tags: "envoy.ssl_version=TLSv1.3,envoy.listener_address=127.0.0.1_1"),
        Case(name: "listener.127.0.0.1_1.ssl.ciphers.AES", extracted: "listener.ssl.ciphers",
             tags: "envoy.ssl_cipher=AES,envoy.listener_address=127.0.0.1_1"),
        Case(name: "listener.127.0.0.1_1.ssl.certificate.unnamed_cert_e3b0c442.expiration_unix_time_seconds",
             extracted: "listener.ssl.certificate.expiration_unix_time_seconds",
             tags: "envoy.tls_certificate=unnamed_cert_e3b0c442,envoy.listener_address=127.0.0.1_1"),
        Case(name: "cluster.a.ssl.ciphers.AES", extracted: "cluster.ssl.ciphers", tags: "cipher_suite=AES,envoy.cluster_name=a"),
        Case(name: "vhost.all.route.named.upstream_rq_200", extracted: "vhost.route.upstream_rq",
             tags: "envoy.response_code=200,envoy.virtual_host=all,envoy.route=named"),
        Case(name: "vhost.all.vcluster.other.upstream_rq_total", extracted: "vhost.vcluster.upstream_rq_total",
             tags: "envoy.virtual_cluster=other,envoy.virtual_host=all"),
        Case(name: "tcp.bytes.downstream_cx_total", extracted: "tcp.downstream_cx_total", tags: "envoy.tcp_prefix=bytes"),
        Case(name: "server.worker_0.watchdog_miss", extracted: "server.worker.watchdog_miss", tags: "envoy.worker_id=0"),
        Case(name: "server.live", extracted: "server.live", tags: ""),
        Case(name: "cluster_manager.cluster_added", extracted: "cluster_manager.cluster_added", tags: ""),
        Case(name: "", extracted: "", tags: ""), Case(name: "cluster..x", extracted: "cluster..x", tags: ""),
        Case(name: "listener.", extracted: "listener.", tags: ""), Case(name: "_rq_2xx", extracted: "_rq_xx", tags: "envoy.response_code_class=2"),
    ])
    func namesAreReadAsEnvoyReadsThem(_ test: Case) {
        let labels = StatLabels(defaultsOf: test.name)
        #expect(labels.name == test.extracted)
        #expect(labels.tags.map { "\($0.name)=\($0.value)" }.joined(separator: ",") == test.tags)
    }

    /// Names come from configuration: no text may trap.
    @Test func noNameTraps() {
        var generator = SeededGenerator(state: 7)
        let pieces = ["cluster", "listener", "http", "vhost", ".", "_", "ssl.ciphers.", "ssl.certificate.", "worker_", "1", "[", "]", "_rq_", "xx", "rds", "route"]
        for _ in 0..<5_000 {
            let name = (0..<Int.random(in: 0...9, using: &generator))
                .map { _ in pieces[Int.random(in: pieces.indices, using: &generator)] }.joined()
            #expect(StatLabels(defaultsOf: name).name.utf8.count <= name.utf8.count)
        }
    }
}
