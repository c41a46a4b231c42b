// SPDX-License-Identifier: Apache-2.0
import COpenSSL
import MeshIO
import MeshTLS
import MeshTestKit
import Testing

struct ResumptionTests {
    let authority: TestAuthority

    init() throws { authority = try TestAuthority() }

    /// Connects, and says whether the session was resumed; closes again.
    private func isResumed(_ rig: Rig, location: SourceLocation = #_sourceLocation) -> Bool {
        let link = rig.connect()
        #expect(link.isEstablished, "\(link.server.failure?.description ?? "")", sourceLocation: location)
        let resumed = link.server.parameters?.isResumed ?? false
        #expect(link.client.parameters?.isResumed == resumed, sourceLocation: location)
        link.client.write("x")
        rig.loop.turn()
        #expect(link.serverSide.received == bytes("x"), sourceLocation: location)
        #expect(link.server.peerIdentity != nil && link.server.isPeerValidated, sourceLocation: location)
        link.close()
        rig.loop.turn()
        return resumed
    }

    @Test(arguments: [TLSVersion.tls12, .tls13])
    func everyConnectionButTheFirstResumes(version: TLSVersion) throws {
        let rig = try Rig.mutual(authority) { server, _ in server.maximumVersion = version }
        #expect(!isResumed(rig))
        for _ in 0..<4 { #expect(isResumed(rig)) }
    }

    /// While a ticket is made or opened keys are passed over, and not a moment longer.
    @Test(arguments: [TLSVersion.tls12, .tls13])
    func certificatesReadAfterwardsHaveTheirKeys(version: TLSVersion) throws {
        let rig = try Rig.mutual(authority) { server, _ in server.maximumVersion = version }
        for _ in 0..<3 {
            _ = isResumed(rig)
            let hasKey = authority.root.pem.withUnsafeBytes { pem in
                let bio = BIO_new_mem_buf(pem.baseAddress, Int32(pem.count))
                defer { BIO_free(bio) }
                let read = PEM_read_bio_X509(bio, nil, nil, nil)
                defer { X509_free(read) }
                return read != nil && X509_get0_pubkey(read) != nil
            }
            #expect(hasKey)
        }
    }

    @Test func itCanBeTurnedOffOnEitherSide() throws {
        for side in 0..<2 {
            let rig = try Rig.mutual(authority) { server, client in
                if side == 0 { server.allowsResumption = false } else { client.allowsResumption = false }
            }
            #expect(!isResumed(rig))
            #expect(!isResumed(rig))
            #expect(rig.clientWorkspace.sessionCount == 0)
        }
    }

    @Test func anotherNameOrEndpointHasItsOwnSessions() throws {
        let rig = try Rig.mutual(authority)
        #expect(!isResumed(rig))
        rig.parameters.sessionKey = bytes("10.0.0.2:80")
        #expect(!isResumed(rig))
        rig.parameters = TLSClientParameters(serverName: bytes("b.test"))
        #expect(!isResumed(rig))
        rig.parameters.sessionKey = []
        rig.parameters.serverName = bytes("a.test")
        #expect(isResumed(rig))
    }

    @Test func ticketsDieWithTheContext() throws {
        let rig = try Rig.mutual(authority)
        #expect(!isResumed(rig))
        // The same options, a new context: as after a new CA, revocation list or parameter.
        rig.serverContext = try TLSContext(rig.serverContext.options, now: TestAuthority.now)
        #expect(!isResumed(rig))
        #expect(isResumed(rig))
    }

    @Test func ticketsDieWithTheNames() throws {
        let rig = try Rig.mutual(authority)
        #expect(!isResumed(rig))
        rig.serverPolicy = SANPolicy([SANMatcher(.exact(bytes("spiffe://somebody.else")))])
        let link = rig.connect()
        #expect(!link.server.isHandshakeComplete && link.server.failure?.stat == .failVerifySAN)
        link.close()
    }

    @Test func theClientChecksTheNamesOfAResumedServerToo() throws {
        let rig = try Rig.mutual(authority)
        #expect(!isResumed(rig))
        rig.clientPolicy = SANPolicy([SANMatcher(.exact(bytes("spiffe://somebody.else")))])
        let link = rig.connect()
        #expect(!link.client.isHandshakeComplete && link.client.failure?.stat == .failVerifySAN)
        link.close()
    }

    @Test func ticketKeysRotate() throws {
        let rig = try Rig.mutual(authority) { server, _ in server.ticketKeyPeriodSeconds = 1000 }
        #expect(!isResumed(rig))
        rig.loop.advance(byMilliseconds: 1_000_000)
        // The key before the present one still opens what it sealed.
        #expect(isResumed(rig))
        rig.loop.advance(byMilliseconds: 2_000_000)
        #expect(!isResumed(rig))
    }

    @Test func anExpiredPeerIsNotResumed() throws {
        let rig = try Rig.mutual(authority, client: authority.issue("URI:spiffe://x", to: 600))
        #expect(!isResumed(rig))
        rig.loop.advance(byMilliseconds: 601_000)
        let link = rig.connect()
        #expect(!link.server.isHandshakeComplete && link.server.failure?.verifyResult == 10)
        link.close()
    }

    @Test func anUntrustedPeerStaysUntrustedWhenItResumes() throws {
        let stranger = try TestAuthority(name: "other").issue("URI:spiffe://x")
        let rig = try Rig.mutual(authority, client: stranger) { server, _ in server.acceptsUntrusted = true }
        for isResumed in [false, true] {
            let link = rig.connect()
            #expect(link.isEstablished && link.server.parameters?.isResumed == isResumed)
            #expect(!link.server.isPeerValidated && link.server.peerIdentity != nil)
            link.close()
            rig.loop.turn()
        }
    }

    @Test func theSessionCacheIsBounded() throws {
        let rig = try Rig.mutual(authority)
        let small = TLSWorkspace(peers: 8, sessions: 4)
        for index in 0..<20 {
            let pair = PipeStream.pair(on: rig.loop)
            let client = TLSStream(
                connecting: pair.client, context: rig.clientContext, workspace: small, policy: rig.clientPolicy,
                parameters: TLSClientParameters(serverName: bytes("a\(index).test")))
            let server = TLSStream(
                accepting: pair.server, context: rig.serverContext, workspace: rig.serverWorkspace, policy: rig.serverPolicy)
            let link = Link(clientPipe: pair.client, serverPipe: pair.server, client: client, server: server)
            server.start(handler: link.serverSide)
            client.start(handler: link.clientSide)
            rig.loop.turn()
            #expect(link.isEstablished)
            link.close()
        }
        #expect(small.sessionCount > 0 && small.sessionCount <= 4)
    }
}
