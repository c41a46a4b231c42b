// SPDX-License-Identifier: Apache-2.0
import Glibc
import MeshIO
import MeshUV
import Testing

/// A proxy between two connections, all on one loop: client ⇄ downstream | upstream ⇄ server.
struct SpliceRelayTests {
    /// What a TCP proxy does with the bytes it is handed.
    final class Copier: StreamHandler {
        var other: ByteStream?
        var copied = 0
        var closed: [StreamCloseReason] = []
        override func onInput(_ stream: ByteStream) {
            copied += stream.input.count
            other?.write(copying: stream.input.readable)
            stream.input.consume(stream.input.count)
        }
        override func onEndOfInput(_ stream: ByteStream) { other?.closeWrite() }
        override func onAboveHighWatermark(_ stream: ByteStream) { other?.pauseReading() }
        override func onBelowLowWatermark(_ stream: ByteStream) { other?.resumeReading() }
        override func onClosed(_ stream: ByteStream, _ reason: StreamCloseReason) {
            closed.append(reason)
            other?.reset()
        }
    }

    struct Proxy {
        let rig = Rig()
        let client: ByteStream
        let clientEvents: Recorder
        let downstream: ByteStream
        let fromDownstream = Copier()
        let upstream: ByteStream
        let fromUpstream = Copier()
        let server: ByteStream
        let serverEvents: Recorder

        init(relays: Bool = true) throws {
            let left = try rig.pair()
            let right = try rig.pair()
            client = left.client
            clientEvents = left.clientEvents
            downstream = left.server
            upstream = right.client
            server = right.server
            serverEvents = right.serverEvents
            fromDownstream.other = upstream
            fromUpstream.other = downstream
            downstream.replaceHandler(fromDownstream)
            upstream.replaceHandler(fromUpstream)
            if relays {
                #expect(downstream.relayInput(to: upstream))
                #expect(upstream.relayInput(to: downstream))
            }
        }
    }

    @Test func bulkGoesThroughTheKernelAndArrivesWhole() throws {
        let proxy = try Proxy()
        let bytes = pattern(8_000_000)
        proxy.client.write(bytes)
        proxy.client.closeWrite()
        proxy.rig.run(until: { proxy.serverEvents.isEnded })
        #expect(proxy.serverEvents.received == bytes)
        #expect(proxy.fromDownstream.copied < bytes.count / 2, "copied \(proxy.fromDownstream.copied)")
        #expect(proxy.downstream.receivedBytes == UInt64(bytes.count))
        #expect(proxy.upstream.sentBytes == UInt64(bytes.count))
        // The other direction is open still, and small.
        proxy.server.write(pattern(100))
        proxy.server.closeWrite()
        proxy.rig.run(until: { proxy.clientEvents.isEnded })
        #expect(proxy.clientEvents.received == pattern(100))
        #expect(proxy.fromUpstream.copied == 100)
        proxy.rig.finish()
    }

    @Test func smallExchangesAreCopied() throws {
        let proxy = try Proxy()
        proxy.serverEvents.echoes = true
        for round in 1...200 {
            proxy.client.write(pattern(300))
            proxy.rig.run(until: { proxy.clientEvents.receivedCount == round * 300 })
        }
        #expect(proxy.fromDownstream.copied == 60_000 && proxy.fromUpstream.copied == 60_000)
        proxy.rig.finish()
    }

    @Test func bulkThenSmallThenBulkKeepsTheOrder() throws {
        let proxy = try Proxy()
        var expected: [UInt8] = []
        for round in 0..<6 {
            let bytes = pattern(round % 2 == 0 ? 1_500_000 : 40, from: round)
            for _ in 0..<(round % 2 == 0 ? 1 : 5) {
                expected += bytes
                proxy.client.write(bytes)
                proxy.rig.run(until: { proxy.serverEvents.receivedCount == expected.count })
            }
        }
        #expect(proxy.serverEvents.received == expected)
        proxy.rig.finish()
    }

    @Test func aSlowReaderStopsTheSource() throws {
        let proxy = try Proxy()
        let total = 16_000_000
        proxy.serverEvents.keepsBytes = false
        proxy.server.pauseReading()
        proxy.client.write(pattern(total))
        for _ in 0..<300 { proxy.rig.loop.turn() }
        #expect(proxy.downstream.receivedBytes < UInt64(total), "nothing held the source back")
        #expect(proxy.downstream.isReadingPaused)
        // The client's own queue is all there is: the proxy pins next to nothing.
        #expect(proxy.upstream.output.pinnedBytes < 200_000)
        proxy.server.resumeReading()
        proxy.client.closeWrite()
        proxy.rig.run(until: { proxy.serverEvents.isEnded })
        #expect(proxy.serverEvents.receivedCount == total)
        proxy.rig.finish()
    }

    @Test(arguments: [true, false])
    func aResetOfEitherEndReachesTheOther(isServer: Bool) throws {
        let proxy = try Proxy()
        proxy.serverEvents.keepsBytes = false
        proxy.client.write(pattern(6_000_000))
        proxy.rig.run(until: { proxy.serverEvents.receivedCount > 2_000_000 })
        (isServer ? proxy.server : proxy.client).reset()
        let survivor = isServer ? proxy.clientEvents : proxy.serverEvents
        proxy.rig.run(until: { !survivor.closed.isEmpty })
        #expect(proxy.downstream.isClosed && proxy.upstream.isClosed)
        proxy.rig.finish()
    }

    @Test func streamsThatAreNotSocketsOfOneLoopDoNotRelay() throws {
        let rig = Rig(), other = Rig()
        let pair = try rig.pair(), stranger = try other.pair()
        #expect(!pair.client.relayInput(to: stranger.client))
        #expect(pair.client.relayInput(to: pair.server))
        #expect(!pair.client.relayInput(to: pair.server), "a direction has one relay")
        rig.finish()
        other.finish()
    }
}
