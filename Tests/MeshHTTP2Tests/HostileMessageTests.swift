// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshHTTP2
import MeshIO
import MeshTestKit
import Testing

/// Cases 46 to 55 of the attack ledger: malformed messages and frames, against the server's role.
struct HostileMessageTests {
    private func peer(_ options: HTTP2Options = HTTP2Options(), _ build: (inout HTTP2Script) -> Void) -> HostilePeer {
        let peer = HostilePeer(options: options)
        var script = HTTP2Script.client
        build(&script)
        peer.send(script)
        return peer
    }

    struct Case: CustomTestStringConvertible, Sendable {
        var testDescription: String
        var fields: [(String, String)]

        init(_ name: String, _ fields: [(String, String)]) {
            testDescription = name
            self.fields = fields
        }
    }

    static let malformed: [Case] = [
        // 46
        Case("upper-case name", HTTP2Script.request([("Accept", "x")])),
        Case("connection", HTTP2Script.request([("connection", "close")])),
        Case("keep-alive", HTTP2Script.request([("keep-alive", "1")])),
        Case("proxy-connection", HTTP2Script.request([("proxy-connection", "close")])),
        Case("transfer-encoding", HTTP2Script.request([("transfer-encoding", "chunked")])),
        Case("upgrade", HTTP2Script.request([("upgrade", "h2c")])),
        Case("te gzip", HTTP2Script.request([("te", "gzip")])),
        Case("te with trailers and more", HTTP2Script.request([("te", "trailers, gzip")])),
        Case("pseudo-header behind a field", [(":method", "GET"), ("a", "b"), (":scheme", "http"), (":path", "/")]),
        Case("no method", [(":scheme", "http"), (":path", "/"), (":authority", "a")]),
        Case("no scheme", [(":method", "GET"), (":path", "/"), (":authority", "a")]),
        Case("no path", [(":method", "GET"), (":scheme", "http"), (":authority", "a")]),
        Case("two methods", HTTP2Script.request() + [(":method", "GET")]),
        Case("two paths", [(":path", "/")] + HTTP2Script.request()),
        Case("unknown pseudo-header", [(":foo", "a")] + HTTP2Script.request()),
        Case("status in a request", [(":status", "200")] + HTTP2Script.request()),
        Case("protocol that was not offered", [(":protocol", "websocket")] + HTTP2Script.request(method: "CONNECT")),
        Case("CONNECT with a path", HTTP2Script.request(method: "CONNECT")),
        Case("CONNECT without a port", [(":method", "CONNECT"), (":authority", "a.test")]),
        // 47
        Case("CR in a value", HTTP2Script.request([("a", "b\rc")])),
        Case("LF in a value", HTTP2Script.request([("a", "b\nx: y")])),
        Case("NUL in a value", HTTP2Script.request([("a", "b\u{0}c")])),
        Case("leading space", HTTP2Script.request([("a", " b")])),
        Case("trailing space", HTTP2Script.request([("a", "b ")])),
        Case("leading tab", HTTP2Script.request([("a", "\tb")])),
        Case("empty name", HTTP2Script.request([("", "b")])),
        Case("space in a name", HTTP2Script.request([("a b", "c")])),
        Case("colon in a name", HTTP2Script.request([("a:b", "c")])),
        Case("CR in a name", HTTP2Script.request([("a\r\nb", "c")])),
        Case("8-bit name", HTTP2Script.request([("\u{e9}", "c")])),
        Case("path without a slash", HTTP2Script.request(path: "x")),
        Case("empty path", HTTP2Script.request(path: "")),
        Case("path with a space", HTTP2Script.request(path: "/a b")),
        Case("path with CRLF", HTTP2Script.request(path: "/ HTTP/1.1\r\nx: y")),
        Case("8-bit path", HTTP2Script.request(path: "/\u{e9}")),
        Case("absolute path", HTTP2Script.request(path: "http://b/")),
        Case("star for GET", HTTP2Script.request(path: "*")),
        Case("scheme junk", HTTP2Script.request(scheme: "http://evil/?")),
        Case("unknown scheme", HTTP2Script.request(scheme: "ftp")),
        Case("scheme with a space", HTTP2Script.request(scheme: "ht tp")),
        Case("method with a space", HTTP2Script.request(method: "GET /x HTTP/1.1")),
        Case("method with CRLF", HTTP2Script.request(method: "GET\r\n")),
        Case("empty method", HTTP2Script.request(method: "")),
        Case("authority is not host", HTTP2Script.request([("host", "b.test")])),
        Case("authority with userinfo", HTTP2Script.request(authority: "u@a.test")),
        Case("authority with a space", HTTP2Script.request(authority: "a b")),
        Case("authority with a port too large", HTTP2Script.request(authority: "a.test:65536")),
        // 48
        Case("content-length without a body", HTTP2Script.request([("content-length", "3")])),
        Case("content-length +1", HTTP2Script.request([("content-length", "+0")])),
        Case("content-length twice", HTTP2Script.request([("content-length", "0"), ("content-length", "0")])),
        Case("content-length 00", HTTP2Script.request([("content-length", "00")])),
        Case("content-length above 2^63", HTTP2Script.request([("content-length", "9223372036854775808")])),
        Case("content-length list", HTTP2Script.request([("content-length", "0, 0")])),
    ]

