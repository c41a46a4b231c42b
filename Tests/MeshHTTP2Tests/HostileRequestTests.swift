// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshHTTP2
import MeshIO
import MeshTestKit
import Testing

/// The attack ledger's cases 35 to 55 against the server's role.
struct HostileRequestTests {
    private func peer(_ options: HTTP2Options = HTTP2Options(), _ build: (inout HTTP2Script) -> Void) -> HostilePeer {
        let peer = HostilePeer(options: options)
        var script = HTTP2Script.client
        build(&script)
        peer.send(script)
        return peer
    }

    @Test("case 35: rapid reset ends the connection when half of the budget is spent")
    func rapidReset() {
        let peer = HostilePeer()
        peer.send(HTTP2Script.client)
        for round in 0..<10 {
            var script = HTTP2Script()
            for index in 0..<50 {
                let id = UInt32(round * 100 + index * 2 + 1)
                script.headers(id, HTTP2Script.request())
                script.reset(id)
            }
            peer.send(script)
            if peer.session.failure != .none { break }
        }
        #expect(peer.session.failure == .tooManyPrematureResets)
        #expect(peer.goAwayCode == .enhanceYourCalm)
        // Counted at the 250th, in the read it came with.
        #expect(peer.trace.closed.count == 250)
        #expect(peer.session.streamCount == 0)
    }

    @Test("case 35: resets of streams that lived are not held against the client")
    func lateResets() {
        let peer = HostilePeer()
        peer.send(HTTP2Script.client)
        for index in 0..<400 {
            var script = HTTP2Script()
            script.headers(UInt32(index * 2 + 1), HTTP2Script.request())
            peer.send(script)
            peer.now = peer.now.advanced(byMilliseconds: 1001)
            script = HTTP2Script()
            script.reset(UInt32(index * 2 + 1))
            peer.send(script)
        }
        #expect(peer.session.failure == .none)
    }

    @Test("case 36: resets that the server was made to send count in the same budget", arguments: ["window", "length", "host"])
    func madeYouReset(kind: String) {
        let peer = HostilePeer()
        peer.send(HTTP2Script.client)
        for index in 0..<300 where peer.session.failure == .none {
            var script = HTTP2Script()
            let id = UInt32(index * 2 + 1)
            switch kind {
            case "window":
                script.headers(id, HTTP2Script.request(), flags: 4)
                script.windowUpdate(id, 0x7FFF_FFFF)
            case "length":
                script.headers(id, HTTP2Script.request([("content-length", "1")]), flags: 4)
                script.data(id, [1, 2])
            default: script.headers(id, HTTP2Script.request([("host", "other")]))
            }
            peer.send(script)
        }
        #expect(peer.session.failure == .tooManyPrematureResets)
        #expect(peer.trace.closed.count == 250)
    }

    @Test("case 37: more than eight CONTINUATION frames end the connection", arguments: [8, 9])
    func continuationFlood(frames: Int) {
        let peer = peer { script in
            script.frame(1, 1, 1, HTTP2Script.block(HTTP2Script.request()))
            for index in 0..<frames {
                script.frame(9, index == frames - 1 ? 4 : 0, 1, HTTP2Script.block([("x", "y")]))
            }
        }
        if frames == 8 {
            #expect(peer.session.failure == .none)
            #expect(peer.heads == 1)
        } else {
            #expect(peer.goAwayCode == .enhanceYourCalm)
            #expect(peer.session.failure == .inboundContinuationFlood)
            #expect(peer.heads == 0)
        }
    }

