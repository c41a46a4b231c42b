// SPDX-License-Identifier: Apache-2.0
import COpenSSL

/// What a log calls a certificate by.
package struct CertificateName: Sendable, Equatable {
    /// SHA-1 and SHA-256 of the certificate, in lower-case hexadecimal digits; empty when it cannot be hashed.
    package let fingerprint1: [UInt8]
    package let fingerprint256: [UInt8]
    /// Lower-case hexadecimal digits.
    package let serialNumber: [UInt8]

    init(_ certificate: OpaquePointer) {
        let sha256 = TLSLibrary.shared.sha256
        self.init(
            certificate, fingerprint: Digest(writing: { apus_tls_digest(certificate, sha256, $0) })?.hexadecimal ?? [],
            serialNumber: PeerIdentity.serial(of: certificate))
    }

    init(_ certificate: OpaquePointer, fingerprint: [UInt8], serialNumber: [UInt8]) {
        var bytes = [UInt8](repeating: 0, count: 20)
        fingerprint1 = apus_tls_sha1(certificate, &bytes) == 1 ? Digest.hexadecimal(bytes) : []
        fingerprint256 = fingerprint
        self.serialNumber = serialNumber
    }
}
