// SPDX-License-Identifier: Apache-2.0

/// What becomes of x-forwarded-client-cert.
///
/// - Source: `HttpConnectionManager.forward_client_cert_details`, `set_current_client_cert_details`.
package struct ForwardClientCertificate: Hashable, Sendable {
    package var mode = Mode.sanitize
    /// What the element of the current client says beside `By` and `Hash`; only in `appendForward` and `sanitizeSet`.
    package var details = Details.none

    /// Source: `ForwardClientCertDetails`. Default: sanitize.
    package enum Mode: UInt8, Sendable {
        /// Remove it.
        case sanitize
        /// Pass it on from a client with a certificate, else remove it.
        case forwardOnly
        /// Append the client to it, when the client has a certificate; else remove it.
        case appendForward
        /// Replace it by the client, when the client has a certificate; else remove it.
        case sanitizeSet
        /// Pass it on, whoever the client is.
        case alwaysForwardOnly
    }

    /// Source: `SetCurrentClientCertDetails`. Default: none.
    package struct Details: OptionSet, Hashable, Sendable {
        package let rawValue: UInt8
        package init(rawValue: UInt8) { self.rawValue = rawValue }

        /// Nothing.
        package static let none = Details([])
        /// `Subject`. Source: `subject`.
        package static let subject = Details(rawValue: 1)
        /// `Cert`, the certificate as URL-encoded PEM. Source: `cert`.
        package static let certificate = Details(rawValue: 2)
        /// `Chain`, all certificates likewise. Source: `chain`.
        package static let chain = Details(rawValue: 4)
        /// `DNS`, each one. Source: `dns`.
        package static let dns = Details(rawValue: 8)
        /// `URI`, each one. Source: `uri`.
        package static let uri = Details(rawValue: 16)
    }

    package init() {}
}
