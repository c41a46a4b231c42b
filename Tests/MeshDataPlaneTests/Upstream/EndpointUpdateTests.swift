// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshIO
import MeshModel
import MeshTestKit
import Testing

@testable import MeshDataPlane

/// Clusters whose endpoints change while requests are under way.
final class EndpointUpdateTests {
    private static let hosts: [Address] = (1...4).map { .ipv4(0x0A02_0000 + $0, port: 80) }
    private let rig: DataPlaneRig
    private let cluster: WorkerCluster

    init() throws {
        rig = DataPlaneRig(unconfiguredWithGlobalLimit: nil)
        var cluster = DataPlaneRig.cluster("up", Array(EndpointUpdateTests.hosts[..<2]))
        cluster.balancing = .roundRobin
        var listener = Listener(name: "l", addresses: [ListenerAddress(DataPlaneRig.listenAddress)])
        let route = Route(match: RouteMatch(.prefix("/")), action: .forward(RouteAction(cluster: "up")))
        let routes = RouteConfiguration(virtualHosts: [VirtualHost(name: "all", domains: ["*"], routes: [route])])
        var terminal = HTTPTerminal(statPrefix: "in", routes: .inline(routes))
        terminal.httpFilters = [TypedConfig(name: "router", typeURL: FilterRegistry.routerTypeURL, bytes: [])]
        terminal.accessLogs = DataPlaneRig.log()
        listener.filterChains = [FilterChain(terminal: .http(terminal))]
        rig.apply(clusters: [cluster], listeners: [listener])
        for host in EndpointUpdateTests.hosts { rig.accept(at: host) }
        let id = try #require(rig.compiler?.clusterID("up"))
        self.cluster = try #require(rig.worker.clusters.cluster(id))
    }

    private func set(_ indices: [Int], _ change: (inout Endpoint, Int) -> Void = { _, _ in }) {
        let endpoints = indices.map { index in
            var endpoint = Endpoint(EndpointUpdateTests.hosts[index])
            change(&endpoint, index)
            return endpoint
        }
        #expect(rig.compiler?.setEndpoints(of: "up", EndpointSet(endpoints: endpoints)) == true)
        rig.loop.turn()
    }

