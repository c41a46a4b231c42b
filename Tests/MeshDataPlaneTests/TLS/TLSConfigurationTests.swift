// SPDX-License-Identifier: Apache-2.0
import MeshModel
import MeshTLS
import MeshTestKit
import Testing

@testable import MeshDataPlane

/// What the compiler makes of TLS, refuses, and makes anew when files change.
struct TLSConfigurationTests {
    let authority: TestAuthority
    let certificate: TestCertificate

    init() throws {
        authority = try TestAuthority()
        certificate = try authority.issue("DNS:a.test")
    }

    private func reject(listener tls: DownstreamTLS) throws -> String {
        let rig = DataPlaneRig(unconfiguredWithGlobalLimit: nil)
        var listener = DataPlaneRig.listener()
        listener.filterChains[0].name = "mutual"
        listener.filterChains[0].tls = tls
        var changes = ChangeSet()
        changes.listeners = [listener]
        let rejections = try #require(rig.compiler?.apply(changes))
        #expect(rejections.count == 1 && rejections.first?.name == "l")
        // Refused whole: nothing of it is there.
        #expect(rig.compiler?.listeners.isEmpty == true)
        return rejections.first?.reason ?? ""
    }

    @Test func aMissingFileIsNamedWithItsChain() throws {
        var tls = DownstreamTLS.fixture(certificate)
        tls.context.certificates[0].privateKey = .file("/nowhere/key.pem")
        let reason = try reject(listener: tls)
        #expect(reason.contains("filter chain 'mutual'") && reason.contains("tls_certificates[0].private_key"))
        #expect(reason.contains("/nowhere/key.pem") && reason.contains("No such file"))
    }

    @Test func aKeyOfAnotherCertificateIsRefused() throws {
        var tls = DownstreamTLS.fixture(certificate)
        tls.context.certificates[0].privateKey = .inline(try authority.issue("DNS:b.test").keyPEM)
        #expect(try reject(listener: tls).contains("does not belong"))
    }

    @Test func aServerNeedsACertificate() throws {
        #expect(try reject(listener: DownstreamTLS()).contains("at least one certificate"))
    }

    @Test func aRegexThatDoesNotCompileIsRefused() throws {
        var tls = DownstreamTLS.fixture(certificate)
        tls.context.validation = CertificateValidation()
        tls.context.validation?.trustedCA = .inline(authority.root.pem)
        tls.context.validation?.names = [.init(.uri, StringMatcher(.regex("(")))]
        #expect(try reject(listener: tls).contains("match_typed_subject_alt_names"))
    }

    @Test func versionsThatCannotBeSpokenAreRefused() throws {
        var tls = DownstreamTLS.fixture(certificate)
        tls.context.parameters.maximumVersion = .tls11
        #expect(try reject(listener: tls).contains("tls_maximum_protocol_version"))
    }

    @Test func equalContextsAreOne() throws {
        let rig = DataPlaneRig(unconfiguredWithGlobalLimit: nil)
        var listener = DataPlaneRig.listener()
        listener.filterChains = (0..<3).map { index in
            var chain = DataPlaneRig.chain("c\(index)", to: "up")
            chain.match.serverNames = ["\(index).test"]
            chain.tls = DownstreamTLS.fixture(certificate)
            return chain
        }
        rig.apply(listeners: [listener])
        #expect(rig.compiler?.certificates.count == 1)
        #expect(rig.compiler?.certificates.first?.own.first?.subjectAlternativeNames.first?.text == Array("a.test".utf8))
    }

    // MARK: Changed files

    @Test func aRenewedCertificateIsUsedByNewConnections() throws {
        let files = try CertificateFiles()
        try files.write(certificate)
        let rig = try secureRig(files)
        let before = try SecurePeer(rig, authority)
        #expect(rig.compiler?.reloadTLS() == TLSReloadOutcome())

        let renewed = try authority.issue("DNS:a.test")
        try files.write(renewed)
        let outcome = try #require(rig.compiler?.reloadTLS())
        #expect(outcome.updated.count == 1 && outcome.refused.isEmpty)
        let after = try SecurePeer(rig, authority)
        #expect(before.stream.peerIdentity?.serialNumber != after.stream.peerIdentity?.serialNumber)
        #expect(rig.stat("listener.127.0.0.1_8080.server_ssl_socket_factory.ssl_context_update_by_sds") == 1)

        // The connection from before goes on.
        before.send("still here")
        rig.loop.turn()
        #expect(rig.upstreams.first?.text == "still here")
        #expect(rig.compiler?.reloadTLS() == TLSReloadOutcome())
    }

    @Test func filesThatMakeNoContextLeaveTheLastGoodOne() throws {
        let files = try CertificateFiles()
        try files.write(certificate)
        let rig = try secureRig(files)
        try files.write(Array("not a certificate".utf8), to: "chain.pem")
        let outcome = try #require(rig.compiler?.reloadTLS())
        #expect(outcome.updated.isEmpty && outcome.refused.count == 1)
        #expect(outcome.refused.first?.contains("chain.pem") == true)
        #expect(try SecurePeer(rig, authority).isConnected)

        // Half of a renewal is refused as well, and taken when the other half has come.
        let renewed = try authority.issue("DNS:a.test")
        try files.write(renewed.pem, to: "chain.pem")
        #expect(rig.compiler?.reloadTLS().refused.count == 1)
        try files.write(renewed.keyPEM, to: "key.pem")
        #expect(rig.compiler?.reloadTLS().updated.count == 1)
        #expect(try SecurePeer(rig, authority).isConnected)
    }

    @Test func aRemovedListenersFilesAreNotWatched() throws {
        let files = try CertificateFiles()
        try files.write(certificate)
        let rig = try secureRig(files)
        #expect(rig.compiler?.watchesFiles == true)
        rig.apply(removedListeners: ["l"])
        #expect(rig.compiler?.watchesFiles == false)
    }

    private func secureRig(_ files: CertificateFiles) throws -> DataPlaneRig {
        var tls = DownstreamTLS()
        tls.context.certificates = [files.config]
        let secure = tls
        return DataPlaneRig(listener: { $0.filterChains[0].tls = secure })
    }
}
