// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshHTTP2
import MeshIO
import MeshModel
import MeshStats

/// One attempt to have a stream's request answered by an endpoint.
///
/// Belongs to its `ActiveStream` for good and is used again for every attempt. Request body that arrives before there is a
/// connection waits here, bounded by the cluster's buffer limit through the watermarks of the stream.
///
/// During an attempt the pool is retained, and with it the endpoint and the cluster. The connection belongs to its pool,
/// and ends the attempt before it ends.
final class UpstreamRequest {
    /// The stream owns this object, so it outlives it.
    let stream: Unmanaged<ActiveStream>
    private let loop: EventLoop
    private let slabs: SlabPool
    private let stats: StatPages
    /// Retained by hand from `start` to `finishAttempt`.
    private var pool: Unmanaged<ConnectionPool>?
    private var connection: Unmanaged<UpstreamConnection>?
    /// Set by the pool while the request has no connection.
    var isWaiting = false
    /// Whether every byte of the request was handed to the connection.
    private(set) var isRequestComplete = false
    var hasResponseTrailers = false
    /// What an HTTP/1 connection had received when the request began; what it had to send is `sentMark`.
    var wireReceivedBefore: UInt64 = 0

    // What an HTTP/2 connection keeps with its requests.
    /// Name of the stream in its session.
    var http2 = HTTP2StreamKey.none
    /// Place in the connection's list of requests; -1 outside it.
    var place = -1
    /// The client is slow: what arrives is counted in `unconsumed` and keeps the upstream's window closed.
    var isPaused = false
    var unconsumed = 0

    /// The request was sent again because the upstream had not looked at it.
    private var isReplayed = false
    /// Body is kept in `sent`, to be sent again: every byte of it there was so far.
    private(set) var keepsBody = false
    private var sent = HeldBytes()
    /// Most bytes of body that are kept.
    private var bodyLimit = 0
    /// Head and body as they were written to an HTTP/1 connection that took nothing of them.
    private var unsent = HeldBytes()
    private var isUnsentWhole = false
    /// Bytes that the connection had to send, over its life, before the first one of this request.
    var sentMark: UInt64 = 0
    /// Another attempt was decided on while the end of the response was about to be read.
    private var isDiscarded = false
    private var held = HeldBytes()
    private var isEndHeld = false
    private var isHeadSent = false
    private var hasPausedDownstream = false
    private var isReadingPaused = false

    init(stream: ActiveStream) {
        self.stream = Unmanaged.passUnretained(stream)
        loop = stream.loop
        slabs = stream.pool
        stats = stream.stats
    }

    /// Whether the attempt is on an HTTP/2 connection.
    var isHTTP2: Bool { pool?._withUnsafeGuaranteedRef { $0.key.wireProtocol == .http2 } ?? false }
    /// Whether the head has been given to a connection.
    var isConnected: Bool { isHeadSent }
    /// Where the attempt goes; nil outside one.
    var endpoint: Unmanaged<ActiveEndpoint>? {
        pool?._withUnsafeGuaranteedRef { Unmanaged.passUnretained($0.endpoint) }
    }

    /// Runs `body` with the stream, uncounted.
    @inline(__always) private func withStream<Result>(_ body: (ActiveStream) -> Result) -> Result {
        stream._withUnsafeGuaranteedRef(body)
    }

    /// The stat rows of the attempt's cluster; nil outside an attempt.
    @inline(__always) private func withCounts(_ body: (ClusterStats) -> Void) {
        pool?._withUnsafeGuaranteedRef { body($0.counts) }
    }

    /// Bytes of the request that wait for the upstream.
    var heldBytes: Int {
        held.pinnedBytes + sent.pinnedBytes + (connection?._withUnsafeGuaranteedRef { $0.queuedBytes(self) } ?? 0)
    }

    // MARK: Sending

    /// Asks a pool for a connection; the head goes out as soon as there is one.
    ///
    /// - Parameter isWhole: the request has neither body nor trailers, so that its end can go with its head.
    func start(_ pool: ConnectionPool, isWhole: Bool) {
        isRequestComplete = false
        isHeadSent = false
        isEndHeld = isWhole
        hasResponseTrailers = false
        isReplayed = false
        isPaused = false
        unconsumed = 0
        // On HTTP/2 a little is kept for an upstream that goes away and may not have looked at it.
        let isRetriable = withStream { $0.retry.isEnabled }
        keepsBody = isRetriable || pool.key.wireProtocol == .http2
        if keepsBody {
            bodyLimit = isRetriable ? withStream { $0.retry.details.pointee.bodyLimit } : Int(pool.compiled.cluster.bufferLimitBytes)
        }
        enter(pool)
    }

