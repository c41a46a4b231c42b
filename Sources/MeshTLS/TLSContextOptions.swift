// SPDX-License-Identifier: Apache-2.0

/// A certificate chain with its key, as PEM text.
package struct TLSCertificateSource: Hashable, Sendable {
    /// Leaf first, then the intermediates. Source: `TlsCertificate.certificate_chain`.
    package var chain: [UInt8]
    /// PKCS#8, SEC1 or PKCS#1, not encrypted. Source: `TlsCertificate.private_key`.
    package var key: [UInt8]
    /// Where the chain came from, for `/certs` and errors: a path, or `<inline>`.
    package var path: String

    package init(chain: [UInt8], key: [UInt8], path: String = "<inline>") {
        self.chain = chain
        self.key = key
        self.path = path
    }
}

/// Everything a `TLSContext` is made from: the key under which equal configurations share one.
///
/// - Source: `CommonTlsContext`, `DownstreamTlsContext`, `UpstreamTlsContext`. The names that a peer's certificate must
///   carry are not here but in `SANPolicy`: they belong to a connection.
package struct TLSContextOptions: Hashable, Sendable {
    /// Which side of the handshake.
    package enum Role: Hashable, Sendable { case server, client }

    package var role: Role
    /// Our certificates; the first one of each key type is the default. A server needs one.
    package var certificates: [TLSCertificateSource] = []
    /// PEM of the CA certificates that a peer's chain must end in; nil accepts any chain (`validation_context` without
    /// `trusted_ca`).
    package var trustedCA: [UInt8]?
    /// Where `trustedCA` came from.
    package var trustedCAPath = "<inline>"
    /// PEM of revocation lists; every certificate of a chain is looked up then.
    package var revocationLists: [UInt8]?
    /// `only_verify_leaf_cert_crl`: the lists are asked about the peer's own certificate and no other. Default: false.
    package var checksRevocationOfLeafOnly = false
    /// `require_client_certificate`. Default: false, which still verifies a certificate that comes.
    package var requiresClientCertificate = false
    /// `trust_chain_verification: ACCEPT_UNTRUSTED`: a failed verification is remembered and not fatal.
    package var acceptsUntrusted = false
    /// `allow_expired_certificate`: the time of a peer's certificates is not looked at. Default: false.
    package var allowsExpired = false
    /// `max_verify_depth`: intermediates between leaf and CA. Default: 100.
    package var maxVerifyDepth: Int32 = 100
    /// `verify_certificate_spki`: SHA-256 of public keys. Any of these or of the hashes must match when there is one.
    package var publicKeyPins: [Digest] = []
    /// `verify_certificate_hash`: SHA-256 of certificates.
    package var certificateHashes: [Digest] = []
    /// `alpn_protocols`, in order of preference.
    package var protocols: [[UInt8]] = []
    /// `tls_minimum_protocol_version`. Default: 1.2.
    package var minimumVersion = TLSVersion.tls12
    /// `tls_maximum_protocol_version`. Default: 1.3 for servers; Envoy's clients stop at 1.2 unless told otherwise.
    package var maximumVersion = TLSVersion.tls13
    /// `cipher_suites`, for TLS 1.2; `[A|B]` groups are flattened. Empty: Envoy's defaults.
    package var cipherSuites: [String] = []
    /// `ecdh_curves`. Empty: X25519, then P-256.
    package var curves: [String] = []
    /// Session tickets (server) or a session cache (client). Default: on.
    package var allowsResumption = true
    /// A server keeps the sessions of TLS 1.2 clients that take no tickets. `disable_stateful_session_resumption`, inverted.
    /// Default: true.
    package var keepsSessions = true
    /// `session_ticket_keys`, 80 bytes each: name 16, HMAC-SHA-256 key 32, AES-256 key 32. The first one seals, all open.
    /// Empty: keys of the process, that change with the period.
    package var ticketKeys: [[UInt8]] = []
    /// How long one ticket key of the process seals new tickets; the one before it still opens them. - Unit: seconds.
    /// Default: 2 hours.
    package var ticketKeyPeriodSeconds: UInt64 = 7200
    /// `session_timeout`: how long after its handshake a session may be resumed. - Unit: seconds. Default: 2 hours.
    package var sessionTimeoutSeconds: UInt32 = 7200
    /// `max_session_keys`: sessions a client keeps for one server name and endpoint. Default: 1.
    package var maxSessions = 1

    package init(role: Role) { self.role = role }
}

/// Why a context cannot be made. The text names what was found.
package enum TLSContextError: Error, Equatable, Sendable, CustomStringConvertible {
    /// A server has no certificate.
    case noCertificate
    /// A chain holds no certificate or one that does not decode. - Parameter: its path.
    case badCertificate(String)
    /// There is no unencrypted private key, or one of a kind that cannot sign in TLS. - Parameter: the chain's path.
    case badKey(String)
    /// The key is not the leaf certificate's. - Parameter: the chain's path.
    case keyMismatch(String)
    /// OpenSSL refuses the pair, for instance for a key that is too short. - Parameters: the chain's path, OpenSSL's words.
    case refusedCertificate(String, String)
    /// - Parameter: the CA's path.
    case badTrustedCA(String)
    case badRevocationList
    /// The minimum version is above the maximum.
    case emptyVersionRange
    /// A protocol name that is empty or over 255 bytes.
    case badProtocolName
    /// A session ticket key has not 80 bytes. - Parameters: its index, its length.
    case badTicketKey(Int, Int)
    /// OpenSSL could not be set up or has no memory.
    case libraryFailed

    package var description: String {
        switch self {
        case .noCertificate: "a server needs at least one certificate"
        case .badCertificate(let path): "no readable certificate chain (PEM) in \(path)"
        case .badKey(let path): "no readable private key (unencrypted PEM) for the certificate \(path)"
        case .keyMismatch(let path): "the private key does not belong to the certificate \(path)"
        case .refusedCertificate(let path, let reason): "certificate \(path) cannot be used: \(reason)"
        case .badTrustedCA(let path): "no readable CA certificate (PEM) in \(path)"
        case .badRevocationList: "no readable certificate revocation list (PEM)"
        case .emptyVersionRange: "the minimum TLS version is above the maximum"
        case .badProtocolName: "an ALPN protocol name must have 1 to 255 bytes"
        case .badTicketKey(let index, let count): "session_ticket_keys.keys[\(index)] has \(count) bytes; allowed: 80"
        case .libraryFailed: "OpenSSL could not be set up"
        }
    }
}
