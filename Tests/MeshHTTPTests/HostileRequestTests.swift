// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshTestKit
import Testing

/// The cases of the attack ledger that the request decoder decides, by their numbers there.
struct HostileRequestTests {
    static let host = "Host: h\n"

    /// Expects `fields` in a POST to be refused so.
    private func expectRefused(
        _ fields: String, _ failure: HTTP1Failure, _ status: UInt16 = 400, _ details: String = "http1.codec_error",
        location: SourceLocation = #_sourceLocation
    ) {
        expectRefusedRaw("POST / HTTP/1.1\n" + HostileRequestTests.host + fields, failure, status, details, location: location)
    }

    private func expectRefusedRaw(
        _ text: String, _ failure: HTTP1Failure, _ status: UInt16 = 400, _ details: String = "http1.codec_error",
        location: SourceLocation = #_sourceLocation
    ) {
        let trace = requests(text, location: location)
        #expect(trace.failure == failure, sourceLocation: location)
        #expect(failure.status == status, sourceLocation: location)
        #expect("\(failure.details)" == details, sourceLocation: location)
    }

    @Test func case1LengthAndChunked() {
        for fields in ["Content-Length: 3\nTransfer-Encoding: chunked\n", "Transfer-Encoding: chunked\nContent-Length: 3\n"] {
            expectRefused(fields + "\n0\n\n", .lengthAndChunked, 400, "http1.content_length_and_chunked_not_allowed")
        }
        let trace = requests("POST / HTTP/1.1\nHost: h\nContent-Length: 3\nTransfer-Encoding: chunked\n\n0\n\n") {
            $0.serverOptions.allowsChunkedLength = true
        }
        #expect(trace.ends == 1)
        #expect(trace.heads.first?.contains("content-length") == false)
    }

    @Test(arguments: [
        "Content-Length: 3\nContent-Length: 4\n", "Content-Length: 3\nContent-Length: 3\n", "Content-Length: 3, 3\n",
        "Content-Length: 3,4\n",
    ])
    func case2TwoLengths(fields: String) { expectRefused(fields + "\nabc", .duplicateLength) }

    @Test(arguments: ["+10", "-48", "0x10", "010", "00", "1_0", "1Z", "", "1 0", "\"1\"", "1.0", "१"])
    func case3LengthThatIsNoNumber(value: String) { expectRefused("Content-Length: \(value)\n\nabcdefghij", .badLength) }

    @Test(arguments: ["9223372036854775808", "18446744073709551615", "18446744073709551616", "99999999999999999999999"])
    func case4LengthOverflow(value: String) { expectRefused("Content-Length: \(value)\n\n", .badLength) }

    @Test(arguments: [
        (",chunked", HTTP1Failure.malformedTransferEncoding), ("chunked,", .malformedTransferEncoding), ("", .malformedTransferEncoding),
        ("chunked, chunked", .malformedTransferEncoding), ("chunked;q=1", .malformedTransferEncoding), ("\"chunked\"", .malformedTransferEncoding),
        ("xchunked", .unknownTransferEncoding), ("identity", .unknownTransferEncoding), ("gzip, chunked", .unknownTransferEncoding),
        ("chunked, identity", .unknownTransferEncoding), ("chunkedx", .unknownTransferEncoding),
    ])
    func case5TransferEncodingOtherThanChunked(value: String, failure: HTTP1Failure) {
        expectRefused(
            "Transfer-Encoding: \(value)\n\n0\n\n", failure, failure == .unknownTransferEncoding ? 501 : 400,
            "http1.invalid_transfer_encoding")
    }

    @Test func case6TwoTransferEncodings() {
        expectRefused(
            "Transfer-Encoding: chunked\nTransfer-Encoding: chunked\n\n0\n\n", .malformedTransferEncoding, 400,
            "http1.invalid_transfer_encoding")
        expectRefused(
            "Transfer-Encoding: identity\nTransfer-Encoding: chunked\n\n0\n\n", .malformedTransferEncoding, 400,
            "http1.invalid_transfer_encoding")
    }

