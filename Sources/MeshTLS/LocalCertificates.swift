// SPDX-License-Identifier: Apache-2.0
import COpenSSL

/// A certificate of ours with its decoded key.
///
/// Sendable because nothing in it changes, and OpenSSL counts references to it atomically.
final class LocalCertificate: @unchecked Sendable {
    let leaf: OpaquePointer
    /// The intermediates, without the leaf.
    let chain: OpaquePointer
    let key: OpaquePointer
    let path: String
    let identity: PeerIdentity
    /// `EVP_PKEY_get_base_id`: one certificate of each kind can be offered at once.
    let keyKind: Int32

    init(_ source: TLSCertificateSource) throws(TLSContextError) {
        let library = TLSLibrary.shared.context
        guard let all = source.chain.withUnsafeBytes({
            apus_tls_read_certificates(library, $0.baseAddress, Int32(clamping: $0.count))
        }) else { throw .badCertificate(source.path) }
        chain = all
        guard apus_tls_stack_count(all) > 0, let first = apus_tls_stack_at(all, 0) else {
            apus_tls_stack_free(all)
            throw .badCertificate(source.path)
        }
        X509_up_ref(first)
        leaf = first
        apus_tls_stack_drop_first(all)
        guard let key = source.key.withUnsafeBytes({
            apus_tls_read_key(library, $0.baseAddress, Int32(clamping: $0.count))
        }) else {
            apus_tls_stack_free(all)
            X509_free(first)
            throw .badKey(source.path)
        }
        self.key = key
        keyKind = EVP_PKEY_get_base_id(key)
        path = source.path
        guard X509_check_private_key(first, key) == 1, let identity = PeerIdentity(leaf: first, others: all) else {
            ERR_clear_error()
            apus_tls_stack_free(all)
            X509_free(first)
            EVP_PKEY_free(key)
            throw .keyMismatch(source.path)
        }
        self.identity = identity
    }

    deinit {
        apus_tls_stack_free(chain)
        X509_free(leaf)
        EVP_PKEY_free(key)
    }

    /// The host names it is for: the DNS names, or the common name of a certificate without any.
    var hostNames: [[UInt8]] {
        if !identity.dnsNames.isEmpty { return identity.dnsNames }
        var text: UnsafeMutablePointer<UInt8>?
        let length = apus_tls_common_name(leaf, &text)
        defer { apus_tls_free(text) }
        guard length > 0, let text else { return [] }
        let name = [UInt8](UnsafeBufferPointer(start: text, count: Int(length)))
        return name.contains(0) ? [] : [name]
    }
}

/// The certificates of a context and which of them a server name gets.
struct LocalCertificates: Sendable {
    let all: [LocalCertificate]
    /// The first one of each key type: offered when no name matches.
    let defaults: [LocalCertificate]
    /// By lower-case host name; a wildcard by its text behind the `*`.
    private let exact: [[UInt8]: [LocalCertificate]]
    private let wildcard: [[UInt8]: [LocalCertificate]]

    init(_ sources: [TLSCertificateSource]) throws(TLSContextError) {
        var all: [LocalCertificate] = []
        for source in sources { all.append(try LocalCertificate(source)) }
        self.all = all
        defaults = LocalCertificates.firstOfEachKind(all)
        var exact: [[UInt8]: [LocalCertificate]] = [:]
        var wildcard: [[UInt8]: [LocalCertificate]] = [:]
        if all.count > 1 {
            for certificate in all {
                for name in certificate.hostNames {
                    let lower = name.map { DNSName.lower($0) }
                    if lower.starts(with: "*.".utf8) {
                        wildcard[Array(lower.dropFirst()), default: []].append(certificate)
                    } else {
                        exact[lower, default: []].append(certificate)
                    }
                }
            }
        }
        self.exact = exact.mapValues { LocalCertificates.firstOfEachKind($0) }
        self.wildcard = wildcard.mapValues { LocalCertificates.firstOfEachKind($0) }
    }

    /// Whether a name can lead to something else than the defaults.
    var needsChoice: Bool { all.count > 1 }

    /// What to offer to a client that asked for `name`.
    func choose(for name: [UInt8]) -> [LocalCertificate] {
        let lower = name.map { DNSName.lower($0) }
        if let found = exact[lower] { return found }
        if let dot = lower.firstIndex(of: UInt8(ascii: ".")), let found = wildcard[Array(lower[dot...])] { return found }
        return defaults
    }

    private static func firstOfEachKind(_ list: [LocalCertificate]) -> [LocalCertificate] {
        var kinds: Set<Int32> = []
        return list.filter { kinds.insert($0.keyKind).inserted }
    }
}