    /// Sends one request and lets its upstream answer; returns where it went.
    @discardableResult
    private func ask() throws -> Address {
        let client = try rig.client()
        client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        rig.loop.turn()
        let upstream = try #require(rig.upstreams.last { $0.text.hasSuffix("\r\n\r\n") && !answered.contains(ObjectIdentifier($0)) }
            ?? rig.upstreams.last { pending($0) })
        answer(upstream)
        #expect(client.text.hasPrefix("HTTP/1.1 200"))
        client.stream.close()
        rig.loop.turn()
        return upstream.stream.localAddress
    }

    private var answered: Set<ObjectIdentifier> = []
    private var requestsSeen: [ObjectIdentifier: Int] = [:]

    private func pending(_ peer: Peer) -> Bool {
        peer.text.components(of: "GET ") > requestsSeen[ObjectIdentifier(peer), default: 0]
    }

    private func answer(_ upstream: Peer) {
        answered.insert(ObjectIdentifier(upstream))
        requestsSeen[ObjectIdentifier(upstream)] = upstream.text.components(of: "GET ")
        upstream.send("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        rig.loop.turn()
    }

    private func endpoint(at index: Int) throws -> ActiveEndpoint {
        for _ in 0..<8 {
            let found = try #require(cluster.pickEndpoint()).takeUnretainedValue()
            if found.address == EndpointUpdateTests.hosts[index] { return found }
        }
        throw NotThere()
    }
    private struct NotThere: Error {}

    @Test func requestsGoToTheNewHostsFromTheNextOneOn() throws {
        #expect(Set([try ask(), try ask()]) == Set(EndpointUpdateTests.hosts[..<2]))
        set([2, 3])
        #expect(Set([try ask(), try ask()]) == Set(EndpointUpdateTests.hosts[2...]))
        #expect(rig.stat("cluster.up.membership_total") == 2)
        #expect(rig.stat("cluster.up.membership_change") == 2)
    }

    @Test func anEndpointThatStaysKeepsItsConnectionsAndCounts() throws {
        for _ in 0..<2 { try ask() }
        let kept = try endpoint(at: 1)
        #expect(kept.totalRequests == 1 && kept.activeConnections == 1)
        set([3, 1]) { endpoint, index in if index == 1 { endpoint.weight = 5 } }
        #expect(try endpoint(at: 1) === kept)
        #expect(kept.endpoint.weight == 5 && kept.activeConnections == 1 && kept.totalRequests == 1)
        for _ in 0..<3 { try ask() }
        #expect(rig.loop.attempts.count { $0.address == EndpointUpdateTests.hosts[1] } == 1)
        #expect(kept.totalRequests > 1)
    }

    @Test func idleConnectionsOfARemovedEndpointEndAtOnce() throws {
        for _ in 0..<2 { try ask() }
        #expect(rig.stat("cluster.up.upstream_cx_active") == 2)
        let gone = try #require(rig.upstreams.first { $0.stream.localAddress == EndpointUpdateTests.hosts[0] })
        set([1])
        #expect(gone.sawEnd)
        #expect(rig.stat("cluster.up.upstream_cx_active") == 1)
        #expect(rig.stat("cluster.up.upstream_cx_destroy_local") == 1)
    }

    @Test func aRequestInFlightIsAnsweredByTheEndpointThatIsGone() throws {
        weak var removed: ActiveEndpoint?
        let client = try rig.client()
        client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        rig.loop.turn()
        let upstream = try #require(rig.upstreams.last)
        let index = try #require(EndpointUpdateTests.hosts.firstIndex(of: upstream.stream.localAddress))
        removed = try endpoint(at: index)
        set([3])
        #expect(removed?.isDraining == true && removed?.activeRequests == 1)
        answer(upstream)
        #expect(client.text.hasPrefix("HTTP/1.1 200") && upstream.sawEnd)
        client.stream.close()
        rig.loop.turn()
        #expect(removed == nil, "the endpoint is kept by something")
        rig.expectNothingLeft()
    }

    @Test func noEndpointsIsNoHealthyUpstream() throws {
        set([])
        let client = try rig.client()
        client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        rig.loop.turn()
        #expect(client.text.hasPrefix("HTTP/1.1 503") && client.text.hasSuffix("no healthy upstream"))
        set([0])
        #expect(try ask() == EndpointUpdateTests.hosts[0])
    }

    @Test func aChangeKeepsTheTurns() throws {
        // Three hosts in turn; the next one would be the third, wherever the worker began.
        set([0, 1, 2])
        let order = try (0..<3).map { _ in try #require(cluster.pickEndpoint()).takeUnretainedValue().address }
        #expect(Set(order).count == 3)
        let first = try #require(cluster.pickEndpoint()).takeUnretainedValue().address
        #expect(first == order[0])
        set([0, 1, 2]) { endpoint, _ in endpoint.hostname = "" ; endpoint.health = .healthy; endpoint.weight = 3 }
        let next = try #require(cluster.pickEndpoint()).takeUnretainedValue().address
        #expect(next == order[1])
    }

    @Test func aLogicalHostMovesWithoutLosingItsConnection() throws {
        func logical(_ index: Int) -> EndpointSet {
            var endpoint = Endpoint(EndpointUpdateTests.hosts[index], hostname: "h")
            endpoint.isLogical = true
            return EndpointSet(endpoints: [endpoint])
        }
        _ = rig.compiler?.setEndpoints(of: "up", logical(0))
        rig.loop.turn()
        try ask()
        let endpoint = try #require(cluster.pickEndpoint()).takeUnretainedValue()
        _ = rig.compiler?.setEndpoints(of: "up", logical(1))
        rig.loop.turn()
        #expect(try #require(cluster.pickEndpoint()).takeUnretainedValue() === endpoint)
        #expect(endpoint.address == EndpointUpdateTests.hosts[1])
        // The connection that is there is used, and the log says where it goes.
        #expect(try ask() == EndpointUpdateTests.hosts[0])
        #expect(try #require(rig.lines.last).contains("10.2.0.1:80"))
        rig.upstreams.last?.sendEnd()
        rig.loop.turn()
        #expect(try ask() == EndpointUpdateTests.hosts[1])
        #expect(rig.stat("cluster.up.membership_change") == 2)
    }

    @Test func equalEndpointsAreNotPosted() {
        let set = EndpointSet(endpoints: EndpointUpdateTests.hosts[..<2].map { Endpoint($0) })
        #expect(rig.compiler?.setEndpoints(of: "up", set) == false)
        #expect(rig.compiler?.setEndpoints(of: "nobody", set) == false)
    }

    @Test func whateverChangesEveryRequestIsAnswered() throws {
        var random = RandomStream(seed: 11)
        var clients: [Peer] = []
        func answerAll() { for upstream in rig.upstreams where pending(upstream) { answer(upstream) } }
        for _ in 0..<400 {
            switch random.next(below: 4) {
            case 0:
                let members = EndpointUpdateTests.hosts.indices.filter { _ in random.next(below: 2) == 0 }
                let endpoints = (members.isEmpty ? [random.next(below: 4)] : members).map { index in
                    Endpoint(EndpointUpdateTests.hosts[index], weight: UInt32(1 + random.next(below: 3)))
                }
                _ = rig.compiler?.setEndpoints(of: "up", EndpointSet(endpoints: endpoints))
                rig.loop.turn()
            case 1: answerAll()
            default:
                let client = try rig.client()
                client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n")
                rig.loop.turn()
                clients.append(client)
            }
        }
        answerAll()
        #expect(clients.allSatisfy { $0.text.hasPrefix("HTTP/1.1 200") } && clients.count > 150)
        _ = rig.compiler?.setEndpoints(of: "up", EndpointSet())
        for client in clients { client.sendEnd() }
        rig.loop.turn()
        rig.expectNothingLeft()
        #expect(rig.stat("cluster.up.upstream_rq_completed") == Int64(clients.count))
    }

    @Test func aReplacedClusterEndsWithItsRequests() throws {
        weak var old: WorkerCluster?
        let rig = DataPlaneRig()
        let id = try #require(rig.compiler?.clusterID("up"))
        old = rig.worker.clusters.cluster(id)
        let pair = try rig.pair()
        rig.apply(clusters: [DataPlaneRig.cluster("up", [DataPlaneRig.endpointAddress])])
        #expect(rig.worker.clusters.cluster(id) !== old)
        pair.client.send("hello")
        rig.loop.turn()
        #expect(pair.upstream.text == "hello")
        pair.client.sendEnd()
        pair.upstream.sendEnd()
        rig.loop.turn()
        #expect(old == nil, "the cluster is kept by something")
        rig.expectNothingLeft()
    }
}

extension String {
    /// How often `text` is in here.
    fileprivate func components(of text: String) -> Int { split(separator: text, omittingEmptySubsequences: false).count - 1 }
}
