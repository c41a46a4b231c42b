// SPDX-License-Identifier: Apache-2.0
import Glibc
import MeshIO
import MeshTestKit
import Testing

/// The base classes' promises, on in-memory streams.
struct EventLoopTests {
    final class Handler: StreamHandler {
        var received: [UInt8] = []
        var events: [String] = []
        var consumes = true
        var onData: ((ByteStream) -> Void)?

        override func onConnected(_ stream: ByteStream) { events.append("connected") }
        override func onInput(_ stream: ByteStream) {
            if consumes {
                received += Array(stream.input.readable)
                stream.input.consume(stream.input.count)
            }
            onData?(stream)
        }
        override func onEndOfInput(_ stream: ByteStream) { events.append("end") }
        override func onAboveHighWatermark(_ stream: ByteStream) { events.append("above") }
        override func onBelowLowWatermark(_ stream: ByteStream) { events.append("below") }
        override func onDrained(_ stream: ByteStream) { events.append("drained") }
        override func onClosed(_ stream: ByteStream, _ reason: StreamCloseReason) { events.append("\(reason)") }
    }

    final class Last: EndOfTurn {
        var count = 0
        var again: (() -> Void)?
        func onEndOfTurn() {
            count += 1
            again?()
        }
    }

    static let upstream = Address.ipv4(0x0A00_0001, port: 8080)

    @Test(arguments: [1, 7, 1000, .max], [1, 5, .max])
    func bytesArriveWholeUnderShortWritesAndReads(writeLimit: Int, readLimit: Int) {
        let loop = ManualLoop()
        let (client, server) = PipeStream.pair(on: loop)
        let left = Handler(), right = Handler()
        client.start(handler: left)
        server.start(handler: right)
        client.writeLimit = writeLimit
        server.readLimit = readLimit
        client.write(pattern(3000))
        client.closeWrite()
        loop.turn()
        #expect(right.received == pattern(3000) && right.events == ["end"])
        server.write(pattern(100))
        server.close()
        #expect(left.events.isEmpty)
        loop.turn()
        #expect(left.events == ["end"])
        client.close()
        #expect(loop.pool.outstandingSlabs == 0)
    }

    @Test func watermarksFollowTheStall() {
        let loop = ManualLoop()
        let (client, server) = PipeStream.pair(on: loop)
        let left = Handler(), right = Handler()
        client.start(handler: left)
        server.start(handler: right)
        client.setBufferLimit(64 * 1024)
        client.isStalled = true
        for _ in 0..<8 { client.write(pattern(16_000)) }
        loop.turn()
        #expect(left.events == ["above"] && right.received.isEmpty)
        client.isStalled = false
        loop.turn()
        #expect(left.events == ["above", "below"] && right.received.count == 128_000)
        client.close()
        server.close()
        #expect(loop.pool.outstandingSlabs == 0)
    }

    @Test func aPauseIsCounted() {
        let loop = ManualLoop()
        let (client, server) = PipeStream.pair(on: loop)
        let left = Handler(), right = Handler()
        client.start(handler: left)
        server.start(handler: right)
        server.pauseReading()
        server.pauseReading()
        client.write(pattern(10))
        loop.turn()
        server.resumeReading()
        loop.turn()
        #expect(right.received.isEmpty)
        server.resumeReading()
        loop.turn()
        #expect(right.received == pattern(10))
        client.close()
        server.close()
    }

    @Test func unconsumedInputIsDeliveredAgainAfterAPause() {
        let loop = ManualLoop()
        let (client, server) = PipeStream.pair(on: loop)
        let left = Handler(), right = Handler()
        right.consumes = false
        right.onData = { if !$0.isReadingPaused { $0.pauseReading() } }
        client.start(handler: left)
        server.start(handler: right)
        client.write(pattern(10))
        loop.turn()
        #expect(server.input.count == 10)
        right.consumes = true
        right.onData = nil
        server.resumeReading()
        #expect(right.received.isEmpty, "delivered from inside resumeReading")
        loop.turn()
        #expect(right.received == pattern(10))
        client.close()
        server.close()
    }

    @Test(arguments: Array(0...20))
    func aResetAtAByteDeliversTheBytesBeforeIt(boundary: Int) {
        let loop = ManualLoop()
        let (client, server) = PipeStream.pair(on: loop)
        let left = Handler(), right = Handler()
        client.start(handler: left)
        server.start(handler: right)
        client.resetAfterSending = UInt64(boundary)
        client.write(pattern(20))
        client.closeWrite()
        loop.turn()
        #expect(right.received == pattern(boundary))
        #expect(right.events == ["reset(\(ECONNRESET))"])
        #expect(left.events == ["reset(\(ECONNRESET))"])
        #expect(client.isClosed && server.isClosed)
        #expect(loop.pool.outstandingSlabs == 0)
    }

