// SPDX-License-Identifier: Apache-2.0
import COpenSSL

/// Lets connections that have finished their handshake share what they need no more: of 23 KiB of an idle mTLS connection
/// 10 are its own session with the peer's certificate in it, decoded.
///
/// A session that is parked has no peer's certificate and cannot be resumed from; records, key updates and alerts need
/// neither. Who wants anything of the handshake asks before. One for each worker, so nothing is locked.
final class TLSParking {
    private var contexts: [OpaquePointer] = []
    private var sessions: [OpaquePointer] = []

    /// Whether this OpenSSL lets go of a session without tearing the connection down.
    private static let isPossible = apus_tls_can_park()

    deinit {
        for session in sessions { SSL_SESSION_free(session) }
        for context in contexts { SSL_CTX_free(context) }
    }

    /// False when the connection stays as it is.
    func park(_ ssl: OpaquePointer) -> Bool {
        guard TLSParking.isPossible, let context = context(for: ssl), let session = session(for: ssl) else { return false }
        return apus_tls_park(ssl, context, session) == 1
    }

    /// One for each version and role: four at most.
    private func context(for ssl: OpaquePointer) -> OpaquePointer? {
        let method = SSL_get_ssl_method(ssl)
        if let known = contexts.first(where: { SSL_CTX_get_ssl_method($0) == method }) { return known }
        guard let made = SSL_CTX_new_ex(TLSLibrary.shared.context, nil, method) else {
            TLSLibrary.forgetErrors()
            return nil
        }
        contexts.append(made)
        return made
    }

    /// One for each suite in use.
    private func session(for ssl: OpaquePointer) -> OpaquePointer? {
        guard let cipher = SSL_get_current_cipher(ssl) else { return nil }
        let version = SSL_version(ssl)
        if let known = sessions.first(where: {
            SSL_SESSION_get0_cipher($0) == cipher && SSL_SESSION_get_protocol_version($0) == version
        }) { return known }
        guard let made = SSL_SESSION_new() else { return nil }
        guard SSL_SESSION_set_protocol_version(made, version) == 1, SSL_SESSION_set_cipher(made, cipher) == 1 else {
            SSL_SESSION_free(made)
            return nil
        }
        sessions.append(made)
        return made
    }
}

@available(*, unavailable) extension TLSParking: Sendable {}
