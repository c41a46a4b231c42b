// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshTestKit
import Testing

/// Runs responses through every split and expects agreement.
func responses(
    _ text: String, to methods: [HTTPMethod] = [.get], location: SourceLocation = #_sourceLocation,
    _ change: (inout CodecSplits) -> Void = { _ in }
) -> CodecTrace {
    var splits = CodecSplits()
    splits.methods = methods
    change(&splits)
    let (trace, disagreements) = splits.responses(wire(text))
    #expect(disagreements == [], sourceLocation: location)
    return trace
}

struct HTTP1ResponseDecoderTests {
    @Test func headAndLengthBody() {
        let trace = responses("HTTP/1.1 200 OK\nServer: x\nContent-Length: 2\n\nok")
        #expect(trace.heads == [":status: 200\nserver: x\ncontent-length: 2\n[200 HTTP/1.1 length(2)]"])
        #expect(trace.body == "ok")
        #expect(trace.ends == 1)
    }

    @Test func reasonMayBeEmptyOrMissing() {
        #expect(responses("HTTP/1.1 200\nContent-Length: 0\n\n").ends == 1)
        #expect(responses("HTTP/1.1 200 \nContent-Length: 0\n\n").ends == 1)
        #expect(responses("HTTP/1.1 404 N\u{f6}t f\u{f6}und\nContent-Length: 0\n\n").ends == 1)
    }

    @Test func headHasNoBodyWhateverItDeclares() {
        let text = "HTTP/1.1 200 OK\nContent-Length: 7\n\nHTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\nHTTP/1.1 200 OK\n\n"
        let trace = responses(text, to: [.head, .head, .head])
        #expect(trace.ends == 3)
        #expect(trace.heads[0].hasSuffix("[200 HTTP/1.1 length(7) bodyless]"))
        #expect(trace.heads[1].hasSuffix("[200 HTTP/1.1 chunked bodyless]"))
        #expect(trace.heads[2].hasSuffix("[200 HTTP/1.1 untilClose bodyless]"))
    }

    @Test func statusesWithoutABody() {
        let trace = responses(
            "HTTP/1.1 204 No Content\nContent-Length: 0\n\nHTTP/1.1 304 X\nContent-Length: 100\n\nHTTP/1.1 304 X\n\n",
            to: [.get, .get, .get])
        #expect(trace.ends == 3)
        #expect(trace.heads[0] == ":status: 204\n[204 HTTP/1.1 none bodyless]")
        #expect(trace.heads[1].hasSuffix("[304 HTTP/1.1 length(100) bodyless]"))
        #expect(trace.heads[2].hasSuffix("[304 HTTP/1.1 none bodyless]"))
    }

    @Test func interimResponsesPrecedeTheFinalOne() {
        let trace = responses("HTTP/1.1 100 Continue\n\nHTTP/1.1 103 Early Hints\nlink: </a>\n\nHTTP/1.1 200 OK\nContent-Length: 1\n\nx")
        #expect(trace.heads.count == 3)
        #expect(trace.ends == 1)
        #expect(trace.heads[1] == ":status: 103\nlink: </a>\n[103 HTTP/1.1 none bodyless]")
    }

    @Test func switchingProtocolsLeavesWhatFollows() {
        let trace = responses("HTTP/1.1 101 X\nUpgrade: websocket\nConnection: upgrade\n\n", to: [.get]) { $0.expectsUpgrade = true }
        #expect(trace.heads.first?.hasSuffix("[101 HTTP/1.1 none upgrade bodyless]") == true)
        #expect(trace.ends == 1)
    }

    @Test func successToConnectBeginsTheTunnel() {
        let trace = responses("HTTP/1.1 200 OK\nContent-Length: 5\n\n", to: [.connect])
        #expect(trace.heads == [":status: 200\n[200 HTTP/1.1 none bodyless]"])
        #expect(responses("HTTP/1.1 407 No\nContent-Length: 2\n\nno", to: [.connect]).body == "no")
    }

    @Test func bodyUntilClose() {
        let trace = responses("HTTP/1.0 200 OK\n\nuntil the end") { $0.endsInput = true }
        #expect(trace.body == "until the end")
        #expect(trace.events.last == .end)
        #expect(trace.heads.first?.hasSuffix("[200 HTTP/1.0 untilClose close]") == true)
    }

    @Test func keepAliveOfHTTP10NeedsALength() {
        let kept = responses("HTTP/1.0 200 OK\nConnection: keep-alive\nContent-Length: 1\n\nx")
        #expect(kept.heads.first?.hasSuffix("length(1)]") == true)
        #expect(responses("HTTP/1.0 200 OK\nConnection: keep-alive\n\nx").heads.first?.hasSuffix("untilClose close]") == true)
    }

    @Test func trailers() {
        let text = "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n2\nok\n0\ngrpc-status: 0\n\n"
        #expect(responses(text) { $0.clientOptions.enableTrailers = true }.trailers == ["grpc-status: 0"])
        #expect(responses(text).trailers == [])
    }
}

