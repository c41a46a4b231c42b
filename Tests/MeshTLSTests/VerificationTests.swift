// SPDX-License-Identifier: Apache-2.0
import MeshIO
import MeshTLS
import MeshTestKit
import Testing

struct VerificationTests {
    let authority: TestAuthority

    init() throws { authority = try TestAuthority() }

    /// Runs one handshake in which the server refuses the client, and returns why.
    private func refusal(_ rig: Rig, location: SourceLocation = #_sourceLocation) -> TLSFailure? {
        let link = rig.connect()
        #expect(!link.server.isHandshakeComplete, sourceLocation: location)
        #expect(link.serverSide.reasons == [.tlsFailed], sourceLocation: location)
        // With TLS 1.3 the client is done before the server looks at its certificate, and then reads the alert.
        #expect(link.clientSide.reasons == [.tlsFailed], sourceLocation: location)
        #expect(link.client.failure?.stat == .connectionError, sourceLocation: location)
        link.close()
        return link.server.failure
    }

    @Test func aClientWithoutACertificateIsRefusedWhereOneIsRequired() throws {
        let rig = try Rig.mutual(authority) { _, client in client.certificates = [] }
        #expect(refusal(rig)?.stat == .failVerifyNoCertificate)
    }

    @Test func aClientWithoutACertificateIsServedWhereNoneIsRequired() throws {
        let rig = try Rig.mutual(authority) { server, client in
            server.requiresClientCertificate = false
            client.certificates = []
        }
        let link = rig.connect()
        #expect(link.isEstablished && link.server.peerIdentity == nil && !link.server.isPeerValidated)
        link.close()
    }

    @Test func anotherAuthorityIsRefused() throws {
        let rig = try Rig.mutual(authority, client: TestAuthority(name: "other").issue("URI:spiffe://x"))
        let failure = try #require(refusal(rig))
        #expect(failure.stat == .failVerifyError && failure.verifyResult != 0)
    }

    @Test func anUntrustedPeerIsServedWhereThatIsAccepted() throws {
        let rig = try Rig.mutual(authority, client: TestAuthority(name: "other").issue("URI:spiffe://x")) { server, _ in
            server.acceptsUntrusted = true
        }
        let link = rig.connect()
        #expect(link.isEstablished && !link.server.isPeerValidated)
        #expect(link.server.peerIdentity?.uriNames == [bytes("spiffe://x")])
        link.close()
    }

    @Test func anExpiredCertificateIsRefused() throws {
        let rig = try Rig.mutual(authority, client: authority.issue("URI:spiffe://x", from: -7200, to: -60))
        // X509_V_ERR_CERT_HAS_EXPIRED
        #expect(refusal(rig)?.verifyResult == 10)
    }

    @Test func aCertificateForAnotherPurposeIsRefused() throws {
        // X509_V_ERR_INVALID_PURPOSE
        let server = try Rig.mutual(authority, client: authority.issue("URI:spiffe://x", usage: "serverAuth"))
        #expect(refusal(server)?.verifyResult == 26)
        let rig = try Rig.mutual(authority, server: authority.issue("DNS:a.test", usage: "clientAuth"))
        let link = rig.connect()
        #expect(link.client.failure?.verifyResult == 26 && !link.client.isHandshakeComplete)
        link.close()
    }

    @Test func aRevokedCertificateIsRefused() throws {
        let client = try authority.issue("URI:spiffe://x")
        let list = try authority.revocationList(of: [client])
        let rig = try Rig.mutual(authority, client: client) { server, _ in server.revocationLists = list }
        // X509_V_ERR_CERT_REVOKED
        #expect(refusal(rig)?.verifyResult == 23)
        let other = try Rig.mutual(authority) { server, _ in server.revocationLists = list }
        let link = other.connect()
        #expect(link.isEstablished)
        link.close()
    }

