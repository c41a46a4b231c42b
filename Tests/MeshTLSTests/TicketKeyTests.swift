// SPDX-License-Identifier: Apache-2.0
import COpenSSL
import MeshIO
import MeshTestKit
import Testing

@testable import MeshTLS

/// `session_ticket_keys`, `session_timeout`, sessions without tickets, and how many a client keeps.
struct TicketKeyTests {
    let authority: TestAuthority

    init() throws { authority = try TestAuthority() }

    private func key(_ number: UInt8) -> [UInt8] { (0..<80).map { UInt8(truncatingIfNeeded: $0) ^ number } }

    private func rig(keys: [[UInt8]], version: TLSVersion = .tls13) throws -> Rig {
        try Rig.mutual(authority) { server, _ in
            server.ticketKeys = keys
            server.maximumVersion = version
        }
    }

    private func isResumed(_ rig: Rig, location: SourceLocation = #_sourceLocation) -> Bool {
        let link = rig.connect()
        #expect(link.isEstablished, "\(link.server.failure?.description ?? "")", sourceLocation: location)
        let resumed = link.server.parameters?.isResumed ?? false
        link.client.write("x")
        rig.loop.turn()
        #expect(link.serverSide.received == bytes("x"), sourceLocation: location)
        link.close()
        rig.loop.turn()
        return resumed
    }

    private func serve(_ rig: Rig, _ change: (inout TLSContextOptions) -> Void) throws {
        var options = rig.serverContext.options
        change(&options)
        rig.serverContext = try TLSContext(options, now: TestAuthority.now)
    }

    @Test(arguments: [TLSVersion.tls12, .tls13])
    func anotherProcessWithTheKeysResumes(version: TLSVersion) throws {
        let rig = try rig(keys: [key(1)], version: version)
        #expect(!isResumed(rig))
        try serve(rig) { _ in }
        #expect(isResumed(rig))
        // A renewed certificate still is the same server.
        let renewed = try authority.issue("URI:spiffe://cluster.local/ns/b/sa/server,DNS:a.test")
        try serve(rig) { $0.certificates = [renewed.source()] }
        #expect(isResumed(rig))
    }

    @Test func theFirstKeySealsAndEveryKeyOpens() throws {
        let rig = try rig(keys: [key(1)])
        #expect(!isResumed(rig))
        try serve(rig) { $0.ticketKeys = [key(2), key(1)] }
        #expect(isResumed(rig))
        // That gave a ticket of the first key.
        try serve(rig) { $0.ticketKeys = [key(2)] }
        #expect(isResumed(rig))
        try serve(rig) { $0.ticketKeys = [key(3)] }
        #expect(!isResumed(rig))
    }

    /// The name, then the keys for HMAC and AES: another order would make tickets that no other proxy with these keys opens.
    @Test func theOrderWithinAKeyIsBoringSSLs() throws {
        var options = TLSContextOptions(role: .server)
        options.ticketKeys = [key(0)]
        let fixed = try #require(try SessionTicketKeys(options).fixed.first)
        #expect(fixed == Array(0..<16) + Array(48..<80) + Array(16..<48))
    }

    @Test(arguments: [0, 48, 79, 81]) func aKeyOfAnotherLengthIsRefused(length: Int) throws {
        let rig = try rig(keys: [])
        var options = rig.serverContext.options
        options.ticketKeys = [key(1), [UInt8](repeating: 0, count: length)]
        #expect(throws: TLSContextError.badTicketKey(1, length)) { try TLSContext(options, now: TestAuthority.now) }
    }

    /// Keys may be the same everywhere, the demands are not.
    @Test func noTicketCrossesToAnotherDemandOnClients() throws {
        let other = try TestAuthority(name: "other")
        let changes: [(inout TLSContextOptions) -> Void] = [
            { $0.requiresClientCertificate = false },
            { $0.trustedCA = authority.root.pem + other.root.pem },
            { $0.acceptsUntrusted = true },
            { $0.allowsExpired = true },
            { $0.maxVerifyDepth = 3 },
            { $0.publicKeyPins = Digest(bytes: [UInt8](repeating: 0, count: 32)).map { [$0] } ?? [] },
        ]
        for change in changes {
            let rig = try rig(keys: [key(1)])
            let original = rig.serverContext
            try serve(rig, change)
            let link = rig.connect()
            link.client.write("x")
            rig.loop.turn()
            link.close()
            rig.loop.turn()
            rig.serverContext = original
            #expect(!isResumed(rig))
            #expect(isResumed(rig))
        }
    }

