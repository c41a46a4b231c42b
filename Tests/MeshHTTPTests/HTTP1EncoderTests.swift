// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshIO
import MeshTestKit
import Testing

/// A stream that keeps what is written to it.
final class Output {
    let loop = EventLoop(now: MonotonicInstant(nanoseconds: 0), wallClock: 0)
    let stream: ByteStream

    init() throws {
        let address = try #require(Address(ip: "127.0.0.1", port: 1))
        stream = ByteStream(loop: loop, localAddress: address, remoteAddress: address)
    }

    /// A stream that waits to be flushed and its loop hold each other.
    deinit { loop.runEndOfTurn() }

    var pool: SlabPool { loop.pool }

    /// What was written, with CRLF as LF; empties the stream.
    func take() -> String {
        var bytes: [UInt8] = []
        stream.output.drain { bytes += $0.bytes }
        return latin1(bytes).replacing("\r\n", with: "\n")
    }
}

struct HTTP1EncoderTests {
    /// What a request becomes on its way through.
    private func forward(_ text: String, keepsUpgrade: Bool = false) throws -> String {
        let output = try Output()
        var decoder = HTTP1RequestDecoder()
        var head = RequestHead()
        var trailers = HeaderBlock()
        let step = wire(text).withUnsafeBytes { decoder.next($0, head: &head, trailers: &trailers, pool: output.pool) }
        #expect(step.kind == .head)
        HopByHop.removeFields(from: &head.headers, keepsUpgrade: keepsUpgrade, pool: output.pool)
        HTTP1Encoder.writeRequestHead(head, to: output.stream)
        return output.take()
    }

    /// What a response becomes on its way through.
    private func relay(
        _ text: String, to method: HTTPMethod = .get, closes: Bool = false, version: HTTPVersion = .http11, isUpgrade: Bool = false
    ) throws -> String {
        let output = try Output()
        var decoder = HTTP1ResponseDecoder()
        decoder.expect(method: method, isUpgrade: isUpgrade)
        var head = ResponseHead()
        var trailers = HeaderBlock()
        let step = wire(text).withUnsafeBytes { decoder.next($0, head: &head, trailers: &trailers, pool: output.pool) }
        #expect(step.kind == .head)
        HopByHop.removeFields(from: &head.headers, keepsUpgrade: head.isUpgrade, pool: output.pool)
        HTTP1Encoder.writeResponseHead(head, to: output.stream, closes: closes, version: version)
        return output.take()
    }

    // Expected bytes are Envoy 1.40's for the same input.

    @Test func requestIsForwardedWithHostFirst() throws {
        let sent = "GET / HTTP/1.1\nA: 1\nHost: h\nContent-Length: 0\nB: 2\nTE: trailers, x\nKeep-Alive: 3\n"
            + "Proxy-Connection: keep-alive\nTrailer: foo\nConnection: close, b\n\n"
        #expect(try forward(sent) == "GET / HTTP/1.1\nhost: h\na: 1\ncontent-length: 0\nte: trailers\ntrailer: foo\n\n")
    }

    @Test(arguments: ["POST", "PUT", "PATCH", "OPTIONS"])
    func methodsThatUsuallyHaveABodySayThatThereIsNone(method: String) throws {
        #expect(try forward("\(method) / HTTP/1.1\nHost: h\n\n") == "\(method) / HTTP/1.1\nhost: h\ncontent-length: 0\n\n")
    }

    @Test(arguments: ["GET", "HEAD", "DELETE", "TRACE"])
    func otherMethodsDoNot(method: String) throws {
        #expect(try forward("\(method) / HTTP/1.1\nHost: h\n\n") == "\(method) / HTTP/1.1\nhost: h\n\n")
    }

    @Test func chunkedComesLast() throws {
        let sent = "POST / HTTP/1.1\nHost: h\nA: 1\nTransfer-Encoding: chunked\nB: 2\n\n"
        #expect(try forward(sent) == "POST / HTTP/1.1\nhost: h\na: 1\nb: 2\ntransfer-encoding: chunked\n\n")
    }

