// SPDX-License-Identifier: Apache-2.0
import Glibc
import MeshIO
import MeshUV
import Testing

struct UVStreamTests {
    @Test(arguments: [1, 100, 16_320, 16_321, 300_000])
    func echoesWhatItReceived(count: Int) throws {
        let rig = Rig()
        let pair = try rig.pair()
        pair.serverEvents.echoes = true
        pair.client.write(pattern(count))
        rig.run(until: { pair.clientEvents.received.count >= count })
        #expect(pair.clientEvents.received == pattern(count))
        #expect(pair.client.sentBytes == UInt64(count))
        #expect(pair.client.receivedBytes == UInt64(count))
        #expect(pair.client.input.pinnedBytes == 0)
        rig.finish()
    }

    /// Of a burst of connections the last one stays: it moves to the front of the loop's table, which shrinks, and goes on.
    @Test func aConnectionThatOutlivesABurstMovesToTheFrontOfTheTable() throws {
        let rig = Rig()
        let acceptor = Acceptor()
        let bound = try rig.listen(acceptor)
        let clients = (0..<200).map { _ in Recorder() }
        let streams = clients.map { rig.loop.connect(to: bound, options: ConnectOptions(), handler: $0) }
        rig.run(until: { clients.allSatisfy { $0.isConnected } && acceptor.recorders.count == 200 })
        let burst = rig.loop.socketPlaces
        for stream in streams.dropLast() { stream.close() }
        rig.run(until: { acceptor.recorders.filter { $0.isEnded }.count == 199 })
        for (server, events) in zip(acceptor.streams, acceptor.recorders) where events.isEnded { server.close() }
        let last = streams[199]
        let index = try #require(acceptor.recorders.firstIndex { !$0.isEnded })
        let (server, served) = (acceptor.streams[index], acceptor.recorders[index])
        served.echoes = true
        rig.loop.trim()
        rig.loop.prepareToShrink()
        last.settle()
        server.settle()
        rig.loop.runEndOfTurn()
        #expect(rig.loop.socketPlaces < burst / 2)
        // New sockets take the places behind, and events find everybody.
        let more = (0..<100).map { _ in Recorder() }
        let moreStreams = more.map { rig.loop.connect(to: bound, options: ConnectOptions(), handler: $0) }
        last.write(pattern(1_000))
        rig.run(until: { more.allSatisfy { $0.isConnected } && clients[199].received.count == 1_000 })
        #expect(clients[199].received == pattern(1_000))
        for stream in moreStreams + [last] { stream.close() }
        acceptor.listener?.close()
        rig.finish()
    }

    @Test func manySlicesLeaveInOrder() throws {
        let rig = Rig()
        let pair = try rig.pair()
        var expected: [UInt8] = []
        for index in 0..<500 {
            // Every third piece is long enough to go as a slice and not as a copy.
            let bytes = pattern(index % 3 == 0 ? 3000 : index, from: index)
            expected += bytes
            let slab = rig.loop.pool.take(bytes.count)
            slab.bytes.copyMemory(from: bytes, byteCount: bytes.count)
            pair.client.write(SlabSlice(retaining: slab, offset: 0, length: bytes.count))
            slab.release()
        }
        rig.run(until: { pair.serverEvents.receivedCount >= expected.count })
        #expect(pair.serverEvents.received == expected)
        rig.finish()
    }

    @Test func aSlowReaderStopsTheWriterAndPinsABoundedAmount() throws {
        let rig = Rig()
        let pair = try rig.pair()
        let limit = 256 * 1024
        let total = 32 * 1024 * 1024
        pair.client.setBufferLimit(limit)
        pair.serverEvents.keepsBytes = false
        pair.server.pauseReading()
        let chunk = pattern(10_000)
        var written = 0
        var mostPinned = 0
        let fill: (ByteStream) -> Void = { stream in
            while !stream.isAboveHighWatermark, written < total {
                stream.write(chunk)
                written += chunk.count
            }
            mostPinned = max(mostPinned, stream.output.pinnedBytes)
        }
        pair.clientEvents.onRoom = fill
        // The kernel's buffers fill first; then the queue stays above its mark for good.
        var turns = 0
        while turns < 50 || !pair.client.isAboveHighWatermark {
            fill(pair.client)
            rig.loop.turn()
            turns += 1
        }
        #expect(pair.clientEvents.above >= 1)
        #expect(written < total, "the writer was never stopped")
        let stoppedAt = written
        #expect(pair.serverEvents.receivedCount == 0)

        pair.server.resumeReading()
        rig.run(until: { pair.serverEvents.receivedCount >= total })
        #expect(pair.clientEvents.below >= 1)
        #expect(written > stoppedAt)
        // One slab more than the mark is how far a single write can overshoot.
        #expect(mostPinned <= limit + 2 * 16_384)
        rig.finish()
    }

