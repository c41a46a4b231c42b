// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshHTTP2
import MeshIO
import MeshTestKit
import Testing

/// Two sessions back to back.
struct SessionTests {
    @Test func aRequestAndItsResponse() {
        let pair = SessionPair()
        pair.request("GET", "/x?y", extra: [("accept", "*/*"), ("connection", "close"), ("te", "gzip")])
        pair.run()
        #expect(pair.serverLog.events == [
            "1 head end\n:method: GET\n:scheme: http\n:authority: a.test\n:path: /x?y\naccept: */*\n[get HTTP/2 none]"
        ])
        pair.respond(pair.serverLog.keys[0], 204, extra: [("server", "s")])
        pair.run()
        #expect(pair.clientLog.events == [
            "1 head end\n:status: 204\nserver: s\n[204 HTTP/2 none bodyless]", "1 closed 0 none",
        ])
        #expect(pair.serverLog.events.last == "1 closed 0 none")
        #expect(pair.client.streamCount == 0)
        #expect(pair.server.streamCount == 0)
    }

    @Test func bodiesAndTrailersBothWays() {
        let pair = SessionPair()
        let big = (0..<300_000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        let key = pair.request("POST", "/up", extra: [("content-length", "300005")], endStream: false)
        pair.client.sendBody(key, pair.slice(Array("hello".utf8)))
        for start in stride(from: 0, to: big.count, by: 15_000) {
            pair.client.sendBody(key, pair.slice(Array(big[start..<start + 15_000])))
        }
        pair.client.sendEnd(key)
        pair.run()
        #expect(pair.serverLog.bodies[1] == Array("hello".utf8) + big)
        #expect(pair.serverLog.events.last == "1 end")
        let answer = pair.serverLog.keys[0]
        pair.respond(answer, 200, endStream: false)
        pair.server.sendBody(answer, pair.slice(big))
        var trailers = HeaderBlock()
        pair.append(&trailers, [("grpc-status", "0")])
        pair.server.sendTrailers(answer, &trailers)
        pair.run()
        #expect(pair.clientLog.bodies[1] == big)
        #expect(pair.clientLog.events.contains("1 trailers end\ngrpc-status: 0"))
        #expect(pair.clientLog.events.last == "1 closed 0 none")
    }

    @Test func trailersAloneAndTrailersWithoutFields() {
        let pair = SessionPair()
        pair.request()
        pair.request()
        pair.run()
        pair.respond(pair.serverLog.keys[0], endStream: false)
        var trailers = HeaderBlock()
        pair.append(&trailers, [("a", "b")])
        pair.server.sendTrailers(pair.serverLog.keys[0], &trailers)
        pair.respond(pair.serverLog.keys[1], endStream: false)
        var none = HeaderBlock()
        pair.server.sendTrailers(pair.serverLog.keys[1], &none)
        pair.run()
        #expect(pair.clientLog.events.contains("1 trailers end\na: b"))
        #expect(pair.clientLog.events.contains("3 end"))
        #expect(pair.clientLog.closed.count == 2)
    }

    @Test func informationalHeadsComeBeforeTheFinalOne() {
        let pair = SessionPair()
        pair.request()
        pair.run()
        var early = ResponseHead()
        early.status = 103
        pair.append(&early.headers, [("link", "</a>")])
        pair.server.sendInformational(pair.serverLog.keys[0], early)
        early.reset()
        pair.respond(pair.serverLog.keys[0])
        pair.run()
        #expect(pair.clientLog.events.first == "1 informationalHead\n:status: 103\nlink: </a>\n[103 HTTP/2 none bodyless]")
        #expect(pair.clientLog.events.dropFirst().first?.hasPrefix("1 head end\n:status: 200") == true)
    }

    @Test func cookieCrumbsAreJoined() {
        let pair = SessionPair()
        pair.request(extra: [("cookie", "a=1"), ("x", "y"), ("cookie", "b=2"), ("cookie", "c=3")])
        pair.run()
        #expect(pair.serverLog.events.first?.contains("x: y\ncookie: a=1; b=2; c=3\n[") == true)
    }

    @Test func aResponseToHEADKeepsItsLength() {
        let pair = SessionPair()
        pair.request("HEAD")
        pair.run()
        pair.respond(pair.serverLog.keys[0], extra: [("content-length", "10")])
        pair.run()
        #expect(pair.clientLog.events.first == "1 head end\n:status: 200\ncontent-length: 10\n[200 HTTP/2 length(10) bodyless]")
    }

    @Test func aStalledStreamDoesNotStopAnother() {
        var options = HTTP2Options()
        options.initialStreamWindowSize = 65_535
        options.initialConnectionWindowSize = 70_000
        let pair = SessionPair(server: options)
        pair.serverLog.consumes = false
        let stalled = pair.request("POST", endStream: false)
        pair.client.sendBody(stalled, pair.slice([UInt8](repeating: 1, count: 100_000)))
        pair.run()
        #expect(pair.serverLog.bodies[1]?.count == 65_535)
        let other = pair.request("POST", endStream: false)
        pair.client.sendBody(other, pair.slice([UInt8](repeating: 2, count: 50_000)))
        pair.client.sendEnd(other)
        pair.run()
        #expect(pair.serverLog.bodies[3]?.count == 50_000)
        // The stalled one goes on when its bytes were passed on.
        pair.server.consume(pair.serverLog.keys[0], 65_535)
        pair.run()
        #expect(pair.serverLog.bodies[1]?.count == 100_000)
    }

    @Test func windowsOpenAgainOnlyForWhatWasConsumed() {
        var options = HTTP2Options()
        options.initialStreamWindowSize = 65_535
        let pair = SessionPair(server: options)
        let key = pair.request("POST", endStream: false)
        for _ in 0..<20 { pair.client.sendBody(key, pair.slice([UInt8](repeating: 1, count: 15_000))) }
        pair.client.sendEnd(key)
        pair.run()
        #expect(pair.serverLog.bodies[1]?.count == 300_000)
    }

    @Test func aFullQueueSaysStopAndLaterThatItIsWritable() {
        var options = HTTP2Options()
        options.streamBufferLimit = 64 << 10
        let pair = SessionPair(client: options)
        let key = pair.request("POST", endStream: false)
        var isWritable = true
        for _ in 0..<6 { isWritable = pair.client.sendBody(key, pair.slice([UInt8](repeating: 1, count: 15_000))) }
        #expect(!isWritable)
        #expect(pair.client.queuedBytes(key) == 90_000)
        pair.run()
        #expect(pair.clientLog.events == ["1 writable"])
        #expect(pair.client.queuedBytes(key) == 0)
    }

    @Test func flushingStopsAboveTheLimit() {
        let pair = SessionPair()
        let key = pair.request("POST", endStream: false)
        pair.run()
        for _ in 0..<20 { pair.client.sendBody(key, pair.slice([UInt8](repeating: 1, count: 15_000))) }
        var queue = OutputQueue()
        pair.client.flush(into: &queue, limit: 60_000)
        #expect(queue.pinnedBytes > 60_000)
        #expect(queue.pinnedBytes < 120_000)
        #expect(pair.client.wantsWrite)
        queue.removeAll()
        pair.client.flush(into: &queue)
        #expect(queue.byteCount > 0)
    }

    @Test func aResetByEitherSideIsSeenByTheOther() {
        let pair = SessionPair()
        let key = pair.request("POST", endStream: false)
        pair.request("POST", endStream: false)
        pair.run()
        pair.client.reset(key, .cancel)
        pair.server.reset(pair.serverLog.keys[1], .refusedStream)
        pair.run()
        #expect(pair.serverLog.events.contains("1 closed 8 none"))
        #expect(pair.serverLog.events.contains("3 closed 7 none"))
        #expect(pair.clientLog.events == ["1 closed 8 none", "3 closed 7 none"])
        #expect(pair.client.streamCount == 0)
        #expect(pair.server.streamCount == 0)
    }

    @Test func aRequestResetBeforeItLeftIsClosed() {
        let pair = SessionPair()
        let key = pair.request()
        pair.client.reset(key, .cancel)
        pair.run()
        #expect(pair.clientLog.events == ["1 closed 8 none"])
        #expect(pair.serverLog.keys.isEmpty)
        #expect(pair.client.streamCount == 0)
    }

    @Test func anAbandonedStreamIsStillAnswered() {
        let pair = SessionPair()
        pair.request("POST", endStream: false)
        pair.run()
        pair.respond(pair.serverLog.keys[0], 413, endStream: false)
        pair.server.sendBody(pair.serverLog.keys[0], pair.slice(Array("no".utf8)))
        pair.server.sendEnd(pair.serverLog.keys[0])
        pair.server.abandon(pair.serverLog.keys[0])
        pair.run()
        #expect(pair.clientLog.bodies[1] == Array("no".utf8))
        // The response was whole before RST_STREAM (NO_ERROR).
        #expect(pair.clientLog.events.last == "1 closed 0 none")
        #expect(pair.serverLog.closed.isEmpty)
        #expect(pair.server.streamCount == 0)
    }

    @Test func aGracefulEndServesWhatWasOpen() {
        let pair = SessionPair()
        pair.request()
        pair.run()
        pair.server.submitShutdownNotice()
        pair.run()
        #expect(pair.clientLog.events == ["goaway 2147483647 0"])
        pair.server.shutdown()
        pair.run()
        #expect(pair.clientLog.events.last == "goaway 1 0")
        #expect(pair.client.openableStreams == 0)
        #expect(pair.request() == .none)
        pair.respond(pair.serverLog.keys[0])
        pair.run()
        #expect(pair.clientLog.closed.count == 1)
        #expect(pair.server.isDone)
    }

    @Test func streamsBehindAGoAwayAreUnprocessed() {
        let pair = SessionPair()
        pair.request()
        pair.run()
        // Leaves the client while the GOAWAY is on its way.
        let late = pair.request()
        let lost = pair.output(pair.client)
        #expect(!lost.isEmpty)
        pair.server.submitGoAway(.noError)
        pair.feed(pair.client, pair.output(pair.server))
        #expect(pair.client.isUnprocessed(late))
        pair.clientLog.drain(pair.client)
        #expect(pair.clientLog.events.contains("goaway 1 0"))
        #expect(pair.clientLog.events.contains("3 closed 7 none"))
    }

    @Test func pingsAreAnswered() {
        let pair = SessionPair()
        pair.client.submitPing()
        pair.run()
        #expect(pair.clientLog.events == ["ping"])
    }

    @Test func thePeersSettingsLimitWhatMayBeOpened() {
        var options = HTTP2Options()
        options.maxConcurrentStreams = 2
        options.allowsExtendedConnect = true
        let pair = SessionPair(server: options)
        pair.run()
        #expect(pair.client.peerMaxConcurrentStreams == 2)
        #expect(pair.client.peerAllowsExtendedConnect)
        #expect(pair.client.openableStreams == 2)
        pair.request()
        #expect(pair.client.openableStreams == 1)
    }

    @Test func extendedConnectIsAnUpgrade() {
        var options = HTTP2Options()
        options.allowsExtendedConnect = true
        let pair = SessionPair(server: options)
        pair.run()
        let key = pair.request("CONNECT", "/chat", extra: [(":protocol", "websocket")], endStream: false)
        pair.client.sendBody(key, pair.slice(Array("up".utf8)))
        pair.run()
        #expect(pair.serverLog.events.first?.hasSuffix("[connect HTTP/2 none upgrade]") == true)
        #expect(pair.serverLog.bodies[1] == Array("up".utf8))
    }

    @Test func aKeyThatOutlivedItsStreamNamesNothing() {
        let pair = SessionPair()
        pair.request()
        pair.run()
        let old = pair.serverLog.keys[0]
        pair.respond(old)
        pair.run()
        pair.request()
        pair.run()
        #expect(pair.server.streamID(old) == 0)
        pair.server.reset(old, .cancel)
        pair.respond(pair.serverLog.keys[1])
        pair.run()
        #expect(pair.clientLog.closed.allSatisfy { $0.code == .noError })
    }

    @Test func aSteadyStateAllocatesNothing() {
        let pair = SessionPair()
        func round() {
            for _ in 0..<20 { pair.request(extra: [("x-request-id", "1234567890")]) }
            pair.run()
            for key in pair.serverLog.keys { pair.respond(key, extra: [("server", "apus")]) }
            pair.serverLog.keys = []
            pair.run()
        }
        for _ in 0..<3 { round() }
        let before = pair.memory.systemAllocations
        for _ in 0..<10 { round() }
        #expect(pair.memory.systemAllocations == before)
        #expect(pair.pool.outstandingSlabs == 0)
    }
}
