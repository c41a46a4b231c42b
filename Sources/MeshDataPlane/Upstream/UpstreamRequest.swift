// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshIO
import MeshModel
import MeshStats

/// One attempt to have a stream's request answered by an endpoint.
///
/// Belongs to its `ActiveStream` for good and is used again for every attempt. Request body that arrives before there is a
/// connection waits here, bounded by the cluster's buffer limit through the watermarks of the stream.
final class UpstreamRequest {
    /// The stream owns this object, so it outlives it.
    unowned(unsafe) let stream: ActiveStream
    private(set) var cluster: WorkerCluster?
    private(set) var endpoint: ActiveEndpoint?
    private var pool: ConnectionPool?
    private(set) var connection: UpstreamConnection?
    /// Set by the pool while the request has no connection.
    var isWaiting = false
    /// Whether every byte of the request was handed to the connection.
    private(set) var isRequestComplete = false
    var hasResponseTrailers = false

    private var held = OutputQueue()
    private var isEndHeld = false
    private var isHeadSent = false
    private var hasPausedDownstream = false

    init(stream: ActiveStream) { self.stream = stream }

    private var loop: EventLoop { stream.worker.loop }

    // MARK: Sending

    /// Asks the endpoint's pool for a connection; the head goes out as soon as there is one.
    func start(cluster: WorkerCluster, endpoint: ActiveEndpoint, key: PoolKey) {
        self.cluster = cluster
        self.endpoint = endpoint
        isRequestComplete = false
        isHeadSent = false
        hasResponseTrailers = false
        stream.info.attempts &+= 1
        let pool = endpoint.pool(key)
        self.pool = pool
        cluster.stats.increment(cluster.compiled.stats.requestsActive)
        pool.start(self)
    }

    /// The pool found a connection.
    func onConnection(_ connection: UpstreamConnection) {
        guard let cluster, let transport = connection.stream else { return }
        self.connection = connection
        cluster.stats.add(cluster.compiled.stats.requestsTotal)
        stream.info.upstreamAddress = endpoint?.address
        stream.info.upstreamLocalAddress = transport.localAddress
        stream.info.upstreamHeadSent = loop.now
        isHeadSent = true
        if connection.pool.key.wireProtocol == .tcp {
            acceptTunnel()
            return
        }
        HTTP1Encoder.writeRequestHead(stream.request, to: transport, names: namesOfFields(cluster))
        if !held.isEmpty {
            held.drain { slice in self.write(slice, to: transport) }
        }
        if isEndHeld {
            isEndHeld = false
            sendEnd()
        }
        stream.onUpstreamConnected()
    }

    /// The tunnel ends here: that the upstream took the connection is the answer to the CONNECT.
    private func acceptTunnel() {
        stream.response.reset()
        stream.response.status = 200
        stream.onUpstreamConnected()
        onResponseHead(endStream: false)
    }

    /// Names that the client's connection kept go out as they came; else the cluster says how.
    private func namesOfFields(_ cluster: WorkerCluster) -> FieldNameCase {
        stream.keepsNameCase ? .original : cluster.compiled.fieldNames
    }

    /// Sends request body, or holds it until there is a connection.
    func sendBody(_ slice: consuming SlabSlice) {
        guard isHeadSent, let transport = connection?.stream else {
            held.append(slice, from: loop.pool)
            if let cluster, held.pinnedBytes > Int(cluster.compiled.cluster.bufferLimitBytes) { pauseDownstream() }
            return
        }
        write(slice, to: transport)
    }

    private func write(_ slice: consuming SlabSlice, to transport: ByteStream) {
        if stream.request.framing == .chunked, !stream.isTunnel {
            HTTP1Encoder.writeChunk(slice, to: transport)
        } else {
            transport.write(slice)
        }
    }

    /// The request is whole: sends the last chunk, and trailers where the upstream takes them.
    func sendEnd() {
        guard isHeadSent, let transport = connection?.stream else {
            isEndHeld = true
            return
        }
        isRequestComplete = true
        if stream.isTunnel {
            transport.closeWrite()
        } else if stream.request.framing == .chunked {
            if cluster?.compiled.cluster.http.http1.enableTrailers ?? false {
                HTTP1Encoder.writeLastChunk(trailers: stream.requestTrailers, to: transport)
            } else {
                HTTP1Encoder.writeLastChunk(to: transport)
            }
        }
    }