    @Test func case7TransferEncodingInHTTP10() {
        expectRefusedRaw(
            "POST / HTTP/1.0\nHost: h\nTransfer-Encoding: chunked\n\n0\n\n", .transferEncodingNotAllowed, 400,
            "http1.transfer_encoding_not_allowed")
    }

    @Test(arguments: [
        "Transfer-Encoding : chunked", "Transfer-Encoding\t: chunked", " Transfer-Encoding: chunked",
        "\u{b}Transfer-Encoding: chunked", "Transfer-Encoding\u{0}: chunked", "Transfer-Encoding\u{7f}: chunked",
        "Transfer-Encoding\u{a0}: chunked", "Transfer-Encoding: chunked\u{0}", "Transfer-Encoding: \u{1}chunked",
        "Transfer-Encoding: chunked\u{7f}", "Transfer-Encoding:\u{b}chunked", "Transfer-Encoding", "X: X\u{0}Transfer-Encoding: chunked",
        "Transfer-Encoding: chunked\u{ff}", "Transfer-Encoding: \u{a0}chunked", "(Transfer-Encoding: chunked",
    ])
    func case8ObfuscatedTransferEncoding(field: String) {
        let trace = requests("POST / HTTP/1.1\nHost: h\n\(field)\n\n0\n\n")
        #expect(trace.failure != nil)
        #expect(trace.heads == [])
    }

    @Test func case8LineFeedInsideAValue() {
        let bytes = wire("POST / HTTP/1.1\nHost: h\nX: X") + [0x0A] + wire("Transfer-Encoding: chunked\n\n0\n\n")
        let (trace, disagreements) = CodecSplits().requests(bytes)
        #expect(disagreements == [])
        #expect(trace.failure == .invalidCharacter)
    }

    @Test(arguments: ["0x5", "+5", " 5", "5_", "5 ", "5\t", "-0x0", "", "g", "00000000000000005", "8000000000000000", "ffffffffffffffff", "5 ;a"])
    func case9ChunkSizeThatIsNoNumber(size: String) {
        expectRefused("Transfer-Encoding: chunked\n\n\(size)\nabcde\n0\n\n", .badChunkSize)
    }

    @Test func case10BareLineEnds() {
        let head = wire("POST / HTTP/1.1\nHost: h\nTransfer-Encoding: chunked\n\n")
        let cases: [([UInt8], HTTP1Failure)] = [
            (head + Array("5\nabcde\r\n0\r\n\r\n".utf8), .badChunkSize),
            (head + Array("5\rXabcde\r\n0\r\n\r\n".utf8), .bareLineEnd),
            (head + Array("5;a\rb\r\nabcde\r\n0\r\n\r\n".utf8), .bareLineEnd),
            (head + Array("5;a\nabcde\r\n0\r\n\r\n".utf8), .badChunkSize),
            (head + Array("5\r\nabcde\n0\r\n\r\n".utf8), .badChunkEnd),
            (head + Array("0\r\n\n".utf8), .bareLineEnd),
            (Array("GET / HTTP/1.1\nHost: h\n\n".utf8), .badVersion),
            (Array("GET / HTTP/1.1\r\nHost: h\n\r\n".utf8), .invalidCharacter),
            (Array("GET / HTTP/1.1\r\nHost: h\r\n\n".utf8), .bareLineEnd),
            (Array("GET / HTTP/1.1\r\nHost: h\r\n\rX".utf8), .bareLineEnd),
            (Array("GET / HTTP/1.1\rHost: h\r\n\r\n".utf8), .badVersion),
        ]
        for (bytes, failure) in cases {
            let (trace, disagreements) = CodecSplits().requests(bytes)
            #expect(disagreements == [])
            #expect(trace.failure == failure)
        }
    }

    @Test func case11ChunkExtensionsAreBoundedOverTheWholeMessage() {
        let long = "POST / HTTP/1.1\nHost: h\nTransfer-Encoding: chunked\n\n1;" + String(repeating: "x", count: 17_000) + "\na\n0\n\n"
        #expect(requests(long).failure == .chunkExtensionsTooLarge)
        let dripped = "POST / HTTP/1.1\nHost: h\nTransfer-Encoding: chunked\n\n"
            + String(repeating: "1;" + String(repeating: "x", count: 90) + "\na\n", count: 200) + "0\n\n"
        let trace = CodecSplits().requestTrace([wire(dripped)[...]])
        #expect(trace.failure == .chunkExtensionsTooLarge)
    }

