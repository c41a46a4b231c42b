// SPDX-License-Identifier: Apache-2.0
import COpenSSL

/// What a peer's chain is verified against: CA certificates and revocation lists, decoded once.
///
/// Sendable because the store is not changed after `make`, and OpenSSL locks it where it looks things up.
final class TrustAnchors: @unchecked Sendable {
    let store: OpaquePointer
    let details: [CertificateDetails]
    /// When the first revocation list ends and verification begins to fail. - Unit: seconds since 1970.
    let nextUpdate: Int64

    private init(store: OpaquePointer, details: [CertificateDetails], nextUpdate: Int64) {
        self.store = store
        self.details = details
        self.nextUpdate = nextUpdate
    }

    deinit { X509_STORE_free(store) }

    static func make(_ options: TLSContextOptions) throws(TLSContextError) -> TrustAnchors? {
        guard let ca = options.trustedCA else { return nil }
        let library = TLSLibrary.shared.context
        var failure: Int32 = 0
        var nextUpdate: Int64 = .max
        let lists = options.revocationLists
        let store = ca.withUnsafeBytes { ca in
            (lists ?? []).withUnsafeBytes { crl in
                apus_tls_make_store(
                    library, ca.baseAddress, Int32(clamping: ca.count),
                    // An empty list is a list that holds nothing, and an error.
                    lists == nil ? nil : crl.baseAddress ?? ca.baseAddress, Int32(clamping: crl.count),
                    options.checksRevocationOfLeafOnly, options.maxVerifyDepth, &failure, &nextUpdate)
            }
        }
        guard let store else {
            throw failure == 2 || failure == 4 ? .badRevocationList : .badTrustedCA(options.trustedCAPath)
        }
        let stack = ca.withUnsafeBytes { apus_tls_read_certificates(library, $0.baseAddress, Int32(clamping: $0.count)) }
        defer { apus_tls_stack_free(stack) }
        let details = (0..<max(0, apus_tls_stack_count(stack))).compactMap { index in
            apus_tls_stack_at(stack, index).flatMap { CertificateDetails($0, path: options.trustedCAPath) }
        }
        return TrustAnchors(store: store, details: details, nextUpdate: nextUpdate)
    }
}

/// `verify_certificate_spki` and `verify_certificate_hash`: one of all of them must be the peer's.
struct PeerPins: Sendable {
    private let keys: Set<Digest>
    private let certificates: Set<Digest>

    init(_ options: TLSContextOptions) {
        keys = Set(options.publicKeyPins)
        certificates = Set(options.certificateHashes)
    }

    var isEmpty: Bool { keys.isEmpty && certificates.isEmpty }

    /// Whether a leaf certificate is pinned; true when nothing is.
    func accept(_ leaf: OpaquePointer, fingerprint: Digest) -> Bool {
        if isEmpty || certificates.contains(fingerprint) { return true }
        guard !keys.isEmpty, let key = Digest(writing: { apus_tls_key_digest(leaf, TLSLibrary.shared.sha256, $0) }) else {
            return false
        }
        return keys.contains(key)
    }
}