    @Test("cases 46 to 48: a malformed request is reset and the connection goes on", arguments: malformed)
    func malformedRequests(test: Case) {
        let peer = peer { script in
            script.headers(1, test.fields)
            script.headers(3, HTTP2Script.request())
        }
        #expect(peer.resetCode(1) == .protocolError)
        #expect(peer.streamFailure?.isInvalidMessage == true)
        #expect(peer.trace.closed.count == 1)
        #expect(peer.heads == 1)
        #expect(peer.session.failure == .none)
    }

    @Test("cases 46 to 48: where configuration says so, a malformed request ends the connection", arguments: malformed)
    func malformedRequestsEndTheConnection(test: Case) {
        var options = HTTP2Options()
        options.resetsStreamOnInvalidMessage = false
        let peer = peer(options) { $0.headers(1, test.fields) }
        #expect(peer.session.failure.isInvalidMessage)
        #expect(peer.goAwayCode == .protocolError)
        #expect(peer.heads == 0)
    }

    @Test("case 47: what is unusual and allowed is let through")
    func allowed() {
        let peer = peer { script in
            script.headers(1, HTTP2Script.request(path: "/a#b", scheme: "HTTPS"))
            script.headers(3, HTTP2Script.request(method: "OPTIONS", path: "*"))
            script.headers(5, HTTP2Script.request([("te", "trailers"), ("host", "A.TEST"), ("a", ""), ("b", "\u{e9}")]))
            script.headers(7, [(":method", "GET"), (":scheme", "http"), (":path", "/"), ("host", "b.test")])
            script.headers(9, HTTP2Script.request(method: "BREW"))
            script.headers(11, [(":method", "CONNECT"), (":authority", "a.test:443")], flags: 4)
        }
        #expect(peer.heads == 6)
        #expect(peer.trace.closed.isEmpty)
        // One view of the request: the host is its authority.
        #expect(peer.trace.events.contains { $0.hasPrefix("7 head") && $0.contains(":authority: b.test") && !$0.contains("\nhost:") })
    }

    @Test("case 46: pseudo-headers and framing fields in trailers", arguments: [":path", ":status", "content-length", "transfer-encoding", "host", "connection"])
    func trailerFields(name: String) {
        let peer = peer { script in
            script.headers(1, HTTP2Script.request(method: "POST"), flags: 4)
            script.headers(1, [(name, "0")])
        }
        #expect(peer.resetCode(1) == .protocolError)
        #expect(peer.session.failure == .none)
        #expect(!peer.trace.events.contains { $0.contains(" trailers") })
    }

    @Test("case 48: DATA that does not add up to content-length", arguments: [2, 4])
    func contentLength(count: Int) {
        let peer = peer { script in
            script.headers(1, HTTP2Script.request(method: "POST", [("content-length", "3")]), flags: 4)
            script.data(1, [UInt8](repeating: 1, count: count), end: true)
        }
        #expect(peer.resetCode(1) == .protocolError)
        #expect(peer.streamFailure == .messagingError)
        #expect(!peer.trace.events.contains("1 end"))
    }

    @Test("case 49: trailers without END_STREAM")
    func trailersWithoutEnd() {
        let peer = peer { script in
            script.headers(1, HTTP2Script.request(method: "POST"), flags: 4)
            script.headers(1, [("a", "b")], flags: 4)
        }
        #expect(peer.resetCode(1) == .protocolError)
        #expect(peer.session.failure == .none)
    }

    struct Breach: CustomTestStringConvertible, Sendable {
        var testDescription: String
        var code: HTTP2ErrorCode
        var build: @Sendable (inout HTTP2Script) -> Void

        init(_ name: String, _ code: HTTP2ErrorCode, _ build: @escaping @Sendable (inout HTTP2Script) -> Void) {
            testDescription = name
            self.code = code
            self.build = build
        }
    }

