// SPDX-License-Identifier: Apache-2.0
import MeshIO
import MeshModel
import MeshTLS
import MeshTestKit
import Testing

@testable import MeshDataPlane

/// Chains with TLS, from the first byte to the terminal.
struct TLSHandshakeTests {
    let authority: TestAuthority
    let server: TestCertificate

    init() throws {
        authority = try TestAuthority()
        server = try authority.issue("URI:spiffe://mesh/server,DNS:a.test")
    }

    private static let listenerLog = "%DOWNSTREAM_TRANSPORT_FAILURE_REASON% %DOWNSTREAM_TLS_VERSION% %DOWNSTREAM_PEER_URI_SAN%\n"

    private func rig(
        tls change: (inout DownstreamTLS) -> Void = { _ in }, chain changeChain: (inout FilterChain) -> Void = { _ in }
    ) throws -> DataPlaneRig {
        var tls = DownstreamTLS.fixture(server)
        change(&tls)
        let log = AccessLogConfig(.standardOutput, format: try FormatTemplate.compile(Self.listenerLog))
        return DataPlaneRig(listener: { listener in
            listener.filterChains[0].tls = tls
            listener.accessLogs = [log]
            changeChain(&listener.filterChains[0])
        })
    }

    private let scope = "listener.127.0.0.1_8080."

    @Test func bytesReachTheTerminalDecrypted() throws {
        let rig = try rig()
        let client = try SecurePeer(rig, authority)
        #expect(client.isConnected)
        client.send("hello")
        rig.loop.turn()
        let upstream = try #require(rig.upstreams.last)
        #expect(upstream.text == "hello")
        upstream.send("welcome")
        rig.loop.turn()
        #expect(client.text == "welcome")
        #expect(rig.stat(scope + "ssl.handshake") == 1)
        #expect(rig.stat(scope + "ssl.no_certificate") == 1)
        #expect(rig.stat(scope + "ssl.versions.TLSv1.3") == 1)
        upstream.sendEnd()
        client.stream.closeWrite()
        rig.loop.turn()
        #expect(client.sawEnd)
        rig.expectNothingLeft()
    }

    @Test func theListenerLogsThePeer() throws {
        let rig = try rig(tls: {
            $0.context.validation = CertificateValidation()
            $0.context.validation?.trustedCA = .inline(authority.root.pem)
            $0.requiresClientCertificate = true
        })
        let client = try SecurePeer(rig, authority, credential: try authority.issue("URI:spiffe://mesh/client"))
        #expect(client.isConnected)
        client.stream.close()
        rig.loop.turn()
        rig.upstreams.last?.stream.close()
        rig.loop.turn()
        #expect(rig.lines.last == "- TLSv1.3 spiffe://mesh/client" || rig.lines.contains("- TLSv1.3 spiffe://mesh/client"))
        rig.expectNothingLeft()
    }

    @Test func aHandshakeThatTakesTooLongEnds() throws {
        let rig = try rig(chain: { $0.transportConnectTimeout = .seconds(2) })
        let client = try rig.client()
        rig.loop.advance(byMilliseconds: 1_900)
        #expect(!client.sawEnd && !client.sawReset)
        rig.loop.advance(byMilliseconds: 200)
        #expect(client.sawEnd || client.sawReset)
        #expect(rig.stat(scope + "downstream_cx_transport_socket_connect_timeout") == 1)
        #expect(rig.lines == ["transport_socket_timeout - -"])
        rig.expectNothingLeft()
    }

    @Test func withoutATimeoutAHandshakeMayTakeItsTime() throws {
        let rig = try rig()
        let client = try rig.client()
        rig.loop.advance(byMilliseconds: 600_000)
        #expect(!client.sawEnd && !client.sawReset)
        client.sendReset()
        rig.loop.turn()
        // The peer left: nothing is to be said of the session.
        #expect(rig.lines == ["- - -"])
        rig.expectNothingLeft()
    }

    @Test func aClientWithoutTheDemandedCertificateIsCountedAndLogged() throws {
        let rig = try rig(tls: {
            $0.context.validation = CertificateValidation()
            $0.context.validation?.trustedCA = .inline(authority.root.pem)
            $0.requiresClientCertificate = true
        })
        let client = try SecurePeer(rig, authority) { $0.maximumVersion = .tls12 }
        rig.loop.turn()
        #expect(!client.isConnected && client.hasFailed)
        #expect(rig.stat(scope + "ssl.fail_verify_no_cert") == 1)
        #expect(rig.stat(scope + "ssl.handshake") == 0)
        #expect(rig.stat(scope + "ssl.connection_error") == 0)
        #expect(rig.lines == [
            "TLS_error:|268435648:SSL_routines:OPENSSL_internal:PEER_DID_NOT_RETURN_A_CERTIFICATE:TLS_error_end - -",
        ])
        #expect(rig.upstreams.isEmpty)
        rig.expectNothingLeft()
    }

    @Test func plaintextOnATLSChainReachesNobody() throws {
        let rig = try rig()
        let client = try rig.client()
        client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        rig.loop.turn()
        #expect(client.sawEnd || client.sawReset)
        #expect(rig.stat(scope + "ssl.connection_error") == 1)
        #expect(rig.upstreams.isEmpty)
        rig.expectNothingLeft()
    }

    @Test func bytesThatAListenerFilterSawAreTheHandshakesBeginning() throws {
        var tls = DownstreamTLS.fixture(server)
        tls.context.applicationProtocols = ["h2"]
        let secure = tls
        let rig = DataPlaneRig(listener: { listener in
            listener.listenerFilters = [ListenerFilterConfig(name: "tls", kind: .tlsInspector(TLSInspectorOptions()))]
            listener.filterChains[0].tls = secure
            listener.filterChains[0].match.serverNames = ["a.test"]
        })
        let client = try SecurePeer(rig, authority)
        rig.loop.turn()
        #expect(client.isConnected)
        client.send("x")
        rig.loop.turn()
        #expect(rig.upstreams.last?.text == "x")
    }
}
