// SPDX-License-Identifier: Apache-2.0

/// What a certificate says about its holder, as logs, headers and policies read it.
///
/// A protocol because the TLS library has the values already, once for each certificate and not for each connection.
package protocol CertificateFacts: AnyObject, Sendable {
    /// RFC 2253 text; empty for the certificates of a mesh.
    var subject: [UInt8] { get }
    var issuer: [UInt8] { get }
    /// Lower-case hexadecimal digits.
    var serialNumber: [UInt8] { get }
    /// SHA-256 of the certificate, in lower-case hexadecimal digits.
    var fingerprintText: [UInt8] { get }
    /// SHA-1 of the certificate, as above.
    var fingerprint1Text: [UInt8] { get }
    /// The certificate and what was sent with it; of a resumed session the certificate alone may be known.
    var chainFingerprints1: [[UInt8]] { get }
    var chainFingerprints256: [[UInt8]] { get }
    var chainSerialNumbers: [[UInt8]] { get }
    /// Of the certificate that vouches for this one, where the chain was verified; else empty.
    var issuerFingerprintText: [UInt8] { get }
    var issuerSerialNumber: [UInt8] { get }
    var uriNames: [[UInt8]] { get }
    var dnsNames: [[UInt8]] { get }
    var addressNames: [[UInt8]] { get }
    var emailNames: [[UInt8]] { get }
    /// Validity. - Unit: seconds since 1970.
    var notBefore: Int64 { get }
    var notAfter: Int64 { get }
    /// The certificate as PEM, percent-encoded.
    var encodedCertificate: [UInt8] { get }
}

/// What a TLS handshake ended with; made once for a connection.
package final class ConnectionTLS: Sendable {
    /// `TLSv1.2`, `TLSv1.3`.
    package let version: StaticString
    /// OpenSSL's name; suites of TLS 1.3 by their standard one.
    package let cipher: String
    /// The group of the key exchange, by its standard name (`X25519`); empty for a key exchange without one.
    package let group: String
    /// The protocol of ALPN; empty when none was agreed on.
    package let applicationProtocol: String
    /// The name the client asked for, of a session with an upstream the one we did; empty when it named none.
    package let serverName: [UInt8]
    /// Nil when the peer showed no certificate.
    package let peer: (any CertificateFacts)?
    /// Whether the peer's certificate was verified against a CA.
    package let isPeerValidated: Bool
    /// Our own certificate.
    package let local: (any CertificateFacts)?
    /// The peer as an element of x-forwarded-client-cert; empty where the chain adds none.
    package let forwardedElement: [UInt8]

    package init(
        version: StaticString, cipher: String, group: String, applicationProtocol: String, serverName: [UInt8],
        peer: (any CertificateFacts)?, isPeerValidated: Bool, local: (any CertificateFacts)?,
        forwardedElement: [UInt8] = []
    ) {
        self.version = version
        self.cipher = cipher
        self.group = group
        self.applicationProtocol = applicationProtocol
        self.serverName = serverName
        self.peer = peer
        self.isPeerValidated = isPeerValidated
        self.local = local
        self.forwardedElement = forwardedElement
    }
}