    @Test("case 38: indexed references to a large field end the stream at the byte limit, and the table lives on")
    func headerBomb() {
        let peer = peer { script in
            // One entry of 3.9 KiB, then references of one byte each.
            var block = HTTP2Script.block(HTTP2Script.request()) + [0x40] + HTTP2Script.integer(1, prefix: 7) + Array("x".utf8)
            block += HTTP2Script.integer(3900, prefix: 7) + [UInt8](repeating: 97, count: 3900)
            block += [UInt8](repeating: 0x80 | 62, count: 60)
            script.frame(1, 5, 1, block)
            script.frame(1, 5, 3, HTTP2Script.block(HTTP2Script.request()) + [0x80 | 62])
        }
        #expect(peer.resetCode(1) == .internalError)
        #expect(peer.streamFailure == .headerOverflow)
        #expect(peer.streamFailure?.details.description == "http2.header_list_size_too_large")
        #expect(peer.session.failure == .none)
        #expect(peer.trace.events.contains { $0.hasPrefix("3 head end") && $0.contains("x: aaaa") })
    }

    @Test("case 38: cookie crumbs count one by one")
    func cookieBomb() {
        let peer = peer { $0.headers(1, HTTP2Script.request((0..<200).map { _ in ("cookie", "a") })) }
        #expect(peer.streamFailure == .tooManyHeaders)
        #expect(peer.resetCode(1) == .internalError)
        #expect(peer.heads == 0)
    }

    @Test("case 38: thirty-two bytes count for every field")
    func fieldOverheadCounts() {
        var options = HTTP2Options()
        options.maxHeaderBytes = 400
        let peer = peer(options) { $0.headers(1, HTTP2Script.request((0..<10).map { _ in ("a", "b") })) }
        #expect(peer.streamFailure == .headerOverflow)
    }

    @Test("case 39: a Host that is dropped counts", arguments: [95, 96])
    func droppedHostCounts(others: Int) {
        let peer = peer {
            $0.headers(1, HTTP2Script.request([("host", "A.test")] + (0..<others).map { _ in ("a", "b") }))
        }
        #expect(peer.streamFailure == (others == 95 ? nil : .tooManyHeaders))
        #expect(peer.heads == (others == 95 ? 1 : 0))
    }

    @Test("case 39: two Hosts are refused")
    func twoHosts() {
        let peer = peer { $0.headers(1, HTTP2Script.request([("host", "a.test"), ("host", "a.test")])) }
        #expect(peer.resetCode(1) == .protocolError)
    }

    @Test("case 40: tiny DATA frames that nobody reads end the connection; those that are read do not", arguments: [true, false])
    func tinyFrames(areRead: Bool) {
        var options = HTTP2Options()
        options.initialStreamWindowSize = 1 << 20
        let peer = HostilePeer(options: options)
        peer.trace.consumes = areRead
        var script = HTTP2Script.client
        script.headers(1, HTTP2Script.request(method: "POST"), flags: 4)
        for _ in 0..<4000 { script.data(1, [1]) }
        peer.send(script)
        #expect(peer.session.failure == (areRead ? .none : .inboundTinyFramesFlood))
        #expect(areRead || peer.goAwayCode == .enhanceYourCalm)
    }

    @Test("case 41: two empty frames in a row are a flood", arguments: ["data", "padding", "headers", "continuation"])
    func emptyFrames(kind: String) {
        let peer = peer { script in
            switch kind {
            case "data", "padding":
                script.headers(1, HTTP2Script.request(method: "POST"), flags: 4)
                for _ in 0..<2 { script.frame(0, kind == "data" ? 0 : 8, 1, kind == "data" ? [] : [3, 0, 0, 0]) }
            case "headers":
                script.frame(1, 0, 1)
                script.frame(9, 0, 1)
            default:
                script.frame(1, 1, 1, HTTP2Script.block(HTTP2Script.request()))
                for _ in 0..<2 { script.frame(9, 0, 1) }
            }
        }
        // A padded frame has bytes, but none that anybody wants.
        #expect(peer.session.failure == .inboundEmptyFramesFlood)
        #expect(peer.goAwayCode == .enhanceYourCalm)
        #expect(peer.session.failure.details.description == "http2.inbound_empty_frames_flood")
    }

    @Test("case 41: one empty frame between full ones is none")
    func loneEmptyFrames() {
        let peer = peer { script in
            script.headers(1, HTTP2Script.request(method: "POST"), flags: 4)
            for _ in 0..<5 {
                script.data(1, [])
                script.data(1, [1])
            }
            script.data(1, [], end: true)
        }
        #expect(peer.session.failure == .none)
        #expect(peer.trace.bodies[1]?.count == 5)
    }

