// SPDX-License-Identifier: Apache-2.0
import MeshIO
import MeshModel
import MeshStats

/// The TCP terminal of one downstream connection: joins it with a connection to an endpoint of its cluster.
///
/// Bytes go from one stream's receive ring to the other's output queue as slices; this object is the handler of both, so
/// a chunk costs no look-up and no allocation. Large flows the transport may move by itself (`ByteStream.relayInput`), so
/// what has passed is known from the streams' counts only, never from what this object has seen. Each direction ends by
/// itself: a FIN follows the last byte on the other side, and the connection is over when both have ended and everything
/// is sent.
///
/// Invariants:
/// - before the upstream is connected, downstream bytes stay in their ring, and reading pauses when it is full;
/// - everything received from one side and not in its ring is, or will be, in the `sentBytes` of the other;
/// - `finish` takes effect once, and after it neither stream calls back.
package final class TCPProxy: DownstreamConnection, TimerTarget {
    private let worker: Worker
    private let chain: CompiledChain
    private let config: CompiledTCP
    private let downstream: ByteStream
    private let facts: ConnectionFacts
    private let account: ConnectionAccount

    private var cluster: WorkerCluster?
    private var upstream: TCPUpstream?
    private var phase = Phase.connecting
    private var attempts: UInt32 = 0
    private var flags: ResponseFlags = []
    private var upstreamAddress: Address?
    /// Why the last attempt's TLS session failed (`TLSReason`); 0 when it did not.
    private var transportFailure: Int32 = 0

    /// Times out the connection attempt first, and idleness from then on.
    private var timer = TimerID.none
    private var durationTimer = TimerID.none
    private var lastActivity: MonotonicInstant
    /// Looks at the counts of a flow that may pass without us; made with the first large chunk.
    private var countTimer = TimerID.none
    /// Of all records of the connection; made for the first of them.
    private var streamID: (UInt64, UInt64)?
    /// Of the records of what goes on; made when such are configured.
    private var logTimer = TimerID.none
    /// Ended because nothing moved.
    private var idled = false
    /// Bytes of the downstream that listener filters consumed.
    private let skippedBytes: UInt64
    /// Bytes from either side that the stats have.
    private var countedUp: UInt64 = 0
    private var countedDown: UInt64 = 0
    /// What both sides had sent when the idle timer last looked.
    private var sentWhenChecked: UInt64 = 0
    /// Whether the upstream's FIN was the later of the two.
    private var hasUpstreamEndedLast = false
    private var isDownstreamPaused = false
    private var isUpstreamPaused = false

    private enum Phase {
        case connecting
        /// Bytes flow.
        case joined
        /// The upstream has reset: the client gets what was received before, then a reset too.
        case resetting
        case finished
    }

    private enum TimerTag {
        static let progress: UInt32 = 0
        static let duration: UInt32 = 1
        static let count: UInt32 = 2
        static let log: UInt32 = 3
    }

    /// Client bytes held while the upstream is being connected: one large slab, which stays contiguous. The kernel's
    /// buffer, and then the client, hold the rest.
    private static let heldBytes = SlabPool.largeCapacity
    /// How often the counts of a large flow are looked at: the precision of its idle timeout and of its live stats.
    private static let countInterval: UInt64 = 1_000_000_000

    init(
        worker: Worker, listener: ActiveListener, chain: CompiledChain, config: CompiledTCP, stream: ByteStream,
        facts: ConnectionFacts, account: ConnectionAccount
    ) {
        self.worker = worker
        self.chain = chain
        self.config = config
        self.facts = facts
        self.account = account
        downstream = stream
        lastActivity = worker.loop.now
        skippedBytes = stream.receivedBytes &- UInt64(stream.input.count)
        super.init()
    }

    // MARK: Life

    /// Chooses a cluster and begins to connect. The stream's handler is set already.
    func begin() {
        worker.stats.add(config.stats.connectionsTotal)
        downstream.setBufferLimit(chain.bufferLimit)
        if config.maxDuration > 0 {
            durationTimer = worker.loop.timers.make(target: self, tag: TimerTag.duration)
            worker.loop.timers.arm(durationTimer, at: account.start.advanced(byNanoseconds: config.maxDuration))
        }
        if config.accessLogs.options.logsStart { log(.tcpConnectionStart) }
        if config.accessLogs.flushInterval > 0 { armLogTimer() }
        let target = config.clusters.count > 1 ? config.terminal.target(random: worker.random.next()) : 0
        guard target < config.clusters.count, let cluster = worker.clusters.cluster(config.clusters[target]) else {
            worker.stats.add(config.stats.connectionsNoRoute)
            refuse(.noClusterFound)
            return
        }
        self.cluster = cluster
        connect(to: cluster)
        hold()
    }

    private func armLogTimer() {
        if logTimer.isNone { logTimer = worker.loop.timers.make(target: self, tag: TimerTag.log) }
        worker.loop.timers.arm(logTimer, at: worker.loop.now.advanced(byNanoseconds: config.accessLogs.flushInterval))
    }

    private func connect(to cluster: WorkerCluster) {
        let counts = cluster.compiled.stats
        if attempts >= max(config.terminal.maxConnectAttempts, 1) {
            worker.stats.add(counts.connectionsConnectAttemptsExceeded)
            refuse(.upstreamRetryLimitExceeded)
            return
        }
        let breakers = cluster.compiled.breakers
        let hasRoom = breakers.connections.hasRoom
        if !hasRoom || !breakers.pending.hasRoom || !breakers.requests.hasRoom {
            worker.stats.add(hasRoom ? counts.requestsPendingOverflow : counts.connectionsOverflow)
            refuse(.upstreamOverflow)
            return
        }
        // Only a restored address is a destination of somebody else's; our own would connect us to ourselves.
        let original = facts.isLocalAddressRestored ? facts.localAddress : nil
        let picked = cluster.isBalanced ? cluster.pickEndpoint() : cluster.endpoint(at: original)
        guard let endpoint = picked?.takeUnretainedValue() else {
            refuse(.noHealthyUpstream)
            return
        }
        attempts += 1
        upstreamAddress = endpoint.address
        upstream = TCPUpstream(cluster: cluster, endpoint: endpoint, handler: self)
        if timer.isNone { timer = worker.loop.timers.make(target: self, tag: TimerTag.progress) }
        let timeout = cluster.compiled.connectTimeout
        worker.loop.timers.arm(timer, at: worker.loop.now.advanced(byNanoseconds: timeout))
    }

    private func connectFailed(byTimeout: Bool) {
        guard let cluster, let failed = upstream else { return }
        upstream = nil
        failed.stream.close()
        failed.failed(byTimeout: byTimeout)
        flags.insert(.upstreamConnectionFailure)
        connect(to: cluster)
    }

    /// Ends a connection that never reached an upstream.
    private func refuse(_ flag: ResponseFlags) {
        flags.insert(flag)
        // Bytes that went nowhere: a FIN would claim they were received, a reset is what Envoy's kernel sends.
        finish(resetsDownstream: !downstream.input.isEmpty)
    }

    private func finish(resetsDownstream: Bool = false, resetsUpstream: Bool = false, byUpstream: Bool = false) {
        guard phase != .finished else { return }
        phase = .finished
        worker.loop.timers.free(&timer)
        worker.loop.timers.free(&durationTimer)
        worker.loop.timers.free(&countTimer)
        worker.loop.timers.free(&logTimer)
        // What is cut short must not look complete.
        let (cutsDown, cutsUp) = (unsentDown > 0, unsentUp > 0)
        if resetsDownstream || cutsDown { downstream.reset() } else { downstream.close() }
        if let upstream {
            if upstream.isConnected { count(upstream) }
            if resetsUpstream || cutsUp { upstream.stream.reset() } else { upstream.stream.close() }
            upstream.end(isLocal: !byUpstream)
        }
        log(.tcpConnectionEnd)
        account.end(self)
    }

    /// A record of the connection as it is; at its end the listener's logs get it too.
    private func log(_ type: AccessLogType) {
        let isLast = type == .tcpConnectionEnd
        guard !config.accessLogs.isEmpty || (isLast && account.needsRecord) else { return }
        let record = ConnectionLogRecord(account, facts: facts)
        record.type = type
        record.flags = flags
        record.chainName = chain.name
        record.chainMetadata = chain.metadata
        record.idled = idled
        record.cluster = cluster?.compiled
        record.hostCount = cluster?.hostCount ?? 0
        let streamID = self.streamID ?? (worker.random.next(), worker.random.next())
        self.streamID = streamID
        record.streamID = streamID
        record.upstreamAddress = upstreamAddress
        record.attempts = attempts
        record.upstreamFailure = transportFailure
        record.upstreamTLS = upstream?.tls
        record.upstreamHost = upstream?.endpoint.facts
        // Bytes that never had an upstream do not count as received; Envoy has not read them.
        if let upstream, upstream.isConnected {
            // When the connection is made, what was held for it is not passed on yet.
            record.receivedBytes = type == .tcpUpstreamConnected ? countedUp : downstream.receivedBytes &- skippedBytes
            record.sentBytes = downstream.sentBytes
            record.upstreamLocalAddress = upstream.stream.localAddress
            record.upstreamReceivedBytes = upstream.stream.receivedBytes
            record.upstreamSentBytes = upstream.stream.sentBytes
            record.upstreamNumber = upstream.number
        }
        worker.logs.write(config.accessLogs, record)
        if isLast { account.record = record }
    }

    // A byte stream has no point at which to go away; it ends with the drain time.
    override func drain() {}

    override func closeNow() { finish() }

    override var heldBytes: Int {
        downstream.output.pinnedBytes + downstream.input.count
            + (upstream.map { $0.stream.output.pinnedBytes + $0.stream.input.count } ?? 0)
    }

    // MARK: Bytes

    override func onInput(_ stream: ByteStream) {
        guard phase == .joined, let upstream else {
            if phase == .connecting {
                hold()
            } else {
                stream.input.detach()
            }
            return
        }
        lastActivity = worker.loop.now
        let other = stream === downstream ? upstream.stream : downstream
        let size = stream.input.count
        move(stream, to: other)
        count(upstream)
        if size >= SlabPool.standardCapacity { watchCounts() }
    }

    private func move(_ stream: ByteStream, to other: ByteStream) {
        let count = stream.input.count
        guard let slice = stream.input.slice(offset: 0, length: count) else { return }
        other.write(slice)
        stream.input.consume(count)
    }

    // MARK: Counting

    /// Bytes received from the client that the upstream's kernel does not have yet.
    private var unsentUp: UInt64 {
        guard let upstream, upstream.isConnected else { return 0 }
        return downstream.receivedBytes &- skippedBytes &- upstream.stream.sentBytes
    }

    /// Bytes received from the upstream that the client's kernel does not have yet.
    private var unsentDown: UInt64 {
        guard let upstream else { return 0 }
        return upstream.stream.receivedBytes &- downstream.sentBytes
    }

    /// Brings the stats up to the streams' counts.
    private func count(_ upstream: TCPUpstream) {
        let counts = upstream.cluster.compiled.stats
        let up = downstream.receivedBytes &- skippedBytes
        if up != countedUp {
            worker.stats.add(config.stats.bytesReceived, up &- countedUp)
            worker.stats.add(counts.bytesSent, up &- countedUp)
            countedUp = up
        }
        let down = upstream.stream.receivedBytes
        if down != countedDown {
            worker.stats.add(config.stats.bytesSent, down &- countedDown)
            worker.stats.add(counts.bytesReceived, down &- countedDown)
            countedDown = down
        }
    }

    /// A large chunk: from here on the transport may move bytes by itself, so somebody has to look at the counts while
    /// they grow.
    private func watchCounts() {
        if countTimer.isNone { countTimer = worker.loop.timers.make(target: self, tag: TimerTag.count) }
        guard !worker.loop.timers.isArmed(countTimer) else { return }
        worker.loop.timers.arm(countTimer, at: worker.loop.now.advanced(byNanoseconds: TCPProxy.countInterval))
    }

    /// Whether bytes have passed that nobody told us about.
    private func sawUncountedBytes() -> Bool {
        guard phase == .joined, let upstream else { return false }
        let (up, down) = (countedUp, countedDown)
        count(upstream)
        guard countedUp != up || countedDown != down else { return false }
        lastActivity = worker.loop.now
        watchCounts()
        return true
    }

    /// Stops reading when as much is held as one connection may hold.
    private func hold() {
        guard phase == .connecting, !isDownstreamPaused else { return }
        let limit = chain.bufferLimit > 0 ? min(chain.bufferLimit, TCPProxy.heldBytes) : TCPProxy.heldBytes
        if downstream.input.count >= limit { pauseDownstream() }
    }

    // MARK: Back-pressure

    private func pauseDownstream() {
        guard !isDownstreamPaused else { return }
        isDownstreamPaused = true
        downstream.pauseReading()
        worker.stats.add(config.stats.flowControlPausedReading)
    }

    private func resumeDownstream() {
        guard isDownstreamPaused else { return }
        isDownstreamPaused = false
        downstream.resumeReading()
        worker.stats.add(config.stats.flowControlResumedReading)
    }

    override func onAboveHighWatermark(_ stream: ByteStream) {
        guard let upstream, phase == .joined else { return }
        let counts = upstream.cluster.compiled.stats
        if stream === downstream {
            guard !isUpstreamPaused else { return }
            isUpstreamPaused = true
            upstream.stream.pauseReading()
            worker.stats.add(counts.flowControlPausedReading)
        } else {
            worker.stats.add(counts.flowControlBackedUp)
            pauseDownstream()
        }
    }

    override func onBelowLowWatermark(_ stream: ByteStream) {
        lastActivity = worker.loop.now
        guard let upstream, phase == .joined else { return }
        let counts = upstream.cluster.compiled.stats
        if stream === downstream {
            guard isUpstreamPaused else { return }
            isUpstreamPaused = false
            upstream.stream.resumeReading()
            worker.stats.add(counts.flowControlResumedReading)
        } else {
            worker.stats.add(counts.flowControlDrained)
            resumeDownstream()
        }
    }

    // MARK: Events

    override func onConnected(_ stream: ByteStream) {
        guard phase == .connecting, let upstream else { return }
        phase = .joined
        upstream.connected()
        if config.accessLogs.options.logsBeginning { log(.tcpUpstreamConnected) }
        lastActivity = worker.loop.now
        if config.idleTimeout > 0 {
            worker.loop.timers.arm(timer, at: worker.loop.now.advanced(byNanoseconds: config.idleTimeout))
        } else {
            worker.loop.timers.cancel(timer)
        }
        move(downstream, to: stream)
        count(upstream)
        downstream.relayInput(to: stream)
        stream.relayInput(to: downstream)
        if !stream.isAboveHighWatermark { resumeDownstream() }
        if downstream.isInputEnded { upstream.stream.closeWrite() }
    }

    override func onEndOfInput(_ stream: ByteStream) {
        guard phase == .joined, let upstream else { return }
        lastActivity = worker.loop.now
        if stream === downstream {
            upstream.stream.closeWrite()
        } else {
            hasUpstreamEndedLast = downstream.isInputEnded
            downstream.closeWrite()
        }
        finishIfDone()
    }

    /// Both directions have ended: over as soon as the last byte is sent.
    private func finishIfDone() {
        guard let upstream, downstream.isInputEnded, upstream.stream.isInputEnded else { return }
        if unsentDown == 0, unsentUp == 0, downstream.isOutputSent, upstream.stream.isOutputSent {
            finish(byUpstream: hasUpstreamEndedLast)
        } else {
            downstream.reportsDrained = true
            upstream.stream.reportsDrained = true
            // A TLS session asks the stream below it when it is flushed.
            worker.loop.scheduleFlush(downstream)
            worker.loop.scheduleFlush(upstream.stream)
        }
    }

    override func onDrained(_ stream: ByteStream) {
        switch phase {
        case .joined: finishIfDone()
        case .resetting where unsentDown == 0: finish(resetsDownstream: true)
        default: break
        }
    }

    override func onClosed(_ stream: ByteStream, _ reason: StreamCloseReason) {
        if stream === downstream {
            if phase == .connecting { flags.insert(.downstreamConnectionTermination) }
            finish(resetsUpstream: true)
        } else if phase == .connecting {
            if reason == .tlsFailed, let upstream { transportFailure = upstream.tlsFailed() }
            connectFailed(byTimeout: false)
        } else if phase == .joined {
            upstreamReset()
        }
    }

    private func upstreamReset() {
        flags.insert(.upstreamRemoteReset)
        upstream?.end(isLocal: false)
        if unsentDown == 0 {
            finish(resetsDownstream: true)
        } else {
            phase = .resetting
            downstream.reportsDrained = true
        }
    }

    // MARK: Time

    func onTimer(_ tag: UInt32) {
        if tag == TimerTag.duration {
            worker.stats.add(config.stats.maxDuration)
            flags.insert(.durationTimeout)
            finish()
        } else if tag == TimerTag.count {
            _ = sawUncountedBytes()
        } else if tag == TimerTag.log {
            log(.tcpPeriodic)
            armLogTimer()
        } else if phase == .connecting {
            connectFailed(byTimeout: true)
        } else {
            checkIdle()
        }
    }

    /// The timer is armed once and looks at the time of the last byte when it fires: arming it for every chunk would cost
    /// more than moving a small one.
    private func checkIdle() {
        guard config.idleTimeout > 0 else { return }
        let timers = worker.loop.timers
        let isQuiet = worker.loop.now.nanoseconds(since: lastActivity) >= config.idleTimeout
        if !isQuiet || sawUncountedBytes() {
            timers.arm(timer, at: lastActivity.advanced(byNanoseconds: config.idleTimeout))
            return
        }
        let sent = downstream.sentBytes &+ (upstream?.stream.sentBytes ?? 0)
        if unsentDown > 0 || unsentUp > 0, sent != sentWhenChecked {
            // A slow reader of earlier bytes is not idle.
            sentWhenChecked = sent
            timers.arm(timer, at: worker.loop.now.advanced(byNanoseconds: config.idleTimeout))
            return
        }
        worker.stats.add(config.stats.idleTimeout)
        idled = true
        finish()
    }
}

@available(*, unavailable) extension TCPProxy: Sendable {}
