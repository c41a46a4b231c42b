// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshIO
import MeshModel
import MeshStats

/// One HTTP/1 connection to an upstream endpoint, serving one request at a time.
final class HTTP1UpstreamConnection: UpstreamConnection, TimerTarget {
    enum Phase { case connecting, idle, busy, closed }

    private let owner: HTTP1ConnectionPool
    private(set) var phase = Phase.connecting
    /// Set by `connect` before anything can call back.
    private(set) var stream: ByteStream?
    /// The same one, to be read without counting.
    private var transport: Unmanaged<ByteStream>?
    private var decoder: HTTP1ResponseDecoder
    /// The request being served. Its stream owns it and ends it before it lets go of it.
    private var request: Unmanaged<UpstreamRequest>?
    private let loop: EventLoop
    private let timers: TimerWheel
    private let slabs: SlabPool
    private let stats: StatPages
    private let compiled: CompiledCluster
    /// After 101 or a CONNECT 200 bytes pass as they are.
    private var isTunnel = false
    /// Whether the response allows the connection to be used again.
    private var isReusable = true
    private var timer = TimerID.none
    private var started: MonotonicInstant
    private var lastActivity: MonotonicInstant
    private var isReceiving = false
    /// Nothing of an earlier request waited to be sent when this one came.
    private var startsClean = false

    init(pool: HTTP1ConnectionPool) {
        owner = pool
        loop = pool.cluster.loop
        timers = pool.cluster.loop.timers
        slabs = pool.cluster.loop.pool
        stats = pool.cluster.stats
        compiled = pool.cluster.compiled
        decoder = HTTP1ResponseDecoder(limits: pool.cluster.responseLimits, options: pool.cluster.responseOptions)
        started = pool.cluster.loop.now
        lastActivity = started
        super.init(pool: pool)
    }

    private var counts: ClusterStats { compiled.stats }
    private var countedBytes = CountedBytes()

    // MARK: Life

    override var localAddress: Address? { stream?.localAddress }

    override func connect() {
        stats.add(counts.connectionsTotal)
        stats.add(counts.connectionsHTTP1Total)
        stats.increment(counts.connectionsActive)
        timer = timers.make(target: self)
        timers.arm(timer, at: loop.now.advanced(byNanoseconds: compiled.connectTimeout))
        let stream = pool.cluster.connect(to: pool.endpoint, key: pool.key, handler: self)
        stream.setBufferLimit(Int(compiled.cluster.bufferLimitBytes))
        self.stream = stream
        transport = Unmanaged.passUnretained(stream)
    }

    override func onConnected(_ stream: ByteStream) {
        timers.cancel(timer)
        tls = pool.cluster.connected(stream)
        lastActivity = loop.now
        connected = loop.now
        stats.record(counts.connectDuration, loop.now.nanoseconds(since: started) / 1_000_000)
        let longest = compiled.maxConnectionDuration
        if longest > 0 { timers.arm(timer, at: started.advanced(byNanoseconds: longest)) }
        phase = .busy
        owner.connected(self)
    }

    /// A request takes the connection.
    func begin(_ request: UpstreamRequest) {
        phase = .busy
        self.request = Unmanaged.passUnretained(request)
        isReusable = true
        requestsServed &+= 1
        if let stream {
            request.sentMark = stream.sentBytes &+ UInt64(stream.output.byteCount)
            startsClean = stream.output.isEmpty
            request.wireReceivedBefore = stream.receivedBytes &- UInt64(stream.input.count)
        }
        if pool.key.wireProtocol == .tcp {
            isTunnel = true
            isReusable = false
            return
        }
        request.stream._withUnsafeGuaranteedRef {
            decoder.expect(method: $0.request.method, isUpgrade: $0.phase.contains(.upgradeRequested))
        }
    }

    /// Nobody needs the connection now.
    func becameIdle() {
        phase = .idle
        lastActivity = loop.now
        let timeout = compiled.idleTimeout
        // Armed once and checked when it fires: arming it for every response would cost more than it saves.
        if timeout > 0, !timers.isArmed(timer) {
            timers.arm(timer, at: loop.now.advanced(byNanoseconds: timeout))
        }
    }

