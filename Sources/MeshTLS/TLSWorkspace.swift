// SPDX-License-Identifier: Apache-2.0
import COpenSSL

/// What one worker remembers between TLS connections: peers whose chain it has verified, and sessions to resume as a client.
///
/// One for each loop, so nothing is locked. Entries belong to a context and are not found after it was replaced, so a new
/// CA, revocation list or parameter begins with nothing.
///
/// Invariants: at most twice `limit` peers and `sessionLimit` sessions are held, those that were used longest ago go first.
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

    /// Certificates of a hundred names and more are nobody's of a mesh. - Unit: bytes.
    private static let largestPeer = 65_536
    /// A context without a CA takes any certificate, so their number alone bounds nothing. - Unit: bytes.
    private static let generationBytes = 16 << 20

    /// What connections share after their handshake.
    let parking = TLSParking()

    private let limit: Int
    private let sessionLimit: Int
    /// Two generations stand in for a list in order of use: what was used since the last turnover, and before it.
    private var peers: [PeerKey: VerifiedPeer] = [:]
    /// What the identities in `peers` take.
    private var peerBytes = 0
    private var olderPeers: [PeerKey: VerifiedPeer] = [:]
    /// Of one key the newest last. Never an empty list.
    private var sessions: [SessionKey: [OpaquePointer]] = [:]
    private var olderSessions: [SessionKey: [OpaquePointer]] = [:]
    /// Sessions in `sessions`.
    private var freshCount = 0

    /// How often a chain was verified, and how often it had been before. For tests and admin.
    package private(set) var verifications = 0
    package private(set) var rememberedVerifications = 0

    /// - Parameter peers: chains remembered, 3 KiB each with one certificate. More clients than this that come in turns
    ///   would each be verified every time. - Parameter sessions: client sessions remembered.
    package init(peers: Int = 8192, sessions: Int = 1024) {
        limit = max(1, peers / 2)
        sessionLimit = max(1, sessions / 2)
    }

    deinit { forgetSessions() }

    /// Sessions held.
    package var sessionCount: Int { freshCount + olderSessions.values.reduce(0) { $0 + $1.count } }
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
        let size = peer.identity.approximateSize
        guard size <= TLSWorkspace.largestPeer else { return }
        if peers.count >= limit || peerBytes >= TLSWorkspace.generationBytes {
            olderPeers = peers
            peers = [:]
            peerBytes = 0
        }
        peers[key] = peer
        peerBytes += size
    }

    // MARK: Tickets

    private struct DerivedKey {
        let context: UInt64
        let period: UInt64
        let key: [UInt8]
    }

    private var derived: [DerivedKey] = []
    /// Two periods of as many contexts as are busy at once.
    private static let derivedLimit = 32

    /// The key of a period, made once: deriving it costs as much as sealing a ticket with it. Nil on failure.
    func ticketKey(of context: TLSContext, in period: UInt64) -> [UInt8]? {
        if let known = derived.first(where: { $0.context == context.id && $0.period == period }) { return known.key }
        var made = [UInt8](repeating: 0, count: SessionTicketKeys.keyLength)
        guard apus_tls_ticket_keys(TLSLibrary.shared.context, context.ticketKeys.secret, period, &made) == 1 else {
            return nil
        }
        if derived.count >= TLSWorkspace.derivedLimit { derived.removeFirst() }
        derived.append(DerivedKey(context: context.id, period: period, key: made))
        return made
    }

    // MARK: Sessions

    /// Takes over one reference to `session`; of its key at most `count` are kept, the newest ones.
    func keep(_ session: OpaquePointer, for key: SessionKey, atMost count: Int) {
        if freshCount >= sessionLimit {
            TLSWorkspace.free(olderSessions)
            olderSessions = sessions
            sessions = [:]
            freshCount = 0
        }
        var kept = takeAll(key)
        kept.append(session)
        while kept.count > max(1, min(count, sessionLimit)) { SSL_SESSION_free(kept.removeFirst()) }
        sessions[key] = kept
        freshCount += kept.count
    }

    /// The session to offer, the newest one; its reference is the caller's. A ticket is used once (RFC 8446 §C.4).
    func takeSession(for key: SessionKey) -> OpaquePointer? {
        var kept = takeAll(key)
        guard let newest = kept.popLast() else { return nil }
        if !kept.isEmpty {
            sessions[key] = kept
            freshCount += kept.count
        }
        return newest
    }

    private func takeAll(_ key: SessionKey) -> [OpaquePointer] {
        guard let fresh = sessions.removeValue(forKey: key) else { return olderSessions.removeValue(forKey: key) ?? [] }
        freshCount -= fresh.count
        guard let older = olderSessions.removeValue(forKey: key) else { return fresh }
        return older + fresh
    }

    /// Drops every session.
    package func forgetSessions() {
        TLSWorkspace.free(sessions)
        TLSWorkspace.free(olderSessions)
        sessions = [:]
        olderSessions = [:]
        freshCount = 0
    }

    private static func free(_ sessions: [SessionKey: [OpaquePointer]]) {
        for session in sessions.values.joined() { SSL_SESSION_free(session) }
    }
}

@available(*, unavailable) extension TLSWorkspace: Sendable {}