    /// The next attempt: the request is sent again, what there is of it.
    func startAgain(_ pool: ConnectionPool) {
        isReplayed = false
        enter(pool)
    }

    private func enter(_ pool: ConnectionPool) {
        withStream { $0.info.upstreamAsked = loop.now }
        self.pool = Unmanaged.passRetained(pool)
        stats.increment(pool.counts.requestsActive)
        pool.start(self)
    }

    /// Waits in another pool of the same endpoint from now on.
    func move(to other: ConnectionPool) {
        let left = pool
        pool = Unmanaged.passRetained(other)
        other.start(self)
        left?.release()
    }

    /// The pool found a connection.
    func onConnection(_ connection: UpstreamConnection) {
        self.connection = Unmanaged.passUnretained(connection)
        withStream { begin($0, connection) }
    }

    private func begin(_ stream: ActiveStream, _ connection: UpstreamConnection) {
        let pool = connection.pool
        stats.add(pool.counts.requestsTotal)
        stream.forRouteStats { $0.attemptBegan() }
        stream.info.upstreamAddress = connection.address
        stream.info.upstreamLocalAddress = connection.localAddress
        stream.info.upstreamVersion = pool.version
        connection.describe(to: &stream.info)
        if let tls = connection.tls { stream.info.setUpstreamTLS(tls) }
        stream.info.upstreamHeadSent = loop.now
        isHeadSent = true
        if pool.isTunnel {
            acceptTunnel(stream)
            return
        }
        if !unsent.isEmpty {
            sendUnsent(connection, stream)
        } else if !sendRequest(connection, stream) {
            return
        }
        if stream.retry.isUsed, stream.phase.contains(.requestReceived) { stream.startTryTimeouts() }
        stream.onUpstreamConnected()
    }

    /// Sends the head and what there is of the body. Returns false when the connection could not take it.
    private func sendRequest(_ connection: UpstreamConnection, _ stream: ActiveStream) -> Bool {
        let isWhole = held.isEmpty && sent.isEmpty && isEndHeld && !hasTrailers(stream)
        guard connection.sendHead(self, stream, isWhole: isWhole) else {
            connection.abandon(self)
            onConnectionFailure(.connectionTermination)
            return false
        }
        if isWhole {
            isEndHeld = false
            isRequestComplete = true
        }
        if !sent.isEmpty { sent.forEach { slice in connection.sendBody(self, stream, slice) } }
        sendHeld(connection, stream)
        return true
    }

    private func sendHeld(_ connection: UpstreamConnection, _ stream: ActiveStream) {
        if !held.isEmpty {
            held.drain { slice in connection.sendBody(self, stream, slice) }
        }
        if isEndHeld {
            isEndHeld = false
            sendEnd()
        }
    }

    /// What another connection was to send goes out as it is.
    private func sendUnsent(_ connection: UpstreamConnection, _ stream: ActiveStream) {
        unsent.drain { slice in connection.sendAgain(slice) }
        if isUnsentWhole { isRequestComplete = true }
        sendHeld(connection, stream)
    }

    private func hasTrailers(_ stream: ActiveStream) -> Bool { stream.requestTrailers.liveCount > 0 }

    /// The tunnel ends here: that the upstream took the connection is the answer to the CONNECT.
    private func acceptTunnel(_ stream: ActiveStream) {
        stream.response.reset()
        stream.response.status = 200
        stream.onUpstreamConnected()
        onResponseHead(stream, endStream: false)
    }

    /// Sends request body, or holds it until there is a connection.
    func sendBody(_ slice: consuming SlabSlice) {
        if keepsBody, !keep(slice) { return }
        guard isHeadSent, let connection else {
            if !keepsBody { held.append(slice, from: slabs) }
            let limit = pool?._withUnsafeGuaranteedRef { Int($0.compiled.cluster.bufferLimitBytes) } ?? .max
            if held.pinnedBytes &+ sent.pinnedBytes > limit { pauseDownstream() }
            return
        }
        connection.takeUnretainedValue().sendBody(self, stream.takeUnretainedValue(), slice)
    }

