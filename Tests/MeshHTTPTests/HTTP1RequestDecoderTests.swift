// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshIO
import MeshTestKit
import Testing

/// Runs a request through every split and expects agreement.
func requests(
    _ text: String, _ change: (inout CodecSplits) -> Void = { _ in }, location: SourceLocation = #_sourceLocation
) -> CodecTrace {
    var splits = CodecSplits()
    change(&splits)
    let (trace, disagreements) = splits.requests(wire(text))
    #expect(disagreements == [], sourceLocation: location)
    return trace
}

struct HTTP1RequestDecoderTests {
    @Test func headBecomesPseudoHeadersAndFields() {
        let trace = requests("GET /a?b HTTP/1.1\nHost: Example.test:80\nX-Upper: Value \nempty:\nX-Upper:\t2\n\n")
        #expect(
            trace.heads == [
                ":method: GET\n:path: /a?b\n:scheme: http\n:authority: Example.test:80\nx-upper: Value\nempty: \nx-upper: 2\n"
                    + "[get HTTP/1.1 none]"
            ])
        #expect(trace.ends == 1)
        #expect(trace.leftover == 0)
    }

    @Test func emptyLinesBeforeARequestAreIgnoredUpToALimit() {
        #expect(requests("\n\nGET / HTTP/1.1\nHost: h\n\n").ends == 1)
        #expect(requests("\n\n\n\n\nGET / HTTP/1.1\nHost: h\n\n").failure == .malformedRequestLine)
    }

    @Test func pipelinedRequestsComeInOrder() {
        let trace = requests(
            "POST /1 HTTP/1.1\nHost: h\nContent-Length: 3\n\nabcGET /2 HTTP/1.1\nHost: h\n\n"
                + "POST /3 HTTP/1.1\nHost: h\nTransfer-Encoding: chunked\n\n2\nde\n0\n\nGET /4 HTTP/1.1\nHost: h\n\n")
        #expect(trace.ends == 4)
        #expect(trace.body == "abcde")
    }

    @Test func lengthBodyIsHandedOutAsItComes() {
        let trace = requests("PUT / HTTP/1.1\nHost: h\nContent-Length: 10\n\n0123456789")
        #expect(trace.heads.first?.hasSuffix("[put HTTP/1.1 length(10)]") == true)
        #expect(trace.body == "0123456789")
        #expect(trace.ends == 1)
    }

    @Test func chunkFramingIsStripped() {
        let trace = requests(
            "POST / HTTP/1.1\nHost: h\nTransfer-Encoding: Chunked\n\n3\nabc\n00A;name=\"v\";x\n0123456789\n0\n\n")
        #expect(trace.body == "abc0123456789")
        #expect(trace.ends == 1)
    }

    @Test func trailersAreReportedOnlyWhereEnabled() {
        let text = "POST / HTTP/1.1\nHost: h\nTransfer-Encoding: chunked\n\n1\na\n0\nX-T: 1\nx-u: 2\n\n"
        #expect(requests(text).trailers == [])
        #expect(requests(text) { $0.serverOptions.enableTrailers = true }.trailers == ["x-t: 1\nx-u: 2"])
    }

    @Test func absoluteFormBringsItsOwnAuthority() {
        let trace = requests("GET http://target.test:81/p?q HTTP/1.1\nHost: other.test\n\n")
        #expect(
            trace.heads == [":method: GET\n:authority: target.test:81\n:path: /p?q\n:scheme: http\n[get HTTP/1.1 none absolute]"])
    }

    @Test(arguments: [("http://h", "/"), ("http://h?x", "/?x"), ("HTTP://h/y", "/y"), ("https://h/", "/")])
    func absoluteFormWithoutAPathIsTheRoot(target: String, path: String) {
        let trace = requests("GET \(target) HTTP/1.1\nHost: h\n\n")
        #expect(trace.heads.first?.contains(":path: \(path)\n") == true)
        #expect(trace.heads.first?.contains(target.hasPrefix("https") ? ":scheme: https" : ":scheme: http\n") == true)
    }

    @Test func absoluteFormIsAPathWhereItIsNotAllowed() {
        let trace = requests("GET http://t/p HTTP/1.1\nHost: h\n\n") { $0.serverOptions.allowsAbsoluteForm = false }
        #expect(trace.heads.first?.contains(":path: http://t/p\n") == true)
        #expect(trace.heads.first?.contains(":authority: h\n") == true)
    }

    @Test func connectHasAnAuthorityAndNoPath() {
        let trace = requests("CONNECT h.test:443 HTTP/1.1\nHost: h.test:443\nContent-Length: 0\n\n")
        #expect(trace.heads == [":method: CONNECT\n:authority: h.test:443\n[connect HTTP/1.1 none]"])
    }

    @Test func asteriskIsForOptionsOnly() {
        #expect(requests("OPTIONS * HTTP/1.1\nHost: h\n\n").heads.first?.contains(":path: *\n") == true)
        #expect(requests("GET * HTTP/1.1\nHost: h\n\n").failure == .badURL)
    }

    @Test func connectionCloseEndsKeepAlive() {
        #expect(requests("GET / HTTP/1.1\nHost: h\nConnection: foo, Close\n\n").heads.first?.contains("close]") == true)
        #expect(requests("GET / HTTP/1.1\nHost: h\nConnection: keep-alive\n\n").heads.first?.contains("close]") == false)
    }

    @Test func http10ClosesUnlessAskedNotTo() {
        let accepts: (inout CodecSplits) -> Void = { $0.serverOptions.acceptsHTTP10 = true }
        #expect(requests("GET / HTTP/1.0\nHost: h\n\n", accepts).heads.first?.hasSuffix("[get HTTP/1.0 none close]") == true)
        #expect(
            requests("GET / HTTP/1.0\nHost: h\nConnection: Keep-Alive\n\n", accepts).heads.first?
                .hasSuffix("[get HTTP/1.0 none]") == true)
        #expect(requests("GET / HTTP/1.0\n\n", accepts).failure == .missingHost)
        let trace = requests("GET / HTTP/1.0\n\n") {
            $0.serverOptions.acceptsHTTP10 = true
            $0.serverOptions.defaultHostForHTTP10 = UnsafeRawBufferPointer("default.test" as StaticString)
        }
        #expect(trace.heads.first?.contains(":authority: default.test") == true)
    }

    @Test func upgradeNeedsBothFieldsAndIgnoresH2C() {
        let upgrade = requests("GET / HTTP/1.1\nHost: h\nUpgrade: websocket\nConnection: keep-alive, Upgrade\n\n")
        #expect(upgrade.heads.first?.hasSuffix("[get HTTP/1.1 none upgrade]") == true)
        #expect(requests("GET / HTTP/1.1\nHost: h\nUpgrade: websocket\n\n").heads.first?.contains("none]") == true)
        #expect(
            requests("GET / HTTP/1.1\nHost: h\nUpgrade: h2c\nConnection: upgrade\n\n").heads.first?.contains("none]") == true)
    }

    @Test func expectationIsSeen() {
        let trace = requests("POST / HTTP/1.1\nHost: h\nExpect: 100-Continue\nContent-Length: 1\n\na")
        #expect(trace.heads.first?.hasSuffix("length(1) continue]") == true)
    }

    @Test func nothingOfTheNextRequestIsReadBeforeReset() {
        let pool = SlabPool()
        var decoder = HTTP1RequestDecoder()
        var head = RequestHead()
        var trailers = HeaderBlock()
        let bytes = wire("GET / HTTP/1.1\nHost: h\nUpgrade: x\nConnection: upgrade\n\nGARBAGE")
        bytes.withUnsafeBytes { input in
            let first = decoder.next(input, head: &head, trailers: &trailers, pool: pool)
            #expect(first.kind == .head)
            #expect(decoder.isBodyComplete)
            let rest = UnsafeRawBufferPointer(rebasing: input[first.consumed...])
            #expect(decoder.next(rest, head: &head, trailers: &trailers, pool: pool).kind == .end)
            let after = decoder.next(rest, head: &head, trailers: &trailers, pool: pool)
            #expect(after.kind == .needMore)
            #expect(after.consumed == 0)
        }
    }

    @Test(arguments: [
        ("", nil), ("\n", nil), ("GE", HTTP1Failure.truncatedHead), ("GET / HTTP/1.1\nHost: h\n", .truncatedHead),
        ("POST / HTTP/1.1\nHost: h\nContent-Length: 5\n\nabc", .truncatedBody),
        ("POST / HTTP/1.1\nHost: h\nTransfer-Encoding: chunked\n\n5\nabcde\n0\n", .truncatedBody),
        ("GET / HTTP/1.1\nHost: h\n\n", nil),
    ])
    func endOfInputInsideAMessageIsTruncation(text: String, failure: HTTP1Failure?) {
        let trace = requests(text) { $0.endsInput = true }
        #expect(trace.events.last == .inputEnded(failure))
    }

    @Test func aHeadByteByByteIsReadInLinearTime() {
        // A quadratic reader would look at 1.8 thousand million bytes here; the fuel is counted, not timed: finished lines
        // leave the input at once, so what is pending never exceeds the unfinished line.
        var pending = 0
        var most = 0
        let pool = SlabPool()
        var decoder = HTTP1RequestDecoder()
        var head = RequestHead()
        var trailers = HeaderBlock()
        let bytes = wire("GET / HTTP/1.1\nHost: h\n" + String(repeating: "name: 0123456789\n", count: 90))
        bytes.withUnsafeBytes { input in
            var start = 0
            for end in 1...input.count {
                let step = decoder.next(
                    UnsafeRawBufferPointer(rebasing: input[start..<end]), head: &head, trailers: &trailers, pool: pool)
                #expect(step.kind == .needMore)
                start += step.consumed
                pending = end - start
                most = max(most, pending)
            }
        }
        #expect(most < 20)
    }

    @Test func slabsComeBack() {
        let pool = SlabPool()
        do {
            var decoder = HTTP1RequestDecoder()
            var head = RequestHead()
            var trailers = HeaderBlock()
            wire("GET / HTTP/1.1\nHost: h\nx: " + String(repeating: "y", count: 5000) + "\n\n").withUnsafeBytes {
                #expect(decoder.next($0, head: &head, trailers: &trailers, pool: pool).kind == .head)
            }
            #expect(pool.outstandingSlabs == 1)
        }
        #expect(pool.outstandingSlabs == 0)
    }
}