    @Test func aPauseHoldsInputBackAndResumingDeliversIt() throws {
        let rig = Rig()
        let pair = try rig.pair()
        pair.serverEvents.consumes = false
        pair.serverEvents.onData = { stream in if !stream.isReadingPaused { stream.pauseReading() } }
        pair.client.write(pattern(100))
        rig.run(until: { pair.server.input.count == 100 })
        // Short leftovers move to a small slab.
        #expect(pair.server.input.pinnedBytes <= 1024)
        pair.client.write(pattern(50, from: 100))
        for _ in 0..<5 { rig.loop.turn() }
        #expect(pair.server.input.count == 100, "read while paused")

        pair.serverEvents.onData = nil
        pair.serverEvents.consumes = true
        pair.server.resumeReading()
        rig.run(until: { pair.serverEvents.receivedCount == 150 })
        #expect(pair.serverEvents.received == pattern(150))
        rig.finish()
    }

    @Test func halfCloseLeavesTheOtherDirectionOpen() throws {
        let rig = Rig()
        let pair = try rig.pair()
        pair.client.write(pattern(1000))
        pair.client.closeWrite()
        rig.run(until: { pair.serverEvents.isEnded })
        #expect(pair.serverEvents.received == pattern(1000))
        #expect(!pair.clientEvents.isEnded)
        pair.server.write(pattern(500_000))
        pair.server.closeWrite()
        rig.run(until: { pair.clientEvents.isEnded })
        #expect(pair.clientEvents.received == pattern(500_000))
        #expect(pair.clientEvents.closed.isEmpty && pair.serverEvents.closed.isEmpty)
        rig.finish()
    }

    @Test func theEndIsSeenWhilePausedWhenNothingIsLeftToRead() throws {
        let rig = Rig()
        let pair = try rig.pair()
        pair.server.pauseReading()
        pair.client.closeWrite()
        rig.run(until: { pair.serverEvents.isEnded })
        rig.finish()
    }

    @Test func theEndWaitsForUnreadBytesWhilePaused() throws {
        let rig = Rig()
        let pair = try rig.pair()
        pair.server.pauseReading()
        pair.client.write(pattern(10))
        pair.client.closeWrite()
        for _ in 0..<10 { rig.loop.turn() }
        #expect(!pair.serverEvents.isEnded)
        pair.server.resumeReading()
        rig.run(until: { pair.serverEvents.isEnded })
        #expect(pair.serverEvents.received == pattern(10))
        rig.finish()
    }

    @Test func aResetIsSeenWhilePaused() throws {
        let rig = Rig()
        let pair = try rig.pair()
        pair.server.pauseReading()
        pair.client.reset()
        rig.run(until: { !pair.serverEvents.closed.isEmpty })
        #expect(pair.serverEvents.closed == [.reset(ECONNRESET)])
        rig.finish()
    }

    @Test func aResetAfterHalfCloseIsSeen() throws {
        let rig = Rig()
        let pair = try rig.pair()
        pair.client.closeWrite()
        rig.run(until: { pair.serverEvents.isEnded })
        pair.client.reset()
        rig.run(until: { !pair.serverEvents.closed.isEmpty })
        // The kernel reports a reset after FIN so.
        #expect(pair.serverEvents.closed == [.reset(EPIPE)])
        rig.finish()
    }

    @Test func aResetAtEveryByteBoundaryDeliversThePrefixAndThenTheReset() throws {
        let rig = Rig()
        let message = pattern(64)
        let acceptor = Acceptor()
        let address = try rig.listen(acceptor)
        for boundary in 0...message.count {
            let client = Recorder()
            let stream = rig.loop.connect(to: address, options: ConnectOptions(), handler: client)
            rig.run(until: { client.isConnected && acceptor.recorders.count == boundary + 1 })
            stream.write(Array(message[..<boundary]))
            rig.run(until: { stream.sentBytes == UInt64(boundary) })
            stream.reset()
            let server = acceptor.recorders[boundary]
            rig.run(until: { !server.closed.isEmpty })
            #expect(server.received == Array(message[..<boundary]))
            #expect(server.closed == [.reset(ECONNRESET)])
            #expect(!server.isEnded)
            #expect(acceptor.streams[boundary].isClosed)
        }
        acceptor.listener?.close()
        rig.finish()
    }

    @Test func writingToAClosedPeerReportsAResetOnce() throws {
        let rig = Rig()
        let pair = try rig.pair()
        pair.client.close()
        rig.run(until: { pair.serverEvents.isEnded })
        while pair.serverEvents.closed.isEmpty {
            pair.server.write(pattern(1000))
            #expect(pair.serverEvents.closed.isEmpty, "reported from inside the write")
            rig.run(until: { pair.server.output.isEmpty || pair.server.isClosed })
        }
        #expect(pair.serverEvents.closed.count == 1)
        rig.finish()
    }

    @Test func anEarlyAnswerIsDeliveredBeforeTheResetOfTheRequest() throws {
        let rig = Rig()
        let pair = try rig.pair()
        pair.serverEvents.consumes = false
        pair.client.write(pattern(5000))
        rig.run(until: { pair.server.input.count > 0 })
        pair.server.write(pattern(200))
        rig.run(until: { pair.server.output.isEmpty })
        pair.server.reset()
        // The client notices by writing, with the answer still unread in the kernel.
        pair.client.write(pattern(5000))
        rig.run(until: { !pair.clientEvents.closed.isEmpty })
        #expect(pair.clientEvents.received == pattern(200))
        rig.finish()
    }

