// SPDX-License-Identifier: Apache-2.0
import COpenSSL
import Glibc
package import MeshIO

/// What a client wants of one connection.
package struct TLSClientParameters {
    /// The name for SNI. A name that cannot be sent (empty, with a NUL, over 255 bytes) is left out.
    package var serverName: [UInt8] = []
    /// Overrides the context's protocols for this connection; nil keeps them.
    package var protocols: [[UInt8]]?
    /// Sessions are resumed among connections with the same name and this: the endpoint, and whatever else sets them apart.
    package var sessionKey: [UInt8] = []

    package init(serverName: [UInt8] = [], protocols: [[UInt8]]? = nil, sessionKey: [UInt8] = []) {
        self.serverName = serverName
        self.protocols = protocols
        self.sessionKey = sessionKey
    }
}

/// A TLS session over another stream, either side of it.
///
/// `onConnected` says that the handshake is complete (on both sides). A failure of the session ends it with
/// `.tlsFailed`; `failure` tells the log why. A handshake has no time limit of its own.
///
/// Ciphertext waits in the transport's rings, plaintext in this stream's: what is not read is not decrypted, and what the
/// transport does not take is not encrypted.
///
/// A step of the handshake is long work for the loop: it is taken when nothing else is ready, one at a time, and nothing
/// more is read until then.
///
/// Invariants:
/// - `ssl` exists until `closeTransport`; no handler is called while OpenSSL is at work;
/// - nothing is decrypted while reading is paused and the handshake is complete;
/// - while `isStepDue` the loop has this stream among its long work, and the transport is paused for it.
package final class TLSStream: ByteStream, EndOfTurn, LongWork {
    package let transport: ByteStream
    package let context: TLSContext
    let workspace: TLSWorkspace
    let policy: SANPolicy
    private(set) var ssl: OpaquePointer?
    private var port: TransportPort?
    private let sessionKey: TLSWorkspace.SessionKey?

    /// Whether bytes can flow.
    package private(set) var isHandshakeComplete = false
    /// Why the session failed.
    package internal(set) var failure: TLSFailure?
    /// The end of input came without the peer's close_notify: what was received may be cut short.
    package private(set) var isInputTruncated = false
    /// Who the peer's certificate says it is; nil without a certificate.
    package internal(set) var peerIdentity: PeerIdentity?
    /// Whether the peer's certificate was verified against the CA, and its names and pins were accepted.
    package internal(set) var isPeerValidated = false
    /// What was agreed on; set when the handshake is complete.
    package private(set) var parameters: TLSSessionParameters?

    /// The certificate of the session that is being resumed, with a reference of ours, and whose it is: asked for more than
    /// once until the handshake is complete, and found by a hash.
    private var resumedPeer: OpaquePointer?
    private var resumedIdentity: PeerIdentity?

    /// Nothing of the handshake is left in `ssl`.
    private var isParked = false
    /// A client got what the next connection resumes with.
    private var hasTicket = false
    /// The certificate of ours that the peer saw, where there are several.
    private var usedCertificate: OpaquePointer?

    /// The client's hello is longer than any sound one.
    var isHelloTooLong = false
    private var isShutdownSent = false
    private var isTransportPaused = false
    private var isStepDue = false
    private var isTurnEndScheduled = false
    private var hasResumed = false
    private var isFailing = false

    /// Plaintext in one record: with TLS 1.2's largest overhead (85 bytes) it still fits a standard slab below.
    private static let recordLimit = 16_128
    /// Ciphertext below: four records keep a socket busy, and more would only wait there instead of here.
    private static let transportLimit = 65_536

    /// The server's side of `transport`, which may have been read from already: pending input is the beginning of the
    /// client's hello.
    package convenience init(
        accepting transport: ByteStream, context: TLSContext, workspace: TLSWorkspace, policy: SANPolicy
    ) {
        self.init(transport, context, workspace, policy, nil)
    }

    /// The client's side of `transport`, connected or not yet: make it with any handler, it is replaced.
    package convenience init(
        connecting transport: ByteStream, context: TLSContext, workspace: TLSWorkspace, policy: SANPolicy,
        parameters: TLSClientParameters
    ) {
        self.init(transport, context, workspace, policy, parameters)
    }

    private init(
        _ transport: ByteStream, _ context: TLSContext, _ workspace: TLSWorkspace, _ policy: SANPolicy,
        _ client: TLSClientParameters?
    ) {
        self.transport = transport
        self.context = context
        self.workspace = workspace
        self.policy = policy
        sessionKey = client.map {
            TLSWorkspace.SessionKey(context: context.id, serverName: $0.serverName, endpoint: $0.sessionKey)
        }
        super.init(loop: transport.loop, localAddress: transport.localAddress, remoteAddress: transport.remoteAddress)
        port = TransportPort(owner: self)
        transport.setBufferLimit(TLSStream.transportLimit)
        ssl = SSL_new(context.handle)
        guard let ssl, let bio = TransportBIO.make(over: transport) else { return }
        SSL_set_bio(ssl, bio, bio)
        SSL_set_ex_data(ssl, 0, Unmanaged.passUnretained(self).toOpaque())
        guard let client else {
            SSL_set_accept_state(ssl)
            return
        }
        SSL_set_connect_state(ssl)
        prepare(client, ssl)
    }

    deinit {
        setResumedPeer(nil, nil)
        if let ssl { SSL_free(ssl) }
        if !transport.isClosed { transport.close() }
    }

    private func prepare(_ client: TLSClientParameters, _ ssl: OpaquePointer) {
        let name = client.serverName
        if !name.isEmpty, name.count <= 255, !name.contains(0) {
            (name + [0]).withUnsafeBytes {
                _ = apus_tls_set_host_name(ssl, $0.assumingMemoryBound(to: CChar.self).baseAddress)
            }
        }
        if let protocols = client.protocols, let list = TLSParameters.protocolList(protocols) {
            SSL_set_alpn_protos(ssl, list, UInt32(list.count))
        }
        if context.options.allowsResumption, let sessionKey, let session = workspace.takeSession(for: sessionKey) {
            if acceptsSession(session) { SSL_set_session(ssl, session) }
            SSL_SESSION_free(session)
        }
        TLSLibrary.forgetErrors()
    }

    /// Wall clock of this turn. - Unit: seconds since 1970.
    var wallSeconds: Int64 { Int64(clamping: loop.wallClock / 1_000_000_000) }

    /// A client's session, for the next connection like this one.
    func keepSession(_ session: OpaquePointer) -> Bool {
        // A parked session does not know the peer, and so could not be checked.
        guard let sessionKey, !isParked else { return false }
        hasTicket = true
        workspace.keep(session, for: sessionKey, atMost: context.options.maxSessions)
        return true
    }

    /// Our certificate on this connection, nil when we have none.
    package var localIdentity: PeerIdentity? {
        guard context.certificates.needsChoice, let usedCertificate else { return context.certificates.all.first?.identity }
        return context.certificates.all.first { $0.leaf == usedCertificate }?.identity
    }

    // MARK: Transport

    func transportConnected() {
        localAddress = transport.localAddress
        guard context.options.role == .client else { return }
        // Of several addresses of a host one has answered.
        remoteAddress = transport.remoteAddress
        advance()
    }

    func transportHasInput() {
        if isInputEnded {
            // What follows the peer's close_notify is nobody's.
            transport.input.detach()
        } else {
            advance()
        }
    }

    func transportEnded() {
        if isHandshakeComplete {
            endInputIfDrained()
        } else if !isStepDue {
            fail(TLSFailure(stat: nil, text: "the peer left during the handshake", code: 0, verifyResult: 0))
        }
    }

    func transportHasRoom() {
        guard isHandshakeComplete else { return }
        writeOut()
        reportShrinking()
    }

    func transportDrained() {
        guard reportsDrained, isHandshakeComplete, output.isEmpty else { return }
        handler?._withUnsafeGuaranteedRef { $0.onDrained(self) }
    }

    func transportClosed(_ reason: StreamCloseReason) { fail(reason) }

    private func advance() {
        guard !isClosed else { return }
        if isHandshakeComplete {
            receive()
        } else if !isStepDue, !transport.input.isEmpty || isHelloDue {
            isStepDue = true
            transport.pauseReading()
            loop.whenQuiet(self)
        }
    }

    // MARK: Handshake

    /// A client's handshake that has not begun.
    private var isHelloDue: Bool {
        guard let ssl else { return false }
        return context.options.role == .client && SSL_in_before(ssl) != 0
    }

    package func takeLongStep() -> Bool {
        isStepDue = false
        guard !isClosed else { return false }
        advanceHandshake()
        if isHandshakeComplete, !isClosed { receive() }
        guard !isClosed else { return true }
        if !isHandshakeComplete, transport.isInputEnded { transportEnded() }
        if !transport.isClosed {
            transport.input.settle(from: loop.pool)
            transport.resumeReading()
        }
        return true
    }

    private func advanceHandshake() {
        guard let ssl else {
            fail(TLSFailure(stat: .connectionError, text: "OpenSSL has no memory for a session", code: 0, verifyResult: 0))
            return
        }
        TLSLibrary.forgetErrors()
        let result = SSL_do_handshake(ssl)
        // A ticket that failed half-way may have left it off.
        apus_tls_decode_keys()
        if result == 1 {
            completeHandshake(ssl)
        } else if SSL_get_error(ssl, result) != SSL_ERROR_WANT_READ {
            failSession("the handshake failed")
        }
    }

    private func completeHandshake(_ ssl: OpaquePointer) {
        let agreed = TLSSessionParameters(ssl)
        parameters = agreed
        let isAccepted = !agreed.isResumed || acceptResumedPeer(ssl)
        setResumedPeer(nil, nil)
        guard isAccepted else {
            fail(failure ?? TLSFailure(
                stat: .failVerifyError, text: "the resumed session's peer is refused", code: 0, verifyResult: 0))
            return
        }
        isHandshakeComplete = true
        // It would be called for every record from here on.
        SSL_set_msg_callback(ssl, nil)
        // A session of TLS 1.2 may be resumed again and again, and no new ticket came.
        if agreed.isResumed, agreed.version == .tls12, let sessionKey, let session = SSL_get1_session(ssl) {
            workspace.keep(session, for: sessionKey, atMost: context.options.maxSessions)
        }
        if context.certificates.needsChoice { usedCertificate = SSL_get_certificate(ssl) }
        // In TLS 1.3 a client's tickets are made from its session, and come later.
        if context.options.role == .server || agreed.version == .tls12 || !context.options.allowsResumption { park(ssl) }
        transport.reportsDrained = reportsDrained
        if isReadingPaused { pauseTransport() }
        if !output.isEmpty || isWriteClosed { loop.scheduleFlush(self) }
        handler?._withUnsafeGuaranteedRef { $0.onConnected(self) }
    }

    /// Who a resumed session's peer is, if it was looked up before.
    func knownIdentity(of peer: OpaquePointer) -> PeerIdentity? { peer == resumedPeer ? resumedIdentity : nil }

    func setResumedPeer(_ peer: OpaquePointer?, _ identity: PeerIdentity?) {
        if let peer { X509_up_ref(peer) }
        if let resumedPeer { X509_free(resumedPeer) }
        resumedPeer = peer
        resumedIdentity = identity
    }

    private func park(_ ssl: OpaquePointer) { isParked = workspace.parking.park(ssl) }

    // MARK: Reading

    override package func startReading() {
        guard let port, !isClosed else { return }
        if ssl == nil { isFailing = true }
        transport.start(handler: port)
        // Bytes that a listener filter looked at, and an end it saw, are not reported again. A client's hello may wait in
        // the queue of a transport that is still connecting.
        scheduleTurnEnd()
    }

    private func pauseTransport() {
        guard !isTransportPaused else { return }
        isTransportPaused = true
        transport.pauseReading()
    }

    override package func readingPaused() {
        // The handshake goes on while the owner does not want to read.
        if isHandshakeComplete { pauseTransport() }
    }

    override package func readingResumed() {
        if isTransportPaused {
            isTransportPaused = false
            transport.resumeReading()
        }
        hasResumed = true
        scheduleTurnEnd()
    }

    /// Decrypts and delivers until the ciphertext is used up or the owner has enough.
    private func receive() {
        while !isClosed, !isReadingPaused, !isInputEnded, let ssl, SSL_pending(ssl) > 0 || !transport.input.isEmpty {
            let before = input.count
            let isGoingOn = decrypt(ssl)
            if input.count > before { deliverInput() }
            if !isClosed { input.settle(from: loop.pool) }
            if !isGoingOn { break }
        }
        endInputIfDrained()
    }

    /// Fills the room there is; returns false when it met the end, a failure, or half a record.
    private func decrypt(_ ssl: OpaquePointer) -> Bool {
        repeat {
            let expected = transport.input.count + Int(SSL_pending(ssl))
            let room = input.prepare(
                minimum: 1, preferred: min(max(expected, 1), SlabPool.largeCapacity), from: loop.pool)
            TLSLibrary.forgetErrors()
            let count = SSL_read(ssl, room.baseAddress, Int32(clamping: room.count))
            guard count > 0 else {
                didRead(ssl, count)
                return false
            }
            input.commit(Int(count))
            receivedBytes &+= UInt64(count)
            if Int(count) == room.count { return true }
        } while SSL_pending(ssl) > 0 || !transport.input.isEmpty
        return false
    }

    private func didRead(_ ssl: OpaquePointer, _ result: Int32) {
        switch SSL_get_error(ssl, result) {
        case SSL_ERROR_WANT_READ:
            if hasTicket, !isParked { park(ssl) }
        case SSL_ERROR_ZERO_RETURN: hasPeerClosed = true
        default:
            isFailing = true
            failureCode = ERR_peek_error()
            ERR_clear_error()
        }
    }

    private var hasPeerClosed = false
    private var failureCode: UInt = 0

    /// What the last read met is told after the bytes before it.
    private func endInputIfDrained() {
        guard !isClosed, let ssl else { return }
        if isFailing {
            fail(TLSFailure(
                stat: .connectionError, text: "the session failed while reading", code: failureCode, verifyResult: 0))
        } else if hasPeerClosed {
            transport.input.detach()
            deliverEndOfInput()
        } else if transport.isInputEnded, SSL_pending(ssl) == 0, !isInputEnded,
            transport.input.isEmpty || !isReadingPaused {
            // Only half a record can be left.
            isInputTruncated = true
            transport.input.detach()
            deliverEndOfInput()
        }
    }

    // MARK: Writing

    override package func flush() {
        guard isHandshakeComplete, !isClosed, !isFailing else { return }
        transport.reportsDrained = reportsDrained
        writeOut()
        reportShrinking()
    }

    private var hasShrunk = false

    private func writeOut() {
        guard let ssl else { return }
        while !output.isEmpty, !isFailing, !transport.isAboveHighWatermark, !transport.isClosed {
            let piece = output.firstPiece
            if piece.count >= TLSStream.recordLimit || output.pieceCount == 1 {
                encrypt(ssl, UnsafeRawBufferPointer(rebasing: piece.prefix(TLSStream.recordLimit)))
            } else {
                gather(ssl)
            }
        }
        if output.isEmpty, isWriteClosed, !isShutdownSent, !isFailing {
            isShutdownSent = true
            SSL_shutdown(ssl)
            TLSLibrary.forgetErrors()
            transport.closeWrite()
        }
    }

    private func encrypt(_ ssl: OpaquePointer, _ bytes: UnsafeRawBufferPointer) {
        TLSLibrary.forgetErrors()
        let count = SSL_write(ssl, bytes.baseAddress, Int32(truncatingIfNeeded: bytes.count))
        guard count > 0 else {
            isFailing = true
            failureCode = ERR_peek_error()
            ERR_clear_error()
            scheduleTurnEnd()
            return
        }
        output.consume(Int(count))
        sentBytes &+= UInt64(count)
        hasShrunk = true
    }

    /// One record out of several pieces, for a record costs more than copying does.
    private func gather(_ ssl: OpaquePointer) {
        let slab = loop.pool.take(TLSStream.recordLimit)
        var used = 0
        withUnsafeTemporaryAllocation(of: iovec.self, capacity: OutputQueue.maxVectors) { vectors in
            for index in 0..<output.fill(vectors) {
                let count = min(vectors[index].iov_len, TLSStream.recordLimit - used)
                guard count > 0 else { break }
                (slab.bytes + used).copyMemory(from: vectors[index].iov_base, byteCount: count)
                used += count
            }
        }
        encrypt(ssl, UnsafeRawBufferPointer(start: slab.bytes, count: used))
        slab.release()
    }

    private func reportShrinking() {
        guard hasShrunk, !isClosed else { return }
        hasShrunk = false
        // Encrypted is not sent: the transport tells when everything has left.
        let waits = reportsDrained && !transport.output.isEmpty
        if waits { reportsDrained = false }
        outputShrank()
        if waits { reportsDrained = true }
    }

    // MARK: End of turn

    private func scheduleTurnEnd() {
        guard !isTurnEndScheduled else { return }
        isTurnEndScheduled = true
        loop.atEndOfTurn(self)
    }

    package func onEndOfTurn() {
        isTurnEndScheduled = false
        guard !isClosed else { return }
        if hasResumed {
            hasResumed = false
            deliverWaitingInput()
        }
        guard !isClosed else { return }
        if isFailing {
            fail(TLSFailure(stat: .connectionError, text: "the session failed", code: failureCode, verifyResult: 0))
            return
        }
        advance()
        if !isClosed, !isHandshakeComplete, transport.isInputEnded { transportEnded() }
    }

    // MARK: Closing

    /// Ends the session with what OpenSSL says about it. A reason that verification left is kept.
    private func failSession(_ text: StaticString) {
        let code = ERR_peek_error()
        let verifyResult = ssl.map { SSL_get_verify_result($0) } ?? 0
        ERR_clear_error()
        let isMissing = code & 0xFFF == UInt(SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE)
        let known = failure
        fail(TLSFailure(
            stat: known?.stat ?? (isMissing ? .failVerifyNoCertificate : .connectionError), text: known?.text ?? text,
            code: code, verifyResult: known?.verifyResult ?? (verifyResult == 0 ? 0 : Int(verifyResult))))
    }

    private func fail(_ reason: TLSFailure) {
        guard !isClosed else { return }
        failure = reason
        fail(.tlsFailed)
    }

    override package func closeTransport(reset: Bool) {
        guard let ssl = ssl.take() else {
            if !transport.isClosed { transport.close() }
            return
        }
        if !transport.isClosed {
            if failure != nil {
                // The alert is the last thing in the transport's queue.
                transport.flush()
                transport.close()
            } else if reset {
                transport.reset()
            } else {
                sendCloseNotify(ssl)
                transport.close()
            }
        }
        // Without this, freeing the session makes what a client keeps of it useless.
        if isHandshakeComplete { SSL_set_shutdown(ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN) }
        SSL_free(ssl)
    }

    private func sendCloseNotify(_ ssl: OpaquePointer) {
        guard isHandshakeComplete, !isShutdownSent, transport.output.isEmpty else { return }
        isShutdownSent = true
        SSL_shutdown(ssl)
        TLSLibrary.forgetErrors()
        transport.flush()
    }

    override package func originalDestination() -> Address? { transport.originalDestination() }
}

@available(*, unavailable) extension TLSStream: Sendable {}
