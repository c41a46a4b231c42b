// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshHTTP2
import MeshIO
import MeshModel
import MeshStats

/// HTTP/2 on a downstream connection: a session makes records of what arrives, this acts on them, and once a turn what the
/// streams have to say becomes frames.
///
/// A stream ends here when its response is queued; the session goes on sending it and is asked for no more records of it.
final class HTTP2ServerCodec: ServerCodec, EndOfTurn {
    private let transport: ByteStream
    private let pool: SlabPool
    private let loop: EventLoop
    private let config: CompiledHTTP
    private let stats: StatPages
    private let codecStats: HTTP2CodecStats
    private let session: HTTP2Session
    /// The manager owns the codec.
    private let manager: Unmanaged<HTTPConnectionManager>
    /// Streams that were not finished.
    private var streams = UncountedStack<ActiveStream>()
    private var isFlushScheduled = false
    private var isReading = false
    /// How far the end of the connection is.
    private var ending = Ending.none
    private var keepAlive: HTTP2KeepAlive?

    private enum Ending {
        case none
        /// The client was told that no new streams are wanted; those it opened before it heard are served. A PING says when
        /// it has heard.
        case noticed
        /// The last GOAWAY is out; the connection ends with its last stream.
        case announced
        /// Every stream is over and the last GOAWAY is out.
        case over
        /// Nothing is read any more.
        case failed
    }

    init(manager: HTTPConnectionManager) {
        self.manager = Unmanaged.passUnretained(manager)
        transport = manager.transport
        pool = manager.pool
        loop = manager.loop
        config = manager.config
        stats = manager.stats
        codecStats = manager.worker.http2Stats
        session = HTTP2Session(
            role: .server, options: manager.config.http2Options, memory: manager.worker.http2Memory, pool: manager.pool)
    }

    override var isMultiplexed: Bool { true }

    override func begin(_ manager: HTTPConnectionManager) {
        stats.add(codecStats.downstreamConnections)
        session.start()
        if let options = config.terminal.http2.keepalive {
            keepAlive = HTTP2KeepAlive(options, loop: loop, random: manager.worker.random.next()) { [unowned self] in
                keepAliveTimedOut()
            } ping: { [unowned self] in
                session.submitPing()
                scheduleFlush()
            }
        }
        scheduleFlush()
    }

    // MARK: Input

    override func receive(_ manager: HTTPConnectionManager) {
        guard !isReading else { return }
        isReading = true
        if session.receive(from: transport) { keepAlive?.heard(at: loop.now) }
        readRecords(manager)
        isReading = false
        // What the streams have to say has asked for a flush already.
        if !isFlushScheduled, !transport.isClosed, ending != .none || session.wantsWrite { scheduleFlush() }
    }

    private func readRecords(_ manager: HTTPConnectionManager) {
        while !manager.isClosed, let record = session.nextRecord() {
            switch record.kind {
            case .head: onHead(record, manager)
            case .body: onBody(record)
            case .trailers: onTrailers(record, manager)
            case .end: withOwner(record) { requestEnded($0, manager) }
            case .closed:
                if session.owner(of: record) == nil {
                    onRefused(record, manager)
                } else {
                    withOwner(record) { onClosed(record, $0, manager) }
                }
            case .writable: withOwner(record) { $0.upstream.resumeReading() }
            case .pingAcknowledged: onPingAcknowledged(manager)
            case .connectionFailed: onFailure(manager)
            case .goAway: onGoAway()
            case .informationalHead, .settings: break
            }
        }
    }

    @inline(__always) private func withOwner(_ record: HTTP2Record, _ body: (ActiveStream) -> Void) {
        guard let owner = session.owner(of: record) else { return }
        Unmanaged<ActiveStream>.fromOpaque(owner)._withUnsafeGuaranteedRef(body)
    }

    private func onHead(_ record: HTTP2Record, _ manager: HTTPConnectionManager) {
        let taken = manager.worker.takeStream()
        taken._withUnsafeGuaranteedRef { stream in
            stream.info.countsHeads = manager.config.accessLogs.countsHeads
            session.takeRequestHead(record, into: &stream.request)
            stream.http2 = session.key(of: record)
            session.setOwner(stream.http2, taken.toOpaque())
            stream.codecPlace = streams.count
            streams.push(taken)
            stats.increment(codecStats.streamsActive)
            let dropped = session.takeDroppedFields()
            if dropped > 0 { stats.add(codecStats.droppedUnderscores, UInt64(dropped)) }
            HTTP2Upgrade.becomeHTTP1(&stream.request, pool: pool)
            manager.headStarted()
            manager.onRequestHead(stream, endStream: record.endStream)
        }
    }

    private func onBody(_ record: HTTP2Record) {
        guard let owner = session.owner(of: record) else { return }
        guard let slice = session.takeBody(record) else { return }
        let count = slice.count
        var body: SlabSlice? = slice
        Unmanaged<ActiveStream>.fromOpaque(owner)._withUnsafeGuaranteedRef { stream in
            if let slice = body.take() { stream.onRequestBody(slice) }
            if stream.isReadPaused {
                stream.unconsumed &+= count
            } else {
                session.consume(stream.http2, count)
            }
            if record.endStream { manager._withUnsafeGuaranteedRef { requestEnded(stream, $0) } }
        }
    }

