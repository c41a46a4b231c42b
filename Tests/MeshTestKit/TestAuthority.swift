// SPDX-License-Identifier: Apache-2.0
import COpenSSL
package import MeshTLS
import Testing

/// A certificate with its key, made for one test.
package final class TestCertificate {
    package let certificate: OpaquePointer
    package let key: OpaquePointer

    package init(certificate: OpaquePointer, key: OpaquePointer) {
        self.certificate = certificate
        self.key = key
    }

    deinit {
        X509_free(certificate)
        EVP_PKEY_free(key)
    }

    package var pem: [UInt8] { TestCertificate.text { PEM_write_bio_X509($0, certificate) } }
    package var keyPEM: [UInt8] { TestCertificate.text { PEM_write_bio_PKCS8PrivateKey($0, key, nil, nil, 0, nil, nil) } }
    /// SEC1 for EC keys, PKCS#1 for RSA ones.
    package var traditionalKeyPEM: [UInt8] {
        TestCertificate.text { PEM_write_bio_PrivateKey_traditional($0, key, nil, nil, 0, nil, nil) }
    }

    package func source(chain: [TestCertificate] = [], path: String = "test.pem") -> TLSCertificateSource {
        TLSCertificateSource(chain: pem + chain.flatMap(\.pem), key: keyPEM, path: path)
    }

    package static func text(_ body: (OpaquePointer?) -> Int32) -> [UInt8] {
        let bio = BIO_new(BIO_s_mem())
        defer { BIO_free(bio) }
        #expect(body(bio) == 1)
        var all: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = BIO_read(bio, &buffer, 4096)
            if count <= 0 { return all }
            all += buffer[..<Int(count)]
        }
    }
}

package enum TestKey {
    package static func ec(_ curve: String = "P-256") -> OpaquePointer? {
        make("EC") { EVP_PKEY_CTX_set_group_name($0, curve) }
    }
    package static func rsa() -> OpaquePointer? { make("RSA") { EVP_PKEY_CTX_set_rsa_keygen_bits($0, 2048) } }

    private static func make(_ name: String, _ prepare: (OpaquePointer?) -> Int32) -> OpaquePointer? {
        let context = EVP_PKEY_CTX_new_from_name(nil, name, nil)
        defer { EVP_PKEY_CTX_free(context) }
        var key: OpaquePointer?
        guard EVP_PKEY_keygen_init(context) == 1, prepare(context) == 1, EVP_PKEY_generate(context, &key) == 1 else { return nil }
        return key
    }
}

/// Makes certificates that end in one root. Times are those of `ManualLoop`: it begins at 2026-01-01T00:00:00Z.
package final class TestAuthority {
    package static let now: Int64 = 1_767_225_600
    package let root: TestCertificate

    package init(name: String = "root", seconds: Int64 = 86_400 * 30) throws {
        let key = try #require(TestKey.ec())
        root = try TestAuthority.make(
            name: name, key: key, issuer: nil, isAuthority: true, extensions: [], from: -3600, to: seconds)
    }

    /// - Parameter names: as in openssl.cnf, `URI:spiffe://…` or `DNS:a.test`; `DER:…` gives the extension's bytes.
    package func issue(
        _ names: String?, commonName: String = "", usage: String? = "serverAuth,clientAuth", key: OpaquePointer? = nil,
        isAuthority: Bool = false, issuer: TestCertificate? = nil, from: Int64 = -3600, to: Int64 = 86_400
    ) throws -> TestCertificate {
        var extensions: [(String, String)] = []
        if let names { extensions.append(("subjectAltName", names)) }
        if let usage, !isAuthority { extensions.append(("extendedKeyUsage", usage)) }
        return try TestAuthority.make(
            name: commonName, key: try #require(key ?? TestKey.ec()), issuer: issuer ?? root, isAuthority: isAuthority,
            extensions: extensions, from: from, to: to)
    }

    private static func make(
        name: String, key: OpaquePointer, issuer: TestCertificate?, isAuthority: Bool, extensions: [(String, String)],
        from: Int64, to: Int64
    ) throws -> TestCertificate {
        let made = try #require(X509_new())
        X509_set_version(made, 2)
        ASN1_INTEGER_set(X509_get_serialNumber(made), Int.random(in: 1...1_000_000_000))
        ASN1_TIME_set(X509_getm_notBefore(made), Int(now + from))
        ASN1_TIME_set(X509_getm_notAfter(made), Int(now + to))
        if !name.isEmpty {
            X509_NAME_add_entry_by_txt(X509_get_subject_name(made), "CN", 0x1001, name, Int32(name.utf8.count), -1, 0)
        }
        X509_set_issuer_name(made, X509_get_subject_name(issuer?.certificate ?? made))
        X509_set_pubkey(made, key)
        let basic = isAuthority ? "critical,CA:TRUE" : "critical,CA:FALSE"
        for (kind, value) in extensions + [("basicConstraints", basic)] {
            let one = try #require(X509V3_EXT_conf(nil, nil, kind, value), "\(kind)=\(value)")
            X509_add_ext(made, one, -1)
            X509_EXTENSION_free(one)
        }
        try #require(X509_sign(made, issuer?.key ?? key, EVP_sha256()) > 0)
        return TestCertificate(certificate: made, key: key)
    }

    /// A revocation list of the root, or of another issuer.
    package func revocationList(
        of revoked: [TestCertificate], issuer: TestCertificate? = nil, to: Int64 = 86_400
    ) throws -> [UInt8] {
        let issuer = issuer ?? root
        let list = try #require(X509_CRL_new())
        defer { X509_CRL_free(list) }
        X509_CRL_set_version(list, 1)
        X509_CRL_set_issuer_name(list, X509_get_subject_name(issuer.certificate))
        let time = ASN1_TIME_new()
        defer { ASN1_TIME_free(time) }
        ASN1_TIME_set(time, Int(TestAuthority.now - 3600))
        X509_CRL_set1_lastUpdate(list, time)
        let next = ASN1_TIME_new()
        defer { ASN1_TIME_free(next) }
        ASN1_TIME_set(next, Int(TestAuthority.now + to))
        X509_CRL_set1_nextUpdate(list, next)
        for certificate in revoked {
            let entry = X509_REVOKED_new()
            X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(certificate.certificate))
            X509_REVOKED_set_revocationDate(entry, time)
            X509_CRL_add0_revoked(list, entry)
        }
        X509_CRL_sort(list)
        try #require(X509_CRL_sign(list, issuer.key, EVP_sha256()) > 0)
        return TestCertificate.text { PEM_write_bio_X509_CRL($0, list) }
    }
}