    func onTimer(_ tag: UInt32) {
        if phase == .connecting {
            stats.add(counts.connectionsConnectTimeout)
            end(failure: .connectFailure(0), isLocal: true)
            return
        }
        var next = UInt64.max
        if compiled.maxConnectionDuration > 0 {
            let age = loop.now.nanoseconds(since: started)
            if age >= compiled.maxConnectionDuration {
                isReusable = false
                if phase == .idle {
                    stats.add(counts.connectionsMaxDuration)
                    end(failure: nil, isLocal: true)
                    return
                }
            } else {
                next = compiled.maxConnectionDuration - age
            }
        }
        if compiled.idleTimeout > 0 {
            let quiet = phase == .idle ? loop.now.nanoseconds(since: lastActivity) : 0
            if quiet >= compiled.idleTimeout {
                stats.add(counts.connectionsIdleTimeout)
                end(failure: nil, isLocal: true)
                return
            }
            next = min(next, compiled.idleTimeout - quiet)
        }
        if next != .max { timers.arm(timer, at: loop.now.advanced(byNanoseconds: next)) }
    }

    /// The connection is idle and stays: what the loop's tables have of it moves to their front.
    func settle() {
        timers.settle(&timer)
        transport?._withUnsafeGuaranteedRef { $0.settle() }
    }

    /// Nobody needed it since the pool was looked at last.
    func closeSurplus() {
        stats.add(counts.connectionsIdleTimeout)
        closeIdle()
    }

    override func closeIdle() { if phase == .idle { end(failure: nil, isLocal: true) } }

    override func closeNow() { end(failure: .localReset, isLocal: true) }

    // MARK: Sending

    override func sendHead(_ request: UpstreamRequest, _ stream: ActiveStream, isWhole: Bool) -> Bool {
        guard let transport else { return false }
        // Names that the client's connection kept go out as they came; else the cluster says how.
        let names = stream.keepsNameCase ? .original : pool.fieldNames
        transport._withUnsafeGuaranteedRef {
            let before = $0.output.byteCount
            HTTP1Encoder.writeRequestHead(stream.request, to: $0, names: names)
            if stream.info.countsHeads {
                let fields = $0.output.byteCount - before - HTTP1Encoder.bytesAboutFields(of: stream.request)
                stream.info.heads.upstreamSent &+= UInt32(truncatingIfNeeded: fields)
            }
        }
        return true
    }

    override func sendBody(_ request: UpstreamRequest, _ stream: ActiveStream, _ slice: consuming SlabSlice) {
        guard let transport = self.stream else { return }
        if stream.request.framing == .chunked, !stream.isTunnel {
            HTTP1Encoder.writeChunk(slice, to: transport)
        } else {
            transport.write(slice)
        }
    }

    override func sendEnd(_ request: UpstreamRequest, _ stream: ActiveStream) {
        guard stream.isTunnel || stream.request.framing == .chunked, let transport = self.stream else { return }
        if stream.isTunnel {
            transport.closeWrite()
        } else if compiled.cluster.http.http1.enableTrailers {
            HTTP1Encoder.writeLastChunk(trailers: stream.requestTrailers, to: transport)
            if stream.info.countsHeads {
                stream.info.heads.upstreamSent &+= UInt32(truncatingIfNeeded: stream.requestTrailers.lineSize(separators: 4))
            }
        } else {
            HTTP1Encoder.writeLastChunk(to: transport)
        }
    }

    override func sendAgain(_ slice: consuming SlabSlice) { stream?.write(slice) }

    override func queuedBytes(_ request: UpstreamRequest) -> Int {
        stream.map { $0.output.pinnedBytes + $0.input.count } ?? 0
    }

    override func pauseReading(_ request: UpstreamRequest) { stream?.pauseReading() }
    override func resumeReading(_ request: UpstreamRequest) { stream?.resumeReading() }

    /// The connection cannot be used again: the rest of the response could not be told from the next one.
    override func abandon(_ request: UpstreamRequest) {
        end(failure: nil, isLocal: true)
    }