    /// Keeps a part of the body, or stops keeping it where it is too much. Returns false where the stream ended over that.
    private func keep(_ slice: borrowing SlabSlice) -> Bool {
        // Pieces may pin more than they hold, though seldom much more.
        let isTooMuch = sent.byteCount &+ slice.count > bodyLimit || sent.pinnedBytes / 4 > max(bodyLimit, SlabPool.largeCapacity)
        guard isTooMuch else {
            sent.append(slice.copy(), from: slabs)
            return true
        }
        guard withStream({ $0.bodyOutgrewRetries() }) else { return false }
        stopKeeping()
        return true
    }

    /// The request will not be sent again. What had no connection yet is only held from now on.
    private func stopKeeping() {
        keepsBody = false
        if isHeadSent {
            sent.removeAll()
        } else {
            sent.drain { slice in self.held.append(slice, from: self.slabs) }
        }
    }

    private func forgetSent() {
        keepsBody = false
        if !sent.isEmpty { sent.removeAll() }
    }

    /// The request is whole: sends the last chunk, and trailers where the upstream takes them.
    func sendEnd() {
        guard isHeadSent, let connection else {
            isEndHeld = true
            return
        }
        isRequestComplete = true
        withStream { stream in connection._withUnsafeGuaranteedRef { $0.sendEnd(self, stream) } }
    }

    // MARK: Events of pool and connection

    func onPoolFailure(_ failure: UpstreamFailure) {
        withStream { stream in
            if stream.info.upstreamAddress == nil, failure != .overflow {
                stream.info.upstreamAddress = pool?._withUnsafeGuaranteedRef { $0.address }
            }
            if case .connectFailure(let code) = failure { stream.info.connectErrno = code }
            if stream.retry.isEnabled, stream.retriesAfter(failure.attemptReset, wasSent: false, on: endpoint) == .retried {
                endAttempt()
                return
            }
            if failure != .overflow { pool?._withUnsafeGuaranteedRef { $0.endpoint.failedRequests &+= 1 } }
            finishAttempt()
            stream.onUpstreamFailure(failure)
        }
    }

    /// The connection, or the stream on it, ended before the response was whole.
    ///
    /// - Parameters:
    ///   - mayReplay: the upstream has not looked at the request, so that it may be sent again (RFC 9113 §8.7).
    ///   - wasSent: a byte of it may have reached the upstream.
    ///   - wasIdle: the connection had served others before, and was only found closed.
    func onConnectionFailure(
        _ failure: UpstreamFailure, mayReplay: Bool = false, wasSent: Bool = true, wasIdle: Bool = false
    ) {
        if let connection {
            withStream { $0.info.lostConnection = connection._withUnsafeGuaranteedRef { $0.lost(self) } }
        }
        connection = nil
        // A connection of HTTP/1 that ends is no reset of a stream.
        if failure == .remoteReset || failure == .remoteRefused { withCounts { stats.add($0.requestsReceivedReset) } }
        let endpoint = endpoint
        let outcome = withStream { stream in
            stream.retry.isEnabled
                ? stream.retriesAfter(failure.attemptReset, wasSent: wasSent, on: endpoint) : RetryOutcome.unwanted
        }
        switch outcome {
        case .retried:
            endAttempt()
            return
        case .unwanted: if mayReplay, replay(wasIdle: wasIdle) { return }
        case .exhausted: break
        }
        pool?._withUnsafeGuaranteedRef { $0.endpoint.failedRequests &+= 1 }
        finishAttempt()
        withStream { $0.onUpstreamFailure(failure) }
    }

    /// Takes back what a connection was to send and did not: nothing of the request has left.
    func takeBack(_ output: inout OutputQueue) {
        // What is kept is sent again from the start.
        guard !keepsBody else { return }
        isUnsentWhole = isRequestComplete
        output.drain { slice in self.unsent.append(slice, from: self.slabs) }
    }

    /// Sends the request once more to the same endpoint, where nothing of it is gone.
    private func replay(wasIdle: Bool) -> Bool {
        guard let pool, withStream({ $0.canReplay }), keepsBody || !unsent.isEmpty else { return false }
        // Once. But many idle connections may end together, and each that is found closed is one less.
        if !wasIdle {
            guard !isReplayed else { return false }
            isReplayed = true
        }
        withStream { $0.info.lostConnection = nil }
        isReadingPaused = false
        isHeadSent = false
        if unsent.isEmpty { isEndHeld = isRequestComplete }
        isRequestComplete = false
        unconsumed = 0
        isPaused = false
        if withStream({ $0.retry.isUsed }) { withStream { $0.cancelTryTimers() } }
        pool._withUnsafeGuaranteedRef { $0.start(self) }
        return true
    }

