// SPDX-License-Identifier: Apache-2.0
import Glibc
import MeshIO
import MeshTLS
import MeshTestKit
import Testing

struct TLSStreamTests {
    let authority: TestAuthority

    init() throws { authority = try TestAuthority() }

    @Test func mutualHandshakeCarriesBytesBothWays() throws {
        let rig = try Rig.mutual(authority)
        let link = rig.connect()
        #expect(link.isEstablished, "\(link.client.failure?.description ?? "") \(link.server.failure?.description ?? "")")
        #expect(link.clientSide.connections == 1 && link.serverSide.connections == 1)
        link.client.write("ping")
        link.server.write("pong")
        rig.loop.turn()
        #expect(link.serverSide.received == bytes("ping"))
        #expect(link.clientSide.received == bytes("pong"))
        #expect(link.server.peerIdentity?.uriNames == [bytes("spiffe://cluster.local/ns/a/sa/client")])
        #expect(link.client.peerIdentity?.dnsNames == [bytes("a.test")])
        #expect(link.server.isPeerValidated && link.client.isPeerValidated)
        let agreed = try #require(link.server.parameters)
        #expect(agreed.version == .tls13 && agreed.curve == "X25519" && agreed.cipher.hasPrefix("TLS_"))
        #expect(agreed.signatureAlgorithm == "ecdsa_secp256r1_sha256" && agreed.serverName == bytes("a.test"))
        link.close()
    }

    @Test(arguments: [1, 2, 3, 7, 100, 1000, 5000])
    func ciphertextMayArriveInPiecesOfAnySize(size: Int) throws {
        let rig = try Rig.mutual(authority)
        let link = rig.connect { client, server in
            client.readLimit = size
            server.readLimit = size
        }
        #expect(link.isEstablished)
        let sent = pattern(size < 10 ? 3000 : 100_000)
        link.client.write(sent)
        link.server.write(sent)
        rig.loop.turn()
        #expect(link.serverSide.received == sent)
        #expect(link.clientSide.received == sent)
        link.close()
    }

    @Test func writesMayBeShortInManyWays() throws {
        let rig = try Rig.mutual(authority)
        // Each write of the client moves so many bytes at most: cuts at all multiples of it.
        for cut in stride(from: 1, to: 560, by: 13) {
            let link = rig.connect { client, _ in client.writeLimit = cut }
            #expect(link.isEstablished, "cut at \(cut)")
            link.close()
            rig.loop.turn()
        }
    }

    @Test func tls12Works() throws {
        let rig = try Rig.mutual(authority) { server, client in
            server.maximumVersion = .tls12
            client.cipherSuites = ["[ECDHE-ECDSA-AES128-GCM-SHA256|ECDHE-ECDSA-CHACHA20-POLY1305]", "AES256-GCM-SHA384"]
        }
        let link = rig.connect()
        #expect(link.isEstablished)
        #expect(link.server.parameters?.version == .tls12)
        #expect(link.server.parameters?.cipher == "ECDHE-ECDSA-AES128-GCM-SHA256")
        link.client.write("x")
        rig.loop.turn()
        #expect(link.serverSide.received == bytes("x"))
        link.close()
    }

    @Test func bytesWrittenBeforeTheHandshakeFollowIt() throws {
        let rig = try Rig.mutual(authority)
        let pair = PipeStream.pair(on: rig.loop)
        let client = TLSStream(
            connecting: pair.client, context: rig.clientContext, workspace: rig.clientWorkspace, policy: rig.clientPolicy,
            parameters: rig.parameters)
        let server = TLSStream(
            accepting: pair.server, context: rig.serverContext, workspace: rig.serverWorkspace, policy: rig.serverPolicy)
        let link = Link(clientPipe: pair.client, serverPipe: pair.server, client: client, server: server)
        server.start(handler: link.serverSide)
        client.start(handler: link.clientSide)
        client.write("early")
        client.closeWrite()
        rig.loop.turn()
        #expect(link.serverSide.received == bytes("early"))
        #expect(link.serverSide.ends == 1 && !server.isInputTruncated)
        link.close()
    }

    @Test func closeWriteIsHalfAClose() throws {
        for version in [TLSVersion.tls12, .tls13] {
            let rig = try Rig.mutual(authority) { server, _ in server.maximumVersion = version }
            let link = rig.connect()
            link.client.write("request")
            link.client.closeWrite()
            rig.loop.turn()
            #expect(link.serverSide.received == bytes("request") && link.serverSide.ends == 1)
            let answer = pattern(200_000)
            link.server.write(answer)
            link.server.closeWrite()
            rig.loop.turn()
            #expect(link.clientSide.received == answer && link.clientSide.ends == 1, "\(version)")
            #expect(!link.client.isInputTruncated && !link.server.isInputTruncated)
            link.close()
        }
    }

    @Test func closeSendsCloseNotify() throws {
        let rig = try Rig.mutual(authority)
        let link = rig.connect()
        link.client.close()
        rig.loop.turn()
        #expect(link.serverSide.ends == 1 && !link.server.isInputTruncated)
        link.close()
    }