    /// Adds what this attempt was on the wire to what the stream knows; once for each attempt.
    ///
    /// - Parameter unread: bytes that came and are not this attempt's.
    private func measure(_ request: UpstreamRequest, unread: Int) {
        guard let stream else { return }
        request.stream._withUnsafeGuaranteedRef {
            $0.info.upstreamWireSent &+= stream.sentBytes &+ UInt64(stream.output.byteCount) &- request.sentMark
            $0.info.upstreamWireReceived &+=
                stream.receivedBytes &- UInt64(unread) &- request.wireReceivedBefore
        }
    }

    override func lost(_ request: UpstreamRequest) -> LostConnection {
        var lost = super.lost(request)
        if let stream { lost.sentBytes = Int64(clamping: stream.sentBytes &- min(request.sentMark, stream.sentBytes)) }
        return lost
    }

    private func end(failure: UpstreamFailure?, isLocal: Bool) {
        guard phase != .closed else { return }
        let was = phase
        phase = .closed
        let hadRequest = request
        // What was not read of a response that nobody wants any more had come for it all the same.
        hadRequest?._withUnsafeGuaranteedRef { measure($0, unread: 0) }
        request = nil
        timers.free(&timer)
        stats.add(counts.connectionsDestroyed)
        stats.add(isLocal ? counts.connectionsDestroyedLocal : counts.connectionsDestroyedRemote)
        if was == .connecting {
            stats.add(counts.connectionsConnectFail)
        } else {
            stats.record(counts.requestsPerConnection, UInt64(requestsServed))
        }
        if hadRequest != nil {
            stats.add(counts.connectionsDestroyedWithActiveRequest)
            stats.add(
                isLocal
                    ? counts.connectionsDestroyedLocalWithActiveRequest
                    : counts.connectionsDestroyedRemoteWithActiveRequest)
        }
        stats.decrement(counts.connectionsActive)
        stats.record(counts.connectionDuration, loop.now.nanoseconds(since: started) / 1_000_000)
        var isUnsent = false
        if let hadRequest, let stream, failure != nil, !isLocal, !isTunnel {
            isUnsent = hadRequest._withUnsafeGuaranteedRef { stream.sentBytes <= $0.sentMark }
            if isUnsent, startsClean { hadRequest._withUnsafeGuaranteedRef { $0.takeBack(&stream.output) } }
        }
        if let stream {
            countBytes(stream)
            stream.close()
        }
        owner.ended(self, was: was, failure: failure)
        if let hadRequest, let failure {
            hadRequest._withUnsafeGuaranteedRef {
                $0.onConnectionFailure(
                    failure, mayReplay: isUnsent, wasSent: !isUnsent, wasIdle: isUnsent && requestsServed > 1)
            }
        }
    }

    private func countBytes(_ stream: ByteStream) {
        countedBytes.count(stream, stats, received: counts.bytesReceived, sent: counts.bytesSent)
    }

    // MARK: Events of the stream

    override func onInput(_ stream: ByteStream) {
        guard !isReceiving else { return }
        isReceiving = true
        receive(stream)
        isReceiving = false
    }

    private func receive(_ stream: ByteStream) {
        while phase == .busy, let request, !stream.input.isEmpty || decoder.isBodyComplete {
            let goesOn = request._withUnsafeGuaranteedRef { request in
                request.stream._withUnsafeGuaranteedRef {
                    isTunnel ? passOn(stream, to: request) : step(stream, request, $0)
                }
            }
            guard goesOn else { break }
        }
        if phase == .idle, !stream.input.isEmpty {
            // Bytes nobody asked for: the next response could not be told from them.
            stats.add(counts.connectionsProtocolError)
            end(failure: nil, isLocal: true)
        }
    }

    private func passOn(_ stream: ByteStream, to request: UpstreamRequest) -> Bool {
        let count = stream.input.count
        guard count > 0 else { return false }
        let slice = stream.input.slice(offset: 0, length: count)
        stream.input.consume(count)
        if let slice { request.onResponseBody(slice) }
        return true
    }

