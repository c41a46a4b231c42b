// SPDX-License-Identifier: Apache-2.0
import COpenSSL
import Glibc

/// One subject alternative name.
package struct SubjectName: Hashable, Sendable {
    package let kind: SANKind
    /// The bytes of the name; an address in text form.
    package let text: [UInt8]

    package init(kind: SANKind, text: [UInt8]) {
        self.kind = kind
        self.text = text
    }
}

/// What a certificate says about who holds it: the peer's, or our own. Values only, so it outlives the connection.
///
/// Made once for a certificate and shared by the connections that present it (`TLSWorkspace`).
package final class PeerIdentity: Sendable {
    /// SHA-256 of the certificate.
    package let fingerprint: Digest
    /// The same in hexadecimal digits, as XFCC's `Hash`.
    package let fingerprintText: [UInt8]
    /// RFC 2253 text; empty for the certificates of a mesh.
    package let subject: [UInt8]
    package let issuer: [UInt8]
    /// Lower-case hexadecimal digits.
    package let serialNumber: [UInt8]
    /// DNS, URI, e-mail and address names in certificate order. A name with an embedded NUL is not among them.
    package let names: [SubjectName]
    package let uriNames: [[UInt8]]
    package let dnsNames: [[UInt8]]
    /// Validity. - Unit: seconds since 1970.
    package let notBefore: Int64
    package let notAfter: Int64
    /// Whether the name extension is malformed or a name has an embedded NUL: no such certificate is trusted.
    package let hasMalformedNames: Bool
    /// The certificate, then what was sent with it. DER.
    package let chain: [[UInt8]]
    /// PEM, percent-encoded for XFCC's `Cert`.
    package let encodedCertificate: [UInt8]
    /// What logs call the certificates of `chain`, in its order.
    package let chainNames: [CertificateName]
    /// The certificate that vouches for this one in the chain that was verified; nil when none was.
    package let issuerName: CertificateName?

    /// - Parameter others: the rest of the chain, without the leaf.
    init?(leaf: OpaquePointer, others: OpaquePointer?) {
        let sha256 = TLSLibrary.shared.sha256
        guard let fingerprint = Digest(writing: { apus_tls_digest(leaf, sha256, $0) }),
            let own = PeerIdentity.der(of: leaf)
        else { return nil }
        self.fingerprint = fingerprint
        fingerprintText = fingerprint.hexadecimal
        subject = PeerIdentity.text(of: X509_get_subject_name(leaf))
        issuer = PeerIdentity.text(of: X509_get_issuer_name(leaf))
        serialNumber = PeerIdentity.serial(of: leaf)
        let found = NameCollector.names(of: leaf)
        names = found.names
        hasMalformedNames = found.isMalformed
        uriNames = found.names.filter { $0.kind == .uri }.map(\.text)
        dnsNames = found.names.filter { $0.kind == .dns }.map(\.text)
        notBefore = apus_tls_time(X509_get0_notBefore(leaf))
        notAfter = apus_tls_time(X509_get0_notAfter(leaf))
        var all = [own]
        var allNames = [CertificateName(leaf, fingerprint: fingerprintText, serialNumber: serialNumber)]
        for index in 0..<max(0, apus_tls_stack_count(others)) {
            // A client's stack begins with the server's leaf, a server's does not.
            guard let other = apus_tls_stack_at(others, index), other != leaf, let bytes = PeerIdentity.der(of: other),
                bytes != own
            else { continue }
            all.append(bytes)
            allNames.append(CertificateName(other))
        }
        chain = all
        chainNames = allNames
        issuerName = nil
        encodedCertificate = PEMText.percentEncoded(PEMText.certificate(own))
    }

    /// The same, of which the chain to a trust anchor was verified.
    ///
    /// - Parameter issuer: the chain's second certificate; the first one where it is alone.
    init(_ identity: PeerIdentity, issuer: OpaquePointer) {
        fingerprint = identity.fingerprint
        fingerprintText = identity.fingerprintText
        subject = identity.subject
        self.issuer = identity.issuer
        serialNumber = identity.serialNumber
        names = identity.names
        hasMalformedNames = identity.hasMalformedNames
        uriNames = identity.uriNames
        dnsNames = identity.dnsNames
        notBefore = identity.notBefore
        notAfter = identity.notAfter
        chain = identity.chain
        chainNames = identity.chainNames
        encodedCertificate = identity.encodedCertificate
        issuerName = CertificateName(issuer)
    }

    /// Memory that this takes, to the nearest KiB or so.
    var approximateSize: Int {
        // An array costs 32 bytes before its first element.
        512 + 2 * names.reduce(0) { $0 + $1.text.count + 48 } + chain.reduce(0) { $0 + $1.count + 352 }
            + encodedCertificate.count + subject.count + issuer.count
    }

    /// The certificate as PEM text.
    package var pem: [UInt8] { PEMText.certificate(chain[0]) }

    /// The certificate and what came with it, as PEM text.
    package var pemChain: [UInt8] { chain.flatMap { PEMText.certificate($0) } }

    static func der(of certificate: OpaquePointer) -> [UInt8]? {
        var bytes: UnsafeMutablePointer<UInt8>?
        let length = apus_tls_der(certificate, &bytes)
        defer { apus_tls_free(bytes) }
        guard length > 0, let bytes else { return nil }
        return [UInt8](UnsafeBufferPointer(start: bytes, count: Int(length)))
    }

    private static func text(of name: OpaquePointer?) -> [UInt8] {
        var text: UnsafeMutablePointer<CChar>?
        let length = apus_tls_name_text(name, &text)
        defer { apus_tls_free(text) }
        guard length > 0, let text else { return [] }
        return [UInt8](UnsafeRawBufferPointer(start: text, count: Int(length)))
    }

    static func serial(of certificate: OpaquePointer) -> [UInt8] {
        guard let text = apus_tls_serial(certificate) else { return [] }
        defer { apus_tls_free(text) }
        return UnsafeRawBufferPointer(start: text, count: strlen(text)).map { DNSName.lower($0) }
    }
}