    static let broken: [Breach] = [
        Breach("frame over the size limit", .frameSizeError) { $0.frame(0, 0, 1, [], length: 16_385) },
        Breach("even stream", .protocolError) { $0.headers(2, HTTP2Script.request()) },
        Breach("HEADERS on stream 0", .protocolError) { $0.headers(0, HTTP2Script.request()) },
        Breach("DATA on an idle stream", .protocolError) { $0.data(1, [1]) },
        Breach("RST_STREAM on an idle stream", .protocolError) { $0.reset(1) },
        Breach("WINDOW_UPDATE on an idle stream", .protocolError) { $0.windowUpdate(1, 1) },
        Breach("DATA on stream 0", .protocolError) { $0.data(0, [1]) },
        Breach("stream numbers going back", .protocolError) { $0.headers(5, HTTP2Script.request()); $0.headers(3, HTTP2Script.request()) },
        Breach("GOAWAY on a stream", .protocolError) { $0.frame(7, 0, 1, [UInt8](repeating: 0, count: 8)) },
        Breach("PUSH_PROMISE from a client", .protocolError) { $0.headers(1, HTTP2Script.request(), flags: 4); $0.frame(5, 4, 1, [0, 0, 0, 2]) },
        Breach("SETTINGS of five bytes", .frameSizeError) { $0.frame(4, 0, 0, [0, 0, 0, 0, 0]) },
        Breach("SETTINGS ACK with a payload", .frameSizeError) { $0.frame(4, 1, 0, [0, 3, 0, 0, 0, 1]) },
        Breach("SETTINGS on a stream", .protocolError) { $0.frame(4, 0, 1) },
        Breach("PING of seven bytes", .frameSizeError) { $0.frame(6, 0, 0, [UInt8](repeating: 0, count: 7)) },
        Breach("RST_STREAM of three bytes", .frameSizeError) { $0.headers(1, HTTP2Script.request(), flags: 4); $0.frame(3, 0, 1, [0, 0, 0]) },
        Breach("padding longer than the frame", .protocolError) { $0.headers(1, HTTP2Script.request(), flags: 4); $0.frame(0, 8, 1, [9, 1]) },
        Breach("CONTINUATION without HEADERS", .protocolError) { $0.frame(9, 4, 1, []) ; $0.frame(9, 4, 1, [1]) },
        Breach("another frame inside a header block", .protocolError) { $0.headers(1, HTTP2Script.request(), flags: 1); $0.frame(6, 0, 0, [UInt8](repeating: 0, count: 8)) },
        // 52
        Breach("HPACK index 0", .compressionError) { $0.frame(1, 5, 1, [0x80]) },
        Breach("HPACK index beyond the table", .compressionError) { $0.frame(1, 5, 1, [0xFF, 0x20]) },
        Breach("HPACK integer without end", .compressionError) { $0.frame(1, 5, 1, [0x7F] + [UInt8](repeating: 0xFF, count: 10)) },
        Breach("HPACK size update over the limit", .compressionError) { $0.frame(1, 5, 1, [0x3F] + HTTP2Script.integer(100_000, prefix: 5).dropFirst()) },
        Breach("HPACK size update behind a field", .compressionError) { $0.frame(1, 5, 1, HTTP2Script.block(HTTP2Script.request()) + [0x20]) },
        Breach("Huffman padding of a byte", .compressionError) { $0.frame(1, 5, 1, [0x00, 0x01, 0x61, 0x82, 0xFF, 0xFF]) },
        Breach("HPACK string cut short", .compressionError) { $0.frame(1, 5, 1, [0x00, 0x05, 0x61]) },
        // 53
        Breach("window of the connection over 2^31-1", .flowControlError) { $0.windowUpdate(0, 0x7FFF_FFFF) },
        Breach("initial window over 2^31-1", .flowControlError) { $0.frame(4, 0, 0, [0, 4, 0x80, 0, 0, 0]) },
        Breach("WINDOW_UPDATE of 0 for the connection", .protocolError) { $0.windowUpdate(0, 0) },
        Breach("ENABLE_PUSH of 2", .protocolError) { $0.frame(4, 0, 0, [0, 2, 0, 0, 0, 2]) },
        Breach("MAX_FRAME_SIZE of 1", .protocolError) { $0.frame(4, 0, 0, [0, 5, 0, 0, 0, 1]) },
    ]

