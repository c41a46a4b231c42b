// SPDX-License-Identifier: Apache-2.0
import MeshServer
import Testing

struct LocalRequestParserTests {
    private func parsed(_ text: String) -> LocalRequest? {
        if case .request(let request, let used) = LocalRequestParser.parse(Array(text.utf8)), used == text.utf8.count { return request }
        return nil
    }

    /// The very request of pilot-agent's readiness check.
    @Test func anUnencodedRegularExpressionIsAPlainTarget() {
        let request = parsed(
            "GET /stats?usedonly&filter=^(cluster_manager\\.cds|listener_manager\\.lds)\\.(update_success|update_rejected)$ HTTP/1.1\r\n"
                + "Host: localhost:15000\r\nUser-Agent: Go-http-client/1.1\r\n\r\n")
        #expect(request?.path == "/stats")
        #expect(request?.has("usedonly") == true)
        #expect(
            request?.parameter("filter")
                == "^(cluster_manager\\.cds|listener_manager\\.lds)\\.(update_success|update_rejected)$")
    }

    @Test(arguments: [
        ("/a%20b", "/a b", ""), ("/%72eady", "/ready", ""), ("/stats?filter=a%2Bb%7c", "/stats", "a+b|"), ("/stats?filter=a b", "/stats", "a b"),
        ("/stats?filter=%zz%4", "/stats", "%zz%4"), ("http://h:1/stats?filter=x", "/stats", "x"),
        ("/stats?filter=a=b", "/stats", "a=b"), ("/stats?filter=a%2", "/stats", "a%2"),
    ])
    func targetsAreTakenApart(target: String, path: String, filter: String) {
        let request = parsed("GET \(target) HTTP/1.1\r\n\r\n")
        #expect(request?.path == path)
        #expect((request?.parameter("filter") ?? "") == filter)
    }

    @Test func everySplitOfARequestGivesTheSameAnswer() {
        let text = Array("POST /logging?level=debug HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\nabc".utf8)
        for count in 0..<text.count {
            #expect(LocalRequestParser.parse(Array(text[..<count])) == .incomplete, "\(count) bytes")
        }
        guard case .request(let request, let used) = LocalRequestParser.parse(text + Array("GET".utf8)) else {
            Issue.record("not parsed")
            return
        }
        #expect(used == text.count)
        #expect(request.method == "POST")
        #expect(request.body == Array("abc".utf8))
    }

    @Test(arguments: [
        "GET / HTTP/2.0\r\n\r\n", "GET\r\n\r\n", "GET /\r\n\r\n", "get / HTTP/1.1\r\n\r\n", "GET /\u{1} HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nno colon\r\n\r\n", "GET / HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
        "GET / HTTP/1.1\r\ncontent-length: +1\r\n\r\n", "FOO / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\n: x\r\n\r\n", " / HTTP/1.1\r\n\r\n",
    ])
    func malformedRequestsAreRefused(text: String) {
        #expect(LocalRequestParser.parse(Array(text.utf8)) == .refused(400))
    }

    @Test func sizesAreLimited() {
        let long = Array(repeating: UInt8(ascii: "a"), count: LocalRequestParser.headLimit + 1)
        #expect(LocalRequestParser.parse(Array("GET /".utf8) + long) == .refused(431))
        let length = "POST / HTTP/1.1\r\ncontent-length: \(LocalRequestParser.bodyLimit + 1)\r\n\r\n"
        #expect(LocalRequestParser.parse(Array(length.utf8)) == .refused(413))
        #expect(LocalRequestParser.parse(Array("POST / HTTP/1.1\r\ntransfer-encoding: gzip\r\n\r\n".utf8)) == .refused(501))
        let chunk = "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n\(String(LocalRequestParser.bodyLimit + 1, radix: 16))\r\n"
        #expect(LocalRequestParser.parse(Array(chunk.utf8)) == .refused(413))
        let endless = Array("POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n".utf8)
            + Array(repeating: UInt8(ascii: "1"), count: LocalRequestParser.bodyLimit + LocalRequestParser.headLimit + 1)
        #expect(LocalRequestParser.parse(endless) == .refused(413))
    }

    @Test func aChunkedBodyIsPutTogether() {
        let text = Array("POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0A\r\n0123456789\r\n0\r\nt: v\r\n\r\n".utf8)
        for count in 0..<text.count {
            #expect(LocalRequestParser.parse(Array(text[..<count])) == .incomplete, "\(count) bytes")
        }
        guard case .request(let request, let used) = LocalRequestParser.parse(text + Array("GET".utf8)) else {
            Issue.record("not parsed")
            return
        }
        #expect(used == text.count)
        #expect(request.body == Array("abc0123456789".utf8))
    }

    @Test(arguments: ["x\r\n", "-1\r\n", "+1\r\n", "\r\n", "3\r\nabcd\r\n", "FFFFFFFFF\r\n", "3 3\r\nabcxx\r\n"])
    func malformedChunksAreRefused(text: String) {
        let head = "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n"
        #expect(LocalRequestParser.parse(Array((head + text).utf8)) == .refused(400))
        #expect(LocalRequestParser.parse(Array((head.dropLast() + "content-length: 3\r\n\r\nabc").utf8)) == .refused(400))
    }

    @Test(arguments: [
        ("HTTP/1.1", "", true), ("HTTP/1.0", "", false), ("HTTP/1.1", "connection: Close\r\n", false),
        ("HTTP/1.0", "connection: keep-alive\r\n", true),
    ])
    func connectionsAreKeptAsHTTPSays(version: String, field: String, keeps: Bool) {
        #expect(parsed("GET / \(version)\r\n\(field)\r\n")?.keepsAlive == keeps)
    }

    @Test func headHasNoBody() {
        let request = LocalRequest(method: "HEAD", path: "/")
        let text = String(decoding: LocalResponseWriter.bytes(LocalResponse("abc"), to: request, server: "s"), as: UTF8.self)
        #expect(text.hasSuffix("content-length: 3\r\n\r\n"))
    }
}
