// SPDX-License-Identifier: Apache-2.0
import COpenSSL
import MeshTLS
import MeshTestKit
import Testing

/// Public keys as they are read out of certificates, with our decoder for P-256 in front of OpenSSL's.
struct KeyDecoderTests {
    let authority: TestAuthority

    init() throws {
        authority = try TestAuthority()
        // Sets the library up.
        _ = try TLSContext(TLSContextOptions(role: .client), now: TestAuthority.now)
    }

    private func der(_ certificate: TestCertificate) throws -> [UInt8] {
        var bytes: UnsafeMutablePointer<UInt8>?
        let length = apus_tls_der(certificate.certificate, &bytes)
        defer { apus_tls_free(bytes) }
        return [UInt8](UnsafeBufferPointer(start: try #require(bytes), count: Int(length)))
    }

    private func certificate(from der: [UInt8]) -> OpaquePointer? {
        der.withUnsafeBufferPointer { buffer in
            var start = buffer.baseAddress
            return d2i_X509(nil, &start, buffer.count)
        }
    }

    @Test func keysOnP256AreWhatTheyWere() throws {
        let certificates = try (0..<200).map { _ in try authority.issue("DNS:a.test") }
        for _ in 0..<2 {
            for issued in certificates {
                let read = try #require(certificate(from: try der(issued)))
                #expect(EVP_PKEY_eq(X509_get0_pubkey(read), issued.key) == 1)
                #expect(X509_verify(read, authority.root.key) == 1)
                X509_free(read)
            }
        }
    }

    @Test func anotherKeyIsNotTakenForOneThatWasRead() throws {
        let one = try authority.issue("DNS:a.test")
        let other = try authority.issue("DNS:a.test")
        let first = try #require(certificate(from: try der(one)))
        let second = try #require(certificate(from: try der(other)))
        #expect(EVP_PKEY_eq(X509_get0_pubkey(first), X509_get0_pubkey(second)) != 1)
        #expect(X509_verify(first, X509_get0_pubkey(second)) != 1)
        X509_free(first)
        X509_free(second)
    }

    @Test(arguments: ["P-384", "P-521", "RSA"]) func otherKeysAreOpenSSLs(kind: String) throws {
        let key = kind == "RSA" ? TestKey.rsa() : TestKey.ec(kind)
        let issued = try authority.issue("DNS:a.test", key: key)
        let read = try #require(certificate(from: try der(issued)))
        #expect(EVP_PKEY_eq(X509_get0_pubkey(read), issued.key) == 1)
        X509_free(read)
    }

    /// Of an invalid curve attack, and of whatever else is no point.
    @Test func aPointThatIsNotOnTheCurveIsNoKey() throws {
        let whole = try der(try authority.issue("DNS:a.test"))
        let mark: [UInt8] = [0x03, 0x42, 0x00, 0x04]
        let start = try #require((0..<whole.count - 68).first { Array(whole[$0..<$0 + 4]) == mark })
        for (offset, byte) in [(67, whole[start + 67] ^ 1), (4, whole[start + 4] ^ 0x80), (3, 0x05), (3, 0x00)] {
            var broken = whole
            broken[start + offset] = byte
            guard let read = certificate(from: broken) else { continue }
            #expect(X509_get0_pubkey(read) == nil, "byte \(offset)")
            X509_free(read)
        }
        let read = try #require(certificate(from: whole))
        #expect(X509_get0_pubkey(read) != nil)
        X509_free(read)
        ERR_clear_error()
    }
}
