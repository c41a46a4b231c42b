// SPDX-License-Identifier: Apache-2.0
import MeshDataPlane
import MeshIO
import MeshModel
import MeshProto
import MeshServer
import MeshStats
import Synchronization
import Testing

struct AdminEndpointsTests {
    let admin = AdminFixture()

    @Test(arguments: [
        (ServerState.live, 200, "LIVE\n"), (.initializing, 503, "INITIALIZING\n"), (.draining, 503, "DRAINING\n"),
        (.preInitializing, 503, "PRE_INITIALIZING\n"),
    ])
    func readySaysTheState(state: ServerState, status: Int, body: String) {
        admin.view.update { $0.state = state }
        #expect(admin.answer("/ready") == (status, body))
    }

    @Test(arguments: [
        "/quitquitquit", "/drain_listeners", "/logging", "/reopen_logs", "/reset_counters", "/healthcheck/fail", "/healthcheck/ok",
    ])
    func whatChangesSomethingNeedsPOST(path: String) {
        #expect(admin.answer(path) == (405, "Method GET not allowed, POST required."))
        #expect(admin.commands.withLock { $0 }.isEmpty)
        #expect(admin.answer(path, method: "POST").status == 200)
    }

    @Test func drainParametersReachTheControlThread() {
        #expect(admin.answer("/drain_listeners?inboundonly&graceful&skip_exit", method: "POST") == (200, "OK\n"))
        #expect(admin.answer("/drain_listeners", method: "POST").status == 200)
        #expect(admin.commands.withLock { $0 } == [
            .drainListeners(inboundOnly: true, graceful: true, skipExit: true),
            .drainListeners(inboundOnly: false, graceful: false, skipExit: false),
        ])
    }

    @Test func anUnknownPathListsTheKnownOnes() {
        let (status, body) = admin.answer("/nope")
        #expect(status == 404)
        #expect(body.hasPrefix("invalid path. admin commands are:\n  /: Admin home page\n"))
    }

    /// What pilot-agent asks before it reports ready.
    @Test func readinessOfPilotAgentIsAnswered() {
        let pages = admin.catalog.makePages()
        let state = admin.catalog.declare(.literal("server.")) { $0.gauge("state", "") }
        let workers = admin.catalog.declare(.literal("listener_manager.")) { $0.gauge("workers_started", "") }
        pages.set(state, 0)
        pages.set(workers, 1)
        let (status, body) = admin.answer("/stats?usedonly&filter=^(server\\.state|listener_manager\\.workers_started)")
        #expect(status == 200)
        #expect(body == "listener_manager.workers_started: 1\nserver.state: 0\n")
    }

    @Test(arguments: [
        ("/stats?filter=(", "Invalid re2 regex: missing ): ("),
        ("/stats?format=xml", "usage: /stats?format=(html|active-html|json|prometheus|text)\n\n"),
        ("/stats?type=Other", "usage: /stats?type=(All|Counters|Gauges|Histograms)\n\n"),
    ])
    func wrongParametersAreExplained(target: String, body: String) {
        #expect(admin.answer(target) == (400, body))
    }

    @Test func listenersShowTheirBoundAddresses() {
        let addresses: [Address] = [.ipv4(0x7F00_0001, port: 80), .ipv6(high: 0, low: 1, port: 81, scope: 0)]
        admin.view.update { $0.listeners = [ListenerStatus(name: "main", addresses: addresses)] }
        #expect(admin.answer("/listeners").body == "main::127.0.0.1:80\nmain::[::1]:81\n")
        let json = admin.answer("/listeners?format=json").body
        #expect(json.contains("\"port_value\": 80"))
        #expect(json.contains("\"additional_local_addresses\""))
    }

    @Test func clustersShowLimitsAndHosts() {
        var cluster = Cluster(name: "b", discovery: .static(EndpointSet(endpoints: [
            Endpoint(.ipv4(0x7F00_0001, port: 80), hostname: "h", weight: 3, health: .unhealthy)
        ])))
        cluster.breakers.maxConnections = 7
        let clusters = [cluster, Cluster(name: "a", discovery: .static(EndpointSet()))]
        admin.view.update { $0.clusters = clusters }
        let text = admin.answer("/clusters").body
        #expect(text.hasPrefix("a::observability_name::a\n"))
        #expect(text.contains("b::default_priority::max_connections::7\n"))
        #expect(text.contains("b::high_priority::max_connections::1024\n"))
        #expect(text.contains("b::127.0.0.1:80::health_flags::/failed_eds_health\n"))
        #expect(text.contains("b::127.0.0.1:80::weight::3\n"))
        #expect(!admin.answer("/clusters?filter=^b$").body.contains("a::"))
        #expect(admin.answer("/clusters?format=json").body.contains("\"eds_health_status\": \"UNHEALTHY\""))
    }

    @Test func loggingSetsAndListsLevels() {
        #expect(admin.answer("/logging?level=debug", method: "POST").body.contains("  http: debug\n"))
        #expect(admin.answer("/logging?paths=http:error,main:trace", method: "POST").body.contains("  main: trace\n"))
        #expect(admin.answer("/logging?http=info", method: "POST").body.contains("  http: info\n"))
        #expect(admin.answer("/logging?level=loud", method: "POST").status == 400)
        #expect(admin.answer("/logging?nonsense=info", method: "POST").status == 400)
        #expect(admin.answer("/logging?paths=http:off,nonsense:info", method: "POST").body.contains("  http: info\n"))
        #expect(admin.answer("/logging", method: "POST").body.hasPrefix("active loggers:\n  a2a: "))
    }

    @Test func serverInfoNamesStateAndOptions() {
        admin.view.update { view in
            view.state = .live
            view.node.id = "node-7"
            view.concurrency = 3
            view.options.fileFlushIntervalMilliseconds = 1_250
        }
        let body = admin.answer("/server_info").body
        for part in ["\"state\": \"LIVE\"", "\"id\": \"node-7\"", "\"concurrency\": 3", "\"file_flush_interval\": \"1.250s\""] {
            #expect(body.contains(part), "\(part)")
        }
    }

    @Test func theRuntimeIsShownAndChanged() {
        let admin = AdminFixture(runtime: Runtime([
            RuntimeLayer(name: "base", values: ["a": "1"]), RuntimeLayer(name: "admin", isAdmin: true),
        ]))
        #expect(admin.answer("/runtime_modify?a=2&b=x&a=3", method: "POST") == (200, "OK\n"))
        #expect(admin.runtime.value(of: "a").number(fallback: 0) == 2)
        #expect(admin.answer("/runtime").body.contains("\"final_value\": \"2\""))
        #expect(admin.catalog.value(named: "runtime.num_keys") == 2)
        #expect(admin.catalog.value(named: "runtime.admin_overrides_active") == 1)
        let form = "content-type: application/x-www-form-urlencoded\r\n"
        #expect(admin.answer("/runtime_modify", method: "POST", head: form, body: "a=&b=").status == 200)
        #expect(admin.runtime.value(of: "a").number(fallback: 0) == 1)
        #expect(admin.catalog.value(named: "runtime.admin_overrides_active") == 0)
        #expect(admin.answer("/runtime_modify", method: "POST").status == 400)
        #expect(AdminFixture().answer("/runtime_modify?a=1", method: "POST") == (503, "No admin layer specified"))
    }

    @Test func healthChecksAreFailedByTheControlThread() {
        admin.view.update { $0.state = .live }
        #expect(admin.answer("/healthcheck/fail", method: "POST") == (200, "OK\n"))
        #expect(admin.answer("/ready") == (503, "DRAINING\n"))
        #expect(admin.answer("/healthcheck/ok", method: "POST") == (200, "OK\n"))
        #expect(admin.answer("/ready") == (200, "LIVE\n"))
        #expect(admin.commands.withLock { $0 } == [.failHealthCheck(true), .failHealthCheck(false)])
    }

    @Test func countersAreResetAndGoOn() {
        let pages = admin.catalog.makePages()
        let (counter, gauge) = admin.catalog.declare(.literal("x.")) { ($0.counter("c", ""), $0.gauge("g", "")) }
        pages.add(counter, 5)
        pages.set(gauge, 7)
        #expect(admin.answer("/reset_counters", method: "POST") == (200, "OK\n"))
        #expect(admin.catalog.value(counter) == 0)
        #expect(admin.catalog.value(gauge) == 7)
        pages.add(counter, 2)
        #expect(admin.catalog.value(counter) == 2)
    }

    @Test func hostsAreCountedOverTheWorkers() {
        let table = HostStatsTable(catalog: admin.catalog)
        let address = Address.ipv4(0x7F00_0001, port: 80)
        let clusters = [Cluster(name: "b", discovery: .static(EndpointSet(endpoints: [Endpoint(address)])))]
        admin.view.update { view in
            view.clusters = clusters
            view.hosts = table
        }
        #expect(admin.answer("/clusters").body.contains("b::127.0.0.1:80::rq_total::0\n"))
        let workers = [admin.catalog.makePages(), admin.catalog.makePages()]
        for pages in workers {
            let stats = table.use(cluster: "b", address: address)
            pages.add(stats.requestsTotal, 3)
            pages.increment(stats.connectionsActive)
        }
        let text = admin.answer("/clusters").body
        #expect(text.contains("b::127.0.0.1:80::rq_total::6\n"))
        #expect(text.contains("b::127.0.0.1:80::cx_active::2\n"))
        #expect(admin.answer("/clusters?format=json").body.contains("\"value\": \"6\""))
        #expect(!admin.answer("/stats").body.contains("rq_total"), "rows without a name are in no list")
        table.release(cluster: "b", address: address)
        #expect(table.find(cluster: "b", address: address) != nil)
        table.release(cluster: "b", address: address)
        #expect(table.find(cluster: "b", address: address) == nil)
        #expect(admin.answer("/clusters").body.contains("b::127.0.0.1:80::rq_total::0\n"))
    }

    @Test func theLastProblemsAreKept() {
        for number in 0..<60 { admin.log.warning("main", "problem \(number)") }
        admin.log.info("main", "no problem")
        admin.log.error("main", String(repeating: "x", count: 5_000))
        let body = admin.answer("/recent_errors").body
        #expect(!body.contains("problem 0\"") && !body.contains("no problem") && body.contains("problem 59"))
        #expect(body.utf8.count < 50 * 200 + 1_500)
    }

    /// Names are nobody else's, or the request is refused, whatever it asks for.
    @Test(arguments: [
        ("localhost:15000", true), ("127.0.0.1", true), ("[::1]:1", true), ("admin", true), ("x.localhost", true), ("", true),
        ("evil.example", false), ("127.0.0.1.evil.example", false), ("1.2.3", false), ("300.1.1.1", false), ("localhost.evil", false),
    ])
    func onlyNamesOfThisMachineAreAnswered(host: String, isAnswered: Bool) {
        #expect(admin.answer("/ready", head: "host: \(host)\r\n").status == (isAnswered ? 503 : 403))
    }

    @Test(arguments: [
        ("origin: http://localhost:1\r\n", 200), ("origin: http://localhost:2\r\n", 403), ("origin: null\r\n", 403),
        ("sec-fetch-site: cross-site\r\n", 403), ("sec-fetch-site: same-origin\r\n", 200), ("sec-fetch-site: none\r\n", 200), ("", 200),
    ])
    func anotherOriginChangesNothing(head: String, status: Int) {
        #expect(admin.answer("/reopen_logs", method: "POST", head: "host: localhost:1\r\n" + head).status == status)
        #expect(admin.commands.withLock { $0.count } == (status == 200 ? 1 : 0))
        #expect(admin.answer("/help", head: "host: localhost:1\r\n" + head).status == 200)
    }

    @Test func thePageCarriesItsOwnPolicy() {
        let response = admin.respond("/")
        let policy = response.headers.first { $0.name == "content-security-policy" }?.value ?? ""
        #expect(response.contentType == "text/html; charset=UTF-8")
        #expect(policy.contains("default-src 'none'") && !policy.contains("unsafe"))
        let page = String(decoding: response.body, as: UTF8.self)
        #expect(!page.contains("@NONCE@") && page.contains("<script nonce="))
    }

    @Test func theReportOfUnsupportedFieldsIsServed() {
        #expect(admin.answer("/unsupported").body == "every field of the configuration is honoured\n")
        admin.view.update { view in
            view.unsupported = [
                UnsupportedField(path: "a.b", value: "1", severity: .ignoredSafe, reason: "no"),
                UnsupportedField(path: "c", value: "2", severity: .refused, reason: "no"),
            ]
        }
        #expect(admin.answer("/unsupported").body == """
            refused: c = 2 (no)
            ignored-safe: a.b = 1 (no)
            2 fields are not honoured: 1 refused, 1 ignored-safe

            """)
    }
}
