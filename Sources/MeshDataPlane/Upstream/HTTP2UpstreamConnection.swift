// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshHTTP2
import MeshIO
import MeshModel
import MeshStats

/// One HTTP/2 connection to an upstream endpoint.
///
/// Invariants:
/// - a stream of the session has its `UpstreamRequest` as owner until that is told of its end or abandons it;
/// - `active` is the number of requests that were assigned and are not over.
final class HTTP2UpstreamConnection: UpstreamConnection, TimerTarget, EndOfTurn {
    private enum Phase {
        case connecting, open
        /// Takes no new requests: GOAWAY, a limit, or its endpoint was removed.
        case draining
        case closed
    }

    private let owner: HTTP2ConnectionPool
    private let session: HTTP2Session
    private let codecStats: HTTP2CodecStats
    private let stats: StatPages
    private let compiled: CompiledCluster
    private let loop: EventLoop
    private let timers: TimerWheel
    private let slabs: SlabPool
    private var transport: ByteStream?
    /// The same, for what happens every turn.
    private var transportReference: Unmanaged<ByteStream>?
    private var phase = Phase.connecting
    private var active = 0
    private var timer = TimerID.none
    private let started: MonotonicInstant
    private var lastActivity: MonotonicInstant
    private var isFlushScheduled = false
    private var isReading = false
    private var keepAlive: HTTP2KeepAlive?

    init(pool: HTTP2ConnectionPool) {
        owner = pool
        stats = pool.stats
        compiled = pool.compiled
        loop = pool.cluster.loop
        timers = loop.timers
        slabs = loop.pool
        codecStats = pool.compiled.http2Stats
        session = HTTP2Session(
            role: .client, options: pool.compiled.http2Options, memory: pool.cluster.http2Memory, pool: loop.pool)
        started = loop.now
        lastActivity = loop.now
        super.init(pool: pool)
    }

    private var counts: ClusterStats { compiled.stats }
    private var countedBytes = CountedBytes()

    override var localAddress: Address? { transport?.localAddress }

    /// Whether one more request may be sent.
    var hasRoom: Bool { phase == .open && active < mostStreams && session.openableStreams > 0 }

    /// How many more requests may be sent.
    var room: Int { phase == .open ? max(0, min(mostStreams - active, Int(session.openableStreams))) : 0 }

    private var mostStreams: Int { Int(compiled.cluster.http.http2.maxConcurrentStreams) }

    // MARK: Life

    override func connect() {
        stats.add(counts.connectionsTotal)
        stats.add(counts.connectionsHTTP2Total)
        stats.add(codecStats.upstreamConnections)
        stats.increment(counts.connectionsActive)
        timer = timers.make(target: self)
        timers.arm(timer, at: loop.now.advanced(byNanoseconds: compiled.connectTimeout))
        let stream = pool.cluster.connect(to: pool.endpoint, key: pool.key, handler: self)
        stream.setBufferLimit(Int(compiled.cluster.bufferLimitBytes))
        transport = stream
        transportReference = Unmanaged.passUnretained(stream)
    }

    override func onConnected(_ stream: ByteStream) {
        timers.cancel(timer)
        tls = pool.cluster.connected(stream)
        lastActivity = loop.now
        connected = loop.now
        stats.record(counts.connectDuration, loop.now.nanoseconds(since: started) / 1_000_000)
        phase = .open
        if pool.cluster.choosesByALPN, tls?.applicationProtocol != "h2" {
            owner.upstreamChoseHTTP1()
            end(failure: nil, isLocal: true)
            return
        }
        armTimer()
        session.start()
        startKeepAlive()
        scheduleFlush()
        owner.connected(self)
    }

    private func startKeepAlive() {
        guard let options = compiled.cluster.http.http2.keepalive else { return }
        let seed = UInt64(UInt(bitPattern: ObjectIdentifier(self).hashValue)) ^ started.nanoseconds
        keepAlive = HTTP2KeepAlive(options, loop: loop, random: seed) { [unowned self] in
            stats.add(codecStats.keepAliveTimeout)
            end(failure: .connectionTermination, isLocal: true)
        } ping: { [unowned self] in
            session.submitPing()
            scheduleFlush()
        }
    }

    /// The timer runs for whichever of idling and the longest life comes first, and is checked when it fires.
    private func armTimer() {
        var next = UInt64.max
        if compiled.maxConnectionDuration > 0 {
            let age = loop.now.nanoseconds(since: started)
            next = age < compiled.maxConnectionDuration ? compiled.maxConnectionDuration - age : 0
        }
        if compiled.idleTimeout > 0 {
            let quiet = active == 0 ? loop.now.nanoseconds(since: lastActivity) : 0
            next = min(next, quiet < compiled.idleTimeout ? compiled.idleTimeout - quiet : 0)
        }
        if next != .max { timers.arm(timer, at: loop.now.advanced(byNanoseconds: max(next, 1_000_000))) }
    }

