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
    /// What an HTTP/1 connection had sent and received when the request began.
    var wireSentBefore: UInt64 = 0
    var wireReceivedBefore: UInt64 = 0

    // What an HTTP/2 connection keeps with its requests.
    /// Name of the stream in its session.
    var http2 = HTTP2StreamKey.none
    /// Place in the connection's list of requests; -1 outside it.
    var place = -1
    /// The client is slow: what arrives is counted in `unconsumed` and keeps the upstream's window closed.
    var isPaused = false
    var unconsumed = 0

    /// The request was sent a second time, because the upstream said that it had not looked at the first.
    private var isReplayed = false
    /// Body that was sent and may have to be sent again, while `canReplayBody`.
    private var sent = OutputQueue()
    private var canReplayBody = true
    private var held = OutputQueue()
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
        canReplayBody = true
        isPaused = false
        unconsumed = 0
        withStream {
            $0.info.attempts &+= 1
            $0.info.upstreamAsked = loop.now
        }
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
        stream.info.upstreamAddress = pool.address
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
        let isWhole = held.isEmpty && isEndHeld && !hasTrailers(stream)
        guard connection.sendHead(self, stream, isWhole: isWhole) else {
            connection.abandon(self)
            onConnectionFailure(.connectionTermination)
            return
        }
        if isWhole {
            isEndHeld = false
            isRequestComplete = true
        }
        if !held.isEmpty {
            held.drain { slice in connection.sendBody(self, stream, slice) }
        }
        if isEndHeld {
            isEndHeld = false
            sendEnd()
        }
        stream.onUpstreamConnected()
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
        keepForReplay(slice)
        guard isHeadSent, let connection else {
            held.append(slice, from: slabs)
            let limit = pool?._withUnsafeGuaranteedRef { Int($0.cluster.compiled.cluster.bufferLimitBytes) } ?? .max
            if held.pinnedBytes > limit { pauseDownstream() }
            return
        }
        connection.takeUnretainedValue().sendBody(self, stream.takeUnretainedValue(), slice)
    }

    /// Keeps what was sent on an HTTP/2 connection until the response begins, for as long as it is little: an upstream that
    /// goes away may not have looked at it.
    private func keepForReplay(_ slice: borrowing SlabSlice) {
        guard isHTTP2, !isReplayed, canReplayBody else { return }
        sent.append(slice.copy(), from: slabs)
        let limit = pool?._withUnsafeGuaranteedRef { Int($0.cluster.compiled.cluster.bufferLimitBytes) } ?? 0
        if sent.pinnedBytes > limit { forgetSent() }
    }

    private func forgetSent() {
        canReplayBody = false
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
            if failure != .overflow { pool?._withUnsafeGuaranteedRef { $0.endpoint.failedRequests &+= 1 } }
            finishAttempt()
            stream.onUpstreamFailure(failure)
        }
    }

    /// The connection, or the stream on it, ended before the response was whole.
    ///
    /// - Parameter mayReplay: the upstream has not looked at the request, so that it may be sent again (RFC 9113 §8.7).
    func onConnectionFailure(_ failure: UpstreamFailure, mayReplay: Bool = false) {
        if let connection {
            withStream { $0.info.lostConnection = connection._withUnsafeGuaranteedRef { $0.lost(self) } }
        }
        connection = nil
        withCounts { stats.add($0.requestsReceivedReset) }
        if mayReplay, replay() { return }
        pool?._withUnsafeGuaranteedRef { $0.endpoint.failedRequests &+= 1 }
        finishAttempt()
        withStream { $0.onUpstreamFailure(failure) }
    }

    /// Sends the request once more, where nothing of it is gone: a body that was passed on is.
    private func replay() -> Bool {
        guard !isReplayed, canReplayBody, let pool, withStream({ $0.canReplay }) else { return false }
        isReplayed = true
        sent.drain { slice in self.held.append(slice, from: self.slabs) }
        isReadingPaused = false
        isHeadSent = false
        isEndHeld = isRequestComplete
        isRequestComplete = false
        unconsumed = 0
        isPaused = false
        pool._withUnsafeGuaranteedRef { $0.start(self) }
        return true
    }

    func onInformationalHead() { withStream { $0.onUpstreamInformationalHead() } }

    func onResponseHead(_ stream: ActiveStream, endStream: Bool) {
        forgetSent()
        pool?._withUnsafeGuaranteedRef { countStatus($0, stream.response.status) }
        stream.onUpstreamHead(endStream: endStream)
    }

    func onResponseBody(_ slice: consuming SlabSlice) {
        stream.takeUnretainedValue().onUpstreamBody(slice)
    }

    /// The response is whole. The connection has been given back already.
    func onResponseEnd() {
        connection = nil
        withStream { stream in
            if let sent = stream.info.upstreamHeadSent {
                withCounts { stats.record($0.requestDuration, loop.now.nanoseconds(since: sent) / 1_000_000) }
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
        if isWaiting { pool?._withUnsafeGuaranteedRef { $0.cancel(self) } }
        if let connection {
            self.connection = nil
            connection._withUnsafeGuaranteedRef { $0.abandon(self) }
        }
        finishAttempt()
    }

    private func finishAttempt() {
        // The connection may go back to its pool: the pause belongs to this request only.
        if isReadingPaused { resumeTransport() }
        if !held.isEmpty { held.removeAll() }
        isEndHeld = false
        forgetSent()
        resumeDownstream()
        guard let pool else { return }
        pool._withUnsafeGuaranteedRef { stats.decrement($0.counts.requestsActive) }
        self.pool = nil
        pool.release()
    }

    private func countStatus(_ pool: ConnectionPool, _ status: UInt16) {
        stats.add(pool.counts.requestsCompleted)
        switch status / 100 {
        case 2: stats.add(pool.counts.requests2xx)
        case 3: stats.add(pool.counts.requests3xx)
        case 4: stats.add(pool.counts.requests4xx)
        case 5: stats.add(pool.counts.requests5xx)
        default: break
        }
        switch status {
        case 200: stats.add(pool.counts.requests200)
        case 503: stats.add(pool.counts.requests503)
        case 504: stats.add(pool.counts.requests504)
        default: break
        }
        if status >= 500 { pool.endpoint.failedRequests &+= 1 } else { pool.endpoint.succeededRequests &+= 1 }
    }
}