    /// One step of the decoder; false when it needs more input, or the response is over.
    private func step(_ stream: ByteStream, _ request: UpstreamRequest, _ active: ActiveStream) -> Bool {
        let step = decoder.next(
            stream.input.readable, head: &active.response, trailers: &active.responseTrailers, pool: slabs)
        switch step.kind {
        case .needMore:
            if step.consumed > 0 { stream.input.consume(step.consumed) }
            return false
        case .head:
            stream.input.consume(step.consumed)
            onHead(request, active)
        case .body:
            let slice = stream.input.slice(offset: step.bodyOffset, length: step.bodyLength)
            stream.input.consume(step.consumed)
            if let slice { request.onResponseBody(slice) }
        case .trailers:
            stream.input.consume(step.consumed)
            request.hasResponseTrailers = true
            if active.info.countsHeads {
                active.info.heads.upstreamReceived &+= UInt32(truncatingIfNeeded: active.responseTrailers.lineSize(separators: 3))
            }
        case .end:
            stream.input.consume(step.consumed)
            finish(request, stream)
            return false
        case .failed:
            stats.add(counts.connectionsProtocolError)
            end(failure: .protocolError, isLocal: true)
            return false
        }
        return true
    }

    private func onHead(_ request: UpstreamRequest, _ active: ActiveStream) {
        let status = active.response.status
        if active.info.countsHeads { active.info.heads.received(fromUpstream: active.response.headers.lineSize(separators: 3)) }
        if status == 101 || (active.request.method == .connect && status / 100 == 2) {
            isTunnel = true
            isReusable = false
        } else if status / 100 == 1 {
            request.onInformationalHead()
            return
        }
        if !active.response.isKeepAlive { isReusable = false }
        request.onResponseHead(active, endStream: active.response.framing == .none && !isTunnel)
    }

    /// The response is whole.
    private func finish(_ request: UpstreamRequest, _ stream: ByteStream) {
        measure(request, unread: stream.input.count)
        self.request = nil
        if compiled.maxRequestsPerConnection > 0, requestsServed >= compiled.maxRequestsPerConnection {
            isReusable = false
            stats.add(counts.connectionsMaxRequests)
        }
        // An upstream that answered before it had the whole request cannot tell the rest of it from the next one.
        let keeps = isReusable && request.isRequestComplete && !pool.isDraining && !stream.isInputEnded
            && stream.input.isEmpty
        // A pause belongs to the request; the next one may be served before this one is told.
        request.resumeReading()
        if keeps {
            countBytes(stream)
            owner.released(self)
        } else {
            end(failure: nil, isLocal: true)
        }
        request.onResponseEnd()
    }

    override func onEndOfInput(_ stream: ByteStream) {
        guard phase == .busy, let request else {
            end(failure: phase == .connecting ? .connectFailure(104) : nil, isLocal: false)
            return
        }
        if isTunnel {
            isReusable = false
            request._withUnsafeGuaranteedRef { finish($0, stream) }
            return
        }
        let step = decoder.endOfInput()
        if step.kind == .end {
            isReusable = false
            request._withUnsafeGuaranteedRef { finish($0, stream) }
        } else {
            // Nothing of a response: the upstream just went away. Half of one: it broke its own framing.
            let isEmpty = step.failure == .closedBeforeHead
            if !isEmpty { stats.add(counts.connectionsProtocolError) }
            end(failure: isEmpty ? .connectionTermination : .protocolError, isLocal: false)
        }
    }

    override func onClosed(_ stream: ByteStream, _ reason: StreamCloseReason) {
        switch reason {
        case .connectFailed(let code): end(failure: .connectFailure(code == 0 ? 104 : code), isLocal: false)
        case .tlsFailed: end(failure: tlsFailure(stream, wasConnecting: phase == .connecting), isLocal: false)
        case .reset where phase == .connecting: end(failure: .connectFailure(TLSReason.peerLeft), isLocal: false)
        case .reset:
            // As a FIN: how much of a response had come decides what the upstream did wrong.
            if phase == .busy, request != nil, decoder.hasBegun, !isTunnel {
                stats.add(counts.connectionsProtocolError)
                end(failure: .protocolError, isLocal: false)
            } else {
                end(failure: .connectionTermination, isLocal: false)
            }
        }
    }

    override func onAboveHighWatermark(_ stream: ByteStream) {
        stats.add(counts.flowControlBackedUp)
        request?._withUnsafeGuaranteedRef { $0.onUpstreamAboveHighWatermark() }
    }

    override func onBelowLowWatermark(_ stream: ByteStream) {
        stats.add(counts.flowControlDrained)
        request?._withUnsafeGuaranteedRef { $0.onUpstreamBelowLowWatermark() }
    }
}
