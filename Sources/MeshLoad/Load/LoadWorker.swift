// SPDX-License-Identifier: Apache-2.0
import MeshHTTP2
import MeshIO
import MeshTLS
import MeshUV
import Synchronization

/// One thread of the load: its connections, its share of the arrivals, its measurements.
///
/// An arrival that is due takes a free connection or waits, in order, for one; its latency counts from the time it was
/// planned for. In a closed loop a connection that is free sends at once.
///
/// Invariants:
/// - every planned request is sent, or is counted as not sent at the end;
/// - `freeSlots` holds pairs of session and generation; pairs of an older generation mean nothing.
final class LoadWorker: TimerTarget, PreciseTarget {
    let scenario: LoadScenario
    let loop: UVLoop
    let prepared: PreparedRequests
    /// nil where it is not known what is right.
    let check: AnswerCheck?
    let http2Memory = HTTP2Memory()

    private let signal: StartSignal
    private let live: LiveCounters
    private let results: ResultBox
    /// One for each client; connections take them in turn.
    private let tls: [TLSContext]
    private var nextClient = 0
    private let workspace = TLSWorkspace()
    private var sessions: [ClientSession] = []
    private var freeSlots = NumberQueue()
    private var backlog = NumberQueue()
    private var arrivals: ArrivalSequence?
    /// When the next arrival is due on the loop's clock; `.max` when there is none.
    private var nextArrival = UInt64.max
    private var recorder = LatencyRecorder(start: 0, duration: 0.1)
    private var hasBegun = false
    private var hasEnded = false
    private var inFlight = 0
    /// For whoever shows progress; told once a tick.
    private var completedCount: UInt64 = 0
    private var failedCount: UInt64 = 0
    private var latencySum: UInt64 = 0
    private var slowest: UInt64 = 0
    private var nextRequest = 0
    /// For masks, keys and whatever else has to differ.
    var random: SplitMix
    private var timer = TimerID.none
    private var giveUpAt = UInt64.max
    private var reopening: [ClientSession] = []
    /// The first session whose connection was not tried yet.
    private var unopened = 0
    private var lastConnectError: String?
    /// Thread time and wall time at the start of the measured time, and what lay between at its end.
    private var timeAtStart: (used: UInt64, waiting: UInt64, wall: UInt64)?
    private var shares: (busy: Double, waiting: Double)?

    /// How often time limits are looked at. - Unit: milliseconds.
    private static let tick: UInt64 = 20
    /// Arrivals that may wait; what comes then is counted as not sent at once.
    private static let backlogLimit = 10_000_000

    init(
        _ scenario: LoadScenario, index: Int, connections: Int, loop: UVLoop, tls: [TLSContext], signal: StartSignal,
        live: LiveCounters, results: ResultBox
    ) {
        self.scenario = scenario
        self.loop = loop
        self.tls = tls
        self.signal = signal
        self.live = live
        self.results = results
        check = scenario.expected.map(AnswerCheck.init)
        random = SplitMix(seed: ~scenario.seed, stream: UInt64(index))
        prepared = PreparedRequests(
            scenario.requests, scenario.loadProtocol, scheme: scenario.tls == nil ? "http" : "https", pool: loop.pool)
        // Workers begin at different places, or all would ask for the same thing at once.
        nextRequest = index * scenario.requests.requests.count / max(scenario.workers, 1)
        if case .open(let plan) = scenario.shape {
            arrivals = ArrivalSequence(plan, worker: index, of: scenario.workers, seed: scenario.seed)
        }
        for _ in 0..<connections { sessions.append(makeSession()) }
        for (place, session) in sessions.enumerated() { session.place = place }
        timer = loop.timers.make(target: self)
        loop.timers.arm(timer, at: loop.now.advanced(byMilliseconds: LoadWorker.tick))
        signal.register(loop.makeWaker { [unowned self] in begin() })
        if scenario.connectsPerRequest {
            live.ready.store(connections, ordering: .relaxed)
            for session in sessions { freeSlots.push(slot(of: session)) }
        } else {
            for _ in 0..<min(scenario.opensAtOnce ?? sessions.count, sessions.count) { openNext() }
        }
    }

    /// Makes the next of the connections that were not tried yet.
    private func openNext() {
        guard unopened < sessions.count else { return }
        unopened += 1
        sessions[unopened - 1].open()
    }

