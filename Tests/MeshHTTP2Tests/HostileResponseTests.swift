// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshHTTP2
import MeshIO
import MeshTestKit
import Testing

/// The attack ledger against the client's role: a malicious upstream.
struct HostileResponseTests {
    /// Streams 1 (GET), 3 (HEAD) and 5 (POST, open) wait for their responses.
    private func peer(_ options: HTTP2Options = HTTP2Options(), _ build: (inout HTTP2Script) -> Void) -> HostilePeer {
        let peer = HostilePeer(.client, options: options)
        for request in [HTTP2Request.get, .head, .post] {
            let key = request.send(on: peer.session, peer.pool, peer.now)
            #expect(key != nil)
        }
        peer.answer()
        var script = HTTP2Script.server
        build(&script)
        peer.send(script)
        return peer
    }

    static let malformed: [(String, [(String, String)])] = [
        ("no status", [("a", "b")]),
        ("status of two digits", [(":status", "20")]),
        ("status that is no number", [(":status", "2x0")]),
        ("status 99", [(":status", "099")]),
        ("status of four digits", [(":status", "2000")]),
        ("two statuses", [(":status", "200"), (":status", "200")]),
        ("101", [(":status", "101")]),
        ("path in a response", [(":status", "200"), (":path", "/")]),
        ("upper-case name", [(":status", "200"), ("A", "b")]),
        ("connection", [(":status", "200"), ("connection", "close")]),
        ("transfer-encoding", [(":status", "200"), ("transfer-encoding", "chunked")]),
        ("CRLF in a value", [(":status", "200"), ("a", "b\r\nx: y")]),
        ("trailing space", [(":status", "200"), ("a", "b ")]),
        ("content-length twice", [(":status", "200"), ("content-length", "0"), ("content-length", "0")]),
        ("content-length without a body", [(":status", "200"), ("content-length", "5")]),
    ]

    @Test("cases 31, 33, 46, 47: a malformed response is reset and the others go on", arguments: 0..<malformed.count)
    func malformedResponses(index: Int) {
        let (name, fields) = HostileResponseTests.malformed[index]
        let peer = peer { script in
            script.headers(1, fields)
            script.headers(5, [(":status", "200")])
        }
        #expect(peer.resetCode(1) == .protocolError, "\(name)")
        #expect(peer.streamFailure?.isInvalidMessage == true, "\(name)")
        #expect(peer.heads == 1, "\(name)")
        #expect(peer.session.failure == .none, "\(name)")
    }

    @Test("case 28: endless 1xx heads reset the stream")
    func informationalFlood() {
        let peer = peer { script in
            for _ in 0..<17 { script.headers(1, [(":status", "103")], flags: 4) }
        }
        #expect(peer.streamFailure == .tooManyInformationalHeads)
        #expect(peer.resetCode(1) == .protocolError)
    }

    @Test("case 28: a 1xx head with END_STREAM is refused")
    func informationalEnd() {
        let peer = peer { $0.headers(1, [(":status", "103")]) }
        #expect(peer.resetCode(1) == .protocolError)
    }

    @Test("case 38: too many response fields")
    func headerBomb() {
        let peer = peer { $0.headers(1, [(":status", "200")] + (0..<100).map { _ in ("a", "b") }) }
        #expect(peer.streamFailure == .tooManyHeaders)
        #expect(peer.resetCode(1) == .internalError)
    }

    @Test("case 41: empty frames from an upstream")
    func emptyFrames() {
        let peer = peer { script in
            script.headers(1, [(":status", "200")], flags: 4)
            script.data(1, [])
            script.data(1, [])
        }
        #expect(peer.session.failure == .inboundEmptyFramesFlood)
    }

    @Test("case 42: PING flood from an upstream")
    func pingFlood() {
        let peer = peer { script in
            for _ in 0..<1001 { script.frame(6, 0, 0, [UInt8](repeating: 0, count: 8)) }
        }
        #expect(peer.session.failure == .outboundControlFlood)
    }

    @Test("case 49: response trailers without END_STREAM")
    func trailersWithoutEnd() {
        let peer = peer { script in
            script.headers(1, [(":status", "200")], flags: 4)
            script.headers(1, [("a", "b")], flags: 4)
        }
        #expect(peer.resetCode(1) == .protocolError)
    }

    @Test("case 50: PUSH_PROMISE was forbidden")
    func pushPromise() {
        let peer = peer { script in
            script.frame(4, 1, 0)
            script.frame(5, 4, 1, [0, 0, 0, 2] + HTTP2Script.block(HTTP2Script.request()))
        }
        #expect(peer.goAwayCode == .protocolError)
    }

    @Test("case 50: a response on a stream that was never opened")
    func idleStream() {
        let peer = peer { $0.headers(7, [(":status", "200")]) }
        #expect(peer.goAwayCode == .protocolError)
        #expect(peer.session.failure != .none)
    }

    @Test("case 31: a body behind HEAD")
    func bodyBehindHead() {
        let peer = peer { script in
            script.headers(3, [(":status", "200"), ("content-length", "3")], flags: 4)
            script.data(3, [1, 2, 3], end: true)
        }
        #expect(peer.resetCode(3) == .protocolError)
    }

    @Test("case 32: RST_STREAM before a response, and after a whole one")
    func resets() {
        let peer = peer { script in
            script.reset(1, 7)
            script.headers(5, [(":status", "200")], flags: 4)
            script.data(5, [1], end: true)
            script.reset(5, 0)
        }
        #expect(peer.trace.events.contains("1 closed 7 none"))
        // What was whole before the reset is kept.
        #expect(peer.trace.bodies[5] == [1])
        #expect(peer.trace.events.contains("5 end"))
        #expect(peer.trace.events.contains("5 closed 0 none"))
    }

    @Test("case 32: RST_STREAM (NO_ERROR) inside a response is no end")
    func resetInside() {
        let peer = peer { script in
            script.headers(1, [(":status", "200")], flags: 4)
            script.reset(1, 0)
        }
        #expect(peer.trace.events.contains("1 closed 8 none"))
        #expect(!peer.trace.events.contains("1 end"))
    }

    @Test("a GOAWAY leaves the streams above its number unprocessed")
    func goAway() {
        let peer = peer { $0.frame(7, 0, 0, HTTP2Script.word(1) + HTTP2Script.word(0)) }
        #expect(peer.trace.events.contains("goaway 1 0"))
        #expect(Set(peer.trace.closed.map(\.code)) == [.refusedStream])
        #expect(peer.trace.closed.count == 2)
        #expect(peer.session.openableStreams == 0)
    }
}