    func onInformationalHead() { withStream { $0.onUpstreamInformationalHead() } }

    func onResponseHead(_ stream: ActiveStream, endStream: Bool) {
        if stream.retry.isEnabled {
            if stream.retriesAfterHead(on: endpoint) {
                // A response that is whole leaves the connection usable.
                if endStream, isRequestComplete { isDiscarded = true } else { giveUp() }
                return
            }
            stream.endRetries()
        }
        stream.touchTry()
        forgetSent()
        pool?._withUnsafeGuaranteedRef { countStatus($0, stream.response.status) }
        stream.onUpstreamHead(endStream: endStream)
    }

    func onResponseBody(_ slice: consuming SlabSlice) {
        var body: SlabSlice? = slice
        withStream { if let slice = body.take() { $0.onUpstreamBody(slice) } }
    }

    /// The response is whole. The connection has been given back already.
    func onResponseEnd() {
        connection = nil
        if isDiscarded {
            endAttempt()
            return
        }
        withStream { stream in
            if let sent = stream.info.upstreamHeadSent {
                stream.countResponseTime(milliseconds: loop.now.nanoseconds(since: sent) / 1_000_000)
            }
            finishAttempt()
            stream.onUpstreamEnd()
        }
    }

    func onUpstreamAboveHighWatermark() { pauseDownstream() }
    func onUpstreamBelowLowWatermark() { resumeDownstream() }

    private func pauseDownstream() {
        guard !hasPausedDownstream else { return }
        hasPausedDownstream = true
        withStream { $0.pauseDownstream() }
    }

    private func resumeDownstream() {
        guard hasPausedDownstream else { return }
        hasPausedDownstream = false
        withStream { $0.resumeDownstream() }
    }

    /// Stops reading the response: the client is slow.
    func pauseReading() {
        guard let connection, !isReadingPaused else { return }
        isReadingPaused = true
        connection._withUnsafeGuaranteedRef { $0.pauseReading(self) }
        withCounts { stats.add($0.flowControlPausedReading) }
    }

    func resumeReading() {
        guard isReadingPaused else { return }
        resumeTransport()
        withCounts { stats.add($0.flowControlResumedReading) }
    }

    private func resumeTransport() {
        isReadingPaused = false
        connection?._withUnsafeGuaranteedRef { $0.resumeReading(self) }
    }

    // MARK: Ending

    /// The route's timeout ended the attempt.
    func countTimeout() { pool?._withUnsafeGuaranteedRef { $0.endpoint.timedOutRequests &+= 1 } }

    /// Gives the attempt up; nothing is reported to the stream.
    func cancel() {
        leaveConnection()
        finishAttempt()
    }

    /// Gives the attempt up and keeps the request for the next one.
    func giveUp() {
        leaveConnection()
        endAttempt()
    }

    private func leaveConnection() {
        if isWaiting { pool?._withUnsafeGuaranteedRef { $0.cancel(self) } }
        if let connection {
            self.connection = nil
            connection._withUnsafeGuaranteedRef { $0.abandon(self) }
        }
    }

    /// The attempt is over and the request is kept for the next one.
    private func endAttempt() {
        isEndHeld = isEndHeld || isRequestComplete
        isRequestComplete = false
        isHeadSent = false
        isDiscarded = false
        hasResponseTrailers = false
        isPaused = false
        unconsumed = 0
        leavePool()
    }

    private func finishAttempt() {
        if !held.isEmpty { held.removeAll() }
        isEndHeld = false
        forgetSent()
        leavePool()
    }

    private func leavePool() {
        // The connection may go back to its pool: the pause belongs to this request only.
        if isReadingPaused { resumeTransport() }
        if !unsent.isEmpty { unsent.removeAll() }
        if withStream({ $0.retry.isUsed }) { withStream { $0.cancelTryTimers() } }
        resumeDownstream()
        guard let pool else { return }
        pool._withUnsafeGuaranteedRef { stats.decrement($0.counts.requestsActive) }
        self.pool = nil
        pool.release()
    }

    private func countStatus(_ pool: ConnectionPool, _ status: UInt16) {
        withStream { $0.countResponse(status) }
        if status >= 500 { pool.endpoint.failedRequests &+= 1 } else { pool.endpoint.succeededRequests &+= 1 }
    }
}