    @Test(arguments: ["5\nabcdeXX0\n\n", "5\nabcdef\n0\n\n", "5\nabcd\n0\n\n", "3\nabc0\n\n"])
    func case12WrongBytesBehindAChunk(body: String) {
        let trace = requests("POST / HTTP/1.1\nHost: h\nTransfer-Encoding: chunked\n\n" + body)
        #expect(trace.failure == .badChunkEnd)
        #expect(trace.ends == 0)
    }

    @Test func case13BytesBehindARefusedRequestAreNeverARequest() {
        let trace = requests("POST / HTTP/1.1\nHost: h\nContent-Length: x\n\nGET /smuggled HTTP/1.1\nHost: h\n\n")
        #expect(trace.failure == .badLength)
        #expect(trace.heads == [])
    }

    @Test(arguments: ["a\u{0}b", "a\u{1}b", "a\u{7f}b", "\u{1b}"])
    func case15ControlCharactersInAValue(value: String) {
        expectRefused("x: \(value)\n\n", .invalidCharacter, 400, "http1.invalid_characters")
    }

    @Test func case15BareCarriageReturnInAValue() {
        let (trace, disagreements) = CodecSplits().requests(Array("GET / HTTP/1.1\r\nHost: h\r\na: b\rc\r\n\r\n".utf8))
        #expect(disagreements == [])
        #expect(trace.failure == .invalidCharacter)
    }

    @Test func case16SpaceWhereNoneMayBe() {
        expectRefused("a : b\n\n", .spaceBeforeColon)
        expectRefused("a\t: b\n\n", .spaceBeforeColon)
        expectRefused("a: b\n c\n\n", .lineFolding)
        expectRefused("a: b\n\tc\n\n", .lineFolding)
        expectRefusedRaw("GET / HTTP/1.1\n Host: h\n\n", .lineFolding)
        expectRefusedRaw("GET / HTTP/1.1\n \nHost: h\n\n", .lineFolding)
    }

    @Test func case17LinesThatAreNoFields() {
        expectRefused("nocolon\n\n", .missingColon)
        expectRefused(": x\n\n", .emptyName)
        expectRefused(":path: /x\n\n", .emptyName)
    }

    @Test(arguments: ["a\u{e9}", "\u{80}", "a(b", "a\"", "a/b", "a@b", "a[", "{", "a\u{0}b", "a,b"])
    func case18NamesThatAreNoTokens(name: String) { expectRefused("\(name): x\n\n", .badName) }

    @Test func case19RequestLines() {
        let cases: [(String, HTTP1Failure)] = [
            ("GET  / HTTP/1.1", .malformedRequestLine), (" GET / HTTP/1.1", .malformedRequestLine),
            ("GET / HTTP/1.32", .badVersion), ("GET / HTTP/4294967295.255", .badVersion), ("GET / HTTP/0.9", .badVersion),
            ("GET / HTTP/1.2", .badVersion), ("GET /", .malformedRequestLine), ("GET", .malformedRequestLine),
            ("PRI * HTTP/1.1", .badMethod), ("FROB / HTTP/1.1", .badMethod), ("get / HTTP/1.1", .badMethod),
            ("G@T / HTTP/1.1", .malformedRequestLine), ("GET /a b HTTP/1.1", .badVersion), ("GET / http/1.1", .badVersion),
            ("GET / HTTP/1.1 ", .badVersion), ("GET /\u{e9} HTTP/1.1", .malformedTarget), ("GET abc HTTP/1.1", .malformedTarget),
            ("GET / HTTPS/1.1", .badVersion), ("GET\t/ HTTP/1.1", .malformedRequestLine), ("\u{16}\u{3}\u{1}", .malformedRequestLine),
            (String(repeating: "A", count: 40) + " / HTTP/1.1", .badMethod),
        ]
        for (line, failure) in cases { expectRefusedRaw(line + "\nHost: h\n\n", failure) }
        expectRefusedRaw("GET /\u{1} HTTP/1.1\nHost: h\n\n", .invalidCharacter, 400, "http1.invalid_characters")
        expectRefusedRaw("GET / HTTP/2.0\nHost: h\n\n", .unsupportedVersion, 505)
        // As Envoy: the preface of HTTP/2 is no version of HTTP/1, but a client that has the wrong port.
        expectRefusedRaw("PRI * HTTP/2.0\n\nSM\n\n", .badVersion, 400)
        expectRefusedRaw("GET / HTTP/1.0\nHost: h\n\n", .lowVersion, 426, "low_version")
        let custom = requests("FROB / HTTP/1.1\nHost: h\n\n") { $0.serverOptions.allowsCustomMethods = true }
        #expect(custom.heads.first?.hasSuffix("[other HTTP/1.1 none]") == true)
        #expect(requests("PROPFIND / HTTP/1.1\nHost: h\n\n").ends == 1)
    }

