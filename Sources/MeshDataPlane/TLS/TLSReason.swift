// SPDX-License-Identifier: Apache-2.0
import MeshModel
import MeshTLS

/// A failed session as one number, which fits where the errno of a failed connection is kept.
///
/// Values are negative: the reason codes of BoringSSL, in whose words Envoy's logs speak, with the sign turned.
enum TLSReason {
    /// The peer left in the middle of the handshake, for which OpenSSL has no words.
    static let peerLeft = Int32.min
    /// `transport_socket_connect_timeout` passed.
    static let timeout = Int32.min + 1

    /// BoringSSL's numbers and names for what happens in practice; any other reason is `other`.
    private static let names: [(code: Int32, name: StaticString)] = [
        (125, "CERTIFICATE_VERIFY_FAILED"), (156, "HTTP_REQUEST"), (155, "HTTPS_PROXY_REQUEST"),
        (184, "NO_SHARED_CIPHER"), (192, "PEER_DID_NOT_RETURN_A_CERTIFICATE"), (225, "UNEXPECTED_MESSAGE"),
        (240, "UNSUPPORTED_PROTOCOL"), (247, "WRONG_VERSION_NUMBER"), (1010, "SSLV3_ALERT_UNEXPECTED_MESSAGE"),
        (1020, "SSLV3_ALERT_BAD_RECORD_MAC"), (1040, "SSLV3_ALERT_HANDSHAKE_FAILURE"),
        (1041, "SSLV3_ALERT_NO_CERTIFICATE"), (1042, "SSLV3_ALERT_BAD_CERTIFICATE"),
        (1043, "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE"), (1044, "SSLV3_ALERT_CERTIFICATE_REVOKED"),
        (1045, "SSLV3_ALERT_CERTIFICATE_EXPIRED"), (1046, "SSLV3_ALERT_CERTIFICATE_UNKNOWN"),
        (1047, "SSLV3_ALERT_ILLEGAL_PARAMETER"), (1048, "TLSV1_ALERT_UNKNOWN_CA"), (1049, "TLSV1_ALERT_ACCESS_DENIED"),
        (1050, "TLSV1_ALERT_DECODE_ERROR"), (1051, "TLSV1_ALERT_DECRYPT_ERROR"), (1070, "TLSV1_ALERT_PROTOCOL_VERSION"),
        (1071, "TLSV1_ALERT_INSUFFICIENT_SECURITY"), (1080, "TLSV1_ALERT_INTERNAL_ERROR"),
        (1112, "TLSV1_ALERT_UNRECOGNIZED_NAME"), (1116, "TLSV1_ALERT_CERTIFICATE_REQUIRED"),
        (1120, "TLSV1_ALERT_NO_APPLICATION_PROTOCOL"), (other, "PROTOCOL_ERROR"),
    ]
    private static let other: Int32 = 9999

    /// OpenSSL's reason codes where they are not BoringSSL's. (Those of alerts are 1000 and the alert's number in both.)
    private static let translations: [(openSSL: Int32, code: Int32)] = [
        (134, 125), (155, 155), (156, 156), (193, 184), (199, 192), (244, 225), (258, 240), (267, 247), (396, 240),
    ]

    static func code(_ failure: TLSFailure?) -> Int32 {
        guard let failure else { return peerLeft }
        switch failure.stat {
        case nil: return peerLeft
        case .failVerifyNoCertificate: return -192
        case .failVerifyError, .failVerifySAN, .failVerifyCertificateHash: return -125
        default: break
        }
        // The low 23 bits of OpenSSL 3's codes.
        let reason = Int32(truncatingIfNeeded: failure.code & 0x7F_FFFF)
        if let known = translations.first(where: { $0.openSSL == reason }) { return -known.code }
        return reason >= 1000 && names.contains { $0.code == reason } ? -reason : -other
    }

    /// `TLS_error:|268435581:SSL_routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED:TLS_error_end`; false for no words.
    static func append(_ code: Int32, to sink: ByteSink) -> Bool {
        if code == timeout {
            sink.append("transport_socket_timeout")
            return true
        }
        guard code < 0, code != peerLeft else { return false }
        let known = names.first { $0.code == -code } ?? (other, "PROTOCOL_ERROR")
        // BoringSSL packs the library, 16 for SSL, above the reason.
        sink.append("TLS_error:|")
        sink.append(decimal: 0x1000_0000 + UInt64(known.code))
        sink.append(":SSL_routines:OPENSSL_internal:")
        sink.append(known.name)
        sink.append(":TLS_error_end")
        return true
    }
}