    /// `only_verify_leaf_cert_crl`: an intermediate without a list of its issuer's is no obstacle then.
    @Test func revocationCanBeAskedOfTheLeafAlone() throws {
        let intermediate = try authority.issue(nil, commonName: "intermediate", isAuthority: true)
        let good = try authority.issue("URI:spiffe://x", issuer: intermediate)
        let bad = try authority.issue("URI:spiffe://y", issuer: intermediate)
        let list = try authority.revocationList(of: [bad], issuer: intermediate)
        func rig(_ leaf: TestCertificate, leafOnly: Bool) throws -> Rig {
            try Rig.mutual(authority) { server, client in
                server.revocationLists = list
                server.checksRevocationOfLeafOnly = leafOnly
                client.certificates = [leaf.source(chain: [intermediate])]
            }
        }
        // X509_V_ERR_UNABLE_TO_GET_CRL, then X509_V_ERR_CERT_REVOKED
        #expect(refusal(try rig(good, leafOnly: false))?.verifyResult == 3)
        #expect(refusal(try rig(bad, leafOnly: true))?.verifyResult == 23)
        let link = try rig(good, leafOnly: true).connect()
        #expect(link.isEstablished)
        link.close()
    }

    @Test func anIntermediateInTheChainIsFollowed() throws {
        let intermediate = try authority.issue(nil, commonName: "intermediate", isAuthority: true)
        let leaf = try authority.issue("URI:spiffe://x", issuer: intermediate)
        let rig = try Rig.mutual(authority) { _, client in client.certificates = [leaf.source(chain: [intermediate])] }
        let link = rig.connect()
        #expect(link.isEstablished && link.server.peerIdentity?.chain.count == 2)
        link.close()
        #expect(refusal(try Rig.mutual(authority, client: leaf))?.stat == .failVerifyError)
    }

    @Test func aPinnedCertificateIsTheOnlyOne() throws {
        let client = try authority.issue("URI:spiffe://x")
        let rig = try Rig.mutual(authority, client: client) { _, _ in }
        let probe = rig.connect()
        let hash = try #require(probe.server.peerIdentity?.fingerprint)
        probe.close()
        let pinned = try Rig.mutual(authority, client: client) { server, _ in server.certificateHashes = [hash] }
        let link = pinned.connect()
        #expect(link.isEstablished)
        link.close()
        let other = try Rig.mutual(authority) { server, _ in server.certificateHashes = [hash] }
        #expect(refusal(other)?.stat == .failVerifyCertificateHash)
    }

    @Test(arguments: [
        ("spiffe://cluster.local/ns/a/sa/client", true), ("spiffe://cluster.local/ns/a/sa/clien", false),
        ("SPIFFE://cluster.local/ns/a/sa/client", false), ("spiffe://cluster.local/ns/a/sa/client2", false),
    ])
    func exactNamesAreExact(name: String, isAccepted: Bool) throws {
        let rig = try Rig.mutual(authority)
        rig.serverPolicy = SANPolicy([SANMatcher(.exact(bytes(name)))])
        if isAccepted {
            let link = rig.connect()
            #expect(link.isEstablished)
            link.close()
        } else {
            #expect(refusal(rig)?.stat == .failVerifySAN)
        }
    }

    @Test func anyMatcherWillDo() throws {
        let rig = try Rig.mutual(authority)
        rig.serverPolicy = SANPolicy([
            SANMatcher(.exact(bytes("nobody"))), SANMatcher(kind: .uri, .prefix(bytes("spiffe://cluster.local/"))),
        ])
        let link = rig.connect()
        #expect(link.isEstablished)
        link.close()
        rig.serverPolicy = SANPolicy([SANMatcher(kind: .dns, .prefix(bytes("spiffe://cluster.local/")))])
        #expect(refusal(rig)?.stat == .failVerifySAN)
    }