    func onTimer(_ tag: UInt32) {
        switch phase {
        case .connecting:
            stats.add(counts.connectionsConnectTimeout)
            end(failure: .connectFailure(0), isLocal: true)
        case .open, .draining:
            if compiled.maxConnectionDuration > 0,
                loop.now.nanoseconds(since: started) >= compiled.maxConnectionDuration, phase == .open
            {
                stats.add(counts.connectionsMaxDuration)
                retire()
            }
            guard phase != .closed else { return }
            if active == 0, compiled.idleTimeout > 0, loop.now.nanoseconds(since: lastActivity) >= compiled.idleTimeout {
                stats.add(counts.connectionsIdleTimeout)
                end(failure: nil, isLocal: true)
                return
            }
            armTimer()
        case .closed: break
        }
    }

    /// No new requests from now on; without any the connection ends at once.
    private func retire() {
        guard phase == .open else { return }
        phase = .draining
        owner.retire(self)
        endIfDrained()
    }

    private func endIfDrained() {
        guard phase == .draining, active == 0 else { return }
        session.shutdown()
        if let transport { session.flush(into: transport) }
        end(failure: nil, isLocal: true)
    }

    override func closeIdle() {
        if phase == .connecting { return }
        retire()
    }

    override func closeNow() { end(failure: .localReset, isLocal: true) }

    private func end(failure: UpstreamFailure?, isLocal: Bool) {
        guard phase != .closed else { return }
        let wasConnecting = phase == .connecting
        phase = .closed
        timers.free(&timer)
        keepAlive?.stop()
        keepAlive = nil
        stats.add(counts.connectionsDestroyed)
        stats.add(isLocal ? counts.connectionsDestroyedLocal : counts.connectionsDestroyedRemote)
        if wasConnecting {
            stats.add(counts.connectionsConnectFail)
        } else {
            stats.record(counts.requestsPerConnection, UInt64(requestsServed))
        }
        if !wasConnecting, active > 0 {
            stats.add(counts.connectionsDestroyedWithActiveRequest)
            stats.add(
                isLocal
                    ? counts.connectionsDestroyedLocalWithActiveRequest
                    : counts.connectionsDestroyedRemoteWithActiveRequest)
        }
        stats.decrement(counts.connectionsActive)
        stats.record(counts.connectionDuration, loop.now.nanoseconds(since: started) / 1_000_000)
        if let transport {
            countedBytes.count(transport, stats, received: counts.bytesReceived, sent: counts.bytesSent)
            finishOutput(of: transport)
        }
        owner.ended(self, wasConnecting: wasConnecting, failure: failure)
        failRequests(failure ?? .connectionTermination, isLocal: isLocal)
    }

    /// The GOAWAY that was queued still goes out where it can.
    private func finishOutput(of transport: ByteStream) {
        if !transport.isClosed, !transport.output.isEmpty { transport.flush() }
        transport.close()
    }

    private func failRequests(_ failure: UpstreamFailure, isLocal: Bool) {
        let sentBytes = transport?.sentBytes ?? 0
        while let request = requests.pop() {
            request._withUnsafeGuaranteedRef {
                $0.place = -1
                let isUnsent = !isLocal && sentBytes <= $0.sentMark
                let mayReplay = isUnsent || isUnprocessed($0)
                $0.http2 = .none
                requestIsOver()
                $0.onConnectionFailure(failure, mayReplay: mayReplay, wasSent: !isUnsent)
            }
        }
    }

    /// Whether the upstream said by GOAWAY that it did not look at the request.
    private func isUnprocessed(_ request: UpstreamRequest) -> Bool { session.isUnprocessed(request.http2) }

    // MARK: Requests

    /// Requests on this connection, by their place.
    private var requests = UncountedStack<UpstreamRequest>()

    /// The pool gives the connection one more request; `sendHead` follows.
    func requestAssigned() {
        active += 1
        requestsServed &+= 1
        stats.increment(codecStats.streamsActive)
        let most = compiled.maxRequestsPerConnection
        if most > 0, requestsServed >= most, phase == .open {
            stats.add(counts.connectionsMaxRequests)
            phase = .draining
            owner.retire(self)
        }
    }

    private func requestIsOver() {
        active -= 1
        lastActivity = loop.now
        stats.decrement(codecStats.streamsActive)
        transportReference?._withUnsafeGuaranteedRef {
            countedBytes.count($0, stats, received: counts.bytesReceived, sent: counts.bytesSent)
        }
        owner.requestEnded()
    }

    private func add(_ request: UpstreamRequest) {
        request.place = requests.count
        requests.push(Unmanaged.passUnretained(request))
    }

