// SPDX-License-Identifier: Apache-2.0
import MeshIO
import MeshTLS
import MeshTestKit
import Testing

struct TLSContextTests {
    let authority: TestAuthority

    init() throws { authority = try TestAuthority() }

    private func serverOptions(_ sources: [TLSCertificateSource]) -> TLSContextOptions {
        var options = TLSContextOptions(role: .server)
        options.certificates = sources
        return options
    }

    private func failure(_ options: TLSContextOptions) -> TLSContextError? {
        do throws(TLSContextError) {
            _ = try TLSContext(options, now: TestAuthority.now)
            return nil
        } catch {
            return error
        }
    }

    @Test func keysMayBeInAnyForm() throws {
        for key in [TestKey.ec(), TestKey.rsa()] {
            let leaf = try authority.issue("DNS:a.test", key: key)
            for pem in [leaf.keyPEM, leaf.traditionalKeyPEM] {
                #expect(failure(serverOptions([TLSCertificateSource(chain: leaf.pem, key: pem)])) == nil)
            }
        }
    }

    @Test func mistakesAreNamed() throws {
        let one = try authority.issue("DNS:a.test")
        let other = try authority.issue("DNS:b.test")
        func source(_ chain: [UInt8], _ key: [UInt8]) -> TLSContextOptions {
            serverOptions([TLSCertificateSource(chain: chain, key: key, path: "p")])
        }
        #expect(failure(serverOptions([])) == .noCertificate)
        #expect(failure(source(bytes("nothing"), one.keyPEM)) == .badCertificate("p"))
        #expect(failure(source(Array(one.pem.dropLast(200)), one.keyPEM)) == .badCertificate("p"))
        #expect(failure(source(one.pem, [])) == .badKey("p"))
        #expect(failure(source(one.pem, other.keyPEM)) == .keyMismatch("p"))
        var options = source(one.pem, one.keyPEM)
        options.trustedCA = []
        #expect(failure(options) == .badTrustedCA("<inline>"))
        options.trustedCA = authority.root.pem
        options.revocationLists = bytes("none")
        #expect(failure(options) == .badRevocationList)
        options.revocationLists = nil
        options.minimumVersion = .tls13
        options.maximumVersion = .tls12
        #expect(failure(options) == .emptyVersionRange)
    }

