// SPDX-License-Identifier: Apache-2.0
import COpenSSL

extension TLSStream {
    /// The largest RSA key of a peer, in bits: verifying with 16,384 costs a thousand times as much as with 2,048.
    private static let maxKeyBits: Int32 = 8192
    /// Most certificates in a peer's chain. OpenSSL bounds their bytes, but hundreds of small ones fit.
    private static let maxChainLength: Int32 = 32

    /// Answers whether the peer's certificate is accepted, in place of OpenSSL's own verification, which it falls back on
    /// for a chain that this worker has not seen under this context.
    func verifyPeer(_ store: OpaquePointer) -> Bool {
        guard let leaf = X509_STORE_CTX_get0_cert(store) else { return false }
        let refusal = check(leaf, X509_STORE_CTX_get0_untrusted(store), store)
        // The connection would keep it for as long as it lives.
        X509_STORE_CTX_set0_verified_chain(store, nil)
        if let refusal {
            failure = refusal
            // The result stays with the session, so that a resumed one is known to be of an untrusted peer.
            if X509_STORE_CTX_get_error(store) == 0 {
                // The alert is about the certificate; that of `APPLICATION_VERIFICATION` is "handshake failure".
                X509_STORE_CTX_set_error(store, Int32(X509_V_ERR_CERT_REJECTED))
            }
            guard context.options.acceptsUntrusted else { return false }
            failure = nil
            return true
        }
        isPeerValidated = context.trust != nil
        X509_STORE_CTX_set_error(store, 0)
        return true
    }

    private func check(_ leaf: OpaquePointer, _ others: OpaquePointer?, _ store: OpaquePointer) -> TLSFailure? {
        guard apus_tls_stack_count(others) <= TLSStream.maxChainLength else {
            return TLSFailure(stat: .failVerifyError, text: "the peer's chain is too long", code: 0, verifyResult: 0)
        }
        guard let digest = chainDigest(leaf, others) else {
            return TLSFailure(stat: .failVerifyError, text: "the peer's chain cannot be read", code: 0, verifyResult: 0)
        }
        let key = TLSWorkspace.PeerKey(context: context.id, chain: digest)
        let now = wallSeconds
        if let known = workspace.peer(key, now: now) {
            peerIdentity = known.identity
            return checkNamesAndPins(known.identity, leaf)
        }
        guard var identity = PeerIdentity(leaf: leaf, others: others) else {
            return TLSFailure(
                stat: .failVerifyError, text: "the peer's certificate cannot be read", code: 0, verifyResult: 0)
        }
        peerIdentity = identity
        var expires = Int64.max
        if let trust = context.trust {
            if let refusal = verifyChain(store, leaf, others, identity, now: now) { return refusal }
            if let chain = X509_STORE_CTX_get0_chain(store), apus_tls_stack_count(chain) > 0 {
                let place: Int32 = apus_tls_stack_count(chain) > 1 ? 1 : 0
                if let issuer = apus_tls_stack_at(chain, place) { identity = PeerIdentity(identity, issuer: issuer) }
                peerIdentity = identity
            }
            expires = min(earliestEnd(X509_STORE_CTX_get0_chain(store)), trust.nextUpdate)
        }
        workspace.remember(TLSWorkspace.VerifiedPeer(identity: identity, expires: expires), as: key)
        return checkNamesAndPins(identity, leaf)
    }

    private func verifyChain(
        _ store: OpaquePointer, _ leaf: OpaquePointer, _ others: OpaquePointer?, _ identity: PeerIdentity, now: Int64
    ) -> TLSFailure? {
        if identity.hasMalformedNames {
            return TLSFailure(
                stat: .failVerifyError, text: "a subject alternative name of the peer is malformed", code: 0,
                verifyResult: 0)
        }
        for index in 0..<max(0, apus_tls_stack_count(others)) {
            if let other = apus_tls_stack_at(others, index), isKeyTooLong(other) { return tooLong }
        }
        if isKeyTooLong(leaf) { return tooLong }
        workspace.didVerify()
        X509_STORE_CTX_set_time(store, 0, Int(now))
        if context.options.allowsExpired { allowExpired(store) }
        guard X509_verify_cert(store) != 1 else { return nil }
        TLSLibrary.forgetErrors()
        return TLSFailure(
            stat: .failVerifyError, text: "the peer's certificate is not trusted", code: 0,
            verifyResult: Int(X509_STORE_CTX_get_error(store)))
    }