    @Test func aSessionWithoutACertificateIsNoWayAroundTheDemand() throws {
        let rig = try Rig.mutual(authority) { server, client in
            server.ticketKeys = [key(1)]
            server.requiresClientCertificate = false
            client.certificates = []
        }
        let open = rig.connect()
        #expect(open.isEstablished)
        open.close()
        rig.loop.turn()
        #expect(rig.clientWorkspace.sessionCount == 1)
        try serve(rig) { $0.requiresClientCertificate = true }
        let link = rig.connect()
        #expect(!link.server.isHandshakeComplete && link.server.failure?.stat == .failVerifyNoCertificate)
        link.close()
    }

    @Test func theTimeoutIsTheTicketsHint() throws {
        let rig = try Rig.mutual(authority) { server, _ in
            server.sessionTimeoutSeconds = 300
            server.maximumVersion = .tls12
        }
        let link = rig.connect()
        #expect(link.isEstablished)
        let key = TLSWorkspace.SessionKey(context: rig.clientContext.id, serverName: bytes("a.test"), endpoint: [])
        let session = try #require(rig.clientWorkspace.takeSession(for: key))
        #expect(SSL_SESSION_get_ticket_lifetime_hint(session) == 300)
        SSL_SESSION_free(session)
        link.close()
    }

    /// TLS 1.2 without tickets: the server remembers, unless told not to.
    @Test(arguments: [true, false]) func aServerRemembersSessionsWithoutTickets(keeps: Bool) throws {
        let rig = try Rig.mutual(authority) { server, _ in
            server.allowsResumption = false
            server.keepsSessions = keeps
            server.maximumVersion = .tls12
        }
        #expect(!isResumed(rig))
        #expect(isResumed(rig) == keeps)
        // No context knows another one's sessions.
        try serve(rig) { _ in }
        #expect(!isResumed(rig))
        // TLS 1.3 has no sessions without tickets.
        try serve(rig) { $0.maximumVersion = .tls13 }
        rig.clientWorkspace.forgetSessions()
        #expect(!isResumed(rig))
        #expect(!isResumed(rig))
    }

    @Test func aRememberedSessionsPeerIsCheckedToo() throws {
        let rig = try Rig.mutual(authority) { server, _ in
            server.allowsResumption = false
            server.maximumVersion = .tls12
        }
        #expect(!isResumed(rig))
        rig.serverPolicy = SANPolicy([SANMatcher(.exact(bytes("spiffe://somebody.else")))])
        let link = rig.connect()
        #expect(!link.server.isHandshakeComplete && link.server.failure?.stat == .failVerifySAN)
        link.close()
        rig.loop.turn()
    }

    /// `max_session_keys`: connections that begin together can each resume, as many as there are sessions.
    @Test(arguments: [1, 2, 3, 9]) func aClientKeepsAsManySessionsAsItMay(count: Int) throws {
        let rig = try Rig.mutual(authority) { _, client in client.maxSessions = count }
        for isFirst in [true, false] {
            let links = (0..<3).map { _ in rig.begin() }
            rig.loop.turn()
            #expect(links.allSatisfy { $0.isEstablished })
            let resumed = links.count { $0.server.parameters?.isResumed == true }
            #expect(resumed == (isFirst ? 0 : min(count, 3)))
            for link in links { link.close() }
            rig.loop.turn()
            #expect(rig.clientWorkspace.sessionCount == min(count, 3))
        }
        rig.clientWorkspace.forgetSessions()
        #expect(rig.clientWorkspace.sessionCount == 0)
    }
}
