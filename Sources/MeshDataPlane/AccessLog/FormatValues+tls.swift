// SPDX-License-Identifier: Apache-2.0
import MeshModel

/// Values of TLS sessions; nil when the command is not about one, false when the session has no such value.
extension FormatValues {
    static func append(_ command: FormatCommand, downstream tls: ConnectionTLS?, to sink: ByteSink) -> Bool? {
        switch command {
        case .downstreamTLSVersion: append(tls?.version, to: sink)
        case .downstreamTLSCipher: appendText(tls?.cipher ?? "", to: sink)
        case .downstreamPeerSubject: append(tls?.peer?.subject, to: sink)
        case .downstreamPeerIssuer: append(tls?.peer?.issuer, to: sink)
        case .downstreamPeerSerial: append(tls?.peer?.serialNumber, to: sink)
        case .downstreamPeerFingerprint256: append(tls?.peer?.fingerprintText, to: sink)
        case .downstreamPeerFingerprint1: append(tls?.peer?.fingerprint1Text, to: sink)
        case .downstreamPeerChainFingerprints1: append(list: tls?.peer?.chainFingerprints1, to: sink)
        case .downstreamPeerChainFingerprints256: append(list: tls?.peer?.chainFingerprints256, to: sink)
        case .downstreamPeerChainSerials: append(list: tls?.peer?.chainSerialNumbers, to: sink)
        case .downstreamPeerIssuerFingerprint256: append(tls?.peer?.issuerFingerprintText, to: sink)
        case .downstreamPeerIssuerSerial: append(tls?.peer?.issuerSerialNumber, to: sink)
        case .downstreamTLSGroup: appendText(tls?.group ?? "", to: sink)
        case .downstreamPeerCertificate: append(tls?.peer?.encodedCertificate, to: sink)
        case .downstreamPeerURINames: append(list: tls?.peer?.uriNames, to: sink)
        case .downstreamPeerDNSNames: append(list: tls?.peer?.dnsNames, to: sink)
        case .downstreamPeerIPNames: append(list: tls?.peer?.addressNames, to: sink)
        case .downstreamPeerEmailNames: append(list: tls?.peer?.emailNames, to: sink)
        case .downstreamLocalSubject: append(tls?.local?.subject, to: sink)
        case .downstreamLocalURINames: append(list: tls?.local?.uriNames, to: sink)
        case .downstreamLocalDNSNames: append(list: tls?.local?.dnsNames, to: sink)
        case .downstreamLocalIPNames: append(list: tls?.local?.addressNames, to: sink)
        case .downstreamLocalEmailNames: append(list: tls?.local?.emailNames, to: sink)
        default: nil
        }
    }

    static func append(_ command: FormatCommand, upstream tls: ConnectionTLS?, to sink: ByteSink) -> Bool? {
        switch command {
        case .upstreamTLSVersion: append(tls?.version, to: sink)
        case .upstreamTLSCipher: appendText(tls?.cipher ?? "", to: sink)
        case .upstreamTLSGroup: appendText(tls?.group ?? "", to: sink)
        case .upstreamServerName: append(tls?.serverName, to: sink)
        case .upstreamPeerSubject: append(tls?.peer?.subject, to: sink)
        case .upstreamPeerIssuer: append(tls?.peer?.issuer, to: sink)
        case .upstreamPeerCertificate: append(tls?.peer?.encodedCertificate, to: sink)
        case .upstreamPeerURINames: append(list: tls?.peer?.uriNames, to: sink)
        case .upstreamPeerDNSNames: append(list: tls?.peer?.dnsNames, to: sink)
        case .upstreamPeerIPNames: append(list: tls?.peer?.addressNames, to: sink)
        case .upstreamLocalURINames: append(list: tls?.local?.uriNames, to: sink)
        case .upstreamLocalDNSNames: append(list: tls?.local?.dnsNames, to: sink)
        case .upstreamLocalIPNames: append(list: tls?.local?.addressNames, to: sink)
        default: nil
        }
    }

    /// The ends of a certificate's validity, which have a format of time as their argument.
    static func appendValidity(
        _ command: FormatCommand, downstream: ConnectionTLS?, upstream: ConnectionTLS?,
        format argument: UnsafeRawBufferPointer, to sink: ByteSink
    ) -> Bool? {
        let seconds: Int64?
        switch command {
        case .downstreamPeerCertificateStart: seconds = downstream?.peer?.notBefore
        case .downstreamPeerCertificateEnd: seconds = downstream?.peer?.notAfter
        case .upstreamPeerCertificateStart: seconds = upstream?.peer?.notBefore
        case .upstreamPeerCertificateEnd: seconds = upstream?.peer?.notAfter
        default: return nil
        }
        guard let seconds else { return false }
        FormatTime.append(microseconds: seconds &* 1_000_000, format: argument, to: sink)
        return true
    }

    private static func append(_ text: StaticString?, to sink: ByteSink) -> Bool {
        guard let text, text.utf8CodeUnitCount > 0 else { return false }
        sink.append(text)
        return true
    }

    private static func append(_ bytes: [UInt8]?, to sink: ByteSink) -> Bool {
        guard let bytes, !bytes.isEmpty else { return false }
        bytes.withUnsafeBytes { sink.append($0) }
        return true
    }

    /// Names with commas between them.
    private static func append(list: [[UInt8]]?, to sink: ByteSink) -> Bool {
        guard let list, !list.isEmpty else { return false }
        for (index, name) in list.enumerated() {
            if index > 0 { sink.append(",") }
            name.withUnsafeBytes { sink.append($0) }
        }
        return true
    }
}