    private func onTrailers(_ record: HTTP2Record, _ manager: HTTPConnectionManager) {
        withOwner(record) { stream in
            session.takeTrailers(record, into: &stream.requestTrailers)
            stats.add(codecStats.trailers)
            requestEnded(stream, manager)
        }
    }

    private func requestEnded(_ stream: ActiveStream, _ manager: HTTPConnectionManager) {
        guard !stream.isFinished else { return }
        manager.requestEnded()
        stream.onRequestEnd(manager)
    }

    /// The stream ended before its response was queued.
    private func onClosed(_ record: HTTP2Record, _ stream: ActiveStream, _ manager: HTTPConnectionManager) {
        guard !stream.isFinished else { return }
        if record.failure == .none {
            stats.add(codecStats.resetReceived)
            stats.add(config.stats.requestsResetReceived)
            stream.info.flags.insert(.downstreamRemoteReset)
            stream.info.details = record.code == .refusedStream ? "http2.remote_refuse" : "http2.remote_reset"
        } else {
            count(record.failure)
            stream.info.flags.insert(
                record.failure.isInvalidMessage || record.failure == .connectionError
                    ? .downstreamProtocolError : .downstreamRemoteReset)
            stream.info.details = record.failure.details
        }
        end(stream, manager)
    }

    /// The session refused a stream before it had a head; it is counted and logged all the same.
    private func onRefused(_ record: HTTP2Record, _ manager: HTTPConnectionManager) {
        if record.failure == .none { stats.add(codecStats.resetReceived) } else { count(record.failure) }
        manager.worker.takeStream()._withUnsafeGuaranteedRef { stream in
            stream.request.version = .http2
            manager.startStream(stream)
            stream.info.flags.insert(record.failure.isInvalidMessage ? .downstreamProtocolError : .downstreamRemoteReset)
            stream.info.details = record.failure == .none ? "http2.remote_reset" : record.failure.details
            stream.finish(manager)
            manager.streamEnded()
        }
    }

    /// The client opens no more streams: the connection ends with the last one.
    private func onGoAway() {
        guard ending == .none || ending == .noticed else { return }
        announceEnd()
    }

    private func count(_ failure: HTTP2Failure) {
        if let counter = codecStats.counter(of: failure) { stats.add(counter) }
    }

    /// The stream is over for everyone but the session, which may still be sending.
    private func end(_ stream: ActiveStream, _ manager: HTTPConnectionManager) {
        session.abandon(stream.http2)
        stream.http2 = .none
        remove(stream)
        stream.finish(manager)
        if !manager.isClosed { manager.streamEnded() }
        scheduleFlush()
    }

    private func remove(_ stream: ActiveStream) {
        guard stream.codecPlace >= 0 else { return }
        stats.decrement(codecStats.streamsActive)
        if let moved = streams.removeUnordered(at: stream.codecPlace) {
            moved._withUnsafeGuaranteedRef { $0.codecPlace = stream.codecPlace }
        }
        stream.codecPlace = -1
    }

    override func inputEnded(_ manager: HTTPConnectionManager) {
        transportLost()
        manager.close(byClient: true)
    }

    override func transportLost() {
        for index in 0..<streams.count {
            streams[index]._withUnsafeGuaranteedRef { stream in
                guard !stream.isFinished else { return }
                stream.info.flags.insert(.downstreamConnectionTermination)
                stream.info.details = "downstream_remote_disconnect"
            }
        }
    }

    override func connectionClosed(_ manager: HTTPConnectionManager, byClient: Bool) {
        keepAlive?.stop()
        keepAlive = nil
        while let stream = streams.pop() {
            stream._withUnsafeGuaranteedRef {
                stats.decrement(codecStats.streamsActive)
                if byClient, !$0.isFinished { stats.add(config.stats.requestsResetReceived) }
                $0.codecPlace = -1
                $0.http2 = .none
                $0.finish(manager)
            }
        }
    }

    // MARK: The end of the connection

    /// The client broke the protocol, or asks for too much: GOAWAY is queued, and the connection ends when it is out.
    private func onFailure(_ manager: HTTPConnectionManager) {
        guard ending != .failed else { return }
        ending = .failed
        let failure = session.failure
        count(failure)
        if failure == .badPreface {
            stats.add(manager.counts.connectionsProtocolError)
            manager.close(byClient: false)
            return
        }
        stats.add(manager.counts.connectionsProtocolError)
        stats.add(codecStats.goAwaySent)
        if failure == .tooManyPrematureResets { stats.add(manager.counts.requestsTooManyPrematureResets) }
        while streams.count > 0 {
            streams[streams.count - 1]._withUnsafeGuaranteedRef { stream in
                stream.info.flags.insert(.downstreamProtocolError)
                stream.info.details = failure.details
                remove(stream)
                stream.http2 = .none
                stream.finish(manager)
            }
        }
        session.flush(into: transport)
        manager.closeAfterFlush(lingers: true)
    }