    @Test func anEndWithoutCloseNotifyIsTruncation() throws {
        let rig = try Rig.mutual(authority)
        let link = rig.connect()
        link.client.write("half")
        rig.loop.turn()
        link.clientPipe.closeWrite()
        rig.loop.turn()
        #expect(link.serverSide.received == bytes("half"))
        #expect(link.serverSide.ends == 1 && link.server.isInputTruncated)
        link.close()
    }

    @Test func aSlowReaderStopsTheWriter() throws {
        let rig = try Rig.mutual(authority)
        let link = rig.connect { client, _ in client.receiveBuffer = 20_000 }
        link.clientSide.isHolding = true
        link.client.pauseReading()
        let sent = pattern(2_000_000)
        link.server.setBufferLimit(100_000)
        link.server.write(sent)
        rig.loop.turn()
        #expect(link.server.isAboveHighWatermark)
        // Encrypted but not sent is bounded, whatever was written.
        #expect(link.serverPipe.output.byteCount <= 100_000)
        #expect(link.server.output.byteCount > 1_800_000)
        link.clientSide.isHolding = false
        link.client.resumeReading()
        rig.loop.turn()
        #expect(link.clientSide.received == sent)
        #expect(!link.server.isAboveHighWatermark && link.server.output.isEmpty)
        link.close()
        rig.loop.turn()
        #expect(rig.loop.pool.outstandingSlabs == 0)
    }

    @Test func aReaderThatPausesInTheMiddleLosesNothing() throws {
        let rig = try Rig.mutual(authority)
        let link = rig.connect()
        let sent = pattern(300_000)
        link.serverSide.whenInput = { $0.pauseReading() }
        link.client.write(sent)
        link.client.closeWrite()
        for _ in 0..<200 where link.serverSide.ends == 0 {
            rig.loop.turn()
            if link.server.isReadingPaused { link.server.resumeReading() }
        }
        #expect(link.serverSide.received == sent)
        #expect(link.serverSide.ends == 1)
        link.close()
    }

    @Test func smallPiecesShareARecord() throws {
        let rig = try Rig.mutual(authority)
        let link = rig.connect()
        let before = link.clientPipe.sentBytes
        for _ in 0..<50 {
            // Long enough to stay a slice of its own.
            let slab = rig.loop.pool.take(3000)
            (slab.bytes).initializeMemory(as: UInt8.self, repeating: 7, count: 3000)
            link.client.write(SlabSlice(retaining: slab, offset: 0, length: 3000))
            slab.release()
        }
        rig.loop.turn()
        #expect(link.serverSide.received == [UInt8](repeating: 7, count: 150_000))
        // 22 bytes a record: ten records carry it, not fifty.
        #expect(link.clientPipe.sentBytes - before <= 150_000 + 11 * 22)
        link.close()
    }

    @Test func drainedMeansSent() throws {
        let rig = try Rig.mutual(authority)
        let link = rig.connect()
        link.clientPipe.isStalled = true
        link.client.reportsDrained = true
        link.client.write("x")
        rig.loop.turn()
        #expect(link.clientSide.drains == 0)
        link.clientPipe.isStalled = false
        rig.loop.turn()
        #expect(link.clientSide.drains >= 1)
        link.close()
    }

    @Test func aFailedConnectionIsReportedAsOne() throws {
        let rig = try Rig.mutual(authority)
        let address = Address.ipv4(0x7F00_0001, port: 9)
        rig.loop.register(address, .refuse(ECONNREFUSED))
        let side = Side()
        let transport = rig.loop.connect(to: address, options: ConnectOptions(), handler: side)
        let client = TLSStream(
            connecting: transport, context: rig.clientContext, workspace: rig.clientWorkspace, policy: rig.clientPolicy,
            parameters: rig.parameters)
        client.start(handler: side)
        rig.loop.turn()
        #expect(side.reasons == [.connectFailed(ECONNREFUSED)])
        #expect(client.failure == nil)
    }

    @Test func anOwnerMayDropTheStreamInAnEvent() throws {
        let rig = try Rig.mutual(authority)
        var held: [TLSStream] = []
        let link = rig.connect()
        let pair = PipeStream.pair(on: rig.loop)
        let side = Side()
        held.append(TLSStream(
            accepting: pair.server, context: rig.serverContext, workspace: rig.serverWorkspace, policy: rig.serverPolicy))
        held[0].start(handler: side)
        let client = TLSStream(
            connecting: pair.client, context: rig.clientContext, workspace: rig.clientWorkspace, policy: rig.clientPolicy,
            parameters: rig.parameters)
        let clientSide = Side()
        client.start(handler: clientSide)
        rig.loop.turn()
        side.whenInput = { stream in
            stream.close()
            held = []
        }
        client.write("bye")
        rig.loop.turn()
        #expect(held.isEmpty && side.received == bytes("bye"))
        #expect(clientSide.ends == 1)
        client.close()
        link.close()
    }
}