    @Test func unknownNamesAreWarnings() throws {
        var options = serverOptions([try authority.issue("DNS:a.test").source()])
        options.cipherSuites = ["[ECDHE-ECDSA-AES128-GCM-SHA256|NO-SUCH]", "@SECLEVEL=0", "TLS_RSA_WITH_AES_128_GCM_SHA256"]
        options.curves = ["X25519", "X25519MLKEM768"]
        let context = try TLSContext(options, now: TestAuthority.now)
        #expect(context.warnings == [
            "unknown cipher suite NO-SUCH is ignored", "unknown cipher suite @SECLEVEL=0 is ignored",
            "unknown curve X25519MLKEM768 is ignored",
        ])
    }

    @Test func anExpiredCertificateIsAllowedAndSaid() throws {
        let options = serverOptions([try authority.issue("DNS:a.test", from: -100, to: -50).source(path: "old.pem")])
        let context = try TLSContext(options, now: TestAuthority.now)
        #expect(context.warnings.count == 1 && context.warnings[0].contains("old.pem"))
        #expect(context.certificateDetails[0].daysUntilExpiration(now: TestAuthority.now) == 0)
    }

    @Test func detailsForAdmin() throws {
        var options = serverOptions([try authority.issue("URI:spiffe://x,DNS:a.test,IP:10.0.0.1", to: 86_400 * 3).source()])
        options.trustedCA = authority.root.pem
        options.trustedCAPath = "ca.pem"
        let context = try TLSContext(options, now: TestAuthority.now)
        let details = try #require(context.certificateDetails.first)
        #expect(details.path == "test.pem" && details.daysUntilExpiration(now: TestAuthority.now) == 3)
        #expect(details.subjectAlternativeNames.map(\.text) == [bytes("spiffe://x"), bytes("a.test"), bytes("10.0.0.1")])
        #expect(details.validFrom == TestAuthority.now - 3600)
        #expect(context.trustedDetails.map(\.path) == ["ca.pem"])
    }

    @Test func theNameChoosesTheCertificate() throws {
        let certificates = try [
            authority.issue("DNS:default.test"), authority.issue("DNS:a.test"), authority.issue("DNS:*.w.test"),
            authority.issue(nil, commonName: "cn.test"), authority.issue("DNS:x.w.test"),
        ]
        let rig = try Rig.mutual(authority) { server, _ in server.certificates = certificates.map { $0.source() } }
        let expected: [(String, Int)] = [
            ("a.test", 1), ("A.TEST", 1), ("b.w.test", 2), ("x.w.test", 4), ("b.c.w.test", 0), ("w.test", 0), ("cn.test", 3),
            ("", 0), ("nowhere", 0),
        ]
        for (name, index) in expected {
            rig.parameters = TLSClientParameters(serverName: bytes(name))
            let link = rig.connect()
            #expect(link.isEstablished)
            #expect(link.client.peerIdentity?.pem == certificates[index].pem, "\(name)")
            #expect(link.server.localIdentity?.pem == certificates[index].pem, "\(name)")
            link.close()
        }
    }

    @Test func theKeyTypeFollowsTheClient() throws {
        let rsa = try authority.issue("DNS:a.test", key: TestKey.rsa())
        let ec = try authority.issue("DNS:a.test")
        for suite in ["ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256", "AES128-GCM-SHA256"] {
            let rig = try Rig.mutual(authority) { server, client in
                server.certificates = [ec.source(), rsa.source()]
                server.maximumVersion = .tls12
                server.cipherSuites = ["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256", "AES128-GCM-SHA256"]
                client.cipherSuites = [suite]
            }
            let link = rig.connect()
            #expect(link.isEstablished && link.server.parameters?.cipher == suite)
            #expect(link.client.peerIdentity?.pem == (suite.contains("ECDSA") ? ec : rsa).pem)
            link.close()
        }
    }

    @Test(arguments: [
        (["h2", "http/1.1"], ["http/1.1", "h2"], "h2"), (["istio-peer-exchange", "h2"], ["istio-peer-exchange", "istio"], "istio-peer-exchange"),
        (["h2", "http/1.1"], ["istio-http/1.1", "istio", "http/1.1"], "http/1.1"), (["h2"], ["spdy"], ""), ([], ["h2"], ""), (["h2"], [], ""),
    ])
    func theServersOrderDecidesTheProtocol(server: [String], client: [String], chosen: String) throws {
        let rig = try Rig.mutual(authority) {
            $0.protocols = server.map(bytes)
            $1.protocols = client.map(bytes)
        }
        let link = rig.connect()
        #expect(link.isEstablished)
        #expect(link.server.parameters?.applicationProtocol == bytes(chosen))
        #expect(link.client.parameters?.applicationProtocol == bytes(chosen))
        link.close()
    }

    @Test func forwardedCertificateElement() throws {
        let client = try authority.issue("URI:spiffe://td/ns/a/sa/b,DNS:c.test", commonName: "a \"b\"")
        let rig = try Rig.mutual(authority, client: client)
        let link = rig.connect()
        let peer = try #require(link.server.peerIdentity)
        var element = ForwardedClientCertificate()
        element.includesSubject = true
        element.includesURI = true
        element.includesDNS = true
        var output: [UInt8] = []
        element.append(peer: peer, local: link.server.localIdentity, to: &output)
        let hash = String(decoding: peer.fingerprintText, as: UTF8.self)
        // RFC 2253 escapes the quotes; Envoy passes its text on as it is.
        #expect(String(decoding: output, as: UTF8.self)
            == "By=spiffe://cluster.local/ns/b/sa/server;Hash=\(hash);Subject=\"CN=a \\\"b\\\"\";URI=spiffe://td/ns/a/sa/b;DNS=c.test")
        element = ForwardedClientCertificate()
        element.includesCertificate = true
        output = []
        element.append(peer: peer, local: nil, to: &output)
        #expect(String(decoding: output, as: UTF8.self).hasPrefix("Hash=\(hash);Cert=\"-----BEGIN%20CERTIFICATE-----%0A"))
        link.close()
    }
}