    private func keepAliveTimedOut() {
        stats.add(codecStats.keepAliveTimeout)
        manager._withUnsafeGuaranteedRef { $0.close(byClient: false) }
    }

    override func drain(_ manager: HTTPConnectionManager) -> Bool {
        guard ending == .none else { return true }
        ending = .noticed
        session.submitShutdownNotice()
        // A listener that ends does not wait longer than it must: the PING's answer says that the notice was heard.
        if manager.drainWindow != nil { session.submitPing() }
        manager.armDrainTimeout()
        scheduleFlush()
        return true
    }

    private func onPingAcknowledged(_ manager: HTTPConnectionManager) {
        keepAlive?.answered(at: loop.now)
        if ending == .noticed { announceEnd() }
    }

    /// The client has had the time of a round trip to hear the notice.
    override func drainTimedOut(_ manager: HTTPConnectionManager) { if ending == .noticed { announceEnd() } }

    private func announceEnd() {
        ending = .announced
        session.shutdown()
        stats.add(codecStats.goAwaySent)
        scheduleFlush()
    }

    // MARK: Output

    private func scheduleFlush() {
        guard !isFlushScheduled else { return }
        isFlushScheduled = true
        loop.atEndOfTurn(self)
    }

    func onEndOfTurn() {
        isFlushScheduled = false
        manager._withUnsafeGuaranteedRef { manager in
            guard !manager.isClosed, ending != .failed, ending != .over else { return }
            session.flush(into: transport)
            readRecords(manager)
            guard !manager.isClosed, ending == .announced, streams.isEmpty, session.isDone else { return }
            // A close while the client's last frames lie unread would reset what it has not read of ours.
            ending = .over
            manager.closeAfterFlush(lingers: true)
        }
    }

    override func outputDrained() { scheduleFlush() }

    override func sendInformational(_ stream: ActiveStream) {
        session.sendInformational(stream.http2, stream.response)
        scheduleFlush()
    }

    override func sendContinue(_ stream: ActiveStream) {
        stream.response.status = 100
        session.sendInformational(stream.http2, stream.response)
        stream.response.reset()
        scheduleFlush()
    }

    override func sendHead(_ stream: ActiveStream, endStream: Bool) {
        let status = stream.response.status
        if stream.isTunnel {
            HTTP2Upgrade.acceptHTTP2(&stream.response)
        } else if stream.request.method == .head || status == 204 || status == 304 {
            stream.phase.insert(.responseHasNoBody)
        }
        let ends = endStream || stream.phase.contains(.responseHasNoBody)
        if ends { stream.phase.insert(.headEndedStream) }
        session.sendResponse(stream.http2, stream.response, endStream: ends)
        scheduleFlush()
    }

    override func sendBody(_ stream: ActiveStream, _ slice: consuming SlabSlice) {
        guard !stream.phase.contains(.headEndedStream) else { return }
        if !session.sendBody(stream.http2, slice) { stream.upstream.pauseReading() }
        scheduleFlush()
    }

    override func sendBody(_ stream: ActiveStream, copying bytes: UnsafeRawBufferPointer) {
        var rest = bytes
        while let start = rest.baseAddress, rest.count > 0 {
            let count = min(rest.count, SlabPool.standardCapacity)
            let slab = pool.take(count)
            slab.bytes.copyMemory(from: start, byteCount: count)
            sendBody(stream, SlabSlice(retaining: slab, offset: 0, length: count))
            slab.release()
            rest = UnsafeRawBufferPointer(rebasing: rest[count...])
        }
    }

    override func sendEnd(_ stream: ActiveStream, _ manager: HTTPConnectionManager) {
        stream.phase.insert(.responseEnded)
        if !stream.phase.contains(.headEndedStream) {
            if stream.responseTrailers.liveCount > 0 {
                // The log still reads them.
                var sent = stream.responseTrailers.sharingMemory()
                session.sendTrailers(stream.http2, &sent)
            } else {
                session.sendEnd(stream.http2)
            }
        }
        end(stream, manager)
    }

    override func reset(_ stream: ActiveStream, _ manager: HTTPConnectionManager) {
        guard !stream.isFinished else { return }
        session.reset(stream.http2, .internalError)
        stats.add(codecStats.resetSent)
        stats.add(config.stats.requestsResetSent)
        end(stream, manager)
    }

    override func queuedBytes(_ stream: ActiveStream) -> Int { session.queuedBytes(stream.http2) + stream.unconsumed }

    // MARK: Back-pressure

    /// The window of the stream stays as it is until the upstream takes more.
    override func pauseReading(_ stream: ActiveStream, _ manager: HTTPConnectionManager) { stream.isReadPaused = true }

    override func resumeReading(_ stream: ActiveStream, _ manager: HTTPConnectionManager) {
        stream.isReadPaused = false
        guard stream.unconsumed > 0 else { return }
        session.consume(stream.http2, stream.unconsumed)
        stream.unconsumed = 0
        scheduleFlush()
    }
}
