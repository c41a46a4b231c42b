// SPDX-License-Identifier: Apache-2.0

/// What both sides of TLS have in common.
///
/// - Source: `envoy.extensions.transport_sockets.tls.v3.CommonTlsContext`.
package struct TLSContextConfig: Hashable, Sendable {
    package var parameters = TLSParameters()
    /// Downstream one or more, the one for a client by its name and key type; upstream at most one.
    /// Source: `tls_certificates`.
    package var certificates: [TLSCertificateConfig] = []
    /// What a peer's certificate has to be. Source: `validation_context`, or the static part of
    /// `combined_validation_context`. Default: nil (no certificate is asked for, or any is taken).
    package var validation: CertificateValidation?
    /// Downstream in order of preference, upstream what is offered. Source: `alpn_protocols`, each with the names
    /// between its commas. Default: empty; an upstream then offers what its HTTP protocol needs.
    package var applicationProtocols: [String] = []

    package init() {}
}

/// TLS as a server. Source: `envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext`.
package struct DownstreamTLS: Hashable, Sendable {
    package var context = TLSContextConfig()
    /// Refuse clients without a certificate. With a CA and false, a certificate is asked for, and a wrong one refused.
    /// Without a CA and true, any certificate is taken. Source: `require_client_certificate`. Default: false.
    package var requiresClientCertificate = false
    /// Refuse clients that ask for no server name. Source: `require_sni`. Default: false.
    package var requiresServerName = false
    package var tickets = SessionTickets.ownKeys
    /// Resume sessions that the server keeps (TLS 1.2 session ids). Source: `disable_stateful_session_resumption`,
    /// inverted. Default: true.
    package var keepsSessions = true
    /// How long a session may be resumed. Source: `session_timeout`, whole seconds. Default: nil (the library's, two
    /// hours).
    package var sessionTimeoutSeconds: UInt32?
    /// Among several certificates look for one with the client's key type even where no name fits, instead of taking
    /// the first one. Source: `full_scan_certs_on_sni_mismatch`. Default: false.
    package var scansAllCertificates = false

    /// Tickets by which a client resumes what the server has forgotten. Source: oneof `session_ticket_keys_type`.
    package enum SessionTickets: Hashable, Sendable {
        /// Keys of the process.
        case ownKeys
        /// Of 80 bytes each: name 16, HMAC 32, AES-256 32. The first one seals, all open.
        /// Source: `session_ticket_keys`. Never empty.
        case keys([TLSDataSource])
        /// Source: `disable_stateless_session_resumption`.
        case disabled
    }

    package init(context: TLSContextConfig = TLSContextConfig()) { self.context = context }
}

/// TLS as a client. Source: `envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext`.
package struct UpstreamTLS: Hashable, Sendable {
    package var context = TLSContextConfig()
    /// Source: `sni`. Default: empty (none is sent).
    package var serverName = ""
    /// Send the host's `hostname`, where it has one, instead. Source: `auto_host_sni`. Default: false.
    package var usesHostNameAsServerName = false
    /// Check that the server's certificate is for the name that was sent. Source: `auto_sni_san_validation`. Default:
    /// false.
    package var validatesServerName = false
    /// Sessions kept to be resumed; 0 resumes none. Source: `max_session_keys`. Default: 1.
    package var maxSessionKeys: UInt32 = 1

    package init(context: TLSContextConfig = TLSContextConfig()) { self.context = context }
}

/// Versions and algorithms. Source: `envoy.extensions.transport_sockets.tls.v3.TlsParameters`.
package struct TLSParameters: Hashable, Sendable {
    /// Source: `tls_minimum_protocol_version`. Default: TLS 1.2.
    package var minimumVersion = TLSProtocolVersion.tls12
    /// Source: `tls_maximum_protocol_version`. Default: nil: TLS 1.3 as a server, TLS 1.2 as a client.
    package var maximumVersion: TLSProtocolVersion?
    /// For TLS 1.2 and below, by OpenSSL's or IANA's name; `[a|b]` are of equal preference. Source: `cipher_suites`.
    /// Default: empty (`defaultCipherSuites`).
    package var cipherSuites: [String] = []
    /// By IANA's or OpenSSL's name. Source: `ecdh_curves`. Default: empty (`defaultCurves`).
    package var curves: [String] = []

    /// Envoy's, without FIPS.
    package static let defaultCipherSuites = [
        "[ECDHE-ECDSA-AES128-GCM-SHA256|ECDHE-ECDSA-CHACHA20-POLY1305]",
        "[ECDHE-RSA-AES128-GCM-SHA256|ECDHE-RSA-CHACHA20-POLY1305]", "ECDHE-ECDSA-AES256-GCM-SHA384",
        "ECDHE-RSA-AES256-GCM-SHA384",
    ]
    /// Envoy's, without FIPS.
    package static let defaultCurves = ["X25519", "P-256"]

    package init() {}
}

/// A version of TLS, by its number on the wire.
package enum TLSProtocolVersion: UInt16, Comparable, Sendable {
    case tls10 = 0x0301
    case tls11 = 0x0302
    case tls12 = 0x0303
    case tls13 = 0x0304

    package static func < (one: TLSProtocolVersion, other: TLSProtocolVersion) -> Bool { one.rawValue < other.rawValue }
}

/// Where PEM text or key bytes are. Source: `envoy.config.core.v3.DataSource`.
package enum TLSDataSource: Hashable, Sendable {
    /// `inline_bytes`, `inline_string`, and the value an environment variable had.
    case inline([UInt8])
    /// Read when a context is made, and again when it has changed. Source: `filename`.
    case file(String)
}

/// A certificate chain with its key. Source: `envoy.extensions.transport_sockets.tls.v3.TlsCertificate`.
package struct TLSCertificateConfig: Hashable, Sendable {
    /// PEM, the leaf first. Source: `certificate_chain`.
    package var chain: TLSDataSource
    /// PEM. Source: `private_key`.
    package var privateKey: TLSDataSource
    /// The directory in which a rename announces new files, instead of the files' own. Source: `watched_directory`.
    /// Default: nil.
    package var watchedDirectory: String?

    package init(chain: TLSDataSource, privateKey: TLSDataSource, watchedDirectory: String? = nil) {
        self.chain = chain
        self.privateKey = privateKey
        self.watchedDirectory = watchedDirectory
    }
}
