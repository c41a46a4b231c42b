// SPDX-License-Identifier: Apache-2.0
import MeshIO
import MeshTLS
import MeshTestKit
import Testing

/// What may happen between a handshake's bytes and the step that takes them.
struct HandshakeTurnTests {
    /// Stands before a handshake in the loop's long work, so its step comes when everything else is done.
    private final class Before: LongWork {
        let body: () -> Void
        init(_ body: @escaping () -> Void) { self.body = body }
        func takeLongStep() -> Bool {
            body()
            return true
        }
    }

    private let rig: Rig

    init() throws { rig = try Rig.mutual(TestAuthority()) }

    /// A server without a client: what comes is written to the pipe as it is.
    private func serve(_ side: Side) -> (server: TLSStream, client: PipeStream, transport: PipeStream) {
        let pair = PipeStream.pair(on: rig.loop)
        let server = TLSStream(
            accepting: pair.server, context: rig.serverContext, workspace: rig.serverWorkspace, policy: rig.serverPolicy)
        server.start(handler: side)
        return (server, pair.client, pair.server)
    }

    @Test func nothingMoreIsReadWhileAStepWaits() {
        let side = Side(), sender = Side()
        let (server, client, transport) = serve(side)
        client.start(handler: sender)
        var held = -1
        rig.loop.whenQuiet(Before { held = transport.input.count })
        client.write([UInt8](repeating: 22, count: 200_000))
        rig.loop.turn()
        #expect(held > 0 && held <= SlabPool.standardCapacity)
        #expect(side.reasons == [.tlsFailed] && server.isClosed)
        client.close()
        #expect(rig.loop.pool.outstandingSlabs == 0)
    }

    @Test func aCloseWhileAStepWaitsMakesItVoid() {
        let side = Side(), sender = Side()
        let (server, client, _) = serve(side)
        client.start(handler: sender)
        rig.loop.whenQuiet(Before { server.close() })
        client.write([22, 3, 1])
        rig.loop.turn()
        #expect(side.connections == 0 && side.reasons.isEmpty)
        #expect(!rig.loop.hasLongWork)
        client.close()
        #expect(rig.loop.pool.outstandingSlabs == 0)
    }

    /// Half a hello and the end: the step finds that nothing can follow.
    @Test func anEndWhileAStepWaitsIsToldAfterIt() {
        let side = Side(), sender = Side()
        let (server, client, transport) = serve(side)
        client.start(handler: sender)
        var sawEnd = false
        rig.loop.whenQuiet(Before { sawEnd = transport.isInputEnded && !server.isClosed })
        client.write([22, 3, 1])
        client.closeWrite()
        rig.loop.turn()
        #expect(sawEnd, "the end did not come before the step")
        #expect(side.reasons == [.tlsFailed])
        #expect(server.failure?.text.description == "the peer left during the handshake")
        client.close()
    }

    /// A client's last flight, its request and its end in one go: all of it counts.
    @Test func whatFollowsTheLastFlightIsNotLost() {
        final class Hasty: StreamHandler {
            override func onConnected(_ stream: ByteStream) {
                stream.write("request")
                stream.closeWrite()
            }
        }
        let hasty = Hasty()
        let link = rig.begin()
        link.client.replaceHandler(hasty)
        rig.loop.turn()
        #expect(link.serverSide.connections == 1)
        #expect(link.serverSide.received == bytes("request"))
        #expect(link.serverSide.ends == 1 && !link.server.isInputTruncated)
        link.close()
    }
}
