// SPDX-License-Identifier: Apache-2.0
import COpenSSL

/// What one worker remembers between TLS connections: peers whose chain it has verified, and sessions to resume as a client.
///
/// One for each loop, so nothing is locked. Entries belong to a context and are not found after it was replaced, so a new
/// CA, revocation list or parameter begins with nothing.
///
/// Invariants: at most twice `limit` peers and `sessionLimit` sessions are held, the least recently used ones go first.
package final class TLSWorkspace {
    struct PeerKey: Hashable {
        let context: UInt64
        let chain: Digest
    }

    struct VerifiedPeer {
        let identity: PeerIdentity
        /// Until when the verification holds: the earliest end of a certificate or revocation list. - Unit: seconds.
        let expires: Int64
    }

    /// Which sessions are interchangeable: one context, server name and endpoint.
    struct SessionKey: Hashable {
        let context: UInt64
        let serverName: [UInt8]
        let endpoint: [UInt8]
    }

    private let limit: Int
    private let sessionLimit: Int
    /// Two generations stand in for a list in order of use: what was used since the last turnover, and before it.
    private var peers: [PeerKey: VerifiedPeer] = [:]
    private var olderPeers: [PeerKey: VerifiedPeer] = [:]
    private var sessions: [SessionKey: OpaquePointer] = [:]
    private var olderSessions: [SessionKey: OpaquePointer] = [:]

    /// How often a chain was verified, and how often it had been before. For tests and admin.
    package private(set) var verifications = 0
    package private(set) var rememberedVerifications = 0

    /// - Parameter peers: chains remembered, a few KiB each. - Parameter sessions: client sessions remembered.
    package init(peers: Int = 1024, sessions: Int = 1024) {
        limit = max(1, peers / 2)
        sessionLimit = max(1, sessions / 2)
    }

    deinit { forgetSessions() }

    /// Sessions held.
    package var sessionCount: Int { sessions.count + olderSessions.count }
    /// Peers held.
    package var peerCount: Int { peers.count + olderPeers.count }

    // MARK: Peers

    func peer(_ key: PeerKey, now: Int64) -> VerifiedPeer? {
        guard let found = peers[key] ?? olderPeers.removeValue(forKey: key) else { return nil }
        guard found.expires > now, found.identity.notBefore <= now else {
            peers[key] = nil
            return nil
        }
        if peers[key] == nil { remember(found, as: key) }
        rememberedVerifications += 1
        return found
    }

    func didVerify() { verifications += 1 }

    func remember(_ peer: VerifiedPeer, as key: PeerKey) {
        if peers.count >= limit {
            olderPeers = peers
            peers = [:]
        }
        peers[key] = peer
    }

    // MARK: Sessions

    /// Takes over one reference to `session`.
    func keep(_ session: OpaquePointer, for key: SessionKey) {
        if let old = sessions.removeValue(forKey: key) ?? olderSessions.removeValue(forKey: key) { SSL_SESSION_free(old) }
        if sessions.count >= sessionLimit {
            for old in olderSessions.values { SSL_SESSION_free(old) }
            olderSessions = sessions
            sessions = [:]
        }
        sessions[key] = session
    }

    /// The session to offer; its reference is the caller's. A ticket is used once (RFC 8446 §C.4).
    func takeSession(for key: SessionKey) -> OpaquePointer? {
        sessions.removeValue(forKey: key) ?? olderSessions.removeValue(forKey: key)
    }

    /// Drops every session.
    package func forgetSessions() {
        for session in sessions.values { SSL_SESSION_free(session) }
        for session in olderSessions.values { SSL_SESSION_free(session) }
        sessions = [:]
        olderSessions = [:]
    }
}

@available(*, unavailable) extension TLSWorkspace: Sendable {}
