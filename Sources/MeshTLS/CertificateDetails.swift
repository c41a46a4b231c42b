// SPDX-License-Identifier: Apache-2.0
import COpenSSL

/// One certificate as admin's `/certs` shows it.
///
/// - Source: `envoy.admin.v3.CertificateDetails`.
package struct CertificateDetails: Sendable, Equatable {
    package let path: String
    package let serialNumber: String
    package let subjectAlternativeNames: [SubjectName]
    /// Unit: seconds since 1970.
    package let validFrom: Int64
    package let expirationTime: Int64

    init?(_ certificate: OpaquePointer, path: String) {
        guard let identity = PeerIdentity(leaf: certificate, others: nil) else { return nil }
        self.path = path
        serialNumber = String(decoding: identity.serialNumber, as: UTF8.self)
        subjectAlternativeNames = identity.names
        validFrom = identity.notBefore
        expirationTime = identity.notAfter
    }

    /// Whole days left at `now` (seconds since 1970), 0 for an expired certificate.
    package func daysUntilExpiration(now: Int64) -> Int64 {
        expirationTime > now ? (expirationTime - now) / 86_400 : 0
    }
}