    private func makeSession() -> ClientSession {
        switch scenario.loadProtocol {
        case .http1: HTTP1ClientSession(worker: self)
        case .http2, .grpc: HTTP2ClientSession(worker: self, width: scenario.streams)
        case .tcp where scenario.tcpMode == .echo: TCPClientSession(worker: self)
        case .tcp: BulkClientSession(worker: self, mode: scenario.tcpMode)
        case .websocket: WebSocketClientSession(worker: self)
        }
    }

    // MARK: Connections

    /// A new connection for a session.
    func connect(_ session: ClientSession) -> ByteStream {
        let transport = loop.connect(to: scenario.target, options: ConnectOptions(), handler: session)
        transport.setBufferLimit(0)
        guard let options = scenario.tls, !tls.isEmpty else { return transport }
        let context = tls[nextClient % tls.count]
        nextClient &+= 1
        let stream = TLSStream(
            connecting: transport, context: context, workspace: workspace, policy: SANPolicy([]),
            parameters: TLSClientParameters(serverName: Array(options.serverName.utf8), sessionKey: [1]))
        stream.setBufferLimit(0)
        stream.start(handler: session)
        return stream
    }

    func connected(after nanoseconds: UInt64, resumed: Bool) {
        recorder.recordConnection(nanoseconds, at: BenchClock.now(), resumed: resumed)
    }

    func noteConnectError(_ text: String) {
        guard text != lastConnectError else { return }
        lastConnectError = text
        results.noteConnectError(text)
    }

    /// A lasting connection is ready for as many requests as it is wide.
    func sessionReady(_ session: ClientSession) {
        live.ready.add(1, ordering: .relaxed)
        for _ in 0..<session.width { slotFreed(session) }
        openNext()
    }

    /// A lasting connection ended; another one is made, at once if it served, else after a while.
    func sessionEnded(_ session: ClientSession, wasReady: Bool, _ kind: FailureKind) {
        guard !scenario.connectsPerRequest else { return slotFreed(session) }
        if wasReady { live.ready.subtract(1, ordering: .relaxed) }
        guard !hasEnded else { return }
        if !wasReady, hasBegun {
            // No request was on it, and yet the load did not get through.
            let now = BenchClock.now()
            recorder.record(kind == .closed ? .connect : kind, planned: now, sent: now, ended: now)
        }
        if wasReady {
            session.open()
        } else {
            reopening.append(session)
            openNext()
        }
    }

    private func slot(of session: ClientSession) -> UInt64 { UInt64(session.place) << 32 | UInt64(session.generation) }

    // MARK: Requests

    /// A session can take one more request.
    func slotFreed(_ session: ClientSession) {
        if hasBegun, let planned = nextDue() {
            transmit(on: session, planned: planned)
        } else {
            freeSlots.push(slot(of: session))
        }
    }

    /// The time of a request that may go out now; nil when nothing is due.
    private func nextDue() -> UInt64? {
        if let waiting = backlog.pop() { return waiting }
        guard arrivals == nil else { return nil }
        let now = BenchClock.now()
        guard now < recorder.end else { return nil }
        if recorder.measures(now) { recorder.planned += 1 }
        return now
    }

    private func transmit(on session: ClientSession, planned: UInt64) {
        inFlight += 1
        let request = nextRequest
        nextRequest += 1
        if nextRequest == prepared.plan.count { nextRequest = 0 }
        session.send(request, planned: planned)
    }

    /// A request that nobody has looked at goes out once more.
    func putBack(planned: UInt64) {
        inFlight -= 1
        backlog.push(planned)
        serveBacklog()
    }

    /// A whole answer.
    /// - Parameters:
    ///   - isRight: whether it is what it had to be; a status of 400 and more is a failure of its own.
    ///   - received: bytes of the answer, and `sentBytes` of the request.
    ///   - messages: of a stream of them; 0 where the protocol knows none.
    func answered(status: UInt16, isRight: Bool, planned: UInt64, sent: UInt64, received: Int, sentBytes: Int, messages: Int) {
        inFlight -= 1
        let now = BenchClock.now()
        if status >= 400 {
            recorder.record(status >= 500 ? .status5xx : .status4xx, planned: planned, sent: sent, ended: now)
            failedCount += 1
        } else if !isRight {
            recorder.record(.wrongAnswer, planned: planned, sent: sent, ended: now)
            failedCount += 1
        } else {
            recorder.record(planned: planned, sent: sent, ended: now, received: received, sentBytes: sentBytes, messages: messages)
            completedCount += 1
            let waited = now &- planned
            latencySum &+= waited
            slowest = max(slowest, waited)
        }
    }

