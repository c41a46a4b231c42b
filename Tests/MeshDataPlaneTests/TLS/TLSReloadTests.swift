// SPDX-License-Identifier: Apache-2.0
import Glibc
import MeshIO
import MeshModel
import MeshStats
import MeshTLS
import MeshTestKit
import Testing

@testable import MeshDataPlane

/// What is made anew when files change: by which authority clients must be signed, who is revoked, clusters; and that a
/// certificate and a key that are replaced together are never mixed.
final class TLSReloadTests {
    let authority: TestAuthority
    let other: TestAuthority
    private var upstreams: [SecurePeer] = []

    init() throws {
        authority = try TestAuthority()
        other = try TestAuthority(name: "other")
    }

    private func mutual(_ change: (inout CertificateValidation) -> Void) throws -> DataPlaneRig {
        var tls = DownstreamTLS.fixture(try authority.issue("DNS:a.test"))
        var validation = CertificateValidation()
        change(&validation)
        tls.context.validation = validation
        tls.requiresClientCertificate = true
        let secure = tls
        return DataPlaneRig(listener: { $0.filterChains[0].tls = secure })
    }

    /// Whether a client with this certificate is served. TLS 1.2, where a client learns that in the handshake.
    private func isServed(_ rig: DataPlaneRig, _ credential: TestCertificate) throws -> Bool {
        let client = try SecurePeer(rig, authority, credential: credential) { $0.maximumVersion = .tls12 }
        rig.loop.turn()
        let served = client.isConnected && !client.hasFailed
        client.stream.close()
        rig.loop.turn()
        return served
    }

    @Test func aNewAuthorityTakesTheOldOnesPlace() throws {
        let files = try CertificateFiles()
        try files.write(authority.root.pem, to: "chain.pem")
        let rig = try mutual { $0.trustedCA = .file(files.path("chain.pem")) }
        let mine = try authority.issue("URI:spiffe://x")
        let theirs = try other.issue("URI:spiffe://x")
        #expect(try isServed(rig, mine))
        #expect(try !isServed(rig, theirs))
        // A chain that was verified under the old authority is not remembered under the new one.
        try files.write(other.root.pem, to: "chain.pem")
        #expect(rig.compiler?.reloadTLS().updated.count == 1)
        #expect(try !isServed(rig, mine))
        #expect(try isServed(rig, theirs))
    }

    @Test func aRevocationIsInForceWhenItsListIs() throws {
        let files = try CertificateFiles()
        let client = try authority.issue("URI:spiffe://x")
        try files.write(try authority.revocationList(of: []), to: "chain.pem")
        let rig = try mutual {
            $0.trustedCA = .inline(authority.root.pem)
            $0.revocationList = .file(files.path("chain.pem"))
        }
        let open = try SecurePeer(rig, authority, credential: client)
        #expect(try open.isConnected && isServed(rig, client))
        try files.write(try authority.revocationList(of: [client]), to: "chain.pem")
        #expect(rig.compiler?.reloadTLS().updated.count == 1)
        #expect(try !isServed(rig, client))
        // Half a list is none: the last good one stays in force.
        try files.write(Array("-----BEGIN X509 CRL-----\nMIIB".utf8), to: "chain.pem")
        #expect(rig.compiler?.reloadTLS().refused.count == 1)
        #expect(try !isServed(rig, client))
        // Who was in is not thrown out.
        open.send("still here")
        rig.loop.turn()
        #expect(rig.upstreams.first?.text == "still here")
    }

