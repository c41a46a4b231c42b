// SPDX-License-Identifier: Apache-2.0
import MeshIO
import MeshModel
import MeshTestKit
import Testing

@testable import MeshDataPlane

/// What one HTTP/1 message leaves behind on a connection, or in a pooled stream, for the next one.
struct HTTP1ConnectionTests {
    /// `/up…` goes to the upstream, any other path is answered with 404 here.
    private func rig(bufferLimit: UInt32 = 1_048_576, isLogged: Bool = false) -> DataPlaneRig {
        let route = Route(match: RouteMatch(.prefix("/up")), action: .forward(RouteAction(cluster: "up")))
        let routes = RouteConfiguration(
            name: "r", virtualHosts: [VirtualHost(name: "v", domains: ["*"], routes: [route])])
        var terminal = HTTPTerminal(statPrefix: "h", routes: .inline(routes))
        terminal.httpFilters = [TypedConfig(name: "router", typeURL: FilterRegistry.routerTypeURL, bytes: [])]
        if isLogged { terminal.accessLogs = DataPlaneRig.log() }
        let http = terminal
        return DataPlaneRig(
            cluster: { $0.bufferLimitBytes = bufferLimit },
            listener: {
                $0.bufferLimitBytes = bufferLimit
                $0.filterChains = [FilterChain(terminal: .http(http))]
            })
    }

    private func get(_ path: String) -> String { "GET \(path) HTTP/1.1\r\nhost: a.test\r\n\r\n" }
    private func answer(_ body: String) -> String { "HTTP/1.1 200 OK\r\ncontent-length: \(body.utf8.count)\r\n\r\n\(body)" }

    /// The pause of a client that was slow outlived its request on the upstream connection, whose next response was then
    /// never read.
    @Test func aPauseEndsWithItsRequest() throws {
        let rig = rig(bufferLimit: 1024)
        let slow = try rig.client()
        slow.stream.pauseReading()
        slow.stream.receiveBuffer = 512
        slow.send(get("/up/1"))
        rig.loop.turn()
        let upstream = try #require(rig.upstreams.last)
        // Whole in one read, and more than the client's side may hold.
        upstream.send(answer(String(repeating: "x", count: 8192)))
        rig.loop.turn()
        #expect(slow.received.isEmpty)

        let next = try rig.client()
        next.send(get("/up/2"))
        rig.loop.turn()
        #expect(rig.upstreams.count == 1 && upstream.text.contains("/up/2"))
        upstream.send(answer("second"))
        rig.loop.turn()
        #expect(next.text.hasSuffix("\r\n\r\nsecond"))

        slow.stream.resumeReading()
        rig.loop.turn()
        #expect(slow.text.hasSuffix(String(repeating: "x", count: 8192)))
        for peer in [slow, next, upstream] { peer.stream.close() }
        rig.expectNothingLeft()
    }

    /// A stream may be open for hours: its heads are kept for the log, and without one for nobody.
    @Test(arguments: [false, true])
    func headsAreKeptForTheLogAlone(isLogged: Bool) throws {
        let rig = rig(isLogged: isLogged)
        let client = try rig.client()
        client.send(get("/up"))
        rig.loop.turn()
        let upstream = try #require(rig.upstreams.last)
        upstream.send("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n12345")
        rig.loop.turn()
        #expect(rig.loop.pool.outstandingSlabs == (isLogged ? 2 : 0))
        upstream.send("67890")
        rig.loop.turn()
        #expect(client.text.hasSuffix("\r\n\r\n1234567890"))
        for peer in [client, upstream] { peer.stream.close() }
        rig.expectNothingLeft()
    }

    /// What a burst left stays until nobody needed it from one look to the next, and then 16 of it.
    @Test func surplusConnectionsEndWhenNobodyNeedsThem() throws {
        let rig = rig()
        let clients = try (0..<70).map { _ in try rig.client() }
        for client in clients { client.send(get("/up")) }
        rig.loop.turn()
        #expect(rig.upstreams.count == 70)
        for upstream in rig.upstreams { upstream.send(answer("x")) }
        rig.loop.turn()
        #expect(rig.stat("cluster.up.upstream_cx_active") == 70)
        for (left, timedOut) in [(70, 0), (16, 54), (16, 54)] {
            rig.loop.trim()
            rig.loop.turn()
            #expect(rig.stat("cluster.up.upstream_cx_active") == left)
            #expect(rig.stat("cluster.up.upstream_cx_idle_timeout") == timedOut)
        }
        for peer in clients + rig.upstreams { peer.stream.close() }
        rig.expectNothingLeft()
    }

    /// A client whose body is still in the same read as the head that was answered: what comes behind belongs to nobody.
    @Test(arguments: [
        "content-length: 5\r\n\r\nhello", "content-length: 50\r\n\r\nhello",
        "transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "content-length: 5\r\n\r\nhelloGET /up/smuggled HTTP/1.1\r\nhost: a.test\r\n\r\n",
    ])
    func bytesBehindAnUnreadRequestReachNoOtherStream(rest: String) throws {
        let rig = rig()
        let first = try rig.client()
        first.send("POST /nowhere HTTP/1.1\r\nhost: a.test\r\n" + rest)
        rig.loop.turn()
        #expect(first.text.hasPrefix("HTTP/1.1 404 ") && first.text.contains("connection: close"))
        #expect(rig.upstreams.isEmpty)

        // Takes the stream that the first one gave back.
        let next = try rig.client()
        next.send("POST /up HTTP/1.1\r\nhost: a.test\r\ncontent-length: 4\r\n\r\n")
        rig.loop.turn()
        let upstream = try #require(rig.upstreams.last)
        next.send("body")
        rig.loop.turn()
        #expect(upstream.text.hasSuffix("\r\n\r\nbody"))
        upstream.send(answer("fine"))
        rig.loop.turn()
        #expect(next.text.hasPrefix("HTTP/1.1 200 ") && next.text.hasSuffix("\r\n\r\nfine"))
        for peer in [first, next, upstream] { peer.stream.close() }
        rig.expectNothingLeft()
    }
}