    @Test func case20Host() {
        expectRefusedRaw("GET / HTTP/1.1\n\n", .missingHost, 400, "missing_host_header")
        expectRefusedRaw("GET / HTTP/1.1\nHost: a\nHost: b\n\n", .duplicateHost)
        expectRefusedRaw("GET / HTTP/1.1\nHost: a\nHost: a\n\n", .duplicateHost)
        expectRefusedRaw("GET / HTTP/1.1\nHost: a\u{0}\n\n", .invalidCharacter, 400, "http1.invalid_characters")
        let hosts = ["u@a", "a:65536", "a:99999999999999999999", "a b", "a/b", "a:b:c", "a:x", "[::1", "::1]", "a]", "a\\b", "[]", "[::1]x", "a\u{e9}"]
        for host in hosts { expectRefusedRaw("GET / HTTP/1.1\nHost: \(host)\n\n", .badHost, 400, "http.invalid_authority") }
        for host in ["", "a", "a:80", "a:", "[::1]", "[::1]:8080", "A.b_c-d.test", "1.2.3.4:65535"] {
            #expect(requests("GET / HTTP/1.1\nHost: \(host)\n\n").ends == 1)
        }
    }

    @Test func case21AbsoluteForm() {
        expectRefusedRaw("GET ftp://x/ HTTP/1.1\nHost: h\n\n", .badScheme, 400, "http1.invalid_scheme")
        expectRefusedRaw("GET http:///x HTTP/1.1\nHost: h\n\n", .badURL, 400, "http1.invalid_url")
        expectRefusedRaw("GET http://u@x/ HTTP/1.1\nHost: h\n\n", .badHost, 400, "http.invalid_authority")
        expectRefusedRaw("GET http://x/ HTTP/1.1\n\n", .missingHost, 400, "missing_host_header")
        expectRefusedRaw("GET http:/x HTTP/1.1\nHost: h\n\n", .malformedTarget)
        expectRefusedRaw("GET * HTTP/1.1\nHost: h\n\n", .badURL, 400, "http1.invalid_url")
        let conflict = requests("GET http://a/ HTTP/1.1\nHost: b\n\n")
        #expect(conflict.heads.first?.contains("b\n") == false)
    }

    @Test func case22Fragment() {
        expectRefusedRaw("GET /a#b HTTP/1.1\nHost: h\n\n", .fragmentInPath, 400, "path_normalization_failed")
        expectRefusedRaw("GET /# HTTP/1.1\nHost: h\n\n", .fragmentInPath, 400, "path_normalization_failed")
        let stripped = requests("GET /a#b?c#d HTTP/1.1\nHost: h\n\n") { $0.serverOptions.stripsFragment = true }
        #expect(stripped.heads.first?.contains(":path: /a\n") == true)
    }

