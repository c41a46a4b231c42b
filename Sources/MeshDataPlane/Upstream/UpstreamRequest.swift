// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
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

    /// Runs `body` with the stream, uncounted.
    @inline(__always) private func withStream<Result>(_ body: (ActiveStream) -> Result) -> Result {
        stream._withUnsafeGuaranteedRef(body)
    }

    /// The stat rows of the attempt's cluster; nil outside an attempt.
    @inline(__always) private func withCounts(_ body: (ClusterStats) -> Void) {
        pool?._withUnsafeGuaranteedRef { body($0.counts) }
    }

    // MARK: Sending

    /// Asks a pool for a connection; the head goes out as soon as there is one.
    func start(_ pool: ConnectionPool) {
        isRequestComplete = false
        isHeadSent = false
        hasResponseTrailers = false
        withStream { $0.info.attempts &+= 1 }
        self.pool = Unmanaged.passRetained(pool)
        stats.increment(pool.counts.requestsActive)
        pool.start(self)
    }

    /// The pool found a connection.
    func onConnection(_ connection: UpstreamConnection) {
        guard let transport = connection.transport else { return }
        self.connection = Unmanaged.passUnretained(connection)
        withStream { stream in
            transport._withUnsafeGuaranteedRef { begin(stream, connection, $0) }
        }
    }

    private func begin(_ stream: ActiveStream, _ connection: UpstreamConnection, _ transport: ByteStream) {
        let pool = connection.pool
        stats.add(pool.counts.requestsTotal)
        stream.info.upstreamAddress = pool.address
        stream.info.upstreamLocalAddress = transport.localAddress
        if let tls = connection.tls { stream.info.setUpstreamTLS(tls) }
        stream.info.upstreamHeadSent = loop.now
        isHeadSent = true
        if pool.isTunnel {
            acceptTunnel(stream)
            return
        }
        // Names that the client's connection kept go out as they came; else the cluster says how.
        HTTP1Encoder.writeRequestHead(
            stream.request, to: transport, names: stream.keepsNameCase ? .original : pool.fieldNames)
        if !held.isEmpty {
            held.drain { slice in self.write(slice, stream, to: transport) }
        }
        if isEndHeld {
            isEndHeld = false
            sendEnd()
        }
        stream.onUpstreamConnected()
    }

    /// The tunnel ends here: that the upstream took the connection is the answer to the CONNECT.
    private func acceptTunnel(_ stream: ActiveStream) {
        stream.response.reset()
        stream.response.status = 200
        stream.onUpstreamConnected()
        onResponseHead(stream, endStream: false)
    }

    /// Sends request body, or holds it until there is a connection.
    func sendBody(_ slice: consuming SlabSlice) {
        guard isHeadSent, let connection, let transport = connection._withUnsafeGuaranteedRef({ $0.transport }) else {
            held.append(slice, from: slabs)
            let limit = pool?._withUnsafeGuaranteedRef { Int($0.cluster.compiled.cluster.bufferLimitBytes) } ?? .max
            if held.pinnedBytes > limit { pauseDownstream() }
            return
        }
        write(slice, stream.takeUnretainedValue(), to: transport.takeUnretainedValue())
    }

    private func write(_ slice: consuming SlabSlice, _ stream: ActiveStream, to transport: ByteStream) {
        if stream.request.framing == .chunked, !stream.isTunnel {
            HTTP1Encoder.writeChunk(slice, to: transport)
        } else {
            transport.write(slice)
        }
    }

    /// The request is whole: sends the last chunk, and trailers where the upstream takes them.
    func sendEnd() {
        guard isHeadSent, let connection, let transport = connection._withUnsafeGuaranteedRef({ $0.transport }) else {
            isEndHeld = true
            return
        }
        isRequestComplete = true
        withStream { stream in
            guard stream.isTunnel || stream.request.framing == .chunked else { return }
            transport._withUnsafeGuaranteedRef { endBody(stream, $0) }
        }
    }

    private func endBody(_ stream: ActiveStream, _ transport: ByteStream) {
        if stream.isTunnel {
            transport.closeWrite()
        } else if pool?._withUnsafeGuaranteedRef({ $0.cluster.compiled.cluster.http.http1.enableTrailers }) ?? false {
            HTTP1Encoder.writeLastChunk(trailers: stream.requestTrailers, to: transport)
        } else {
            HTTP1Encoder.writeLastChunk(to: transport)
        }
    }

    // MARK: Events of pool and connection

    func onPoolFailure(_ failure: UpstreamFailure) {
        withStream { stream in
            if stream.info.upstreamAddress == nil, failure != .overflow {
                stream.info.upstreamAddress = pool?._withUnsafeGuaranteedRef { $0.address }
            }
            if case .connectFailure(let code) = failure { stream.info.connectErrno = code }
            finishAttempt()
            stream.onUpstreamFailure(failure)
        }
    }

    func onConnectionFailure(_ failure: UpstreamFailure) {
        connection = nil
        withCounts { stats.add($0.requestsReceivedReset) }
        finishAttempt()
        withStream { $0.onUpstreamFailure(failure) }
    }

    func onInformationalHead() { withStream { $0.onUpstreamInformationalHead() } }

    func onResponseHead(_ stream: ActiveStream, endStream: Bool) {
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
        guard let connection, let transport = connection._withUnsafeGuaranteedRef({ $0.transport }) else { return }
        transport._withUnsafeGuaranteedRef { $0.pauseReading() }
        isReadingPaused = true
        withCounts { stats.add($0.flowControlPausedReading) }
    }

    func resumeReading() {
        guard isReadingPaused else { return }
        resumeTransport()
        withCounts { stats.add($0.flowControlResumedReading) }
    }

    private func resumeTransport() {
        isReadingPaused = false
        connection?._withUnsafeGuaranteedRef { connection in
            connection.transport?._withUnsafeGuaranteedRef { $0.resumeReading() }
        }
    }

    // MARK: Ending

    /// Gives the attempt up; nothing is reported to the stream.
    func cancel() {
        if isWaiting { pool?._withUnsafeGuaranteedRef { $0.cancel(self) } }
        if let connection {
            self.connection = nil
            connection._withUnsafeGuaranteedRef { $0.abandon() }
        }
        finishAttempt()
    }

    private func finishAttempt() {
        // The connection may go back to its pool: the pause belongs to this request only.
        if isReadingPaused { resumeTransport() }
        if !held.isEmpty { held.removeAll() }
        isEndHeld = false
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