/// The ledger's cases with the roles swapped: what a malicious upstream sends. The caller answers 502 and never reuses it.
struct HostileResponseTests {
    @Test(arguments: [
        ("HTTP/1.1 200 OK\nContent-Length: 2\nTransfer-Encoding: chunked\n\n2\nok\n0\n\n", HTTP1Failure.lengthAndChunked),
        ("HTTP/1.1 200 OK\nContent-Length: 2\nContent-Length: 2\n\nok", .duplicateLength),
        ("HTTP/1.1 200 OK\nContent-Length: 2x\n\nok", .badLength),
        ("HTTP/1.1 204 X\nContent-Length: 2\n\nok", .lengthNotAllowed),
        ("HTTP/1.1 204 X\nTransfer-Encoding: chunked\n\n0\n\n", .transferEncodingNotAllowed),
        ("HTTP/1.1 103 X\nTransfer-Encoding: chunked\n\n0\n\n", .transferEncodingNotAllowed),
        ("HTTP/1.1 101 X\nTransfer-Encoding: chunked\n\n0\n\n", .transferEncodingNotAllowed),
        ("HTTP/1.0 200 OK\nTransfer-Encoding: chunked\n\n0\n\n", .transferEncodingNotAllowed),
        ("HTTP/1.1 200 OK\nTransfer-Encoding: gzip\n\n", .unknownTransferEncoding),
    ])
    func case31FramingThatContradictsItself(text: String, failure: HTTP1Failure) {
        #expect(responses(text).failure == failure)
    }

    @Test func case31BodyBehindABodylessResponseIsUnexpected() {
        #expect(responses("HTTP/1.1 304 X\n\nbody").failure == .unexpectedResponse)
        #expect(responses("HTTP/1.1 200 OK\nContent-Length: 4\n\nbody", to: [.head]).failure == .unexpectedResponse)
        #expect(responses("HTTP/1.1 200 OK\nContent-Length: 2\n\nokEXTRA").failure == .unexpectedResponse)
    }

    @Test(arguments: [
        ("HTTP/1.1 99 X\n\n", HTTP1Failure.malformedStatusLine), ("HTTP/1.1 099 X\n\n", .badStatus), ("HTTP/1.1 000 X\n\n", .badStatus),
        ("HTTP/1.1 1000 X\n\n", .malformedStatusLine), ("HTTP/1.1 2147483649 X\n\n", .malformedStatusLine),
        ("HTTP/1.1 2x0 X\n\n", .malformedStatusLine), ("HTTP/1.1  200 X\n\n", .malformedStatusLine), ("HTTP/1.1\n\n", .malformedStatusLine),
        ("HTTP/2.0 200 OK\n\n", .badVersion), ("HTTP/1.2 200 OK\n\n", .badVersion), ("this is not HTTP\n\n", .malformedStatusLine),
        ("\nHTTP/1.1 200 OK\n\n", .malformedStatusLine), ("HTTP/1.1 200 O\u{0}K\n\n", .malformedStatusLine), ("ICY 200 OK\n\n", .malformedStatusLine),
    ])
    func case32StatusLines(text: String, failure: HTTP1Failure) { #expect(responses(text).failure == failure) }

    @Test func case32ResponseNobodyAskedFor() {
        #expect(responses("HTTP/1.1 200 OK\n\n", to: []).failure == .unexpectedResponse)
        #expect(responses("HTTP/1.1 101 X\nUpgrade: x\nConnection: upgrade\n\n").failure == .unexpectedUpgrade)
    }

    @Test func case28InterimResponsesAreBounded() {
        let interim = "HTTP/1.1 100 Continue\n\n"
        let final = "HTTP/1.1 200 OK\nContent-Length: 0\n\n"
        #expect(responses(String(repeating: interim, count: 16) + final).ends == 1)
        #expect(responses(String(repeating: interim, count: 17) + final).failure == .tooManyInterimResponses)
    }

    @Test(arguments: ["a: b\u{0}", "a\u{1}: b", "a : b", " a: b", "nocolon", ": x", "a: b\n c"])
    func case33FieldsThatSplit(field: String) {
        #expect(responses("HTTP/1.1 200 OK\n\(field)\nContent-Length: 0\n\n").failure != nil)
    }

    @Test func case33BareLineEndsInFields() {
        for text in ["HTTP/1.1 200 OK\r\na: b\rc\r\n\r\n", "HTTP/1.1 200 OK\r\na: b\nc: d\r\n\r\n", "HTTP/1.1 200 OK\n\n"] {
            let (trace, disagreements) = CodecSplits().responses(Array(text.utf8))
            #expect(disagreements == [])
            #expect(trace.failure != nil)
        }
    }

    @Test(arguments: [
        ("", HTTP1Failure.closedBeforeHead), ("HTTP/1.1 20", .truncatedHead), ("HTTP/1.1 200 OK\nA: b\n", .truncatedHead),
        ("HTTP/1.1 100 Continue\n\n", .truncatedHead), ("HTTP/1.1 200 OK\nContent-Length: 5\n\nabc", .truncatedBody),
        ("HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n5\nabc", .truncatedBody),
        ("HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n5\nabcde\n0\n", .truncatedBody),
    ])
    func case34TruncationIsNeverAnEnd(text: String, failure: HTTP1Failure) {
        let trace = responses(text) { $0.endsInput = true }
        #expect(trace.events.last == .inputEnded(failure))
        #expect(trace.ends == 0)
    }

    @Test func case64EndlessHeadIsBounded() {
        #expect(responses("HTTP/1.1 200 OK\n" + String(repeating: "x: y\n", count: 101)).failure == .tooManyFields)
        let long = "HTTP/1.1 200 OK\nx: " + String(repeating: "y", count: 62_000)
        #expect(CodecSplits().responseTrace([wire(long)[...]]).failure == .headTooLarge)
    }
}