    @Test func upgradeKeepsItsConnectionField() throws {
        let sent = "GET / HTTP/1.1\nHost: h\nupgrade: websocket\nfoo: 1\nconnection: keep-alive, Upgrade, foo\n\n"
        #expect(
            try forward(sent, keepsUpgrade: true)
                == "GET / HTTP/1.1\nhost: h\nupgrade: websocket\nfoo: 1\nconnection: keep-alive, Upgrade, foo\n\n")
    }

    @Test func h2cIsNotForwarded() throws {
        let sent = "GET / HTTP/1.1\nHost: h\nupgrade: h2c\nconnection: upgrade, http2-settings\nhttp2-settings: AAM\n\n"
        #expect(try forward(sent) == "GET / HTTP/1.1\nhost: h\n\n")
    }

    @Test func connectIsSentInAuthorityForm() throws {
        #expect(try forward("CONNECT h:1 HTTP/1.1\nHost: h:1\n\n") == "CONNECT h:1 HTTP/1.1\nhost: h:1\n\n")
    }

    @Test func absoluteFormLeavesInOriginForm() throws {
        #expect(try forward("GET http://t:8/p?q HTTP/1.1\nHost: other\n\n") == "GET /p?q HTTP/1.1\nhost: t:8\n\n")
    }

    @Test func responseIsRelayed() throws {
        #expect(try relay("HTTP/1.1 404 Nope\nA: 1\nContent-Length: 2\nB: 2\n\nok") == "HTTP/1.1 404 Not Found\na: 1\ncontent-length: 2\nb: 2\n\n")
        #expect(try relay("HTTP/1.1 599 Own\nContent-Length: 0\n\n") == "HTTP/1.1 599 Unknown\ncontent-length: 0\n\n")
    }

    @Test func answersToHeadKeepTheirFraming() throws {
        #expect(try relay("HTTP/1.1 200 OK\nContent-Length: 7\n\n", to: .head) == "HTTP/1.1 200 OK\ncontent-length: 7\n\n")
        #expect(
            try relay("HTTP/1.1 200 OK\nA: 1\nTransfer-Encoding: chunked\nB: 1\n\n", to: .head)
                == "HTTP/1.1 200 OK\na: 1\nb: 1\ntransfer-encoding: chunked\n\n")
        #expect(try relay("HTTP/1.1 200 OK\nA: 1\n\n", to: .head) == "HTTP/1.1 200 OK\na: 1\ntransfer-encoding: chunked\n\n")
    }

    @Test func statusesWithoutABody() throws {
        #expect(try relay("HTTP/1.1 304 X\nA: 1\n\n") == "HTTP/1.1 304 Not Modified\na: 1\n\n")
        #expect(try relay("HTTP/1.1 304 X\nContent-Length: 9\n\n") == "HTTP/1.1 304 Not Modified\ncontent-length: 9\n\n")
        #expect(try relay("HTTP/1.1 304 X\nTransfer-Encoding: chunked\n\n") == "HTTP/1.1 304 Not Modified\n\n")
        #expect(try relay("HTTP/1.1 204 X\nContent-Length: 0\n\n") == "HTTP/1.1 204 No Content\n\n")
        #expect(try relay("HTTP/1.1 205 X\nContent-Length: 0\n\n") == "HTTP/1.1 205 Reset Content\ncontent-length: 0\n\n")
        #expect(try relay("HTTP/1.1 103 X\nLink: y\n\n") == "HTTP/1.1 103 Early Hints\nlink: y\n\n")
    }

    @Test func bodyOfUnknownLengthIsChunked() throws {
        #expect(try relay("HTTP/1.1 200 OK\n\nok") == "HTTP/1.1 200 OK\ntransfer-encoding: chunked\n\n")
        #expect(
            try relay("HTTP/1.1 200 OK\nTransfer-Encoding: chunked\nKeep-Alive: 5\nConnection: close\n\n")
                == "HTTP/1.1 200 OK\ntransfer-encoding: chunked\n\n")
    }

    @Test func closeIsAnnounced() throws {
        #expect(
            try relay("HTTP/1.1 200 OK\nContent-Length: 2\n\nok", closes: true)
                == "HTTP/1.1 200 OK\ncontent-length: 2\nconnection: close\n\n")
    }

    @Test func http10ClientsAreAnsweredInTheirVersion() throws {
        #expect(
            try relay("HTTP/1.1 200 OK\nContent-Length: 2\n\nok", version: .http10)
                == "HTTP/1.0 200 OK\ncontent-length: 2\nconnection: keep-alive\n\n")
        #expect(
            try relay("HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n", closes: true, version: .http10)
                == "HTTP/1.0 200 OK\nconnection: close\n\n")
        #expect(HTTP1Encoder.framing(.chunked, for: .http10) == .untilClose)
        #expect(HTTP1Encoder.framing(.untilClose, for: .http11) == .chunked)
    }

    @Test func switchingProtocolsIsRelayedAsItIs() throws {
        #expect(
            try relay("HTTP/1.1 101 X\nUpgrade: websocket\nConnection: upgrade\n\n", isUpgrade: true)
                == "HTTP/1.1 101 Switching Protocols\nupgrade: websocket\nconnection: upgrade\n\n")
    }

    @Test func localReplyWithoutABodySaysSo() throws {
        let output = try Output()
        var head = ResponseHead()
        head.status = 503
        head.headers.append(.status, "503", from: output.pool)
        HTTP1Encoder.writeResponseHead(head, to: output.stream, closes: false)
        #expect(output.take() == "HTTP/1.1 503 Service Unavailable\ncontent-length: 0\n\n")
        head.framing = .length(18)
        HTTP1Encoder.writeResponseHead(head, to: output.stream, closes: true)
        #expect(output.take() == "HTTP/1.1 503 Service Unavailable\nconnection: close\ncontent-length: 18\n\n")
    }

    @Test(arguments: [(1, "1\n"), (9, "9\n"), (10, "a\n"), (15, "f\n"), (16, "10\n"), (255, "ff\n"), (16384, "4000\n"), (0x7fff_ffff_ffff_ffff, "7fffffffffffffff\n")])
    func chunkHeads(length: Int, expected: String) throws {
        let output = try Output()
        HTTP1Encoder.writeChunkHead(length, to: output.stream)
        #expect(output.take() == expected)
    }

    @Test func chunksAndTrailers() throws {
        let output = try Output()
        Array("hello".utf8).withUnsafeBytes { HTTP1Encoder.writeChunk(copying: $0, to: output.stream) }
        HTTP1Encoder.writeChunk(copying: UnsafeRawBufferPointer(start: nil, count: 0), to: output.stream)
        HTTP1Encoder.writeLastChunk(to: output.stream)
        #expect(output.take() == "5\nhello\n0\n\n")
        var trailers = HeaderBlock()
        trailers.append(.grpcStatus, "0", from: output.pool)
        HTTP1Encoder.writeLastChunk(trailers: trailers, to: output.stream)
        #expect(output.take() == "0\ngrpc-status: 0\n\n")
    }

    /// Fields that lie behind each other leave in one copy: whatever was deleted, replaced or trimmed between them, what
    /// leaves is what the block says it holds.
    @Test(arguments: 0..<60) func everyBlockLeavesAsItReads(seed: Int) throws {
        let output = try Output()
        let pool = output.pool
        var random = SeededRandom(seed: UInt64(seed))
        func next(_ bound: Int) -> Int { Int(random.next() % UInt64(bound)) }
        func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }
        let tokens: [HeaderToken] = [.server, .date, .contentLength, .contentType, .cookie, .via, .connection, .location]
        var head = ResponseHead()
        head.status = 200
        for round in 0..<(1 + next(30)) {
            let value = bytes(String(repeating: "v", count: next(3) == 0 ? next(300) : next(20)) + "\(round)")
            value.withUnsafeBytes { value in
                let token = tokens[next(tokens.count)]
                let count = head.headers.fieldCount
                switch next(8) {
                case 0...2:
                    _ = bytes("X-Field-\(next(5))").withUnsafeBytes { head.headers.append(name: $0, value: value, from: pool) }
                case 3, 4: head.headers.append(token, value, from: pool)
                case 5: head.headers.replace(token, value, from: pool)
                case 6 where count > 0: head.headers.remove(at: next(count))
                case 7 where count > 0:
                    let index = next(count)
                    let length = head.headers.value(at: index).count
                    let low = next(length + 1)
                    head.headers.trimValue(at: index, to: low..<(low + next(length - low + 1)))
                default: break
                }
            }
        }
        let framings: [BodyFraming] = [.length(7), .length(0), .chunked, .none]
        head.framing = framings[next(4)]
        head.isBodyless = next(3) == 0
        HTTP1Encoder.writeResponseHead(head, to: output.stream, closes: false)

        var expected = "HTTP/1.1 200 OK\n"
        var saidLength = false
        for index in 0..<head.headers.fieldCount where head.headers.isLive(index) {
            let token = head.headers.token(at: index)
            let line = "\(latin1(head.headers.name(at: index))): \(latin1(head.headers.value(at: index)))\n"
            if token == .connection { continue }
            guard token == .contentLength else {
                expected += line
                continue
            }
            guard !saidLength else { continue }
            if case .length(let length) = head.framing {
                expected += "content-length: \(length)\n"
            } else if head.isBodyless, head.framing != .chunked {
                expected += line
            } else {
                continue
            }
            saidLength = true
        }
        if !saidLength {
            switch head.framing {
            case .length(let length): expected += "content-length: \(length)\n"
            case .chunked: expected += "transfer-encoding: chunked\n"
            default: if !head.isBodyless { expected += "content-length: 0\n" }
            }
        }
        #expect(output.take() == expected + "\n")
    }

    @Test func headsLargerThanASlabAreWritten() throws {
        let long = String(repeating: "v", count: 40_000)
        let sent = try forward("GET /\(long.prefix(9000)) HTTP/1.1\nHost: h\nx: \(long)\n\n")
        #expect(sent == "GET /\(long.prefix(9000)) HTTP/1.1\nhost: h\nx: \(long)\n\n")
    }

    @Test func aWholeSetOfFieldsLeavesNoSlabBehind() throws {
        let output = try Output()
        do {
            var head = RequestHead()
            head.headers.append(.method, "GET", from: output.pool)
            head.headers.append(.path, "/", from: output.pool)
            HTTP1Encoder.writeRequestHead(head, to: output.stream)
            #expect(output.take() == "GET / HTTP/1.1\n\n")
        }
        #expect(output.pool.outstandingSlabs == 0)
    }
}
