// SPDX-License-Identifier: Apache-2.0
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

    @Test(arguments: ["/quitquitquit", "/drain_listeners", "/logging", "/reopen_logs"])
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
        ("/stats?type=Other", "invalid &type= param"),
        ("/stats/prometheus?histogram_buckets=disjoint", "unsupported prometheus histogram bucket mode"),
        ("/stats?histogram_buckets=x", "usage: /stats?histogram_buckets=(cumulative|disjoint|detailed|summary|prometheusnative)\n"),
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
        #expect(admin.answer("/logging", method: "POST").body.hasPrefix("active loggers:\n  admin: "))
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