    private func remove(_ request: UpstreamRequest) {
        guard request.place >= 0 else { return }
        if let moved = requests.removeUnordered(at: request.place) {
            moved._withUnsafeGuaranteedRef { $0.place = request.place }
        }
        request.place = -1
        requestIsOver()
    }

    override func sendHead(_ request: UpstreamRequest, _ stream: ActiveStream, isWhole: Bool) -> Bool {
        add(request)
        if let transport { request.sentMark = transport.sentBytes &+ UInt64(transport.output.byteCount) }
        HTTP2Upgrade.becomeHTTP2(&stream.request, pool: slabs)
        let owner = Unmanaged.passUnretained(request).toOpaque()
        let key = session.sendRequest(stream.request, endStream: isWhole, owner: owner, now: loop.now)
        HTTP2Upgrade.restoreHTTP1(&stream.request, pool: slabs)
        guard let key else { return false }
        request.http2 = key
        scheduleFlush()
        return true
    }

    override func sendBody(_ request: UpstreamRequest, _ stream: ActiveStream, _ slice: consuming SlabSlice) {
        if !session.sendBody(request.http2, slice) {
            stats.add(counts.flowControlBackedUp)
            request.onUpstreamAboveHighWatermark()
        }
        scheduleFlush()
    }

    override func sendEnd(_ request: UpstreamRequest, _ stream: ActiveStream) {
        if stream.requestTrailers.liveCount > 0 {
            // The session takes the block; another attempt needs it too.
            var trailers = request.keepsBody ? stream.requestTrailers.sharingMemory() : HeaderBlock()
            if !request.keepsBody { swap(&trailers, &stream.requestTrailers) }
            session.sendTrailers(request.http2, &trailers)
        } else {
            session.sendEnd(request.http2)
        }
        scheduleFlush()
    }

    override func queuedBytes(_ request: UpstreamRequest) -> Int {
        session.queuedBytes(request.http2) + request.unconsumed
    }

    override func pauseReading(_ request: UpstreamRequest) { request.isPaused = true }

    override func resumeReading(_ request: UpstreamRequest) {
        request.isPaused = false
        guard request.unconsumed > 0 else { return }
        session.consume(request.http2, request.unconsumed)
        request.unconsumed = 0
        scheduleFlush()
    }

    override func abandon(_ request: UpstreamRequest) {
        if request.http2 != .none {
            session.reset(request.http2, .internalError)
            session.abandon(request.http2)
            request.http2 = .none
            stats.add(counts.requestsSentReset)
            stats.add(codecStats.resetSent)
        }
        remove(request)
        if phase != .closed { scheduleFlush() }
        endIfDrained()
    }

    // MARK: Events of the transport

    override func onInput(_ stream: ByteStream) {
        guard !isReading else { return }
        isReading = true
        if session.receive(from: stream) { keepAlive?.heard(at: loop.now) }
        readRecords()
        isReading = false
        if !isFlushScheduled, phase != .closed, session.wantsWrite { scheduleFlush() }
    }

    private func readRecords() {
        while phase != .closed, let record = session.nextRecord() {
            switch record.kind {
            case .head: withRequest(record) { onHead(record, $0, $1) }
            case .informationalHead:
                withRequest(record) { request, stream in
                    session.takeResponseHead(record, into: &stream.response)
                    request.onInformationalHead()
                }
            case .body: onBody(record)
            case .trailers:
                withRequest(record) { request, stream in
                    session.takeTrailers(record, into: &stream.responseTrailers)
                    stats.add(codecStats.trailers)
                    request.hasResponseTrailers = true
                    finish(request, stream)
                }
            case .end: withRequest(record) { finish($0, $1) }
            case .closed: withRequest(record) { request, _ in onClosed(record, request) }
            case .writable: withRequest(record) { request, _ in
                stats.add(counts.flowControlDrained)
                request.onUpstreamBelowLowWatermark()
            }
            case .settings: owner.serveWaiting()
            case .pingAcknowledged: keepAlive?.answered(at: loop.now)
            case .goAway: onGoAway()
            case .connectionFailed: onFailure()
            }
        }
    }

    @inline(__always) private func withRequest(_ record: HTTP2Record, _ body: (UpstreamRequest, ActiveStream) -> Void) {
        guard let owner = session.owner(of: record) else { return }
        Unmanaged<UpstreamRequest>.fromOpaque(owner)._withUnsafeGuaranteedRef { request in
            request.stream._withUnsafeGuaranteedRef { body(request, $0) }
        }
    }

    private func onHead(_ record: HTTP2Record, _ request: UpstreamRequest, _ stream: ActiveStream) {
        session.takeResponseHead(record, into: &stream.response)
        if stream.phase.contains(.upgradeRequested), stream.response.status / 100 == 2,
            let name = stream.request.headers.value(of: .upgrade)
        {
            HTTP2Upgrade.acceptHTTP1(&stream.response, protocol: name, pool: slabs)
        }
        request.onResponseHead(stream, endStream: record.endStream)
        if record.endStream { finishIfOurs(request, stream) }
    }