    @Test("cases 50, 52, 53: frames, compression and windows that break the connection", arguments: broken)
    func brokenConnections(breach: Breach) {
        let peer = peer(HTTP2Options(), breach.build)
        #expect(peer.goAwayCode == breach.code)
        #expect(peer.session.failure != .none)
        #expect(peer.trace.failed?.code == breach.code)
        // 51: nothing reaches nghttp2 after that, whatever comes.
        var more = HTTP2Script()
        more.frame(0, 0, 1, [], length: 100_000)
        more.headers(101, HTTP2Script.request())
        let heads = peer.heads
        peer.send(more)
        #expect(peer.heads == heads)
    }

    @Test("case 50: what is no preface ends the connection")
    func badPreface() {
        let peer = HostilePeer()
        var script = HTTP2Script()
        script.raw(Array("GET / HTTP/1.1\r\nhost: a\r\n\r\n".utf8))
        peer.send(script)
        #expect(peer.session.failure == .badPreface)
        #expect(peer.goAwayCode == .protocolError)
    }

    @Test("case 50: frames of unknown kinds are ignored")
    func unknownFrames() {
        let peer = peer { script in
            script.frame(0xFA, 0xFF, 0, [1, 2, 3])
            script.headers(1, HTTP2Script.request())
        }
        #expect(peer.heads == 1)
        #expect(peer.session.failure == .none)
    }

    @Test("case 53: more streams than allowed are refused")
    func tooManyStreams() {
        var options = HTTP2Options()
        options.maxConcurrentStreams = 2
        let peer = peer(options) { script in
            // The client has not acknowledged the limit, so this is no error of its connection.
            for id in [UInt32(1), 3, 5] { script.headers(id, HTTP2Script.request(method: "POST"), flags: 4) }
        }
        #expect(peer.heads == 2)
        #expect(peer.resetCode(5) == .refusedStream)
        #expect(peer.session.failure == .none)
    }

    @Test("case 53: a stream that was reset makes room for one in the same read")
    func resetsMakeRoom() {
        var options = HTTP2Options()
        options.maxConcurrentStreams = 2
        let peer = peer(options) { script in
            for id in [UInt32(1), 3, 5, 7] { script.headers(id, HTTP2Script.request(method: "POST"), flags: 4) }
            script.reset(1)
            script.reset(3)
            for id in [UInt32(9), 11, 13] { script.headers(id, HTTP2Script.request(method: "POST"), flags: 4) }
        }
        #expect([5, 7, 13].allSatisfy { peer.resetCode($0) == .refusedStream })
        #expect(peer.resetCode(9) == nil && peer.resetCode(11) == nil)
        #expect(peer.heads == 2)
        #expect(peer.session.failure == .none)
    }

    @Test("case 54: what follows a reset in the same read is dead")
    func dataBehindReset() {
        let peer = peer { script in
            script.headers(1, HTTP2Script.request(method: "POST"), flags: 4)
            script.data(1, [1, 2, 3])
            script.reset(1)
            script.data(1, [4])
        }
        #expect(peer.heads == 0)
        #expect(peer.trace.bodies[1] == nil)
        #expect(peer.trace.closed.count == 1)
    }

    @Test("case 54: what the driver reset says nothing more")
    func dataBehindOurReset() {
        let peer = HostilePeer()
        var script = HTTP2Script.client
        script.headers(1, HTTP2Script.request(method: "POST"), flags: 4)
        peer.send(script)
        peer.session.reset(peer.trace.keys[0], .cancel)
        script = HTTP2Script()
        script.data(1, [1, 2])
        script.headers(1, [("a", "b")])
        peer.send(script)
        #expect(peer.trace.bodies[1] == nil)
        #expect(peer.trace.events.last == "1 closed 8 none")
        #expect(peer.session.streamCount == 0)
    }

    @Test("case 55: HTTP2-Settings is not passed on")
    func http2Settings() {
        let peer = peer { $0.headers(1, HTTP2Script.request([("http2-settings", "AAMAAABk")])) }
        #expect(peer.heads == 1)
        #expect(!peer.trace.events.contains { $0.contains("http2-settings") })
    }

    @Test("underscores are let through, refused or dropped", arguments: [UnderscoreAction.allow, .reject, .drop])
    func underscores(action: UnderscoreAction) {
        var options = HTTP2Options()
        options.underscores = action
        let peer = peer(options) { $0.headers(1, HTTP2Script.request([("a_b", "c")])) }
        #expect(peer.heads == (action == .reject ? 0 : 1))
        #expect(peer.trace.events.contains { $0.contains("a_b: c") } == (action == .allow))
        if action == .reject { #expect(peer.streamFailure == .underscore) }
    }
}