    @Test func aRegisteredUpstreamAccepts() {
        let loop = ManualLoop()
        let upstream = Handler(), handler = Handler()
        upstream.onData = { $0.write(pattern(5)) }
        var accepted: PipeStream?
        loop.register(Self.upstream, .accept { stream in
            accepted = stream
            stream.start(handler: upstream)
        })
        let stream = loop.connect(to: Self.upstream, options: ConnectOptions(), handler: handler)
        stream.write(pattern(3))
        #expect(handler.events.isEmpty, "reported from inside connect")
        loop.turn()
        #expect(handler.events == ["connected"])
        #expect(upstream.received == pattern(3) && handler.received == pattern(5))
        #expect(loop.attempts.count == 1 && loop.attempts[0].address == Self.upstream)
        stream.close()
        accepted?.close()
    }

    @Test func refusedAndHangingConnectionsDiffer() {
        let loop = ManualLoop()
        loop.register(Self.upstream, .refuse(ECONNREFUSED))
        loop.register(Self.upstream.withPort(1), .hang)
        let refused = Handler(), hanging = Handler()
        _ = loop.connect(to: Self.upstream, options: ConnectOptions(), handler: refused)
        let stream = loop.connect(to: Self.upstream.withPort(1), options: ConnectOptions(), handler: hanging)
        loop.advance(byMilliseconds: 60_000)
        #expect(refused.events == ["connectFailed(\(ECONNREFUSED))"])
        #expect(hanging.events.isEmpty)
        stream.close()
    }

    @Test func anUnexpectedConnectionIsAnIssue() {
        withKnownIssue {
            let loop = ManualLoop()
            let handler = Handler()
            _ = loop.connect(to: Self.upstream, options: ConnectOptions(), handler: handler)
            loop.turn()
        } matching: { issue in
            issue.comments.contains { $0.rawValue.contains("unexpected connection to 10.0.0.1:8080") }
        }
    }

    @Test func timeMovesOnlyByHand() {
        final class Timer: TimerTarget {
            let loop: ManualLoop
            var firedAt: [UInt64] = []
            init(loop: ManualLoop) { self.loop = loop }
            func onTimer(_ tag: UInt32) { firedAt.append(loop.now.nanoseconds / 1_000_000) }
        }
        let loop = ManualLoop(startingAt: 1000)
        let target = Timer(loop: loop)
        var timers = (0..<3).map { loop.timers.make(target: target, tag: UInt32($0)) }
        for (timer, delay) in zip(timers, [500, 5, 70_000] as [UInt64]) {
            loop.timers.arm(timer, at: loop.now.advanced(byMilliseconds: delay))
        }
        let wall = loop.wallClock
        loop.turn()
        loop.advance(byMilliseconds: 4)
        #expect(target.firedAt.isEmpty)
        loop.advance(byMilliseconds: 100_000)
        #expect(target.firedAt == [1005, 1500, 71_000])
        #expect(loop.wallClock - wall == 100_004_000_000)
        for index in timers.indices { loop.timers.free(&timers[index]) }
    }

    @Test func workThatBreedsWorkIsLeftForTheNextTurn() {
        let loop = ManualLoop()
        let last = Last()
        last.again = { if last.count < 100 { loop.atEndOfTurn(last) } }
        loop.atEndOfTurn(last)
        loop.runEndOfTurn()
        #expect(last.count < 100 && loop.hasPendingTurnEnd)
        loop.turn()
        #expect(last.count == 100)
    }

    @Test func mailWakesTheLoop() {
        let loop = ManualLoop()
        let mailbox = Mailbox<Int>()
        mailbox.post(1)
        var received: [Int] = []
        mailbox.attach(loop.makeWaker { received += mailbox.takeAll() })
        loop.turn()
        mailbox.post(2)
        mailbox.post(3)
        #expect(received == [1])
        loop.turn()
        #expect(received == [1, 2, 3])
    }

    @Test func aPausedListenerKeepsItsConnections() {
        final class Accepting: ListenHandler {
            var streams: [ByteStream] = []
            override func onAccept(_ stream: ByteStream) { streams.append(stream) }
        }
        let loop = ManualLoop()
        let handler = Accepting()
        let socket = ListeningSocket(descriptor: -1, address: Self.upstream, isShared: false)
        let listener = loop.listen(socket, acceptsPerWake: 1, handler: handler)
        listener.pause()
        let client = loop.connectClient(to: Self.upstream)
        #expect(client != nil && handler.streams.isEmpty)
        listener.resume()
        #expect(handler.streams.count == 1)
        listener.close()
        withKnownIssue { #expect(loop.connectClient(to: Self.upstream) != nil) }
    }
}

extension ByteStream {
    func write(_ bytes: [UInt8]) { bytes.withUnsafeBytes { write(copying: $0) } }
}
