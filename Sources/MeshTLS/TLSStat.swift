// SPDX-License-Identifier: Apache-2.0
import COpenSSL

/// The counters of one TLS context, by Envoy's names below `ssl.`.
package enum TLSStat: UInt8, CaseIterable, Sendable {
    case handshake
    case sessionReused
    case noCertificate
    case failVerifyNoCertificate
    case failVerifyError
    case failVerifySAN
    case failVerifyCertificateHash
    case connectionError

    /// The name behind `ssl.`.
    package var name: StaticString {
        switch self {
        case .handshake: "handshake"
        case .sessionReused: "session_reused"
        case .noCertificate: "no_certificate"
        case .failVerifyNoCertificate: "fail_verify_no_cert"
        case .failVerifyError: "fail_verify_error"
        case .failVerifySAN: "fail_verify_san"
        case .failVerifyCertificateHash: "fail_verify_cert_hash"
        case .connectionError: "connection_error"
        }
    }
}

/// Why a TLS session failed. For logs and stats; the peer learns no more than the alert.
package struct TLSFailure: Equatable, Sendable {
    /// The counter to raise, nil where Envoy raises none (the peer went away).
    package let stat: TLSStat?
    /// What happened, in words.
    package let text: StaticString
    /// OpenSSL's error code (`ERR_get_error`), 0 when there is none.
    package let code: UInt
    /// OpenSSL's verification result (`X509_V_ERR_*`), 0 when the chain was not the reason.
    package let verifyResult: Int

    package static func == (one: TLSFailure, other: TLSFailure) -> Bool {
        one.stat == other.stat && one.code == other.code && one.verifyResult == other.verifyResult
            && one.text.utf8Start == other.text.utf8Start
    }

    /// Everything known, for a log line. - Example: `TLS_error:|268435581:…` of Envoy has the same parts.
    package var description: String {
        var line = "\(text)"
        if verifyResult != 0, let reason = X509_verify_cert_error_string(verifyResult) {
            line += ": " + String(cString: reason)
        }
        if code != 0 {
            let reason = ERR_reason_error_string(code).map { String(cString: $0) } ?? "unknown"
            line += " (\(code): \(reason))"
        }
        return line
    }
}

/// Protocol versions.
package enum TLSVersion: UInt16, Comparable, Sendable {
    case tls12 = 0x0303
    case tls13 = 0x0304

    /// Envoy's name, as in `ssl.versions.TLSv1.3` and `%DOWNSTREAM_TLS_VERSION%`.
    package var name: StaticString {
        switch self {
        case .tls12: "TLSv1.2"
        case .tls13: "TLSv1.3"
        }
    }

    package static func < (one: TLSVersion, other: TLSVersion) -> Bool { one.rawValue < other.rawValue }
}