    @Test func aClusterFollowsItsAuthority() throws {
        let files = try CertificateFiles()
        try files.write(authority.root.pem, to: "chain.pem")
        let server = try authority.issue("DNS:a.test")
        var tls = UpstreamTLS()
        tls.context.validation = CertificateValidation()
        tls.context.validation?.trustedCA = .file(files.path("chain.pem"))
        let secure = tls
        let rig = DataPlaneRig(cluster: { $0.tls = secure })
        rig.loop.register(DataPlaneRig.endpointAddress, .accept { [unowned self] pipe in
            if let peer = try? SecurePeer(accepting: pipe, server) { upstreams.append(peer) }
        })
        let before = try rig.client()
        before.send("one")
        rig.loop.turn()
        #expect(upstreams.last?.text == "one")

        try files.write(other.root.pem, to: "chain.pem")
        #expect(rig.compiler?.reloadTLS().updated == ["cluster 'up'"])
        #expect(rig.stat("cluster.up.client_ssl_socket_factory.ssl_context_update_by_sds") == 1)
        let after = try rig.client()
        after.send("secret")
        rig.loop.turn()
        #expect(after.sawEnd || after.sawReset)
        #expect(upstreams.count == 2 && upstreams.last?.received.isEmpty == true)
        #expect(rig.stat("cluster.up.ssl.fail_verify_error") == 1)
        before.send(" two")
        rig.loop.turn()
        #expect(upstreams.first?.text == "one two")

        try files.write(authority.root.pem, to: "chain.pem")
        #expect(rig.compiler?.reloadTLS().updated.count == 1)
        let again = try rig.client()
        again.send("three")
        rig.loop.turn()
        #expect(upstreams.last?.text == "three")
    }

    @Test func newTicketKeysStillOpenWhatTheOldOnesSealed() throws {
        let files = try CertificateFiles()
        try files.write([UInt8](repeating: 1, count: 80), to: "key.pem")
        try files.write([UInt8](repeating: 2, count: 80), to: "chain.pem")
        var tls = DownstreamTLS.fixture(try authority.issue("DNS:a.test"))
        tls.tickets = .keys([.file(files.path("key.pem")), .file(files.path("chain.pem"))])
        let secure = tls
        let rig = DataPlaneRig(listener: { $0.filterChains[0].tls = secure })
        var options = TLSContextOptions(role: .client)
        options.trustedCA = authority.root.pem
        let context = try TLSContext(options, now: TestAuthority.now)
        let workspace = TLSWorkspace()
        func isResumed() throws -> Bool? {
            let pipe = try #require(rig.loop.connectClient(to: DataPlaneRig.listenAddress))
            let client = SecurePeer(TLSStream(
                connecting: pipe, context: context, workspace: workspace, policy: SANPolicy([MeshTLS.SANMatcher]()),
                parameters: TLSClientParameters(serverName: Array("a.test".utf8))))
            rig.loop.turn()
            let resumed = client.stream.parameters?.isResumed
            client.stream.close()
            rig.loop.turn()
            return resumed
        }
        #expect(try isResumed() == false)
        #expect(try isResumed() == true)
        try files.write([UInt8](repeating: 3, count: 80), to: "key.pem")
        try files.write([UInt8](repeating: 1, count: 80), to: "chain.pem")
        #expect(rig.compiler?.reloadTLS().updated.count == 1)
        #expect(try isResumed() == true)
        try files.write([UInt8](repeating: 4, count: 79), to: "key.pem")
        #expect(rig.compiler?.reloadTLS().refused.first?.contains("session_ticket_keys.keys[0] has 79 bytes") == true)
        #expect(try isResumed() == true)
    }

    // MARK: Files that are replaced together

    /// A directory as Kubernetes mounts a secret: names are links through `..data`, which is turned at once.
    private final class Mount {
        let root: CertificateFiles
        private var version = 0

        init() throws { root = try CertificateFiles() }

        deinit {
            for name in ["tls.crt", "tls.key", "..data"] { unlink(root.path(name)) }
            for number in 0...version {
                for name in ["tls.crt", "tls.key"] { unlink(root.path("\(number)/\(name)")) }
                rmdir(root.path("\(number)"))
            }
        }

