// SPDX-License-Identifier: Apache-2.0
import COpenSSL

/// Cipher suites, curves and protocol names in OpenSSL's terms.
enum TLSParameters {
    /// Envoy's default suites for TLS 1.2. (Those of TLS 1.3 cannot be configured.)
    private static let defaultSuites = [
        "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-RSA-AES128-GCM-SHA256",
        "ECDHE-RSA-CHACHA20-POLY1305", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-RSA-AES256-GCM-SHA384",
    ]
    private static let curves = ["X25519", "P-256", "P-384", "P-521"]

    /// Sets them; returns what was not understood, in words.
    static func apply(_ options: TLSContextOptions, to context: OpaquePointer) -> [String] {
        var warnings: [String] = []
        var suites: [String] = []
        for entry in options.cipherSuites {
            for name in TLSParameters.names(in: entry) {
                if let known = TLSParameters.suite(name) {
                    suites.append(known)
                } else {
                    warnings.append("unknown cipher suite \(name) is ignored")
                }
            }
        }
        if suites.isEmpty {
            if !options.cipherSuites.isEmpty { warnings.append("no known cipher suite is left: the default ones are used") }
            suites = defaultSuites
        }
        SSL_CTX_set_cipher_list(context, suites.joined(separator: ":"))
        var known: [String] = []
        for name in options.curves {
            if curves.contains(name) {
                known.append(name)
            } else {
                warnings.append("unknown curve \(name) is ignored")
            }
        }
        if known.isEmpty {
            if !options.curves.isEmpty { warnings.append("no known curve is left: the default ones are used") }
            known = ["X25519", "P-256"]
        }
        _ = apus_tls_context_set_groups(context, known.joined(separator: ":"))
        if options.role == .client, let list = protocolList(options.protocols) {
            SSL_CTX_set_alpn_protos(context, list, UInt32(list.count))
        }
        ERR_clear_error()
        return warnings
    }

    /// `[A|B]` is a group of equal preference in BoringSSL; OpenSSL has only an order.
    private static func names(in entry: String) -> [String] {
        guard entry.hasPrefix("["), entry.hasSuffix("]") else { return [entry] }
        return entry.dropFirst().dropLast().split(separator: "|").map(String.init)
    }

    private static func suite(_ name: String) -> String? {
        if apus_tls_has_cipher(name) { return name }
        // BoringSSL knows two of the suites by a longer name as well, and every suite by its standard one.
        let alias = ["ECDHE-ECDSA-CHACHA20-POLY1305-SHA256": "ECDHE-ECDSA-CHACHA20-POLY1305",
            "ECDHE-RSA-CHACHA20-POLY1305-SHA256": "ECDHE-RSA-CHACHA20-POLY1305"]
        if let known = alias[name] { return known }
        guard name.hasPrefix("TLS_"), let found = OPENSSL_cipher_name(name) else { return nil }
        let translated = String(cString: found)
        return apus_tls_has_cipher(translated) ? translated : nil
    }

    /// Names with a length byte before each (RFC 7301 §3.1); nil without any.
    static func protocolList(_ names: [[UInt8]]) -> [UInt8]? {
        let list = names.filter { !$0.isEmpty && $0.count < 256 }.flatMap { [UInt8($0.count)] + $0 }
        return list.isEmpty || list.count > 65_535 ? nil : list
    }
}
