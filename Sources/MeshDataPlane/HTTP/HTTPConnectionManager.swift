// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
package import MeshIO
import MeshModel
import MeshStats

/// The HTTP terminal of one downstream connection: turns its bytes into streams and their responses into bytes.
///
/// What depends on the HTTP version is in the codec; what depends on one request is in `ActiveStream`.
package final class HTTPConnectionManager: DownstreamConnection, TimerTarget {
    let worker: Worker
    let listener: ActiveListener
    let chain: CompiledChain
    let config: CompiledHTTP
    let transport: ByteStream
    let facts: ConnectionFacts
    /// Whether what the hop before says of a request's origin is taken as it is, and nothing is added to it.
    let isTrustedHop: Bool
    let account: ConnectionAccount
    let pressure: WorkerPressure
    /// What the client speaks; with `codec_type` AUTO settled by its first bytes. `codec` keeps alive what
    /// `codecReference` reads without counting.
    private var codec: ServerCodec
    private(set) var codecReference: Unmanaged<ServerCodec>
    private var isCodecSettled = true
    // What the request path uses most, one step away: a reference reached over two is counted.
    let loop: EventLoop
    let pool: SlabPool
    let stats: StatPages
    let timers: TimerWheel

    /// One timer for what can only be waited for one at a time: idling, a head, a delayed close, the oldest age.
    var timer = TimerID.none
    private var maxDurationTimer = TimerID.none
    var drainTimer = TimerID.none
    private(set) var waitingFor = Wait.nothing
    private(set) var lastActivity: MonotonicInstant
    /// The next response is the last one, or the codec has said so itself.
    var isDraining = false
    /// The listener's, once it drains.
    private(set) var drainWindow: DrainWindow?
    /// When this connection's turn comes if it carries nothing.
    private(set) var drainTurn = MonotonicInstant(nanoseconds: 0)
    private(set) var isClosed = false
    private(set) var requestsServed: UInt32 = 0
    private(set) var activeStreams = 0

    enum Wait { case nothing, request, head, body, close }
    enum TimerTag {
        static let wait: UInt32 = 0
        static let maxDuration: UInt32 = 1
        static let drain: UInt32 = 2
    }

    init(
        worker: Worker, listener: ActiveListener, chain: CompiledChain, config: CompiledHTTP, stream: ByteStream,
        facts: ConnectionFacts, account: ConnectionAccount
    ) {
        self.worker = worker
        self.listener = listener
        self.chain = chain
        self.config = config
        self.facts = facts
        let terminal = config.terminal
        isTrustedHop = !terminal.useRemoteAddress && facts.tls == nil && !terminal.appendXForwardedPort
        self.account = account
        transport = stream
        pressure = listener.pressure
        loop = worker.loop
        pool = worker.loop.pool
        timers = worker.loop.timers
        stats = worker.stats
        lastActivity = worker.loop.now
        let made = HTTP1ServerCodec(config: config, transport: stream)
        codec = made
        codecReference = Unmanaged.passUnretained(made)
        super.init()
    }

    /// Runs `body` with the codec, uncounted.
    @inline(__always) func withCodec<Result>(_ body: (ServerCodec) -> Result) -> Result {
        codecReference._withUnsafeGuaranteedRef(body)
    }

    var counts: HTTPConnectionManagerStats { config.stats }
    private var countedBytes = CountedBytes()

    /// Takes the transport over and reads what is already there.
    func begin() {
        stats.add(counts.connectionsTotal)
        stats.increment(counts.connectionsActive)
        if facts.tls != nil {
            stats.add(counts.connectionsSSLTotal)
            stats.increment(counts.connectionsSSLActive)
        }
        transport.setBufferLimit(chain.bufferLimit)
        timer = timers.make(target: self, tag: TimerTag.wait)
        if config.maxConnectionDuration > 0 {
            maxDurationTimer = timers.make(target: self, tag: TimerTag.maxDuration)
            timers.arm(
                maxDurationTimer, at: loop.now.advanced(byNanoseconds: config.maxConnectionDuration))
        }
        chooseCodec()
        waitForRequest()
        drain()
        if !transport.input.isEmpty { onInput(transport) }
        if transport.isInputEnded, !isClosed { onEndOfInput(transport) }
    }

    /// What is known of the protocol before the first byte: the configuration, ALPN, or what a listener filter found.
    private func chooseCodec() {
        switch config.terminal.codec {
        case .http1: settle(isHTTP2: false)
        // As in Envoy the client speaks first: one that does not speak HTTP/2 is not greeted in it.
        case .http2: isCodecSettled = false
        case .auto:
            if facts.negotiatedProtocol.isEmpty || facts.negotiatedProtocol == "h2" {
                isCodecSettled = false
            } else {
                settle(isHTTP2: false)
            }
        }
    }

    private func settle(isHTTP2: Bool) {
        isCodecSettled = true
        if isHTTP2 {
            let made = HTTP2ServerCodec(manager: self)
            codec = made
            codecReference = Unmanaged.passUnretained(made)
            stats.add(counts.connectionsHTTP2Total)
            stats.increment(counts.connectionsHTTP2Active)
        } else {
            stats.add(counts.connectionsHTTP1Total)
            stats.increment(counts.connectionsHTTP1Active)
        }
        isMultiplexed = isHTTP2
        withCodec { $0.begin(self) }
        if isHTTP2, drainWindow != nil { armTurn() }
    }

    /// Looks for HTTP/2's preface (RFC 9113 §3.4) at the start of the input; false while it may still become one.
    private func detectProtocol() -> Bool {
        if config.terminal.codec == .http2 || facts.negotiatedProtocol == "h2" {
            settle(isHTTP2: true)
            return true
        }
        switch HTTP2Preface.find(transport.input.readable) {
        case .needMore: return false
        case .found: settle(isHTTP2: true)
        case .absent: settle(isHTTP2: false)
        }
        return true
    }

    // MARK: Events of the transport

    override package func onInput(_ stream: ByteStream) {
        lastActivity = loop.now
        if waitingFor == .close {
            // Lingering: the client may still be sending what we will not read.
            stream.input.detach()
            return
        }
        if !isCodecSettled, !detectProtocol() { return }
        withCodec { $0.receive(self) }
    }

    override package func onEndOfInput(_ stream: ByteStream) {
        if waitingFor == .close {
            close(byClient: true)
            return
        }
        withCodec { $0.inputEnded(self) }
    }

    override package func onClosed(_ stream: ByteStream, _ reason: StreamCloseReason) {
        withCodec { $0.transportLost() }
        close(byClient: true)
    }

    override package func onAboveHighWatermark(_ stream: ByteStream) { withCodec { $0.outputBackedUp() } }

    override package func onBelowLowWatermark(_ stream: ByteStream) { withCodec { $0.outputDrained() } }

    override package func onDrained(_ stream: ByteStream) {
        if waitingFor == .close, closesWhenDrained { close(byClient: false) }
    }

    private var closesWhenDrained = false

    // MARK: Waiting

    /// Between requests: the idle timeout runs.
    func waitForRequest() {
        guard !isClosed, waitingFor != .close else { return }
        if isDraining, activeStreams == 0, requestsServed > 0, !isMultiplexed {
            closeAfterFlush(lingers: false)
            return
        }
        waitingFor = .request
        lastActivity = loop.now
        if drainWindow != nil, !isMultiplexed { return waitForTurn() }
        if isDraining {
            if !isMultiplexed { waitForFirstRequest() }
            return
        }
        // Armed lazily: a timer that is already running is checked when it fires.
        if config.idleTimeout > 0, !timers.isArmed(timer) {
            timers.arm(timer, at: loop.now.advanced(byNanoseconds: idleTimeout))
        }
    }

    /// What the configuration says, or less under overload.
    private var idleTimeout: UInt64 {
        pressure.isCalm ? config.idleTimeout : pressure.levels.timers.connectionIdle.scaled(config.idleTimeout)
    }

    override func timeoutsChanged() {
        guard waitingFor == .request, drainWindow == nil, config.idleTimeout > 0, timers.isArmed(timer) else { return }
        timers.arm(timer, at: lastActivity.advanced(byNanoseconds: idleTimeout))
    }

    /// A stream of a multiplexed connection is over; with the last one the connection idles.
    func streamEnded() { if activeStreams == 0 { waitForRequest() } }

    /// The first byte of a request arrived.
    func headStarted() {
        guard waitingFor == .request else { return }
        waitingFor = .head
        let headers = config.requestHeadersTimeout
        let limit = headers > 0 ? headers : config.requestTimeout
        if limit > 0 { timers.arm(timer, at: loop.now.advanced(byNanoseconds: limit)) }
    }

    /// A head is complete; with `request_timeout` the rest of the request is waited for.
    private func headEnded(endStream: Bool) {
        if waitingFor == .head, config.requestHeadersTimeout > 0 || config.requestTimeout > 0 {
            timers.cancel(timer)
        }
        waitingFor = .nothing
        guard config.requestTimeout > 0, !endStream, !isMultiplexed else { return }
        waitingFor = .body
        timers.arm(timer, at: loop.now.advanced(byNanoseconds: config.requestTimeout))
    }

    /// The request is whole.
    func requestEnded() {
        if waitingFor == .body {
            timers.cancel(timer)
            waitingFor = .nothing
        }
    }

    package func onTimer(_ tag: UInt32) {
        if tag == TimerTag.maxDuration {
            stats.add(counts.connectionsMaxDuration)
            endByAge()
            return
        }
        if tag == TimerTag.drain {
            if isDraining {
                withCodec { $0.drainTimedOut(self) }
            } else {
                startDraining()
            }
            return
        }
        switch waitingFor {
        case .request where drainWindow != nil && !isMultiplexed: turnCame()
        case .request where isDraining && !isMultiplexed:
            stats.add(counts.connectionsDrainClose)
            closeAfterFlush(lingers: false)
        case .request:
            let quiet = loop.now.nanoseconds(since: lastActivity)
            if quiet < idleTimeout {
                timers.arm(timer, at: lastActivity.advanced(byNanoseconds: idleTimeout))
                return
            }
            stats.add(counts.connectionsIdleTimeout)
            endIdle()
        case .head:
            if config.requestHeadersTimeout > 0 {
                stats.add(counts.requestsHeaderTimeout)
                withCodec { $0.rejectCurrent(.requestHeaderTimeout, self) }
            } else if config.requestTimeout > 0 {
                stats.add(counts.requestsTimeout)
                withCodec { $0.rejectCurrent(.requestTimeout, self) }
            }
        case .body:
            stats.add(counts.requestsTimeout)
            withCodec { $0.failCurrent(.requestTimeout) }
        case .close:
            stats.add(counts.connectionsDelayedCloseTimeout)
            close(byClient: false)
        case .nothing:
            break
        }
    }

    // MARK: Streams

    /// The codec has a complete head in `stream`.
    func onRequestHead(_ stream: ActiveStream, endStream: Bool) {
        headEnded(endStream: endStream)
        startStream(stream)
        if stream.request.headers.contains(.contentType) { stream.recogniseGRPC() }
        if endStream { stream.markRequestReceived() }
        // Before anything is looked at or made for the request, as every byte counts now.
        if !pressure.isCalm, OverloadLevels.happens(pressure.levels.stopRequests, random: worker.random.next()) {
            stats.add(counts.requestsOverloadClose)
            stream.reply(.overloaded)
            return
        }
        if let refusal = admit(stream) {
            stream.reply(refusal)
            return
        }
        guard !stream.phase.contains(.responseStarted) else { return }
        if config.accessLogs.options.logsBeginning { stream.log(.downstreamStart, self) }
        if isMultiplexed, !endStream, config.requestTimeout > 0 { stream.armRequestTimeout(config.requestTimeout) }
        stream.onRequestHead(self, endStream: endStream)
    }

    /// Counts a stream in; for one that is refused before it has a usable head, too.
    func startStream(_ stream: ActiveStream) {
        requestsServed &+= 1
        activeStreams += 1
        stats.add(counts.requestsTotal)
        stats.add(isMultiplexed ? counts.requestsHTTP2 : counts.requestsHTTP1)
        stats.increment(counts.requestsActive)
        stream.begin(self)
        if config.maxRequestsPerConnection > 0, requestsServed >= config.maxRequestsPerConnection, !isDraining {
            stats.add(counts.connectionsMaxRequests)
            startDraining()
        }
    }

    /// A stream is over: counters and access log.
    func record(_ stream: ActiveStream) {
        activeStreams -= 1
        stats.decrement(counts.requestsActive)
        countedBytes.count(transport, stats, received: counts.bytesReceived, sent: counts.bytesSent)
        let status = stream.info.status
        if status > 0 {
            // The manager's own counts are the sum of what it counts on its listeners.
            let row = switch status / 100 {
            case 2: config.listenerStats.responses2xx
            case 3: config.listenerStats.responses3xx
            case 4: config.listenerStats.responses4xx
            case 5: config.listenerStats.responses5xx
            default: config.listenerStats.responses1xx
            }
            stats.add(row)
        }
        if stream.isTunnel { stats.decrement(counts.upgradesActive) }
        stats.record(
            counts.requestDuration, loop.now.nanoseconds(since: stream.info.start) / 1_000_000)
        if !stream.info.isAnsweredByUpstream { stream.noteReply() }
        if !config.accessLogs.isEmpty { stream.log(.downstreamEnd, self) }
    }

    /// Whether several streams may be open at once.
    private(set) var isMultiplexed = false

    func sendInformational(_ stream: ActiveStream) { withCodec { $0.sendInformational(stream) } }
    func sendContinue(_ stream: ActiveStream) { withCodec { $0.sendContinue(stream) } }

    /// Finishes the head of a response and sends it.
    func sendHead(_ stream: ActiveStream, endStream: Bool) {
        decideClose(stream)
        finishResponseHead(stream)
        stream.info.downstreamSendBegin = loop.now
        if stream.isTunnel {
            stats.add(counts.upgradesTotal)
            stats.increment(counts.upgradesActive)
        }
        withCodec { $0.sendHead(stream, endStream: endStream) }
    }

    func sendBody(_ stream: ActiveStream, _ slice: consuming SlabSlice) {
        // A closure cannot consume what it captures, but it can take it out of there.
        var body: SlabSlice? = slice
        withCodec { if let slice = body.take() { $0.sendBody(stream, slice) } }
    }
    func sendBody(_ stream: ActiveStream, copying bytes: UnsafeRawBufferPointer) {
        withCodec { $0.sendBody(stream, copying: bytes) }
    }
    func sendEnd(_ stream: ActiveStream) { withCodec { $0.sendEnd(stream, self) } }

    /// Ends a stream whose memory is needed: what is queued for it goes too.
    func abandon(_ stream: ActiveStream) {
        if isMultiplexed { resetStream(stream) } else { abort() }
    }

    /// The response cannot be completed: the client must not take it for whole.
    func resetStream(_ stream: ActiveStream) { withCodec { $0.reset(stream, self) } }

    /// Whether the connection ends with this response (Envoy's rules for HTTP/1).
    private func decideClose(_ stream: ActiveStream) {
        if let drainWindow, !isDraining, drainWindow.asksToClose(at: loop.now, random: worker.random.next()) { startDraining() }
        if !pressure.isCalm, !isDraining { decideCloseUnderPressure(stream) }
        guard !isMultiplexed else { return }
        if isDraining {
            stream.phase.insert(.closesConnection)
            stats.add(counts.connectionsDrainClose)
        }
        if stream.phase.contains(.clientCloses) { stream.phase.insert(.closesConnection) }
        if !stream.phase.contains(.requestReceived), !stream.isTunnel {
            // The rest of the request would be taken for the next one.
            stream.phase.insert(.closesConnection)
            stats.add(counts.responsesBeforeRequestComplete)
        }
    }

    /// Bytes waiting because of the stream: for its client, or for its upstream to take them.
    func queuedBytes(_ stream: ActiveStream) -> Int { withCodec { $0.queuedBytes(stream) } }

    // MARK: Back-pressure

    /// Takes no more of a request's body for now.
    func pauseReading(_ stream: ActiveStream) {
        withCodec { $0.pauseReading(stream, self) }
        stats.add(counts.flowControlPausedReading)
    }

    func resumeReading(_ stream: ActiveStream) {
        guard !isClosed else { return }
        withCodec { $0.resumeReading(stream, self) }
        stats.add(counts.flowControlResumedReading)
    }

    func pauseTransport() { transport.pauseReading() }
    func resumeTransport() { transport.resumeReading() }

    // MARK: Closing

    /// The last response is queued: closes once it is sent. With `lingers` the client gets until `delayed_close_timeout`
    /// to read it, because bytes it still sends would make the kernel answer RST and the response could be lost.
    func closeAfterFlush(lingers: Bool) {
        guard !isClosed, waitingFor != .close else { return }
        waitingFor = .close
        if !lingers {
            closesWhenDrained = true
            if transport.isOutputSent {
                close(byClient: false)
            } else {
                transport.reportsDrained = true
                // A TLS session asks the stream below it when it is flushed.
                loop.scheduleFlush(transport)
                let limit = config.delayedCloseTimeout > 0 ? config.delayedCloseTimeout : 1_000_000_000
                timers.arm(timer, at: loop.now.advanced(byNanoseconds: limit))
            }
            return
        }
        transport.closeWrite()
        let limit = config.delayedCloseTimeout > 0 ? config.delayedCloseTimeout : 1
        timers.arm(timer, at: loop.now.advanced(byNanoseconds: limit))
    }

    /// The listener's drain, if it has begun: responses ask the client to go away, with the chance of their moment, and a
    /// connection that idles is ended when its turn comes.
    override func drain() {
        guard !isClosed, let window = listener.drainWindow else { return }
        drainWindow = window
        drainTurn = window.turn(random: worker.random.next())
        if isMultiplexed {
            armTurn()
        } else if activeStreams == 0, waitingFor == .request {
            waitForTurn()
        }
    }

    override func closeNow() { close(byClient: false) }

    /// A response that is whole waits for its client without a stream.
    override var heldBytes: Int { activeStreams == 0 ? transport.output.pinnedBytes + transport.input.count : 0 }

    /// Nothing was asked for in a long time.
    private func endIdle() {
        if isMultiplexed {
            startDraining()
        } else {
            close(byClient: false)
        }
    }

    /// Resets the connection, so that a cut message cannot look complete.
    func abort() {
        guard !isClosed else { return }
        transport.reset()
        close(byClient: false)
    }

    func close(byClient: Bool) {
        guard !isClosed else { return }
        isClosed = true
        let hadRequest = activeStreams > 0
        withCodec { $0.connectionClosed(self, byClient: byClient) }
        stats.add(counts.connectionsDestroyed)
        stats.add(byClient ? counts.connectionsDestroyedRemote : counts.connectionsDestroyedLocal)
        if hadRequest {
            stats.add(counts.connectionsDestroyedActiveRequests)
            stats.add(
                byClient ? counts.connectionsDestroyedRemoteActiveRequests : counts.connectionsDestroyedLocalActiveRequests)
        }
        stats.decrement(counts.connectionsActive)
        if facts.tls != nil { stats.decrement(counts.connectionsSSLActive) }
        if isCodecSettled { stats.decrement(isMultiplexed ? counts.connectionsHTTP2Active : counts.connectionsHTTP1Active) }
        countedBytes.count(transport, stats, received: counts.bytesReceived, sent: counts.bytesSent)
        stats.record(counts.connectionDuration, loop.now.nanoseconds(since: account.start) / 1_000_000)
        timers.free(&timer)
        timers.free(&maxDurationTimer)
        timers.free(&drainTimer)
        transport.close()
        account.end(self)
    }
}

@available(*, unavailable) extension HTTPConnectionManager: Sendable {}
