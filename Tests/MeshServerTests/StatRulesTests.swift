// SPDX-License-Identifier: Apache-2.0
import MeshModel
import MeshServer
import MeshStats
import Testing

struct StatRulesTests {
    let admin = AdminFixture()

    init() {
        let pages = admin.catalog.makePages()
        let names: [(StatScopeName, String)] = [
            (.cluster("outbound|80||a.ns.svc.cluster.local;"), "upstream_rq_200"), (.http("in"), "downstream_rq_2xx"),
            (.literal("rbac."), "allowed"),
        ]
        for (scope, name) in names { pages.add(admin.catalog.declare(scope) { $0.counter(name, "") }) }
    }

    private func prometheus(_ options: StatsOptions, statsTags: [String] = []) -> String {
        let rules = StatRules(options, statsTags: statsTags)
        admin.view.update { $0.statRules = rules }
        return admin.answer("/stats/prometheus?usedonly&type=Counters").body
    }

    /// The tags of Istio's bootstrap, with the built-in ones off.
    @Test func istiosExpressionsFindTheirLabels() {
        var options = StatsOptions()
        options.useDefaultTags = false
        options.tags = [
            .init(name: "cluster_name", value: .regex(#"^cluster(\.(.+);)"#)),
            .init(name: "response_code", value: .regex(#"_rq(_(\d{3}))$"#)),
            .init(name: "response_code_class", value: .regex(#"_rq(_(\dxx))$"#)),
            .init(name: "authz_enforce_result", value: .regex(#"rbac(\.(allowed|denied))"#)),
        ]
        #expect(prometheus(options) == """
            # TYPE envoy_cluster_upstream_rq counter
            envoy_cluster_upstream_rq{cluster_name="outbound|80||a.ns.svc.cluster.local",response_code="200"} 1
            # TYPE envoy_http_in_downstream_rq counter
            envoy_http_in_downstream_rq{response_code_class="2xx"} 1
            # TYPE envoy_rbac counter
            envoy_rbac{authz_enforce_result="allowed"} 1

            """)
    }

    @Test func fixedTagsAreOnEverySeries() {
        let text = prometheus(StatsOptions(), statsTags: ["zone:z1"])
        #expect(text.contains(#"envoy_http_downstream_rq_xx{envoy_response_code_class="2",zone="z1",envoy_http_conn_manager_prefix="in"} 1"#))
        #expect(text.contains(#"envoy_rbac_allowed{zone="z1"} 1"#))
    }

    @Test func inclusionDecidesWhichStatsExist() {
        var options = StatsOptions()
        options.inclusion = .only([StringMatcher(.prefix("http.")), StringMatcher(.regex(#"rbac\..*"#))])
        admin.view.update { $0.statRules = StatRules(options) }
        #expect(admin.answer("/stats?usedonly").body == "http.in.downstream_rq_2xx: 1\nrbac.allowed: 1\n")
        options.inclusion = .except([StringMatcher(.suffix("_2xx")), StringMatcher(.prefix("CLUSTER"), ignoreCase: true), StringMatcher(.contains("erver"))])
        admin.view.update { $0.statRules = StatRules(options) }
        #expect(admin.answer("/stats?usedonly").body == "rbac.allowed: 1\n")
        options.inclusion = .none
        admin.view.update { $0.statRules = StatRules(options) }
        #expect(admin.answer("/stats").body == "")
    }

    /// Seen in Envoy 1.40: tags that may begin anywhere first, fixed ones among them, then those bound to the name's beginning;
    /// of two of one name the first counts.
    @Test func tagsStandInEnvoysOrder() {
        var options = StatsOptions()
        options.tags = [
            .init(name: "zone", value: .fixed("z1")), .init(name: "mine", value: .regex(#"^http\.((in)\.)"#)),
            .init(name: "envoy.response_code_class", value: .regex(#"_rq_((\d)xx)$"#)),
        ]
        let text = prometheus(options)
        #expect(text.contains(
            #"envoy_http_downstream_rq_xx{envoy_response_code_class="2",zone="z1",envoy_http_conn_manager_prefix="in",mine="in"} 1"#))
    }

    /// The two expressions of Istio's bootstrap that are ECMAScript.
    @Test(arguments: [
        (#"^listener(?=\.).*?\.http\.(((?:[_.[:digit:]]*|[_\[\]aAbBcCdDeEfF[:digit:]]*))\.)"#, "envoy_listener_x_http_rq", "10.0.0.1_80"),
        (#"^listener(?=\.).*?\.http\.(((?:[_.[:digit:]\w]*|[_\[\]aAbBcCdDeEfF[:digit:]\w\:]*))\.)"#, "envoy_listener_x_http_rq", "10.0.0.1_80"),
    ])
    func ecmaScriptOfIstioIsUnderstood(pattern: String, name: String, value: String) {
        let pages = admin.catalog.makePages()
        pages.add(admin.catalog.declare(.literal("listener.x.http.10.0.0.1_80.")) { $0.counter("rq", "") })
        var options = StatsOptions()
        options.useDefaultTags = false
        options.tags = [.init(name: "p", value: .regex(pattern))]
        #expect(StatRules(options).refusedPatterns.isEmpty)
        #expect(prometheus(options).contains("\(name){p=\"\(value)\"} 1\n"), "\(prometheus(options))")
    }

    @Test func whatRE2DoesNotTakeIsNamed() {
        var options = StatsOptions()
        options.tags = [.init(name: "x", value: .regex(#"^listener(?=x)"#))]
        #expect(StatRules(options).refusedPatterns == [#"^listener(?=x)"#])
    }

    @Test func bucketsAreThoseOfTheFirstSettingThatMatches() {
        let pages = admin.catalog.makePages()
        pages.record(admin.catalog.declare(.cluster("a")) { $0.histogram("rq_time", unit: .milliseconds, "") }, 3)
        var options = StatsOptions()
        options.histogramBuckets = [
            .init(match: StringMatcher(.prefix("cluster.b")), bounds: [1]), .init(match: StringMatcher(.suffix("rq_time")), bounds: [2, 8]),
            .init(match: StringMatcher(.prefix("")), bounds: [9]),
        ]
        admin.view.update { $0.statRules = StatRules(options) }
        #expect(admin.answer("/stats?histogram_buckets=cumulative&type=Histograms").body == "cluster.a.rq_time: B2(0,0) B8(0,1)\n")
    }
}