    @Test("case 42: PING and SETTINGS that pile up unanswered", arguments: ["ping", "settings"])
    func controlFlood(kind: String) {
        let peer = peer { script in
            for _ in 0..<1001 {
                if kind == "ping" { script.frame(6, 0, 0, [UInt8](repeating: 0, count: 8)) } else { script.frame(4, 0, 0) }
            }
        }
        #expect(peer.session.failure == .outboundControlFlood)
        #expect(peer.goAwayCode == .enhanceYourCalm)
    }

    @Test("case 42: PING that are answered are no flood")
    func answeredPings() {
        let peer = HostilePeer()
        peer.send(HTTP2Script.client)
        for _ in 0..<30 {
            var script = HTTP2Script()
            for _ in 0..<100 { script.frame(6, 0, 0, [UInt8](repeating: 0, count: 8)) }
            peer.send(script)
        }
        #expect(peer.session.failure == .none)
    }

    @Test("case 42: a SETTINGS frame with too many entries ends the connection")
    func settingsEntries() {
        let peer = peer { script in
            script.frame(4, 0, 0, (0..<33).flatMap { _ in [0, 3, 0, 0, 0, 100] })
        }
        #expect(peer.session.failure != .none)
        #expect(peer.goAwayCode != .noError)
    }

    @Test("case 43: PRIORITY by active streams, not by those that ever were")
    func priorityFlood() {
        let peer = HostilePeer()
        peer.send(HTTP2Script.client)
        var script = HTTP2Script()
        for _ in 0..<100 { script.frame(2, 0, 9, [0, 0, 0, 0, 15]) }
        peer.send(script)
        #expect(peer.session.failure == .none)
        script = HTTP2Script()
        script.frame(2, 0, 9, [0, 0, 0, 0, 15])
        peer.send(script)
        #expect(peer.session.failure == .inboundPriorityFlood)
        #expect(peer.goAwayCode == .enhanceYourCalm)
    }

    @Test("case 43: WINDOW_UPDATE against what was sent")
    func windowUpdateFlood() {
        let peer = peer { script in
            script.headers(1, HTTP2Script.request(), flags: 5)
            // Five for the connection and two for the stream are allowed.
            for _ in 0..<8 { script.windowUpdate(1, 1) }
        }
        #expect(peer.session.failure == .inboundWindowUpdateFlood)
        #expect(peer.goAwayCode == .enhanceYourCalm)
    }

    @Test("case 44: a storm of resets in one read shows each stream once")
    func resetStorm() {
        var options = HTTP2Options()
        options.prematureResetTotalStreams = 0
        let peer = peer(options) { script in
            for index in 0..<500 { script.headers(UInt32(index * 2 + 1), HTTP2Script.request(method: "POST"), flags: 4) }
            for index in 0..<500 { script.reset(UInt32(index * 2 + 1)) }
        }
        #expect(peer.trace.closed.count == 500)
        #expect(peer.session.streamCount == 0)
        #expect(peer.session.failure == .none)
    }

    @Test("case 45: a window of one byte a time bounds what is queued")
    func dribble() {
        let peer = HostilePeer()
        var script = HTTP2Script.client
        script.frame(4, 0, 0, [0, 4, 0, 0, 0, 1])
        script.headers(1, HTTP2Script.request())
        peer.send(script)
        var head = ResponseHead()
        head.status = 200
        peer.session.sendResponse(peer.trace.keys[0], head, endStream: false)
        head.reset()
        var accepted = 0
        while peer.session.sendBody(peer.trace.keys[0], peer.slice(4000)) { accepted += 1 }
        #expect(accepted < 1000)
        peer.answer()
        #expect(peer.frames.filter { $0.type == 0 }.map(\.payload.count) == [1])
        peer.session.reset(peer.trace.keys[0], .cancel)
        peer.answer()
        #expect(peer.session.queuedBytes(peer.trace.keys[0]) == 0)
    }
}