    private func onBody(_ record: HTTP2Record) {
        guard let owner = session.owner(of: record) else { return }
        guard let slice = session.takeBody(record) else { return }
        let count = slice.count
        var body: SlabSlice? = slice
        Unmanaged<UpstreamRequest>.fromOpaque(owner)._withUnsafeGuaranteedRef { request in
            if let slice = body.take() { request.onResponseBody(slice) }
            guard request.place >= 0 else { return }
            if request.isPaused {
                request.unconsumed &+= count
            } else {
                session.consume(request.http2, count)
            }
            if record.endStream { request.stream._withUnsafeGuaranteedRef { finish(request, $0) } }
        }
    }

    /// The response's head may have led to a reply of our own, which gave the request up.
    private func finishIfOurs(_ request: UpstreamRequest, _ stream: ActiveStream) {
        if request.place >= 0 { finish(request, stream) }
    }

    /// The response is whole.
    private func finish(_ request: UpstreamRequest, _ stream: ActiveStream) {
        guard request.place >= 0 else { return }
        if request.isRequestComplete {
            session.abandon(request.http2)
        } else {
            // Nobody will read the rest of the request.
            session.reset(request.http2, .internalError)
            stats.add(codecStats.resetSent)
            session.abandon(request.http2)
        }
        request.http2 = .none
        remove(request)
        request.onResponseEnd()
        owner.serveWaiting()
        endIfDrained()
    }

    /// The stream ended before its response was whole.
    private func onClosed(_ record: HTTP2Record, _ request: UpstreamRequest) {
        guard request.place >= 0 else { return }
        let mayReplay = record.code == .refusedStream || isUnprocessed(request)
        request.http2 = .none
        remove(request)
        if record.failure == .none {
            stats.add(codecStats.resetReceived)
            let failure: UpstreamFailure = record.code == .refusedStream || mayReplay ? .remoteRefused
                : record.code == .protocolError ? .protocolError : .remoteReset
            request.onConnectionFailure(failure, mayReplay: mayReplay)
        } else {
            if let counter = codecStats.counter(of: record.failure) { stats.add(counter) }
            request.onConnectionFailure(.protocolError, mayReplay: mayReplay)
        }
        owner.serveWaiting()
        endIfDrained()
    }

    /// The upstream takes no new streams and tells which ones it did not look at.
    private func onGoAway() {
        if phase == .open {
            phase = .draining
            owner.retire(self)
        }
        var index = 0
        while index < requests.count {
            let request = requests[index]
            let isLost = request._withUnsafeGuaranteedRef { isUnprocessed($0) }
            guard isLost else {
                index += 1
                continue
            }
            request._withUnsafeGuaranteedRef {
                session.abandon($0.http2)
                $0.http2 = .none
                remove($0)
                $0.onConnectionFailure(.remoteRefused, mayReplay: true)
            }
            guard phase != .closed else { return }
        }
        endIfDrained()
    }

    /// The upstream broke the protocol.
    private func onFailure() {
        stats.add(counts.connectionsProtocolError)
        if let counter = codecStats.counter(of: session.failure) { stats.add(counter) }
        if let transport { session.flush(into: transport) }
        end(failure: .protocolError, isLocal: true)
    }

    override func onEndOfInput(_ stream: ByteStream) {
        if phase == .connecting {
            end(failure: .connectFailure(104), isLocal: false)
        } else {
            end(failure: active > 0 ? .connectionTermination : nil, isLocal: false)
        }
    }

    override func onClosed(_ stream: ByteStream, _ reason: StreamCloseReason) {
        switch reason {
        case .connectFailed(let code): end(failure: .connectFailure(code == 0 ? 104 : code), isLocal: false)
        case .tlsFailed: end(failure: tlsFailure(stream, wasConnecting: phase == .connecting), isLocal: false)
        case .reset where phase == .connecting: end(failure: .connectFailure(TLSReason.peerLeft), isLocal: false)
        case .reset: end(failure: .connectionTermination, isLocal: false)
        }
    }

    override func onBelowLowWatermark(_ stream: ByteStream) { scheduleFlush() }

    // MARK: Output

    private func scheduleFlush() {
        guard !isFlushScheduled, phase != .connecting, phase != .closed else { return }
        isFlushScheduled = true
        loop.atEndOfTurn(self)
    }

    func onEndOfTurn() {
        isFlushScheduled = false
        guard phase != .closed, let transportReference else { return }
        transportReference._withUnsafeGuaranteedRef { session.flush(into: $0) }
        readRecords()
    }
}