    @Test func aRefusedConnectionIsReportedAfterConnectReturned() throws {
        let rig = Rig()
        let free = try ListeningSockets.make(for: .ipv4(0x7F00_0001, port: 0), count: 1)
        ListeningSockets.close(free)
        let recorder = Recorder()
        let stream = rig.loop.connect(to: free[0].address, options: ConnectOptions(), handler: recorder)
        #expect(recorder.closed.isEmpty)
        rig.run(until: { !recorder.closed.isEmpty })
        #expect(recorder.closed == [.connectFailed(ECONNREFUSED)])
        #expect(!recorder.isConnected && stream.isClosed)
        rig.finish()
    }

    struct BadAddress: CustomTestStringConvertible {
        let address: Address
        let error: Int32
        var testDescription: String { "\(address)" }
    }

    @Test(arguments: [
        BadAddress(address: .pipe("/nonexistent/socket"), error: ENOENT),
        BadAddress(address: .pipe("/" + String(repeating: "x", count: 200)), error: ENAMETOOLONG),
        BadAddress(address: .internal("x"), error: EAFNOSUPPORT),
        BadAddress(address: .pipe("@apus-nobody-listens-here"), error: ECONNREFUSED),
    ])
    func anAddressThatCannotBeConnectedIsReportedAtTheEndOfTheTurn(bad: BadAddress) {
        let rig = Rig()
        let recorder = Recorder()
        _ = rig.loop.connect(to: bad.address, options: ConnectOptions(), handler: recorder)
        #expect(recorder.closed.isEmpty)
        rig.run(until: { !recorder.closed.isEmpty })
        #expect(recorder.closed == [.connectFailed(bad.error)])
        rig.finish()
    }

    @Test func bytesWrittenBeforeTheConnectionIsMadeFollowIt() throws {
        let rig = Rig()
        let acceptor = Acceptor()
        let address = try rig.listen(acceptor)
        let recorder = Recorder()
        let stream = rig.loop.connect(to: address, options: ConnectOptions(), handler: recorder)
        stream.write(pattern(100))
        stream.closeWrite()
        rig.run(until: { acceptor.recorders.first?.isEnded == true })
        #expect(acceptor.recorders[0].received == pattern(100))
        acceptor.listener?.close()
        rig.finish()
    }

    @Test func theSourceAddressCanBeChosen() throws {
        let rig = Rig()
        let acceptor = Acceptor()
        let address = try rig.listen(acceptor)
        let recorder = Recorder()
        let options = ConnectOptions(
            bindAddress: .ipv4(0x7F00_0006, port: 0), keepAlive: TCPKeepAlive(probes: 3, idleSeconds: 10, intervalSeconds: 5))
        let stream = rig.loop.connect(to: address, options: options, handler: recorder)
        rig.run(until: { acceptor.streams.count == 1 && recorder.isConnected })
        #expect(acceptor.streams[0].remoteAddress.withPort(0) == .ipv4(0x7F00_0006, port: 0))
        #expect(stream.localAddress == acceptor.streams[0].remoteAddress)
        #expect(acceptor.streams[0].localAddress == stream.remoteAddress)
        acceptor.listener?.close()
        rig.finish()
    }

    @Test func noDelayIsSetOnBothEnds() throws {
        let rig = Rig()
        let pair = try rig.pair()
        for stream in [pair.client, pair.server] {
            var value: Int32 = 0
            var length = socklen_t(4)
            let descriptor = try #require(stream as? UVStream).descriptor
            #expect(getsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &value, &length) == 0)
            #expect(value != 0)
        }
        rig.finish()
    }

    @Test func aConnectionThatWasNotRedirectedHasNoOriginalDestination() throws {
        let rig = Rig()
        let pair = try rig.pair()
        #expect(pair.server.originalDestination() == nil)
        rig.finish()
    }

    @Test func drainedIsReportedOnRequestOnly() throws {
        let rig = Rig()
        let pair = try rig.pair()
        pair.client.write(pattern(10))
        rig.run(until: { pair.serverEvents.receivedCount == 10 })
        #expect(pair.clientEvents.drained == 0)
        pair.client.reportsDrained = true
        pair.client.write(pattern(10))
        rig.run(until: { pair.serverEvents.receivedCount == 20 })
        #expect(pair.clientEvents.drained == 1)
        rig.finish()
    }

    @Test func closingInsideTheInputCallbackIsSafe() throws {
        let rig = Rig()
        let pair = try rig.pair()
        pair.serverEvents.onData = { $0.close() }
        pair.client.write(pattern(100_000))
        rig.run(until: { pair.server.isClosed && (pair.clientEvents.isEnded || pair.client.isClosed) })
        rig.finish()
    }
}
