// SPDX-License-Identifier: Apache-2.0
package import MeshHTTP
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
}

/// One request and its response: everything that is known about it, the filters it passes, and its upstream attempt.
///
/// Pooled: a worker uses finished streams again, at the end of the turn in which they finished, so that nobody up the
/// call stack holds a stream that already serves another request.
package final class ActiveStream: EndOfTurn, TimerTarget {
    let worker: Worker
    /// The request as it will be sent upstream; filters, routes and logs see this one head.
    package var request = RequestHead()
    package var response = ResponseHead()
    package var requestTrailers = HeaderBlock()
    package var responseTrailers = HeaderBlock()
    package var info = StreamInfo()
    var phase: StreamPhase = []

    /// The connection; nil once the stream is finished.
    private(set) var manager: HTTPConnectionManager?
    /// The route table that was current when the stream began, and what matched in it.
    var routes: ActiveRoutes?
    var match = StreamRoute()
    /// The cluster chosen by the route, for logs and counters.
    var cluster: CompiledCluster?
    private var upstreamSlot: UpstreamRequest?

    var filters = FilterChainState()

    /// Timers of the stream, made once with the object.
    private var idleTimer = TimerID.none
    private var routeTimer = TimerID.none
    private var durationTimer = TimerID.none
    /// Nanoseconds without a byte in either direction before the stream ends; 0 for never.
    var idleTimeout: UInt64 = 0
    private var lastActivity = MonotonicInstant(nanoseconds: 0)
    /// When the idle timer fires, while it is armed.
    private var idleDeadline = MonotonicInstant(nanoseconds: 0)
    var routeTimeout: UInt64 = 0

    private enum TimerTag {
        static let idle: UInt32 = 0
        static let route: UInt32 = 1
        static let duration: UInt32 = 2
        static let request: UInt32 = 3
    }

    init(worker: Worker) {
        self.worker = worker
        let timers = worker.loop.timers
        idleTimer = timers.make(target: self, tag: TimerTag.idle)
        routeTimer = timers.make(target: self, tag: TimerTag.route)
        durationTimer = timers.make(target: self, tag: TimerTag.duration)
    }

    /// The upstream attempt, made with the first request that needs one.
    var upstream: UpstreamRequest {
        if let upstreamSlot { return upstreamSlot }
        let made = UpstreamRequest(stream: self)
        upstreamSlot = made
        return made
    }

    var isTunnel: Bool { phase.contains(.tunnel) }
    /// Whether the request's field names are to reach the upstream as the client wrote them.
    var keepsNameCase: Bool { manager?.config.fieldNames == .original }
    var isFinished: Bool { phase.contains(.finished) }

    // MARK: Life

    /// The head is complete: the stream begins.
    func begin(_ manager: HTTPConnectionManager) {
        self.manager = manager
        let loop = worker.loop
        info.start = loop.now
        info.startWallClock = loop.wallClock
        info.version = request.version
        idleTimeout = manager.config.streamIdleTimeout
        lastActivity = loop.now
        // Usually the timer still runs for an earlier stream with the same timeout, and is checked when it fires.
        if idleTimeout > 0 { armIdleTimer(at: loop.now.advanced(byNanoseconds: idleTimeout)) }
        if manager.config.maxStreamDuration > 0 {
            loop.timers.arm(durationTimer, at: loop.now.advanced(byNanoseconds: manager.config.maxStreamDuration))
        }
    }

    /// Logs, counts, lets go of everything, and has the object used again after this turn.
    func finish() {
        guard !phase.contains(.finished), let manager else { return }
        phase.insert(.finished)
        let loop = worker.loop
        // The idle timer stays armed: when it fires on a stream that is not in use, it does nothing.
        if routeTimeout > 0 { loop.timers.cancel(routeTimer) }
        loop.timers.cancel(durationTimer)
        if !phase.contains(.upstreamEnded), phase.contains(.routed) { upstream.cancel() }
        filters.end(self)
        manager.record(self)
        loop.atEndOfTurn(self)
    }

    package func onEndOfTurn() {
        request.reset()
        response.reset()
        requestTrailers.reset()
        responseTrailers.reset()
        info.reset()
        phase = []
        manager = nil
        routes = nil
        match = StreamRoute()
        cluster = nil
        routeTimeout = 0
        idleTimeout = 0
        filters.reset()
        worker.giveBack(self)
    }

    /// The object is about to be freed.
    func releaseTimers() {
        worker.loop.timers.free(&idleTimer)
        worker.loop.timers.free(&routeTimer)
        worker.loop.timers.free(&durationTimer)
    }

    // MARK: Timers

    /// A byte moved in either direction.
    func touch() { lastActivity = worker.loop.now }

    /// Starts the route's timeout: the request is whole.
    func startRouteTimeout() {
        // A tunnel has no end of the request to count from.
        guard routeTimeout > 0, !phase.contains(.responseEnded), !phase.contains(.upgradeRequested) else { return }
        worker.loop.timers.arm(routeTimer, at: worker.loop.now.advanced(byNanoseconds: routeTimeout))
    }

    /// Has the idle timer fire at `deadline` or earlier.
    private func armIdleTimer(at deadline: MonotonicInstant) {
        let timers = worker.loop.timers
        if timers.isArmed(idleTimer), idleDeadline <= deadline { return }
        idleDeadline = deadline
        timers.arm(idleTimer, at: deadline)
    }

    func cancelRouteTimeout() { worker.loop.timers.cancel(routeTimer) }

    /// Applies a route's own `max_stream_duration`, counted from the start of the stream.
    func setMaxDuration(_ nanoseconds: UInt64) {
        let timers = worker.loop.timers
        if nanoseconds == 0 {
            timers.cancel(durationTimer)
        } else {
            timers.arm(durationTimer, at: info.start.advanced(byNanoseconds: nanoseconds))
        }
    }

    /// Applies a route's own idle timeout.
    func setIdleTimeout(_ nanoseconds: UInt64) {
        idleTimeout = nanoseconds
        if nanoseconds > 0 { armIdleTimer(at: worker.loop.now.advanced(byNanoseconds: nanoseconds)) }
    }

    package func onTimer(_ tag: UInt32) {
        guard let manager, !phase.contains(.finished) else { return }
        let loop = worker.loop
        switch tag {
        case TimerTag.idle:
            guard idleTimeout > 0 else { return }
            let quiet = loop.now.nanoseconds(since: lastActivity)
            if quiet < idleTimeout {
                armIdleTimer(at: lastActivity.advanced(byNanoseconds: idleTimeout))
                return
            }
            worker.stats.add(manager.config.stats.requestsIdleTimeout)
            info.flags.insert(.streamIdleTimeout)
            fail(with: phase.contains(.requestReceived) ? .streamIdleWhileWaiting : .streamIdleWhileReceiving)
        case TimerTag.route:
            if let cluster { worker.stats.add(cluster.stats.requestsTimeout) }
            fail(with: .upstreamTimeout)
        default:
            worker.stats.add(manager.config.stats.requestsMaxDuration)
            fail(with: .maxStreamDuration)
        }
    }
}

@available(*, unavailable) extension ActiveStream: Sendable {}