    @Test func case24Underscores() {
        let text = "GET / HTTP/1.1\nHost: h\nx_y: 1\nx-z: 2\n\n"
        #expect(requests(text).heads.first?.contains("x_y: 1") == true)
        #expect(requests(text) { $0.serverOptions.underscores = .reject }.failure == .underscore)
        let dropped = requests(text) { $0.serverOptions.underscores = .drop }.heads.first ?? ""
        #expect(!dropped.contains("x_y") && dropped.contains("x-z: 2"))
        #expect("\(HTTP1Failure.underscore.details)" == "http1.unexpected_underscore")
    }

    @Test func case26ConnectWithBody() {
        expectRefusedRaw("CONNECT h:1 HTTP/1.1\nHost: h:1\nContent-Length: 3\n\nabc", .bodyNotAllowed, 400, "http1.body_disallowed")
        expectRefusedRaw("CONNECT h:1 HTTP/1.1\nHost: h:1\nTransfer-Encoding: chunked\n\n0\n\n", .bodyNotAllowed, 400, "http1.body_disallowed")
        for target in ["h", "h:", ":1", "/", "http://h:1/", "u@h:1", "h:70000"] {
            expectRefusedRaw("CONNECT \(target) HTTP/1.1\nHost: h\n\n", .badURL, 400, "http1.invalid_url")
        }
    }

    @Test func case27LimitsOfTheHead() {
        var splits = CodecSplits()
        splits.limits.maxHeadBytes = 500
        splits.limits.maxFields = 6
        let big: [(String, HTTP1Failure)] = [
            ("GET / HTTP/1.1\nHost: h\nx: " + String(repeating: "y", count: 600) + "\n\n", .headTooLarge),
            ("GET /" + String(repeating: "y", count: 600) + " HTTP/1.1\nHost: h\n\n", .headTooLarge),
            ("GET / HTTP/1.1\nHost: h\n" + String(repeating: "x", count: 600) + ": y\n\n", .headTooLarge),
            ("GET / HTTP/1.1\nHost: h\n" + String(repeating: "x: y\n", count: 7) + "\n", .tooManyFields),
            ("GET / HTTP/1.1\nHost: h\nx: " + String(repeating: "y", count: 600), .headTooLarge),
        ]
        for (text, failure) in big {
            let (trace, disagreements) = splits.requests(wire(text))
            #expect(disagreements == [])
            #expect(trace.failure == failure)
            #expect(trace.failure?.status == 431)
        }
        #expect(splits.requests(wire("GET / HTTP/1.1\nHost: h\n" + String(repeating: "x: y\n", count: 5) + "\n")).trace.ends == 1)
    }

    @Test func case27TrailersCountWithTheHead() {
        let text = "POST / HTTP/1.1\nHost: h\nTransfer-Encoding: chunked\n\n0\n" + String(repeating: "x: y\n", count: 99) + "\n"
        #expect(requests(text).failure == .tooManyFields)
        let long = "POST / HTTP/1.1\nHost: h\nTransfer-Encoding: chunked\n\n0\nx: " + String(repeating: "y", count: 62_000)
        #expect(CodecSplits().requestTrace([wire(long)[...]]).failure == .headTooLarge)
    }

    @Test func case29ASecondRequestThatIsInvalidDoesNotTouchTheFirst() {
        let trace = requests("GET /1 HTTP/1.1\nHost: h\n\nGET /2 HTTP/1.1\nbad line\n\n")
        #expect(trace.ends == 1)
        #expect(trace.failure == .spaceBeforeColon)
    }

    @Test(arguments: ["host", "close, Transfer-Encoding", "content-length", ":path", "x-forwarded-for", "X-Forwarded-Proto", "keep-alive, x-forwarded-host"])
    func case30ConnectionThatNominatesWhatMustStay(value: String) {
        expectRefused("Connection: \(value)\n\n", .badConnection, 400, "http1.connection_header_rejected")
    }

    @Test(arguments: ["Content-Length: 3", "transfer-encoding: chunked", "Host: x", "Connection: close"])
    func framingFieldsAreNoTrailers(field: String) {
        let text = "POST / HTTP/1.1\nHost: h\nTransfer-Encoding: chunked\n\n0\n\(field)\n\n"
        #expect(requests(text).failure == .badTrailer)
        #expect(requests(text) { $0.serverOptions.enableTrailers = true }.failure == .badTrailer)
    }
}