    /// `auto_san_validation` beside the matchers of the context, and without any.
    @Test(arguments: [
        (["spiffe://cluster.local/"], "spiffe://cluster.local/ns/a/sa/client", true),
        ([], "spiffe://cluster.local/ns/a/sa/client", true), (["spiffe://cluster.local/"], "nobody", false),
        (["nobody"], "spiffe://cluster.local/ns/a/sa/client", false), ([], "nobody", false),
    ])
    func aConnectionsOwnNameIsAskedForBesidesTheMatchers(prefixes: [String], name: String, isAccepted: Bool) throws {
        let rig = try Rig.mutual(authority)
        rig.serverPolicy = SANPolicy(
            prefixes.map { SANMatcher(.prefix(bytes($0))) }, own: [SANMatcher(.exact(bytes(name)))])
        if isAccepted {
            let link = rig.connect()
            #expect(link.isEstablished)
            link.close()
        } else {
            #expect(refusal(rig)?.stat == .failVerifySAN)
        }
    }

    @Test func aVerifiedChainIsNotVerifiedAgain() throws {
        let rig = try Rig.mutual(authority) { server, client in
            server.allowsResumption = false
            client.allowsResumption = false
        }
        for _ in 0..<3 { rig.connect().close() }
        #expect(rig.serverWorkspace.verifications == 1 && rig.serverWorkspace.rememberedVerifications == 2)
        // Another policy is asked all the same.
        rig.serverPolicy = SANPolicy([SANMatcher(.exact(bytes("nobody")))])
        #expect(refusal(rig)?.stat == .failVerifySAN)
        // Another context has to look for itself.
        rig.serverPolicy = SANPolicy([])
        rig.serverContext = try TLSContext(rig.serverContext.options, now: TestAuthority.now)
        rig.connect().close()
        #expect(rig.serverWorkspace.verifications == 2)
    }

    @Test func aRememberedChainExpires() throws {
        let rig = try Rig.mutual(authority, client: authority.issue("URI:spiffe://x", to: 600)) { server, client in
            server.allowsResumption = false
            client.allowsResumption = false
        }
        rig.connect().close()
        rig.loop.advance(byMilliseconds: 601_000)
        #expect(refusal(rig)?.verifyResult == 10)
    }

    @Test func theMemoryOfChainsIsBounded() throws {
        let rig = try Rig.mutual(authority) { server, client in
            server.allowsResumption = false
            client.allowsResumption = false
        }
        let small = TLSWorkspace(peers: 4, sessions: 4)
        for index in 0..<12 {
            let client = try authority.issue("URI:spiffe://x/\(index)")
            var options = rig.clientContext.options
            options.certificates = [client.source()]
            let context = try TLSContext(options, now: TestAuthority.now)
            let pair = PipeStream.pair(on: rig.loop)
            let one = TLSStream(
                connecting: pair.client, context: context, workspace: rig.clientWorkspace, policy: rig.clientPolicy,
                parameters: rig.parameters)
            let other = TLSStream(
                accepting: pair.server, context: rig.serverContext, workspace: small, policy: rig.serverPolicy)
            let link = Link(clientPipe: pair.client, serverPipe: pair.server, client: one, server: other)
            other.start(handler: link.serverSide)
            one.start(handler: link.clientSide)
            rig.loop.turn()
            #expect(link.isEstablished)
            link.close()
            rig.loop.turn()
        }
        #expect(small.peerCount <= 4 && small.verifications == 12)
    }