        func turn(to certificate: TestCertificate) throws {
            version += 1
            try #require(mkdir(root.path("\(version)"), 0o700) == 0)
            try root.write(certificate.pem, to: "\(version)/tls.crt")
            try root.write(certificate.keyPEM, to: "\(version)/tls.key")
            try #require(symlink("\(version)", root.path("..next")) == 0)
            try #require(rename(root.path("..next"), root.path("..data")) == 0)
            guard version == 1 else { return }
            for name in ["tls.crt", "tls.key"] { try #require(symlink("..data/\(name)", root.path(name)) == 0) }
        }

        var config: TLSCertificateConfig {
            TLSCertificateConfig(
                chain: .file(root.path("tls.crt")), privateKey: .file(root.path("tls.key")), watchedDirectory: root.directory)
        }
    }

    @Test func aTurnedLinkIsSeen() throws {
        let mount = try Mount()
        try mount.turn(to: authority.issue("DNS:a.test"))
        var tls = DownstreamTLS()
        tls.context.certificates = [mount.config]
        let secure = tls
        let rig = DataPlaneRig(listener: { $0.filterChains[0].tls = secure })
        let before = try SecurePeer(rig, authority)
        #expect(rig.compiler?.reloadTLS() == TLSReloadOutcome())
        try mount.turn(to: authority.issue("DNS:a.test"))
        let outcome = rig.compiler?.reloadTLS()
        #expect(outcome?.updated.count == 1 && outcome?.refused.isEmpty == true)
        let after = try SecurePeer(rig, authority)
        #expect(after.isConnected)
        #expect(before.stream.peerIdentity?.serialNumber != after.stream.peerIdentity?.serialNumber)
        #expect(rig.compiler?.reloadTLS() == TLSReloadOutcome())
    }

    /// The link turns after the chain was read and before the key is.
    @Test func aPairThatIsReplacedBetweenTwoReadsIsNotMixed() throws {
        let mount = try Mount()
        try mount.turn(to: authority.issue("DNS:old.test"))
        let renewed = try authority.issue("DNS:new.test")
        var reads = 0
        let factory = TLSContextFactory(catalog: StatCatalog()) { path in
            reads += 1
            if reads == 2 { try? mount.turn(to: renewed) }
            return FileBytes.read(path)
        }
        var tls = DownstreamTLS()
        tls.context.certificates = [mount.config]
        let made = try factory.make(tls, owner: .listener("x"))
        #expect(reads == 4)
        #expect(made.context.certificateDetails.first?.subjectAlternativeNames.first?.text == Array("new.test".utf8))
        #expect(made.files.allSatisfy { FileStamp($0.key) == $0.value })
    }

    /// What changes under every reading is taken as it is, and looked at again.
    @Test func filesThatNeverRestAreNotWaitedFor() throws {
        let mount = try Mount()
        try mount.turn(to: authority.issue("DNS:a.test"))
        var reads = 0
        let factory = TLSContextFactory(catalog: StatCatalog()) { path in
            reads += 1
            if reads % 2 == 0 { try? mount.turn(to: self.authority.issue("DNS:\(reads).test")) }
            return FileBytes.read(path)
        }
        var tls = DownstreamTLS()
        tls.context.certificates = [mount.config]
        let error = #expect(throws: TLSConfigError.self) { try factory.make(tls, owner: .listener("x")) }
        #expect(error?.reason.contains("does not belong") == true && reads == 10)
    }

    /// Between reading a file and watching it, it may change.
    @Test func aFileCountsAsSeenBeforeItWasRead() throws {
        let files = try CertificateFiles()
        try files.write(Array("one".utf8), to: "key.pem")
        let path = files.path("key.pem")
        let before = FileStamp(path)
        try files.write(Array("two".utf8), to: "key.pem")
        var watch = TLSFileWatch()
        watch.watch([path: before])
        #expect(watch.changed() == [path])
        #expect(watch.changed().isEmpty)
    }
}
