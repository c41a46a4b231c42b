// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshIO
import MeshModel
import MeshTLS
import MeshTestKit
import Testing

@testable import MeshDataPlane

/// Clusters with TLS.
final class UpstreamTLSTests {
    let authority: TestAuthority
    private var upstreams: [SecurePeer] = []

    init() throws { authority = try TestAuthority() }

    private func tls(_ change: (inout UpstreamTLS) -> Void = { _ in }) -> UpstreamTLS {
        var tls = UpstreamTLS()
        tls.serverName = "a.test"
        tls.context.validation = CertificateValidation()
        tls.context.validation?.trustedCA = .inline(authority.root.pem)
        change(&tls)
        return tls
    }

    private func rig(_ tls: UpstreamTLS, upstream: TestCertificate) -> DataPlaneRig {
        let rig = DataPlaneRig(cluster: { $0.tls = tls })
        rig.loop.register(DataPlaneRig.endpointAddress, .accept { [unowned self] pipe in
            if let peer = try? SecurePeer(accepting: pipe, upstream) { upstreams.append(peer) }
        })
        return rig
    }

    @Test func bytesReachTheUpstreamEncrypted() throws {
        let rig = rig(tls(), upstream: try authority.issue("DNS:a.test"))
        let client = try rig.client()
        client.send("hello")
        rig.loop.turn()
        let upstream = try #require(upstreams.last)
        #expect(upstream.isConnected && upstream.text == "hello")
        // Envoy's clients stop at 1.2 unless told otherwise.
        #expect(upstream.stream.parameters?.version == .tls12)
        #expect(upstream.stream.parameters?.serverName == Array("a.test".utf8))
        upstream.send("welcome")
        rig.loop.turn()
        #expect(client.text == "welcome")
        #expect(rig.stat("cluster.up.ssl.handshake") == 1)
    }

    @Test func aLargeAnswerIsWholeBeforeTheClientSeesTheEnd() throws {
        let rig = rig(tls(), upstream: try authority.issue("DNS:a.test"))
        let client = try rig.client()
        let upstream = try #require(upstreams.last)
        upstream.send(String(repeating: "x", count: 300_000))
        upstream.stream.closeWrite()
        client.sendEnd()
        rig.loop.turn()
        #expect(client.received.count == 300_000 && client.sawEnd)
    }

    @Test(arguments: [false, true]) func aServerThatIsNotTrustedGetsNothing(byName: Bool) throws {
        let other = try TestAuthority(name: "other")
        let config = tls {
            if byName { $0.context.validation?.names = [.init(.dns, StringMatcher(.exact("b.test")))] }
        }
        let rig = rig(config, upstream: try (byName ? authority : other).issue("DNS:a.test"))
        let client = try rig.client()
        client.send("secret")
        rig.loop.turn()
        #expect(upstreams.allSatisfy { $0.received.isEmpty })
        #expect(client.sawEnd || client.sawReset)
        #expect(rig.stat("cluster.up.ssl.\(byName ? "fail_verify_san" : "fail_verify_error")") == 1)
        #expect(rig.stat("cluster.up.ssl.handshake") == 0)
        #expect(rig.stat("cluster.up.upstream_cx_connect_fail") == 1)
        #expect(try #require(rig.lines.last).hasPrefix("UF"))
    }

    @Test func theNamesOfARequestSetPoolsApart() throws {
        let config = tls()
        let rig = DataPlaneRig(cluster: {
            $0.tls = config
            $0.http.autoSNI = true
            $0.http.autoSANValidation = true
        })
        let id = try #require(rig.compiler?.clusterID("up"))
        let cluster = try #require(rig.worker.clusters.cluster(id))
        let endpoint = try #require(cluster.pickEndpoint()).takeUnretainedValue()
        func key(_ authority: StaticString) -> PoolKey {
            endpoint.pool(PoolKey(), forAuthority: UnsafeRawBufferPointer(authority))?.takeUnretainedValue().key ?? PoolKey()
        }
        #expect(key("a.test:443").serverName == "a.test" && key("a.test:443").subjectName == "a.test")
        #expect(key("a.test:443") == key("a.test"))
        #expect(key("b.test") != key("a.test"))
        // An address is no server name.
        #expect(key("10.0.0.1:80").serverName.isEmpty && key("10.0.0.1:80").subjectName == "10.0.0.1")
        #expect(key("[::1]:80").serverName.isEmpty)
    }

    @Test func theLastNamesPoolIsFoundAgainAndNotMistaken() throws {
        let config = tls()
        let rig = DataPlaneRig(cluster: {
            $0.tls = config
            $0.http.autoSNI = true
        })
        let id = try #require(rig.compiler?.clusterID("up"))
        let cluster = try #require(rig.worker.clusters.cluster(id))
        let endpoint = try #require(cluster.pickEndpoint()).takeUnretainedValue()
        func pool(_ authority: StaticString, high: Bool = false) -> ConnectionPool? {
            var key = PoolKey()
            key.isHighPriority = high
            return endpoint.pool(key, forAuthority: UnsafeRawBufferPointer(authority))?.takeUnretainedValue()
        }
        let first = try #require(pool("a.test"))
        #expect(pool("a.test:80") === first && pool("a.test") === first)
        let other = try #require(pool("a.tesu"))
        #expect(other !== first && other.key.serverName == "a.tesu")
        #expect(pool("a.test") === first)
        #expect(pool("a.test", high: true)?.key.isHighPriority == true)
        #expect(pool("a.test")?.key.isHighPriority == false)
    }

    @Test func hostsOfManyRequestsDoNotPileUp() throws {
        let config = tls()
        let rig = DataPlaneRig(cluster: {
            $0.tls = config
            $0.http.autoSNI = true
        })
        let id = try #require(rig.compiler?.clusterID("up"))
        let cluster = try #require(rig.worker.clusters.cluster(id))
        let endpoint = try #require(cluster.pickEndpoint()).takeUnretainedValue()
        for number in 0..<10_000 {
            Array("host\(number).test".utf8).withUnsafeBytes { _ = endpoint.pool(PoolKey(), forAuthority: $0) }
        }
        #expect(endpoint.poolCount <= 66)
    }
}
