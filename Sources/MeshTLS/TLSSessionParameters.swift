// SPDX-License-Identifier: Apache-2.0
import COpenSSL

/// What two sides agreed on in a handshake.
package struct TLSSessionParameters: Sendable {
    package let version: TLSVersion
    /// OpenSSL's number of the suite: 0x0300 and two bytes of its IANA value.
    package let cipherID: UInt16
    /// `ssl.ciphers.X` and `%DOWNSTREAM_TLS_CIPHER%`: OpenSSL's name, TLS 1.3 suites by their standard one.
    package let cipher: String
    /// `ssl.curves.X`; nil for a key exchange without one.
    package let curve: String?
    /// `ssl.sigalgs.X`; nil without a peer's signature.
    package let signatureAlgorithm: String?
    /// The protocol of ALPN; empty when there is none.
    package let applicationProtocol: [UInt8]
    /// The name the client asked for; empty when it named none.
    package let serverName: [UInt8]
    /// Whether this continues an earlier session.
    package let isResumed: Bool

    init(_ ssl: OpaquePointer) {
        version = SSL_version(ssl) == 0x0304 ? .tls13 : .tls12
        let suite = SSL_get_current_cipher(ssl)
        cipherID = suite == nil ? 0 : SSL_CIPHER_get_protocol_id(suite)
        cipher = suite == nil ? "" : CipherNames.shared.name(of: cipherID, suite)
        isResumed = SSL_session_reused(ssl) == 1
        curve = apus_tls_group_name(ssl).map { String(cString: $0) }
        var hash: Int32 = 0
        var kind: Int32 = 0
        signatureAlgorithm = apus_tls_peer_signature(ssl, &hash, &kind) == 1
            ? SignatureNames.name(hash: hash, kind: kind) : nil
        var name: UnsafePointer<UInt8>?
        var length: UInt32 = 0
        SSL_get0_alpn_selected(ssl, &name, &length)
        applicationProtocol = name.map { [UInt8](UnsafeBufferPointer(start: $0, count: Int(length))) } ?? []
        serverName = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name).map { text in
            var bytes: [UInt8] = []
            var index = 0
            while text[index] != 0 {
                bytes.append(UInt8(bitPattern: text[index]))
                index += 1
            }
            return bytes
        } ?? []
    }
}

/// Names of suites as strings that exist once: those of TLS are too long for Swift to keep without memory of their own.
final class CipherNames: Sendable {
    static let shared = CipherNames()
    private let names: [UInt16: String]

    private init() {
        var names: [UInt16: String] = [:]
        let known = [
            "TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256",
            "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-RSA-AES128-GCM-SHA256",
            "ECDHE-RSA-CHACHA20-POLY1305", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-RSA-AES256-GCM-SHA384",
            "AES256-GCM-SHA384", "AES128-GCM-SHA256",
        ]
        let ids: [UInt16] = [
            0x1301, 0x1302, 0x1303, 0xC02B, 0xCCA9, 0xC02F, 0xCCA8, 0xC02C, 0xC030, 0x009D, 0x009C,
        ]
        for (id, name) in zip(ids, known) { names[id] = name }
        self.names = names
    }

    func name(of id: UInt16, _ suite: OpaquePointer?) -> String {
        names[id] ?? SSL_CIPHER_get_name(suite).map { String(cString: $0) } ?? ""
    }
}

/// Signature algorithms by the names of RFC 8446 §4.2.3.
enum SignatureNames {
    static func name(hash: Int32, kind: Int32) -> String? {
        switch (kind, hash) {
        case (NID_X9_62_id_ecPublicKey, NID_sha256): "ecdsa_secp256r1_sha256"
        case (NID_X9_62_id_ecPublicKey, NID_sha384): "ecdsa_secp384r1_sha384"
        case (NID_X9_62_id_ecPublicKey, NID_sha512): "ecdsa_secp521r1_sha512"
        case (NID_rsassaPss, NID_sha256): "rsa_pss_rsae_sha256"
        case (NID_rsassaPss, NID_sha384): "rsa_pss_rsae_sha384"
        case (NID_rsassaPss, NID_sha512): "rsa_pss_rsae_sha512"
        case (NID_rsaEncryption, NID_sha256): "rsa_pkcs1_sha256"
        case (NID_rsaEncryption, NID_sha384): "rsa_pkcs1_sha384"
        case (NID_rsaEncryption, NID_sha512): "rsa_pkcs1_sha512"
        case (NID_ED25519, _): "ed25519"
        default: nil
        }
    }
}
