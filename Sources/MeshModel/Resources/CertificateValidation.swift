// SPDX-License-Identifier: Apache-2.0

/// What a peer's certificate has to be.
///
/// - Source: `envoy.extensions.transport_sockets.tls.v3.CertificateValidationContext`.
package struct CertificateValidation: Hashable, Sendable {
    /// PEM of the roots. Source: `trusted_ca`. Default: nil (no chain is verified).
    package var trustedCA: TLSDataSource?
    /// PEM of revocation lists; every CA of a chain needs one. Source: `crl`. Default: nil. Needs `trustedCA`.
    package var revocationList: TLSDataSource?
    /// The directory in which a rename announces new files. Source: `watched_directory`. Default: nil.
    package var watchedDirectory: String?
    /// SHA-256 of the certificate, 32 bytes each; one must be the peer's, or one of `keyPins`.
    /// Source: `verify_certificate_hash`.
    package var certificateHashes: [[UInt8]] = []
    /// SHA-256 of the SubjectPublicKeyInfo, 32 bytes each. Source: `verify_certificate_spki`.
    package var keyPins: [[UInt8]] = []
    /// One must match one name of the certificate. Source: `match_typed_subject_alt_names`, `match_subject_alt_names`.
    /// Default: empty (any). Needs `trustedCA`.
    package var names: [SANMatcher] = []
    /// Source: `allow_expired_certificate`. Default: false. Needs `trustedCA`.
    package var allowsExpired = false
    /// Take a certificate whose chain leads to no root; the other checks hold. Source: `trust_chain_verification`,
    /// `ACCEPT_UNTRUSTED`. Default: false.
    package var acceptsUntrusted = false
    /// Ask the lists about the leaf only. Source: `only_verify_leaf_cert_crl`. Default: false.
    package var checksRevocationOfLeafOnly = false
    /// Intermediate certificates between leaf and root. Source: `max_verify_depth`. Default: nil (the library's, 100).
    package var maxDepth: UInt32?

    package init() {}
}

/// A condition on one subject alternative name of a certificate.
///
/// - Source: `envoy.extensions.transport_sockets.tls.v3.SubjectAltNameMatcher`.
package struct SANMatcher: Hashable, Sendable {
    package var type: NameType
    /// Of an IP address, on its usual text. An exact match on a DNS name takes the certificate's wildcard into account.
    package var value: StringMatcher

    /// Source: `san_type`.
    package enum NameType: UInt8, Sendable {
        /// Any of the others: `match_subject_alt_names`.
        case any
        case email
        case dns
        case uri
        case ipAddress
    }

    package init(_ type: NameType, _ value: StringMatcher) {
        self.type = type
        self.value = value
    }
}
