// SPDX-License-Identifier: Apache-2.0
package import MeshHTTP
import MeshHTTP2
import MeshIO
import MeshModel
import MeshStats

/// The states of one stream, as bits: several hold at once.
struct StreamPhase: OptionSet {
    let rawValue: UInt32
    /// The request head was handed to the filters.
    static let requestStarted = StreamPhase(rawValue: 1 << 0)
    /// The last byte of the request was received.
    static let requestReceived = StreamPhase(rawValue: 1 << 1)
    /// The router has the request.
    static let routed = StreamPhase(rawValue: 1 << 2)
    /// The response head was given to the codec.
    static let responseStarted = StreamPhase(rawValue: 1 << 3)
    /// The last byte of the response was given to the codec.
    static let responseEnded = StreamPhase(rawValue: 1 << 4)
    /// Logged, counted, about to be used again.
    static let finished = StreamPhase(rawValue: 1 << 5)
    /// The upstream's part is over.
    static let upstreamEnded = StreamPhase(rawValue: 1 << 6)
    /// The response is one the proxy made.
    static let localReply = StreamPhase(rawValue: 1 << 7)
    /// The request asked for an upgrade or is a CONNECT, and its route allows that.
    static let upgradeRequested = StreamPhase(rawValue: 1 << 8)
    /// Bytes pass as they are in both directions.
    static let tunnel = StreamPhase(rawValue: 1 << 9)
    /// The response is to be followed by closing the connection.
    static let closesConnection = StreamPhase(rawValue: 1 << 10)
    /// A filter holds the request, or the response.
    static let requestPaused = StreamPhase(rawValue: 1 << 11)
    static let responsePaused = StreamPhase(rawValue: 1 << 12)
    /// The upstream is slow, or the client.
    static let requestBackPressure = StreamPhase(rawValue: 1 << 13)
    /// `connection: close` or HTTP/1.0 from the client.
    static let clientCloses = StreamPhase(rawValue: 1 << 14)
    /// The router answers: replies carry what the route adds to responses.
    static let inRouter = StreamPhase(rawValue: 1 << 16)
    /// The head needs no body: HEAD, 1xx, 204, 304.
    static let responseHasNoBody = StreamPhase(rawValue: 1 << 15)
    /// HTTP/2: END_STREAM went with the response head.
    static let headEndedStream = StreamPhase(rawValue: 1 << 17)
    /// A gRPC request, by its head as it arrived.
    static let grpc = StreamPhase(rawValue: 1 << 18)
    /// The answered request was one of the mesh's own, by its head.
    static let internalRequest = StreamPhase(rawValue: 1 << 19)
}