    // MARK: Events of pool and connection

    func onPoolFailure(_ failure: UpstreamFailure) {
        if stream.info.upstreamAddress == nil, failure != .overflow { stream.info.upstreamAddress = endpoint?.address }
        if case .connectFailure(let code) = failure { stream.info.connectErrno = code }
        finishAttempt()
        stream.onUpstreamFailure(failure)
    }

    func onConnectionFailure(_ failure: UpstreamFailure) {
        connection = nil
        if let cluster { cluster.stats.add(cluster.compiled.stats.requestsReceivedReset) }
        finishAttempt()
        stream.onUpstreamFailure(failure)
    }

    func onInformationalHead() { stream.onUpstreamInformationalHead() }

    func onResponseHead(endStream: Bool) {
        if let cluster { countStatus(cluster, stream.response.status) }
        stream.onUpstreamHead(endStream: endStream)
    }

    func onResponseBody(_ slice: consuming SlabSlice) { stream.onUpstreamBody(slice) }

    /// The response is whole. The connection has been given back already.
    func onResponseEnd() {
        connection = nil
        if let cluster, let sent = stream.info.upstreamHeadSent {
            cluster.stats.record(
                cluster.compiled.stats.requestDuration, loop.now.nanoseconds(since: sent) / 1_000_000)
        }
        finishAttempt()
        stream.onUpstreamEnd()
    }

    func onUpstreamAboveHighWatermark() { pauseDownstream() }
    func onUpstreamBelowLowWatermark() { resumeDownstream() }

    private func pauseDownstream() {
        guard !hasPausedDownstream else { return }
        hasPausedDownstream = true
        stream.pauseDownstream()
    }

    private func resumeDownstream() {
        guard hasPausedDownstream else { return }
        hasPausedDownstream = false
        stream.resumeDownstream()
    }

    /// Stops reading the response: the client is slow.
    func pauseReading() {
        guard let transport = connection?.stream else { return }
        transport.pauseReading()
        isReadingPaused = true
        if let cluster { cluster.stats.add(cluster.compiled.stats.flowControlPausedReading) }
    }

    private var isReadingPaused = false

    func resumeReading() {
        guard isReadingPaused else { return }
        isReadingPaused = false
        connection?.stream?.resumeReading()
        if let cluster { cluster.stats.add(cluster.compiled.stats.flowControlResumedReading) }
    }

    // MARK: Ending

    /// Gives the attempt up; nothing is reported to the stream.
    func cancel() {
        if isWaiting { pool?.cancel(self) }
        if let connection {
            self.connection = nil
            connection.abandon()
        }
        finishAttempt()
    }

    private func finishAttempt() {
        if isReadingPaused {
            // The connection may go back to its pool: the pause belongs to this request only.
            isReadingPaused = false
            connection?.stream?.resumeReading()
        }
        held.removeAll()
        isEndHeld = false
        resumeDownstream()
        if let cluster { cluster.stats.decrement(cluster.compiled.stats.requestsActive) }
        pool = nil
        endpoint = nil
        cluster = nil
    }

    private func countStatus(_ cluster: WorkerCluster, _ status: UInt16) {
        let counts = cluster.compiled.stats
        cluster.stats.add(counts.requestsCompleted)
        switch status / 100 {
        case 2: cluster.stats.add(counts.requests2xx)
        case 3: cluster.stats.add(counts.requests3xx)
        case 4: cluster.stats.add(counts.requests4xx)
        case 5: cluster.stats.add(counts.requests5xx)
        default: break
        }
        switch status {
        case 200: cluster.stats.add(counts.requests200)
        case 503: cluster.stats.add(counts.requests503)
        case 504: cluster.stats.add(counts.requests504)
        default: break
        }
        if status >= 500 { endpoint?.failedRequests &+= 1 } else { endpoint?.succeededRequests &+= 1 }
    }
}