    /// Validity is the only thing passed over, and of certificates alone: a revocation list still has to be of today.
    private func allowExpired(_ store: OpaquePointer) {
        X509_STORE_CTX_set_verify_cb(store) { verdict, store in
            if verdict != 0 { return verdict }
            let error = X509_STORE_CTX_get_error(store)
            return error == X509_V_ERR_CERT_HAS_EXPIRED || error == X509_V_ERR_CERT_NOT_YET_VALID ? 1 : 0
        }
    }

    private var tooLong: TLSFailure {
        TLSFailure(stat: .failVerifyError, text: "a key in the peer's chain is too long", code: 0, verifyResult: 0)
    }

    private func isKeyTooLong(_ certificate: OpaquePointer) -> Bool {
        guard let key = X509_get0_pubkey(certificate) else { return false }
        return EVP_PKEY_get_bits(key) > TLSStream.maxKeyBits
    }

    private func checkNamesAndPins(_ identity: PeerIdentity, _ leaf: OpaquePointer) -> TLSFailure? {
        guard context.pins.accept(leaf, fingerprint: identity.fingerprint) else {
            return TLSFailure(
                stat: .failVerifyCertificateHash, text: "the peer's certificate is not a pinned one", code: 0,
                verifyResult: 0)
        }
        guard policy.accepts(identity), policy.acceptsAll || !identity.hasMalformedNames else {
            return TLSFailure(
                stat: .failVerifySAN, text: "no subject alternative name of the peer matches", code: 0, verifyResult: 0)
        }
        return nil
    }

    /// Identifies all that was sent: the leaf's hash, or the hash of all hashes.
    private func chainDigest(_ leaf: OpaquePointer, _ others: OpaquePointer?) -> Digest? {
        let sha256 = TLSLibrary.shared.sha256
        guard let first = Digest(writing: { apus_tls_digest(leaf, sha256, $0) }) else { return nil }
        var all = first.bytes
        for index in 0..<max(0, apus_tls_stack_count(others)) {
            guard let other = apus_tls_stack_at(others, index) else { return nil }
            // The stack holds the leaf as well.
            if other == leaf { continue }
            guard let next = Digest(writing: { apus_tls_digest(other, sha256, $0) }) else { return nil }
            all += next.bytes
        }
        return all.count == 32 ? first : all.withUnsafeBytes { Digest(of: $0) }
    }

    private func earliestEnd(_ chain: OpaquePointer?) -> Int64 {
        var earliest = Int64.max
        for index in 0..<max(0, apus_tls_stack_count(chain)) {
            earliest = min(earliest, apus_tls_time(X509_get0_notAfter(apus_tls_stack_at(chain, index))))
        }
        return earliest
    }

    // MARK: Resumption

    /// Whether a session may be resumed: its peer's certificate must be good for this connection and this moment, since no
    /// one verifies it again. (CA, revocation lists and pins are what they were then: `TLSContext.sessionScope`.)
    func acceptsSession(_ session: OpaquePointer) -> Bool {
        guard let peer = SSL_SESSION_get0_peer(session) else {
            // Where a certificate is demanded, a session without one is no way around that.
            return !context.options.requiresClientCertificate && policy.acceptsAll
        }
        if context.options.acceptsUntrusted { return true }
        guard let identity = identity(of: peer) else { return false }
        let now = wallSeconds
        guard identity.notBefore <= now, now < identity.notAfter, now < context.trust?.nextUpdate ?? .max else {
            return false
        }
        return checkNamesAndPins(identity, peer) == nil
    }

    /// The same once more after the handshake, for the peer that is really there.
    func acceptResumedPeer(_ ssl: OpaquePointer) -> Bool {
        guard let session = SSL_get_session(ssl) else { return false }
        guard acceptsSession(session) else {
            if let peer = SSL_SESSION_get0_peer(session), let identity = identity(of: peer) {
                failure = checkNamesAndPins(identity, peer)
            }
            return false
        }
        if let peer = SSL_SESSION_get0_peer(session) {
            let known = identity(of: peer)
            peerIdentity = known
            isPeerValidated = context.trust != nil && SSL_get_verify_result(ssl) == 0
                && known.map { $0.notAfter > wallSeconds && checkNamesAndPins($0, peer) == nil } ?? false
        }
        return true
    }

    private func identity(of peer: OpaquePointer) -> PeerIdentity? {
        if let known = knownIdentity(of: peer) { return known }
        guard let digest = Digest(writing: { apus_tls_digest(peer, TLSLibrary.shared.sha256, $0) }) else { return nil }
        let key = TLSWorkspace.PeerKey(context: context.id, chain: digest)
        let found = workspace.peer(key, now: wallSeconds)?.identity ?? PeerIdentity(leaf: peer, others: nil)
        setResumedPeer(peer, found)
        return found
    }
}