/// Gathers the alternative names of one certificate.
final class NameCollector {
    private(set) var names: [SubjectName] = []
    private(set) var isMalformed = false

    static func names(of certificate: OpaquePointer) -> (names: [SubjectName], isMalformed: Bool) {
        let collector = NameCollector()
        let count = apus_tls_alternative_names(certificate, Unmanaged.passUnretained(collector).toOpaque()) {
            owner, kind, bytes, length in
            guard let owner else { return }
            Unmanaged<NameCollector>.fromOpaque(owner)._withUnsafeGuaranteedRef {
                $0.add(kind: kind, UnsafeBufferPointer(start: bytes, count: bytes == nil ? 0 : length))
            }
        }
        return (collector.names, collector.isMalformed || count < 0)
    }

    private func add(kind: Int32, _ bytes: UnsafeBufferPointer<UInt8>) {
        switch kind {
        case 0: add(.dns, bytes)
        case 1: add(.uri, bytes)
        case 2: add(.email, bytes)
        default: addAddress(bytes)
        }
    }

    private func add(_ kind: SANKind, _ bytes: UnsafeBufferPointer<UInt8>) {
        // Text that ends at the NUL for one reader and goes on for another is how one name passes for a different one.
        if bytes.contains(0) {
            isMalformed = true
        } else {
            names.append(SubjectName(kind: kind, text: [UInt8](bytes)))
        }
    }

    private func addAddress(_ bytes: UnsafeBufferPointer<UInt8>) {
        guard bytes.count == 4 || bytes.count == 16 else {
            isMalformed = true
            return
        }
        var text = [CChar](repeating: 0, count: 64)
        let family = bytes.count == 4 ? AF_INET : AF_INET6
        guard inet_ntop(family, bytes.baseAddress, &text, socklen_t(text.count)) != nil else { return }
        names.append(SubjectName(kind: .ip, text: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }))
    }
}