/// One request and its response: everything that is known about it, the filters it passes, and its upstream attempt.
///
/// Pooled: a worker uses finished streams again, at the end of the turn in which they finished, so that nobody up the
/// call stack holds a stream that already serves another request.
///
/// A worker owns its streams for as long as it lives, and a connection manager ends its streams before it ends itself: so
/// neither is counted when the one refers to the other.
package final class ActiveStream: TimerTarget {
    let worker: Worker
    // What every request uses, one step away: a reference reached over two is counted.
    let loop: EventLoop
    let pool: SlabPool
    let stats: StatPages
    private let timers: TimerWheel
    /// Place in the worker's list of streams.
    var place = -1
    /// The request as it will be sent upstream; filters, routes and logs see this one head.
    package var request = RequestHead()
    package var response = ResponseHead()
    package var requestTrailers = HeaderBlock()
    package var responseTrailers = HeaderBlock()
    package var info = StreamInfo()
    var phase: StreamPhase = []

    /// The connection; nil once the stream is over.
    private(set) var managerReference: Unmanaged<HTTPConnectionManager>?
    /// The route table that was current when the stream began, retained by `pin(_:)` until the stream is used again, and what
    /// matched in it.
    private(set) var routesReference: Unmanaged<ActiveRoutes>?
    var match = StreamRoute()
    /// The cluster chosen by the route, for logs and counters, retained likewise.
    private(set) var clusterReference: Unmanaged<WorkerCluster>?
    /// Of a route with a `stat_prefix`; its route table, which the stream pins, keeps them.
    var routeStats: Unmanaged<RouteStats>?
    /// Of the virtual cluster; kept likewise.
    var virtualClusterStats: Unmanaged<RouteStats>?
    /// The upstream attempt, used again for every one.
    private(set) lazy var upstream = UpstreamRequest(stream: self)

    var filters = FilterChainState()
    var retry = StreamRetry()
    /// The body of a reply, while another is made from it.
    var localReplyBody: UnsafeRawBufferPointer?

    // What the HTTP/2 codec keeps with its streams.
    /// Name of the stream in its session.
    var http2 = HTTP2StreamKey.none
    /// Place in the codec's list of streams.
    var codecPlace = -1
    /// The upstream is slow: what arrives is counted in `unconsumed` and keeps the client's window closed.
    var isReadPaused = false
    var unconsumed = 0

    /// Timers of the stream, made once with the object.
    private var idleTimer = TimerID.none
    private var routeTimer = TimerID.none
    /// Made when a first request has a longest duration.
    private var durationTimer = TimerID.none
    /// `request_timeout` of a multiplexed connection, made when one is configured.
    private var requestTimer = TimerID.none
    /// Made when a first request needs them.
    private var retryTimer = TimerID.none
    private var tryTimer = TimerID.none
    private var tryIdleTimer = TimerID.none
    /// Of the records of what goes on, made when such are configured.
    private var logTimer = TimerID.none
    /// Nanoseconds without a byte in either direction before the stream ends; 0 for never.
    var idleTimeout: UInt64 = 0
    private var lastActivity = MonotonicInstant(nanoseconds: 0)
    /// When the idle timer fires, while it is armed.
    private var idleDeadline = MonotonicInstant(nanoseconds: 0)
    var routeTimeout: UInt64 = 0
    /// When the route's timeout ends the stream, while it runs. Its timer is not stopped with it: one that fires early, or for
    /// nothing, is armed anew or does nothing.
    private var routeDeadline: MonotonicInstant?
    private var routeTimerDue = MonotonicInstant(nanoseconds: 0)

    private enum TimerTag {
        static let idle: UInt32 = 0
        static let route: UInt32 = 1
        static let duration: UInt32 = 2
        static let request: UInt32 = 3
        static let retry: UInt32 = 4
        static let attempt: UInt32 = 5
        static let idleAttempt: UInt32 = 6
        static let log: UInt32 = 7
    }

    init(worker: Worker) {
        self.worker = worker
        loop = worker.loop
        pool = worker.loop.pool
        stats = worker.stats
        timers = worker.loop.timers
        idleTimer = timers.make(target: self, tag: TimerTag.idle)
        routeTimer = timers.make(target: self, tag: TimerTag.route)
    }

    /// The connection, counted: for what is rare. On the way of a request the manager is handed on instead.
    var manager: HTTPConnectionManager? { managerReference?.takeUnretainedValue() }
    /// As `manager`.
    var routes: ActiveRoutes? { routesReference?.takeUnretainedValue() }
    /// As `manager`.
    var cluster: CompiledCluster? { clusterReference?._withUnsafeGuaranteedRef { $0.compiled } }

    /// Keeps a route table for as long as the stream may refer to it.
    func pin(_ routes: ActiveRoutes) { routesReference = Unmanaged.passRetained(routes) }

    /// Keeps the chosen cluster.
    func pin(_ cluster: WorkerCluster) {
        clusterReference?.release()
        clusterReference = Unmanaged.passRetained(cluster)
    }

    var isTunnel: Bool { phase.contains(.tunnel) }
    /// Whether the request can be sent a second time: there is nothing of a response yet.
    var canReplay: Bool { phase.isDisjoint(with: [.responseStarted, .responsePaused, .finished]) }

    /// Whether the request's field names are to reach the upstream as the client wrote them.
    var keepsNameCase: Bool { managerReference?._withUnsafeGuaranteedRef { $0.config.fieldNames == .original } ?? false }
    var isFinished: Bool { phase.contains(.finished) }

    // MARK: Life

    /// The head is complete: the stream begins.
    func begin(_ manager: HTTPConnectionManager) {
        managerReference = Unmanaged.passUnretained(manager)
        info.start = loop.now
        info.startWallClock = loop.wallClock
        info.version = request.version
        idleTimeout = manager.config.streamIdleTimeout
        lastActivity = loop.now
        // Usually the timer still runs for an earlier stream with the same timeout, and is checked when it fires.
        if idleTimeout > 0 { armIdleTimer(at: loop.now.advanced(byNanoseconds: idleLimit(manager))) }
        if manager.config.accessLogs.flushInterval > 0 { armLogTimer(manager) }
        if manager.config.maxStreamDuration > 0 {
            setMaxDuration(manager.config.maxStreamDuration)
        }
    }

    /// Logs, counts, lets go of everything, and has the object used again after this turn.
    func finish(_ manager: HTTPConnectionManager) {
        guard !phase.contains(.finished) else { return }
        phase.insert(.finished)
        // The timers for idling and the route stay armed: when they fire on a stream that is not in use, they do nothing.
        routeDeadline = nil
        timers.cancel(durationTimer)
        timers.cancel(requestTimer)
        if retry.isUsed { endRetries() }
        timers.cancel(logTimer)
        if !phase.contains(.upstreamEnded), phase.contains(.routed) { upstream.cancel() }
        if filters.count > 0 { filters.end(self) }
        manager.record(self)
        worker.streamFinished(self)
    }

    /// The turn in which the stream finished is over: it lets go of everything.
    func clear() {
        request.reset()
        response.reset()
        requestTrailers.reset()
        responseTrailers.reset()
        info.reset()
        phase = []
        managerReference = nil
        routesReference?.release()
        routesReference = nil
        match = StreamRoute()
        clusterReference?.release()
        clusterReference = nil
        routeStats = nil
        virtualClusterStats = nil
        routeTimeout = 0
        idleTimeout = 0
        http2 = .none
        isReadPaused = false
        unconsumed = 0
        filters.reset()
        retry.reset()
    }

    /// The object is about to be freed.
    func releaseTimers() {
        timers.free(&idleTimer)
        timers.free(&routeTimer)
        timers.free(&durationTimer)
        timers.free(&requestTimer)
        timers.free(&retryTimer)
        timers.free(&tryTimer)
        timers.free(&tryIdleTimer)
        timers.free(&logTimer)
    }

    // MARK: Timers

    /// The idle timeout, or less under overload.
    private func idleLimit(_ manager: HTTPConnectionManager) -> UInt64 {
        manager.pressure.isCalm ? idleTimeout : manager.pressure.levels.timers.streamIdle.scaled(idleTimeout)
    }

    /// The overload manager made timeouts shorter or longer.
    func timeoutsChanged() {
        guard let manager, !phase.contains(.finished), idleTimeout > 0 else { return }
        armIdleTimer(at: lastActivity.advanced(byNanoseconds: idleLimit(manager)))
    }

    /// Bytes that are held because of this stream.
    var heldBytes: Int {
        guard let manager, !phase.contains(.finished) else { return 0 }
        return filters.heldRequest.pinnedBytes + filters.heldResponse.pinnedBytes + manager.queuedBytes(self)
            + (phase.contains(.routed) ? upstream.heldBytes : 0)
    }

    /// Memory is short and this stream holds much of it.
    func resetForOverload() {
        guard let manager, !phase.contains(.finished) else { return }
        info.flags.insert(.overloadManager)
        info.details = "overload"
        manager.abandon(self)
    }

    /// A byte moved in either direction.
    func touch() { lastActivity = loop.now }

    /// Starts the route's timeout: the request is whole.
    func startRouteTimeout() {
        // A tunnel has no end of the request to count from.
        guard routeTimeout > 0, !phase.contains(.responseEnded), !phase.contains(.upgradeRequested) else { return }
        let deadline = loop.now.advanced(byNanoseconds: routeTimeout)
        routeDeadline = deadline
        if timers.isArmed(routeTimer), routeTimerDue <= deadline { return }
        routeTimerDue = deadline
        timers.arm(routeTimer, at: deadline)
    }

    /// Has the idle timer fire at `deadline` or earlier.
    private func armIdleTimer(at deadline: MonotonicInstant) {
        if timers.isArmed(idleTimer), idleDeadline <= deadline { return }
        idleDeadline = deadline
        timers.arm(idleTimer, at: deadline)
    }

    /// The whole request has to arrive within `nanoseconds`.
    func armRequestTimeout(_ nanoseconds: UInt64) {
        if requestTimer.isNone { requestTimer = timers.make(target: self, tag: TimerTag.request) }
        timers.arm(requestTimer, at: loop.now.advanced(byNanoseconds: nanoseconds))
    }

    private func armLogTimer(_ manager: HTTPConnectionManager) {
        if logTimer.isNone { logTimer = timers.make(target: self, tag: TimerTag.log) }
        timers.arm(logTimer, at: loop.now.advanced(byNanoseconds: manager.config.accessLogs.flushInterval))
    }

    func cancelRequestTimeout() { timers.cancel(requestTimer) }

    func cancelRouteTimeout() { routeDeadline = nil }

    /// The next attempt begins after so long.
    func armRetryTimer(milliseconds: UInt64) {
        if retryTimer.isNone { retryTimer = timers.make(target: self, tag: TimerTag.retry) }
        timers.arm(retryTimer, at: loop.now.advanced(byNanoseconds: milliseconds &* 1_000_000))
    }

    func cancelRetryTimer() { timers.cancel(retryTimer) }

    func armTryTimer(nanoseconds: UInt64) {
        if tryTimer.isNone { tryTimer = timers.make(target: self, tag: TimerTag.attempt) }
        timers.arm(tryTimer, at: loop.now.advanced(byNanoseconds: nanoseconds))
    }

    func armTryIdleTimer(nanoseconds: UInt64) {
        if tryIdleTimer.isNone { tryIdleTimer = timers.make(target: self, tag: TimerTag.idleAttempt) }
        timers.arm(tryIdleTimer, at: loop.now.advanced(byNanoseconds: nanoseconds))
    }

    func cancelTryTimers() {
        timers.cancel(tryTimer)
        timers.cancel(tryIdleTimer)
    }

    /// Applies a route's own `max_stream_duration`, counted from the start of the stream; nil lifts the manager's.
    func setMaxDuration(_ nanoseconds: UInt64?) {
        if let nanoseconds {
            if durationTimer.isNone { durationTimer = timers.make(target: self, tag: TimerTag.duration) }
            timers.arm(durationTimer, at: info.start.advanced(byNanoseconds: nanoseconds))
        } else {
            timers.cancel(durationTimer)
        }
    }

    /// Applies a route's own idle timeout.
    func setIdleTimeout(_ nanoseconds: UInt64) {
        idleTimeout = nanoseconds
        let limit = managerReference?._withUnsafeGuaranteedRef { idleLimit($0) } ?? nanoseconds
        if nanoseconds > 0 { armIdleTimer(at: loop.now.advanced(byNanoseconds: limit)) }
    }

    package func onTimer(_ tag: UInt32) {
        guard let manager, !phase.contains(.finished) else { return }
        switch tag {
        case TimerTag.idle:
            guard idleTimeout > 0 else { return }
            let limit = idleLimit(manager)
            if loop.now.nanoseconds(since: lastActivity) < limit {
                armIdleTimer(at: lastActivity.advanced(byNanoseconds: limit))
                return
            }
            stats.add(manager.config.stats.requestsIdleTimeout)
            info.flags.insert(.streamIdleTimeout)
            fail(with: phase.contains(.requestReceived) ? .streamIdleWhileWaiting : .streamIdleWhileReceiving)
        case TimerTag.log:
            log(.downstreamPeriodic, manager)
            armLogTimer(manager)
        case TimerTag.request:
            stats.add(manager.config.stats.requestsTimeout)
            fail(with: .requestTimeout)
        case TimerTag.route:
            guard let routeDeadline else { return }
            if loop.now < routeDeadline {
                routeTimerDue = routeDeadline
                timers.arm(routeTimer, at: routeDeadline)
                return
            }
            // Between two attempts there is none that timed out.
            if let cluster, !retry.isWaiting { stats.add(cluster.stats.requestsTimeout) }
            forRouteStats { $0.timedOut() }
            upstream.countTimeout()
            fail(with: .upstreamTimeout)
        case TimerTag.retry: startRetry(manager)
        case TimerTag.attempt: tryTimedOut(isIdle: false)
        case TimerTag.idleAttempt: tryTimedOut(isIdle: true)
        default:
            stats.add(manager.config.stats.requestsMaxDuration)
            fail(with: .maxStreamDuration)
        }
    }
}

@available(*, unavailable) extension ActiveStream: Sendable {}
