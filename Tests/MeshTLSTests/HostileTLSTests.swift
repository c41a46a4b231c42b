// SPDX-License-Identifier: Apache-2.0
import COpenSSL
import MeshIO
import MeshTLS
import MeshTestKit
import Testing

/// Cases 56 to 59 of the attack list that a TLS stream alone can answer, resets at every byte, and leaks.
struct HostileTLSTests {
    let authority: TestAuthority

    init() throws { authority = try TestAuthority() }

    private func refuses(_ client: TestCertificate, chain: [TestCertificate] = [], location: SourceLocation = #_sourceLocation) throws {
        let rig = try Rig.mutual(authority) { _, options in options.certificates = [client.source(chain: chain)] }
        let link = rig.connect()
        #expect(!link.server.isHandshakeComplete && link.serverSide.reasons == [.tlsFailed], sourceLocation: location)
        #expect(link.server.failure?.stat == .failVerifyError, sourceLocation: location)
        link.close()
    }

    @Test func case56GarbageIsRefused() throws {
        let rig = try Rig.mutual(authority)
        var random = SeededRandom(seed: 56)
        let starts: [[UInt8]] = [
            bytes("GET / HTTP/1.1\r\n\r\n"), [0x16, 0x03, 0x01, 0xFF, 0xFF], [0x16, 0x03, 0x01, 0x00, 0x00], [0x80, 0x2E, 0x01],
            [0x17, 0x03, 0x03, 0x00, 0x01, 0x00], [0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x28],
        ]
        for index in 0..<200 {
            let pair = PipeStream.pair(on: rig.loop)
            let side = Side()
            let raw = Side()
            let server = TLSStream(
                accepting: pair.server, context: rig.serverContext, workspace: rig.serverWorkspace, policy: rig.serverPolicy)
            server.start(handler: side)
            pair.client.start(handler: raw)
            var sent = starts[index % starts.count]
            sent += (0..<random.below(40_000)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
            pair.client.write(sent)
            pair.client.closeWrite()
            rig.loop.turn()
            #expect(server.isClosed && side.reasons == [.tlsFailed] && side.connections == 0)
            pair.client.close()
            rig.loop.turn()
        }
        #expect(rig.loop.pool.outstandingSlabs == 0)
    }

    @Test func case56RenegotiationAndEarlyDataAreOff() throws {
        let rig = try Rig.mutual(authority) { server, _ in server.maximumVersion = .tls12 }
        let link = rig.connect()
        #expect(link.isEstablished)
        link.close()
        // The record that asks a client to renegotiate cannot be made by this API at all; flipping a bit of one that was
        // made ends the session with an alert and nothing delivered.
        let other = rig.connect { client, _ in client.isStalled = false }
        other.clientPipe.isStalled = true
        other.client.write("secret")
        rig.loop.turn()
        other.clientPipe.write([0x16, 0x03, 0x03, 0x00, 0x04, 0, 0, 0, 0])
        other.clientPipe.isStalled = false
        rig.loop.turn()
        #expect(other.serverSide.received == bytes("secret") && other.serverSide.reasons == [.tlsFailed])
        other.close()
    }

    /// BoringSSL takes hellos of 16 KiB, OpenSSL alone ones of 128.
    @Test(arguments: [(58, true), (70, false), (250, false)])
    func case56AHelloOverSixteenKiBIsRefused(protocols: Int, isAccepted: Bool) throws {
        let rig = try Rig.mutual(authority) { _, client in
            client.protocols = (0..<protocols).map { bytes("\($0)") + [UInt8](repeating: 0x61, count: 250) }
        }
        let link = rig.connect()
        #expect(link.isEstablished == isAccepted)
        if !isAccepted {
            #expect(link.server.failure?.stat == .connectionError && link.serverSide.reasons == [.tlsFailed])
            // The server said nothing but its alert: a record of two bytes.
            #expect(link.serverPipe.sentBytes == 7)
            // SSL_R_SSLV3_ALERT_ILLEGAL_PARAMETER
            #expect(link.client.failure.map { $0.code & 0xFFF } == 1047)
        }
        link.close()
        rig.loop.turn()
        #expect(rig.loop.pool.outstandingSlabs == 0)
    }

    @Test(arguments: [[UInt8](repeating: 0x61, count: 256), [0x61, 0, 0x62], [], [UInt8](repeating: 0x2E, count: 255)])
    func case56NamesThatCannotBeSentAreLeftOut(name: [UInt8]) throws {
        let rig = try Rig.mutual(authority)
        rig.parameters = TLSClientParameters(serverName: name)
        let link = rig.connect()
        #expect(link.isEstablished)
        #expect(link.server.parameters?.serverName == (name.count == 255 ? name : []))
        link.close()
    }

    @Test func case57EmbeddedNULInAName() throws {
        // GeneralNames { uniformResourceIdentifier "spiffe://a\0b" }, then the same as dNSName.
        try refuses(authority.issue("DER:300E860C7370696666653A2F2F610062"))
        try refuses(authority.issue("DER:30078205612E740062"))
    }

    @Test func case57OtherNameNeverMatches() throws {
        // otherName [0] { 1.3.6.1.4.1.311.20.2.3, [0] UTF8String "spiffe://a" }
        let client = try authority.issue("DER:301EA01C060A2B060104018237140203A00E0C0C7370696666653A2F2F612E61")
        let rig = try Rig.mutual(authority, client: client)
        let open = rig.connect()
        #expect(open.isEstablished && open.server.peerIdentity?.names.isEmpty == true)
        open.close()
        rig.serverPolicy = SANPolicy([SANMatcher(.prefix(bytes("")))])
        let link = rig.connect()
        #expect(link.server.failure?.stat == .failVerifySAN)
        link.close()
    }

    @Test func case57MalformedNamesExtension() throws {
        try refuses(authority.issue("DER:3003860CFF"))
    }

    @Test func case57NoNameAtAll() throws {
        let rig = try Rig.mutual(authority, client: authority.issue(nil, commonName: "spiffe://a"))
        rig.serverPolicy = SANPolicy([SANMatcher(.exact(bytes("spiffe://a")))])
        let link = rig.connect()
        #expect(link.server.failure?.stat == .failVerifySAN)
        link.close()
    }

    @Test func case57AChainOfAHundred() throws {
        var chain: [TestCertificate] = []
        var issuer = authority.root
        let key = try #require(TestKey.ec())
        for index in 0..<100 {
            EVP_PKEY_up_ref(key)
            issuer = try authority.issue(nil, commonName: "ca \(index)", key: key, isAuthority: true, issuer: issuer)
            chain.insert(issuer, at: 0)
        }
        EVP_PKEY_free(key)
        try refuses(authority.issue("URI:spiffe://a", issuer: issuer), chain: chain)
    }

    @Test func case58ASessionDoesNotPassAContextThatDemandsMore() throws {
        let rig = try Rig.mutual(authority) { server, client in
            server.requiresClientCertificate = false
            server.trustedCA = nil
            client.certificates = []
        }
        rig.connect().close()
        #expect(rig.clientWorkspace.sessionCount == 1)
        var strict = rig.serverContext.options
        strict.requiresClientCertificate = true
        strict.trustedCA = authority.root.pem
        rig.serverContext = try TLSContext(strict, now: TestAuthority.now)
        let link = rig.connect()
        #expect(!link.server.isHandshakeComplete && link.server.failure?.stat == .failVerifyNoCertificate)
        link.close()
    }

    @Test func case59RotationDuringHandshakes() throws {
        let rig = try Rig.mutual(authority)
        // Connections begun under the old context finish under it while new ones use the new one.
        var links: [Link] = []
        for round in 0..<10 {
            let pair = PipeStream.pair(on: rig.loop)
            pair.client.isStalled = true
            let client = TLSStream(
                connecting: pair.client, context: rig.clientContext, workspace: rig.clientWorkspace, policy: rig.clientPolicy,
                parameters: rig.parameters)
            let server = TLSStream(
                accepting: pair.server, context: rig.serverContext, workspace: rig.serverWorkspace, policy: rig.serverPolicy)
            let link = Link(clientPipe: pair.client, serverPipe: pair.server, client: client, server: server)
            server.start(handler: link.serverSide)
            client.start(handler: link.clientSide)
            rig.loop.turn()
            links.append(link)
            if round % 2 == 0 {
                rig.serverContext = try TLSContext(rig.serverContext.options, now: TestAuthority.now)
                rig.clientContext = try TLSContext(rig.clientContext.options, now: TestAuthority.now)
            }
        }
        for link in links { link.clientPipe.isStalled = false }
        rig.loop.turn()
        for link in links {
            #expect(link.isEstablished)
            link.client.write("still here")
        }
        rig.loop.turn()
        for link in links {
            #expect(link.serverSide.received == bytes("still here"))
            link.close()
        }
    }

    @Test func aResetAtEveryByteOfTheHandshake() throws {
        let rig = try Rig.mutual(authority)
        let probe = rig.connect()
        let counts = (client: probe.clientPipe.sentBytes, server: probe.serverPipe.sentBytes)
        probe.close()
        rig.loop.turn()
        for side in 0..<2 {
            rig.clientWorkspace.forgetSessions()
            let count = side == 0 ? counts.client : counts.server
            for cut in 1..<count {
                rig.clientWorkspace.forgetSessions()
                let link = rig.connect { client, server in
                    if side == 0 { client.resetAfterSending = cut } else { server.resetAfterSending = cut }
                }
                // A signature is a few bytes shorter now and then: this handshake may have ended before the last cuts.
                let sent = side == 0 ? link.clientPipe.sentBytes : link.serverPipe.sentBytes
                if sent < cut, cut > count - 12 {
                    link.close()
                    rig.loop.turn()
                    continue
                }
                #expect(link.clientSide.reasons.count == 1 && link.serverSide.reasons.count == 1, "\(side) \(cut)")
                #expect(link.client.isClosed && link.server.isClosed)
                link.close()
                rig.loop.turn()
            }
        }
        #expect(rig.loop.pool.outstandingSlabs == 0)
    }

    @Test func anEndAtEveryByteOfTheHandshake() throws {
        let rig = try Rig.mutual(authority)
        var flight: [UInt8] = []
        // The client's hello, as a raw peer sees it.
        let pair = PipeStream.pair(on: rig.loop)
        let eavesdropper = Side()
        let source = TLSStream(
            connecting: pair.client, context: rig.clientContext, workspace: rig.clientWorkspace, policy: rig.clientPolicy,
            parameters: rig.parameters)
        let unused = Side()
        source.start(handler: unused)
        pair.server.start(handler: eavesdropper)
        rig.loop.turn()
        flight = eavesdropper.received
        source.close()
        pair.server.close()
        #expect(flight.count > 200)
        for cut in 0...flight.count {
            let pair = PipeStream.pair(on: rig.loop)
            let side = Side()
            let raw = Side()
            let server = TLSStream(
                accepting: pair.server, context: rig.serverContext, workspace: rig.serverWorkspace, policy: rig.serverPolicy)
            server.start(handler: side)
            pair.client.start(handler: raw)
            pair.client.write(Array(flight[..<cut]))
            pair.client.closeWrite()
            rig.loop.turn()
            #expect(side.reasons == [.tlsFailed] && server.failure?.stat == nil, "\(cut)")
            pair.client.close()
            rig.loop.turn()
        }
        #expect(rig.loop.pool.outstandingSlabs == 0)
    }

    @Test func twoHundredHandshakesLeaveNothing() throws {
        let rig = try Rig.mutual(authority)
        for _ in 0..<200 {
            let link = rig.connect()
            #expect(link.isEstablished)
            link.client.write("x")
            rig.loop.turn()
            link.close()
            rig.loop.turn()
        }
        #expect(rig.loop.pool.outstandingSlabs == 0)
    }
}
