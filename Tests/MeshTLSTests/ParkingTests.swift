// SPDX-License-Identifier: Apache-2.0
import COpenSSL
import MeshIO
import MeshTestKit
import Testing

@testable import MeshTLS

/// Connections that have let go of their handshake.
struct ParkingTests {
    let authority: TestAuthority

    init() throws { authority = try TestAuthority() }

    private func rig(_ version: TLSVersion, resumes: Bool = true) throws -> Rig {
        try Rig.mutual(authority) { server, client in
            server.maximumVersion = version
            client.maximumVersion = version
            client.allowsResumption = resumes
        }
    }

    /// Both ways, small and over several records.
    private func exchange(_ rig: Rig, _ link: Link, location: SourceLocation = #_sourceLocation) {
        for count in [1, 100_000] {
            link.clientSide.received = []
            link.serverSide.received = []
            link.client.write(pattern(count))
            link.server.write(pattern(count))
            rig.loop.turn()
            #expect(link.serverSide.received == pattern(count), sourceLocation: location)
            #expect(link.clientSide.received == pattern(count), sourceLocation: location)
        }
    }

    @Test(arguments: [TLSVersion.tls12, .tls13], [true, false])
    func noConnectionKeepsItsPeersCertificate(version: TLSVersion, resumes: Bool) throws {
        let rig = try rig(version, resumes: resumes)
        let links = [rig.connect(), rig.connect()]
        for link in links {
            #expect(link.isEstablished && link.server.isPeerValidated && link.client.isPeerValidated)
            #expect(link.server.peerIdentity != nil && link.client.peerIdentity != nil)
            exchange(rig, link)
            #expect(SSL_get0_peer_certificate(link.server.ssl) == nil && SSL_get0_peer_certificate(link.client.ssl) == nil)
            #expect(SSL_get0_verified_chain(link.server.ssl) == nil)
        }
        #expect(SSL_get_session(links[0].server.ssl) == SSL_get_session(links[1].server.ssl))
        for link in links { link.close() }
        rig.loop.turn()
        #expect(rig.loop.pool.outstandingSlabs == 0)
    }

    @Test func keysAreUpdatedAllTheSame() throws {
        let rig = try rig(.tls13)
        let link = rig.connect()
        exchange(rig, link)
        for side in [link.client, link.server] {
            #expect(SSL_key_update(side.ssl, SSL_KEY_UPDATE_REQUESTED) == 1)
            exchange(rig, link)
            exchange(rig, link)
        }
        link.close()
        rig.loop.turn()
        #expect(link.clientSide.reasons.isEmpty && link.serverSide.reasons.isEmpty)
    }

    @Test(arguments: [TLSVersion.tls12, .tls13]) func theSessionIsResumedAllTheSame(version: TLSVersion) throws {
        let rig = try rig(version)
        for round in 0..<4 {
            let link = rig.connect()
            exchange(rig, link)
            #expect(link.server.parameters?.isResumed == (round > 0))
            #expect(link.server.isPeerValidated && link.client.isPeerValidated)
            link.close()
            rig.loop.turn()
        }
    }

    /// A ticket that comes when the session is parked knows no peer, and resuming it would check nobody.
    @Test func aLateTicketIsNotKept() throws {
        let rig = try rig(.tls13)
        let link = rig.connect()
        exchange(rig, link)
        #expect(rig.clientWorkspace.sessionCount == 1)
        rig.clientWorkspace.forgetSessions()
        #expect(SSL_new_session_ticket(link.server.ssl) == 1)
        exchange(rig, link)
        exchange(rig, link)
        #expect(rig.clientWorkspace.sessionCount == 0)
        link.close()
        rig.loop.turn()
    }

    @Test func whichOfOurCertificatesWasSeenIsStillKnown() throws {
        let first = try authority.issue("DNS:first.test")
        let second = try authority.issue("DNS:a.test")
        let rig = try Rig.mutual(authority) { server, _ in server.certificates = [first.source(), second.source()] }
        let link = rig.connect()
        exchange(rig, link)
        #expect(link.server.localIdentity?.dnsNames == [bytes("a.test")])
        link.close()
        rig.loop.turn()
    }
}