    @Test func halfOfTheMemoryIsAlwaysFresh() throws {
        let rig = try Rig.mutual(authority) { server, client in
            server.allowsResumption = false
            client.allowsResumption = false
        }
        let contexts = try (0..<4).map { index in
            var options = rig.clientContext.options
            options.certificates = [try authority.issue("URI:spiffe://x/\(index)").source()]
            return try TLSContext(options, now: TestAuthority.now)
        }
        let workspace = TLSWorkspace(peers: 8, sessions: 4)
        for index in 0..<40 {
            let pair = PipeStream.pair(on: rig.loop)
            let link = Link(
                clientPipe: pair.client, serverPipe: pair.server,
                client: TLSStream(
                    connecting: pair.client, context: contexts[index % 4], workspace: rig.clientWorkspace,
                    policy: rig.clientPolicy, parameters: rig.parameters),
                server: TLSStream(
                    accepting: pair.server, context: rig.serverContext, workspace: workspace, policy: rig.serverPolicy))
            link.server.start(handler: link.serverSide)
            link.client.start(handler: link.clientSide)
            rig.loop.turn()
            #expect(link.isEstablished)
            link.close()
            rig.loop.turn()
        }
        #expect(workspace.verifications == 4 && workspace.rememberedVerifications == 36)
    }

    @Test func aCertificateOfThousandsOfNamesIsNotRemembered() throws {
        let names = (0..<2_000).map { "URI:spiffe://cluster.local/ns/a/\($0)" }.joined(separator: ",")
        let rig = try Rig.mutual(authority, client: try authority.issue(names)) { server, client in
            server.allowsResumption = false
            client.allowsResumption = false
        }
        for _ in 0..<2 {
            let link = rig.connect()
            #expect(link.isEstablished && link.server.peerIdentity?.names.count == 2_000)
            link.close()
            rig.loop.turn()
        }
        #expect(rig.serverWorkspace.verifications == 2 && rig.serverWorkspace.peerCount == 0)
    }
}

struct SANMatcherTests {
    private func name(_ kind: SANKind, _ text: String) -> SubjectName { SubjectName(kind: kind, text: bytes(text)) }

    @Test(arguments: [
        ("a.test", "a.test", true), ("A.test", "a.TEST", true), ("a.test", "*.test", false), ("a.b.test", "*.b.test", true),
        ("x.a.b.test", "*.b.test", false), (".b.test", "*.b.test", false), ("foo.b.test", "f*.b.test", true),
        ("bar.b.test", "f*.b.test", false), ("xn--foo.b.test", "x*.b.test", false), ("a.b.test", "*.*.test", false),
        ("a.b.test", "a.*.test", false), ("", "", false), ("b.test", "*.b.test", false), ("a.b.test", "a.b.test.", false),
    ])
    func wildcardsInDNSNames(host: String, pattern: String, matches: Bool) {
        #expect(DNSName.matches(bytes(host), pattern: bytes(pattern)) == matches)
    }

    @Test func comparisons() {
        let uri = name(.uri, "spiffe://td/ns/a/sa/b")
        #expect(SANMatcher(.suffix(bytes("/sa/b"))).matches(uri))
        #expect(!SANMatcher(.suffix(bytes("/SA/B"))).matches(uri))
        #expect(SANMatcher(.suffix(bytes("/SA/B")), ignoresCase: true).matches(uri))
        #expect(SANMatcher(.contains(bytes("/ns/a/"))).matches(uri))
        #expect(!SANMatcher(.contains(bytes("/ns/b/"))).matches(uri))
        #expect(!SANMatcher(.prefix(bytes("spiffe://td/ns/a/sa/bc"))).matches(uri))
        #expect(SANMatcher(kind: .ip, .exact(bytes("10.0.0.1"))).matches(name(.ip, "10.0.0.1")))
        #expect(!SANMatcher(kind: .email, .exact(bytes("10.0.0.1"))).matches(name(.ip, "10.0.0.1")))
    }

    @Test func thePatternIsAskedForTheWholeName() {
        final class Only: SANPattern {
            func matchesAll(of text: UnsafeRawBufferPointer) -> Bool { text.elementsEqual("spiffe://td/x".utf8) }
        }
        #expect(SANMatcher(.pattern(Only())).matches(name(.uri, "spiffe://td/x")))
        #expect(!SANMatcher(.pattern(Only())).matches(name(.uri, "spiffe://td/xy")))
    }
}