    func failed(_ kind: FailureKind, planned: UInt64, sent: UInt64) {
        inFlight -= 1
        recorder.record(kind, planned: planned, sent: sent, ended: BenchClock.now())
        failedCount += 1
    }

    private func takeFree() -> ClientSession? {
        while let slot = freeSlots.pop() {
            let session = sessions[Int(slot >> 32)]
            if session.generation == UInt32(truncatingIfNeeded: slot), session.isReady || session.isSingleUse { return session }
        }
        return nil
    }

    private func serveBacklog() {
        while !backlog.isEmpty, let session = takeFree() {
            guard let planned = backlog.pop() else { return }
            transmit(on: session, planned: planned)
        }
    }

    // MARK: Arrivals

    private func begin() {
        guard !hasBegun, signal.time > 0 else { return }
        hasBegun = true
        let measured = signal.time + UInt64(scenario.warmUp * 1e9)
        recorder = LatencyRecorder(start: measured, duration: scenario.duration)
        giveUpAt = recorder.end + UInt64(scenario.timeout * 1e9)
        if arrivals == nil {
            // A thread that got its core late was to begin then all the same.
            let planned = min(BenchClock.now(), signal.time)
            var free: [ClientSession] = []
            while let session = takeFree() { free.append(session) }
            for session in free {
                if recorder.measures(planned) { recorder.planned += 1 }
                transmit(on: session, planned: planned)
            }
        } else {
            planNext()
        }
    }

    private func planNext() {
        guard let offset = arrivals?.next() else {
            nextArrival = .max
            return
        }
        nextArrival = signal.time + offset
        if nextArrival >= recorder.end { nextArrival = .max }
        loop.wakePrecisely(self, at: MonotonicInstant(nanoseconds: nextArrival))
    }

    func onPreciseDeadline() {
        var now = BenchClock.now()
        while nextArrival <= now {
            let planned = nextArrival
            if recorder.measures(planned) { recorder.planned += 1 }
            if backlog.isEmpty, let session = takeFree() {
                now = BenchClock.now()
                recorder.recordLag(now - planned, planned: planned)
                transmit(on: session, planned: planned)
            } else if backlog.count < LoadWorker.backlogLimit {
                backlog.push(planned)
                if recorder.measures(planned) { recorder.longestBacklog = max(recorder.longestBacklog, backlog.count) }
            } else {
                recorder.record(.notSent, planned: planned, sent: planned, ended: now)
            }
            planNext()
        }
    }

    // MARK: Time

    func onTimer(_ tag: UInt32) {
        loop.timers.arm(timer, at: loop.now.advanced(byMilliseconds: LoadWorker.tick))
        for session in reopening { session.open() }
        reopening.removeAll()
        guard hasBegun, !hasEnded else { return }
        let now = BenchClock.now()
        live.backlog.store(backlog.count, ordering: .relaxed)
        live.completed.store(completedCount, ordering: .relaxed)
        live.failed.store(failedCount, ordering: .relaxed)
        live.latencySum.store(latencySum, ordering: .relaxed)
        live.slowest.max(slowest, ordering: .relaxed)
        slowest = 0
        measureOwnTime(now)
        let limit = UInt64(scenario.timeout * 1e9)
        if now > limit { for session in sessions { session.expire(before: now - limit) } }
        if now >= recorder.end, backlog.isEmpty && inFlight == 0 || now >= giveUpAt { end() }
    }

    private func measureOwnTime(_ now: UInt64) {
        if timeAtStart == nil, now >= recorder.start {
            let time = BenchClock.threadTime()
            timeAtStart = (time.used, time.waiting, now)
        }
        if shares == nil, now >= recorder.end, let start = timeAtStart {
            let time = BenchClock.threadTime()
            let wall = Double(max(now - start.wall, 1))
            shares = (Double(time.used &- start.used) / wall, Double(time.waiting &- start.waiting) / wall)
        }
    }

    private func end() {
        hasEnded = true
        for session in sessions { session.giveUp() }
        let now = BenchClock.now()
        while let planned = backlog.pop() { recorder.record(.notSent, planned: planned, sent: planned, ended: now) }
        loop.timers.free(&timer)
        results.add(WorkerResult(
            recorder: recorder, busyShare: shares?.busy ?? 0, waitShare: shares?.waiting ?? 0, lastConnectError: lastConnectError))
        live.isDone.store(true, ordering: .releasing)
    }
}

@available(*, unavailable) extension LoadWorker: Sendable {}
