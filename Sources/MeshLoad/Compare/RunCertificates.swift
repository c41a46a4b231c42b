// SPDX-License-Identifier: Apache-2.0
import COpenSSL
import Foundation
import Glibc

/// The certificates of a comparison, made for it: an authority, a server, a client and, where wanted, many clients more;
/// P-256, with the SPIFFE names of a mesh, good for a day.
struct RunCertificates {
    let folder: String
    let clientChain: [UInt8]
    let clientKey: [UInt8]
    /// Chain and key of each of the many clients.
    let clients: [(chain: [UInt8], key: [UInt8])]

    /// Writes `ca.pem`; `server.pem`, `server.key` and both in `server-both.pem`; the same for `client`.
    /// - Throws: `ScenarioError` when OpenSSL or the file system refuses.
    init(folder: String, clients count: Int) throws(ScenarioError) {
        self.folder = folder
        let authority = try CertificateMaker(name: "meshbench CA")
        try RunCertificates.write(authority.pem, folder + "/ca.pem")
        let server = try authority.issue("server", "URI:spiffe://cluster.local/ns/bench/sa/server,DNS:localhost,IP:127.0.0.1")
        let client = try authority.issue("client", "URI:spiffe://cluster.local/ns/bench/sa/client")
        for (name, pair) in [("server", server), ("client", client)] {
            try RunCertificates.write(pair.chain, "\(folder)/\(name).pem")
            try RunCertificates.write(pair.key, "\(folder)/\(name).key")
            try RunCertificates.write(pair.chain + pair.key, "\(folder)/\(name)-both.pem")
        }
        clientChain = client.chain
        clientKey = client.key
        var many: [(chain: [UInt8], key: [UInt8])] = []
        for number in 0..<count {
            many.append(try authority.issue("client \(number)", "URI:spiffe://cluster.local/ns/bench/sa/client-\(number)"))
        }
        clients = many
    }

    static func write(_ bytes: [UInt8], _ path: String) throws(ScenarioError) {
        guard FileManager.default.createFile(atPath: path, contents: Data(bytes), attributes: [.posixPermissions: 0o600]) else {
            throw ScenarioError("\(path): cannot be written")
        }
    }
}

/// An authority that signs certificates.
private final class CertificateMaker {
    private let certificate: OpaquePointer
    private let key: OpaquePointer
    private var serial = 1

    static let failure = ScenarioError("OpenSSL cannot make a certificate")
    private static let day = 86_400

    init(name: String) throws(ScenarioError) {
        guard let key = CertificateMaker.makeKey(), let made = CertificateMaker.blank(name, serial: 1, key: key) else {
            throw CertificateMaker.failure
        }
        self.key = key
        certificate = made
        X509_set_issuer_name(made, X509_get_subject_name(made))
        try CertificateMaker.extend(made, [("basicConstraints", "critical,CA:TRUE"), ("keyUsage", "critical,keyCertSign,cRLSign")])
        guard X509_sign(made, key, EVP_sha256()) > 0 else { throw CertificateMaker.failure }
    }

    deinit {
        X509_free(certificate)
        EVP_PKEY_free(key)
    }

    var pem: [UInt8] { CertificateMaker.text { PEM_write_bio_X509($0, certificate) } }

    func issue(_ name: String, _ names: String) throws(ScenarioError) -> (chain: [UInt8], key: [UInt8]) {
        serial += 1
        guard let own = CertificateMaker.makeKey() else { throw CertificateMaker.failure }
        defer { EVP_PKEY_free(own) }
        guard let made = CertificateMaker.blank(name, serial: serial, key: own) else { throw CertificateMaker.failure }
        defer { X509_free(made) }
        X509_set_issuer_name(made, X509_get_subject_name(certificate))
        try CertificateMaker.extend(
            made,
            [
                ("keyUsage", "critical,digitalSignature"), ("extendedKeyUsage", "serverAuth,clientAuth"), ("subjectAltName", names),
            ])
        guard X509_sign(made, key, EVP_sha256()) > 0 else { throw CertificateMaker.failure }
        return (
            CertificateMaker.text { PEM_write_bio_X509($0, made) },
            CertificateMaker.text { PEM_write_bio_PKCS8PrivateKey($0, own, nil, nil, 0, nil, nil) }
        )
    }

    private static func makeKey() -> OpaquePointer? {
        let context = EVP_PKEY_CTX_new_from_name(nil, "EC", nil)
        defer { EVP_PKEY_CTX_free(context) }
        var key: OpaquePointer?
        guard EVP_PKEY_keygen_init(context) == 1, EVP_PKEY_CTX_set_group_name(context, "P-256") == 1,
            EVP_PKEY_generate(context, &key) == 1
        else { return nil }
        return key
    }

    private static func blank(_ name: String, serial: Int, key: OpaquePointer) -> OpaquePointer? {
        guard let made = X509_new() else { return nil }
        X509_set_version(made, 2)
        ASN1_INTEGER_set(X509_get_serialNumber(made), serial)
        let now = time(nil)
        ASN1_TIME_set(X509_getm_notBefore(made), now - 3600)
        ASN1_TIME_set(X509_getm_notAfter(made), now + day)
        // MBSTRING_ASC, a macro that Swift does not see.
        X509_NAME_add_entry_by_txt(X509_get_subject_name(made), "CN", 0x1001, name, Int32(name.utf8.count), -1, 0)
        X509_set_pubkey(made, key)
        return made
    }

    private static func extend(_ made: OpaquePointer, _ extensions: [(String, String)]) throws(ScenarioError) {
        for (kind, value) in extensions {
            guard let one = X509V3_EXT_conf(nil, nil, kind, value) else { throw failure }
            X509_add_ext(made, one, -1)
            X509_EXTENSION_free(one)
        }
    }

    private static func text(_ write: (OpaquePointer?) -> Int32) -> [UInt8] {
        let bio = BIO_new(BIO_s_mem())
        defer { BIO_free(bio) }
        guard write(bio) == 1 else { return [] }
        var all: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = BIO_read(bio, &buffer, 4096)
            if count <= 0 { return all }
            all += buffer[..<Int(count)]
        }
    }
}
