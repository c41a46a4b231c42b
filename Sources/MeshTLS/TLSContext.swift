// SPDX-License-Identifier: Apache-2.0
import COpenSSL
import Synchronization

/// One configuration of TLS, decoded and checked: certificates, keys, trust and parameters of many connections.
///
/// Made on the control thread and shared by the workers. What changes while it is used (verified chains, sessions) is in
/// each worker's `TLSWorkspace`.
///
/// Sendable because the SSL_CTX, keys and store in it are not changed after `init`, and OpenSSL counts references to
/// them atomically.
package final class TLSContext: @unchecked Sendable {
    /// What it was made from; equal options may share a context.
    package let options: TLSContextOptions
    /// Unknown cipher or curve names and certificates that have expired, in words for the log.
    package let warnings: [String]
    /// Our certificates, then the CA's, for `/certs`.
    package let certificateDetails: [CertificateDetails]
    package let trustedDetails: [CertificateDetails]

    /// Distinguishes contexts in a worker's caches; never used again.
    let id: UInt64
    let handle: OpaquePointer
    let certificates: LocalCertificates
    let trust: TrustAnchors?
    let pins: PeerPins
    let ticketKeys: SessionTicketKeys

    private static let nextID = Atomic<UInt64>(1)

    /// - Parameter now: seconds since 1970, to report expired certificates.
    /// - Throws: what is wrong with the options; nothing is kept then.
    package init(_ options: TLSContextOptions, now: Int64) throws(TLSContextError) {
        self.options = options
        var warnings: [String] = []
        let library = TLSLibrary.shared
        guard library.isReady else { throw .libraryFailed }
        guard options.minimumVersion <= options.maximumVersion else { throw .emptyVersionRange }
        guard options.role == .client || !options.certificates.isEmpty else { throw .noCertificate }
        pins = PeerPins(options)
        ticketKeys = try SessionTicketKeys(options)
        certificates = try LocalCertificates(options.certificates)
        trust = try TrustAnchors.make(options)
        certificateDetails = certificates.all.compactMap { CertificateDetails($0.leaf, path: $0.path) }
        trustedDetails = trust?.details ?? []
        for details in certificateDetails + trustedDetails where details.expirationTime < now {
            warnings.append("certificate \(details.path) (serial \(details.serialNumber)) has expired")
        }
        guard let made = apus_tls_context_new(
            library.context, options.role == .server, Int32(options.minimumVersion.rawValue),
            Int32(options.maximumVersion.rawValue))
        else { throw .libraryFailed }
        handle = made
        id = TLSContext.nextID.add(1, ordering: .relaxed).newValue
        self.warnings = warnings + TLSParameters.apply(options, to: made)
        try install()
    }

    deinit { SSL_CTX_free(handle) }

    private func install() throws(TLSContextError) {
        for certificate in certificates.defaults where
            apus_tls_context_add(handle, certificate.leaf, certificate.chain, certificate.key) == 0 {
            throw .refusedCertificate(certificate.path, TLSContext.lastReason())
        }
        if let trust { SSL_CTX_set1_cert_store(handle, trust.store) }
        SSL_CTX_set_verify_depth(handle, options.maxVerifyDepth)
        SSL_CTX_set_verify(handle, verifyMode, nil)
        let isServer = options.role == .server
        SSL_CTX_set_cert_verify_callback(handle, { TLSCallbacks.verify($0, $1) }, nil)
        let scope = sessionScope.bytes
        apus_tls_context_set_resumption(
            handle, isServer, options.allowsResumption, options.keepsSessions, options.sessionTimeoutSeconds, scope, scope.count)
        if isServer {
            if let trust { apus_tls_context_name_authorities(handle, trust.store) }
            SSL_CTX_set_msg_callback(handle) { isWritten, _, type, bytes, count, ssl, _ in
                TLSCallbacks.measureHello(isWritten, type, bytes, count, ssl)
            }
            SSL_CTX_set_client_hello_cb(handle, { TLSCallbacks.judgeHello($0, $1, $2) }, nil)
            if certificates.needsChoice {
                SSL_CTX_set_cert_cb(handle, { TLSCallbacks.chooseCertificate($0, $1) }, nil)
            }
            if !options.protocols.isEmpty {
                SSL_CTX_set_alpn_select_cb(handle, { TLSCallbacks.chooseProtocol($0, $1, $2, $3, $4, $5) }, nil)
            }
            if options.allowsResumption {
                apus_tls_context_set_ticket_callback(handle) { TLSCallbacks.sealTicket($0, $1, $2, $3, $4, $5) }
                SSL_CTX_set_session_ticket_cb(
                    handle, { ssl, _ in TLSCallbacks.beginTicket(ssl) },
                    { TLSCallbacks.acceptTicket($0, $1, $2, $3, $4, $5) }, nil)
            }
        } else if options.allowsResumption {
            SSL_CTX_sess_set_new_cb(handle) { TLSCallbacks.keepSession($0, $1) }
        }
    }

    /// A server asks for a certificate when it has something to check it with, or needs one.
    private var verifyMode: Int32 {
        if options.role == .server, options.requiresClientCertificate {
            return SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT
        }
        return trust != nil || !pins.isEmpty || options.role == .client ? SSL_VERIFY_PEER : SSL_VERIFY_NONE
    }

    /// The session id context: a session is resumed only where this is the same, so never past another demand on clients.
    ///
    /// With keys of the process it is this context alone. Configured keys are there to be shared, so then it is all that
    /// decides whether a client is taken, and who the server is; the names of `SANPolicy` are compared again anyway.
    private var sessionScope: Digest {
        let own = Digest(words: (UInt64(bitPattern: Int64(options.hashValue)), id, 0, 0))
        guard options.role == .server, !options.ticketKeys.isEmpty else { return own }
        var facts: [UInt8] = []
        func add(_ part: [UInt8]) {
            withUnsafeBytes(of: UInt64(part.count).littleEndian) { facts += $0 }
            facts += part
        }
        add([
            options.requiresClientCertificate, options.acceptsUntrusted, options.allowsExpired,
            options.checksRevocationOfLeafOnly, options.trustedCA != nil, options.revocationLists != nil,
        ].map { $0 ? 1 : 0 })
        withUnsafeBytes(of: options.maxVerifyDepth.littleEndian) { facts += $0 }
        add(options.trustedCA ?? [])
        add(options.revocationLists ?? [])
        for list in [options.publicKeyPins, options.certificateHashes] {
            withUnsafeBytes(of: UInt64(list.count).littleEndian) { facts += $0 }
            for pin in list { add(pin.bytes) }
        }
        // Names and not bytes: a renewed certificate still is the same server.
        for certificate in certificates.all {
            add(certificate.identity.subject)
            for name in certificate.identity.names { add([name.kind.rawValue] + name.text) }
        }
        return facts.withUnsafeBytes { Digest(of: $0) } ?? own
    }

    static func lastReason() -> String {
        let code = ERR_peek_error()
        ERR_clear_error()
        return ERR_reason_error_string(code).map { String(cString: $0) } ?? "OpenSSL gives no reason"
    }
}
