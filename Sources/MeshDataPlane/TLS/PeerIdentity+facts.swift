// SPDX-License-Identifier: Apache-2.0
import MeshModel
package import MeshTLS

extension PeerIdentity: CertificateFacts {
    package var addressNames: [[UInt8]] { names.filter { $0.kind == .ip }.map(\.text) }
    package var emailNames: [[UInt8]] { names.filter { $0.kind == .email }.map(\.text) }
    package var fingerprint1Text: [UInt8] { chainNames[0].fingerprint1 }
    package var chainFingerprints1: [[UInt8]] { chainNames.map(\.fingerprint1) }
    package var chainFingerprints256: [[UInt8]] { chainNames.map(\.fingerprint256) }
    package var chainSerialNumbers: [[UInt8]] { chainNames.map(\.serialNumber) }
    package var issuerFingerprintText: [UInt8] { issuerName?.fingerprint256 ?? [] }
    package var issuerSerialNumber: [UInt8] { issuerName?.serialNumber ?? [] }
}

extension ConnectionTLS {
    /// What `stream`, whose handshake is complete, agreed on.
    ///
    /// - Parameter element: how the chain writes the peer into x-forwarded-client-cert; nil where it does not.
    convenience init(_ stream: TLSStream, element: ForwardedClientCertificate? = nil) {
        let agreed = stream.parameters
        let local = stream.localIdentity
        var forwarded: [UInt8] = []
        if let element, let peer = stream.peerIdentity { element.append(peer: peer, local: local, to: &forwarded) }
        self.init(
            version: agreed?.version.name ?? "", cipher: agreed?.cipher ?? "", group: agreed?.curve ?? "",
            applicationProtocol: String(decoding: agreed?.applicationProtocol ?? [], as: UTF8.self),
            serverName: agreed?.serverName ?? [], peer: stream.peerIdentity, isPeerValidated: stream.isPeerValidated,
            local: local, forwardedElement: forwarded)
    }
}
