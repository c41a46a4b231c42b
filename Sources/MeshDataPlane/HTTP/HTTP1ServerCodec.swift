// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshIO
import MeshModel
import MeshStats

/// HTTP/1 on a downstream connection: one stream at a time, the next request waits in the input until the response of the
/// current one is queued.
final class HTTP1ServerCodec: ServerCodec {
    private let transport: ByteStream
    private let pool: SlabPool
    private let config: CompiledHTTP
    private var decoder: HTTP1RequestDecoder
    /// The stream being received or answered.
    private var current: Unmanaged<ActiveStream>?
    /// The stream object the next head is read into, from its first complete line on.
    private var incoming: Unmanaged<ActiveStream>?
    /// How the response in progress is framed on the wire.
    private var framing = BodyFraming.none
    private var isReceiving = false
    private var isPausedForPipelining = false
    /// The client does not read its responses: no further request is taken until it does.
    private var isPausedForOutput = false
    /// The last response is queued: what the client still sends is the rest of a request that nobody reads.
    private var isOver = false

    init(config: CompiledHTTP, transport: ByteStream) {
        self.config = config
        self.transport = transport
        pool = transport.pool
        decoder = HTTP1RequestDecoder(limits: config.decoderLimits, options: config.decoderOptions)
    }

    @inline(__always) private func isCurrent(_ stream: ActiveStream) -> Bool {
        current?.toOpaque() == Unmanaged.passUnretained(stream).toOpaque()
    }

    // MARK: Receiving

    /// Reads what is in the input, as far as it may be read now.
    override func receive(_ manager: HTTPConnectionManager) {
        // A reply sent while a head is handled ends its stream inside this loop; the loop goes on by itself then.
        guard !isReceiving else { return }
        isReceiving = true
        while !isOver, !transport.isClosed, !transport.input.isEmpty || (current != nil && decoder.isBodyComplete),
            !manager.isClosed, receiveOne(manager)
        {}
        isReceiving = false
    }

    /// Whether there may be more to do at once.
    private func receiveOne(_ manager: HTTPConnectionManager) -> Bool {
        if let current {
            return current._withUnsafeGuaranteedRef { stream in
                if stream.phase.contains(.requestReceived) {
                    pauseForPipelining()
                    return false
                }
                return stream.phase.contains(.upgradeRequested) ? passOn(to: stream) : step(stream, manager)
            }
        }
        if transport.isAboveHighWatermark {
            pauseForOutput()
            return false
        }
        if let incoming { return incoming._withUnsafeGuaranteedRef { step($0, manager) } }
        let stream = manager.worker.takeStream()
        incoming = stream
        stream._withUnsafeGuaranteedRef {
            $0.info.wireReceivedBefore = transport.receivedBytes &- UInt64(transport.input.count)
            $0.info.wireSentBefore = transport.sentBytes &+ UInt64(transport.output.byteCount)
            $0.info.countsHeads = config.accessLogs.countsHeads
        }
        manager.headStarted()
        return stream._withUnsafeGuaranteedRef { step($0, manager) }
    }

    /// Bytes behind a request for an upgrade are not HTTP/1 any more.
    private func passOn(to stream: ActiveStream) -> Bool {
        let count = transport.input.count
        guard count > 0 else { return false }
        let slice = transport.input.slice(offset: 0, length: count)
        transport.input.consume(count)
        if let slice { stream.onRequestBody(slice) }
        return true
    }

    /// One step of the decoder; false when it needs more input or gave up.
    private func step(_ stream: ActiveStream, _ manager: HTTPConnectionManager) -> Bool {
        let step = decoder.next(
            transport.input.readable, head: &stream.request, trailers: &stream.requestTrailers, pool: pool)
        switch step.kind {
        case .needMore:
            transport.input.consume(step.consumed)
            if current == nil, decoder.isBetweenMessages { returnIncoming(manager) }
            return false
        case .head:
            transport.input.consume(step.consumed)
            incoming = nil
            current = Unmanaged.passUnretained(stream)
            if stream.info.countsHeads { stream.info.heads.received(fromDownstream: stream.request.headers.lineSize(separators: 3)) }
            if decoder.droppedFields > 0 {
                manager.stats.add(manager.worker.http1Stats.droppedUnderscores, UInt64(decoder.droppedFields))
            }
            manager.onRequestHead(stream, endStream: stream.request.framing == .none && !isTunnelRequest(stream))
        case .body:
            let slice = transport.input.slice(offset: step.bodyOffset, length: step.bodyLength)
            transport.input.consume(step.consumed)
            if let slice { stream.onRequestBody(slice) }
        case .trailers:
            transport.input.consume(step.consumed)
            if stream.info.countsHeads {
                stream.info.heads.downstreamReceived &+= UInt32(truncatingIfNeeded: stream.requestTrailers.lineSize(separators: 3))
            }
        case .end:
            transport.input.consume(step.consumed)
            manager.requestEnded()
            stream.onRequestEnd(manager)
            endIfComplete(stream, manager)
        case .failed:
            fail(stream, step.failure, manager)
            return false
        }
        return true
    }

    /// Whether what follows the head is not HTTP any more, if the upstream agrees.
    private func isTunnelRequest(_ stream: ActiveStream) -> Bool {
        stream.request.method == .connect || (stream.request.isUpgrade && stream.request.framing == .none)
    }

    private func returnIncoming(_ manager: HTTPConnectionManager) {
        guard let stream = incoming else { return }
        incoming = nil
        stream._withUnsafeGuaranteedRef {
            $0.request.reset()
            manager.worker.giveBack($0)
        }
    }

    /// The next request waits for this one's response. Reading goes on for as long as little is pending, so that a client
    /// that goes away is noticed.
    private func pauseForPipelining() {
        guard !isPausedForPipelining, transport.input.count >= HTTP1ServerCodec.maxPipelinedBytes else { return }
        isPausedForPipelining = true
        transport.pauseReading()
    }

    private func pauseForOutput() {
        guard !isPausedForOutput else { return }
        isPausedForOutput = true
        transport.pauseReading()
    }

    /// The client is slower than the upstream.
    override func outputBackedUp() { current?._withUnsafeGuaranteedRef { $0.upstream.pauseReading() } }

    /// The client has read what was queued for it.
    override func outputDrained() {
        current?._withUnsafeGuaranteedRef { $0.upstream.resumeReading() }
        guard isPausedForOutput else { return }
        isPausedForOutput = false
        transport.resumeReading()
    }

    /// Pipelined bytes read ahead of the response in progress.
    private static let maxPipelinedBytes = 16 << 10

    private func fail(_ stream: ActiveStream, _ failure: HTTP1Failure, _ manager: HTTPConnectionManager) {
        let worker = manager.worker
        incoming = nil
        transport.input.detach()
        if failure == .underscore { worker.stats.add(worker.http1Stats.rejectedUnderscores) }
        worker.stats.add(manager.counts.connectionsProtocolError)
        // Envoy counts a request that it cannot read to its end as one that was reset.
        worker.stats.add(manager.counts.requestsResetReceived)
        if failure == .fragmentInPath { worker.stats.add(manager.counts.requestsFailedPathNormalization) }
        let isNew = current == nil
        if isNew {
            // A head that broke the protocol is not shown to anyone, as if it had not come.
            if failure.isProtocolError { stream.request.headers.reset() }
            if stream.info.countsHeads { stream.info.heads.received(fromDownstream: stream.request.headers.lineSize(separators: 3)) }
            current = Unmanaged.passUnretained(stream)
            manager.startStream(stream)
        }
        stream.phase.insert(.closesConnection)
        if failure.isProtocolError { stream.info.flags.insert(.downstreamProtocolError) }
        // An HTTP/1.0 that is not served is told so in the version that is.
        if failure == .lowVersion { stream.request.version = .http11 }
        if stream.phase.contains(.responseStarted) {
            stream.info.details = failure.details
            reset(stream, manager)
            return
        }
        stream.reply(LocalReply(failure.status, details: failure.details, body: failure.body, closesConnection: true))
    }

    /// A timeout ends a request whose head never became complete.
    override func rejectCurrent(_ reply: LocalReply, _ manager: HTTPConnectionManager) {
        guard current == nil else { return }
        let stream = incoming ?? manager.worker.takeStream()
        incoming = nil
        current = stream
        stream._withUnsafeGuaranteedRef {
            manager.startStream($0)
            $0.reply(reply)
        }
    }

    /// A timeout ends the request in progress.
    override func failCurrent(_ reply: LocalReply) { current?._withUnsafeGuaranteedRef { $0.fail(with: reply) } }

    /// The client closed its sending side. HTTP/1 has no half-closed request: it is gone, whatever was in flight.
    override func inputEnded(_ manager: HTTPConnectionManager) {
        current?._withUnsafeGuaranteedRef { stream in
            guard !stream.isFinished else { return }
            stream.info.flags.insert(.downstreamConnectionTermination)
            if stream.isTunnel, stream.phase.contains(.responseStarted) {
                stream.info.details = stream.upstream.isHTTP2 ? "downstream_remote_disconnect" : nil
            } else if stream.info.details == nil || stream.info.status == 0 {
                stream.info.details = "downstream_remote_disconnect"
            }
        }
        manager.close(byClient: true)
    }

    override func transportLost() {
        current?._withUnsafeGuaranteedRef { stream in
            guard !stream.isFinished else { return }
            stream.info.flags.insert(.downstreamConnectionTermination)
            stream.info.details = "downstream_remote_disconnect"
        }
    }

    /// The connection is closed; a stream in flight ends without an answer.
    override func connectionClosed(_ manager: HTTPConnectionManager, byClient: Bool) {
        returnIncoming(manager)
        guard let stream = current else { return }
        current = nil
        stream._withUnsafeGuaranteedRef {
            if byClient, !$0.isFinished { manager.stats.add(config.stats.requestsResetReceived) }
            $0.finish(manager)
        }
    }

    // MARK: Sending

    override func sendInformational(_ stream: ActiveStream) {
        guard isCurrent(stream), stream.request.version != .http10 else { return }
        HTTP1Encoder.writeResponseHead(stream.response, to: transport, closes: false, names: config.fieldNames)
    }

    /// Tells the client to go on with its body.
    override func sendContinue(_ stream: ActiveStream) {
        guard isCurrent(stream), stream.request.version != .http10 else { return }
        HTTP1Encoder.writeContinue(to: transport)
    }

    /// Writes the head, with the framing the rest of the response will have.
    override func sendHead(_ stream: ActiveStream, endStream: Bool) {
        guard isCurrent(stream) else { return }
        let status = stream.response.status
        let hasNoBody = stream.request.method == .head || status == 204 || status == 304
        stream.response.isBodyless = hasNoBody
        if hasNoBody { stream.phase.insert(.responseHasNoBody) }
        if stream.isTunnel {
            framing = .none
            stream.response.framing = .none
            if stream.request.method == .connect {
                // RFC 9110 §9.3.6: what follows the head is the tunnel.
                stream.response.isBodyless = true
                stream.response.headers.removeAll(.contentLength)
            }
        } else if stream.request.method == .head, status != 204, status != 304, stream.request.version != .http10,
            !stream.response.headers.contains(.contentLength)
        {
            // What a GET would have been answered with: a body whose length is not known before its end.
            framing = .none
            stream.response.framing = .chunked
        } else if endStream || hasNoBody {
            framing = .none
            stream.response.framing = .none
        } else {
            switch stream.response.framing {
            case .length(let count): framing = .length(count)
            case .none, .chunked, .untilClose:
                if stream.request.version == .http10 {
                    framing = .untilClose
                    stream.phase.insert(.closesConnection)
                } else {
                    framing = .chunked
                }
            }
            stream.response.framing = framing
        }
        let before = transport.output.byteCount
        HTTP1Encoder.writeResponseHead(
            stream.response, to: transport, closes: stream.phase.contains(.closesConnection) && !stream.isTunnel,
            version: stream.request.version, names: config.fieldNames)
        if stream.info.countsHeads {
            let fields = transport.output.byteCount - before - HTTP1Encoder.bytesAboutFields(ofResponse: status)
            stream.info.heads.downstreamSent &+= UInt32(truncatingIfNeeded: fields)
        }
    }

    override func sendBody(_ stream: ActiveStream, _ slice: consuming SlabSlice) {
        guard isCurrent(stream), !stream.phase.contains(.responseHasNoBody) else { return }
        if framing == .chunked {
            HTTP1Encoder.writeChunk(slice, to: transport)
        } else {
            transport.write(slice)
        }
    }

    override func sendBody(_ stream: ActiveStream, copying bytes: UnsafeRawBufferPointer) {
        guard isCurrent(stream), !stream.phase.contains(.responseHasNoBody) else { return }
        if framing == .chunked {
            HTTP1Encoder.writeChunk(copying: bytes, to: transport)
        } else {
            transport.write(copying: bytes)
        }
    }

    /// The response is whole.
    override func sendEnd(_ stream: ActiveStream, _ manager: HTTPConnectionManager) {
        guard isCurrent(stream) else { return }
        if framing == .chunked, !stream.phase.contains(.responseHasNoBody) {
            if config.terminal.http1.enableTrailers {
                HTTP1Encoder.writeLastChunk(trailers: stream.responseTrailers, to: transport)
                if stream.info.countsHeads {
                    stream.info.heads.downstreamSent &+= UInt32(truncatingIfNeeded: stream.responseTrailers.lineSize(separators: 4))
                }
            } else {
                HTTP1Encoder.writeLastChunk(to: transport)
            }
        }
        stream.phase.insert(.responseEnded)
        if stream.phase.contains(.closesConnection) || stream.isTunnel || !stream.phase.contains(.requestReceived) {
            closeAfter(stream, manager)
        } else {
            endIfComplete(stream, manager)
        }
    }

    private func closeAfter(_ stream: ActiveStream, _ manager: HTTPConnectionManager) {
        current = nil
        let clientExpectsClose = stream.phase.contains(.clientCloses) && stream.phase.contains(.requestReceived)
        let isClean = stream.phase.contains(.requestReceived) && transport.input.isEmpty
        isOver = true
        stream.finish(manager)
        manager.closeAfterFlush(lingers: !(clientExpectsClose && isClean))
    }

    /// Both messages are whole: the connection goes on with the next request.
    private func endIfComplete(_ stream: ActiveStream, _ manager: HTTPConnectionManager) {
        guard isCurrent(stream), stream.phase.contains([.requestReceived, .responseEnded]) else { return }
        current = nil
        decoder.reset()
        stream.finish(manager)
        guard !manager.isClosed else { return }
        if isPausedForPipelining {
            isPausedForPipelining = false
            transport.resumeReading()
        }
        manager.waitForRequest()
        if !transport.input.isEmpty { receive(manager) }
    }

    override func pauseReading(_ stream: ActiveStream, _ manager: HTTPConnectionManager) { manager.pauseTransport() }
    override func resumeReading(_ stream: ActiveStream, _ manager: HTTPConnectionManager) { manager.resumeTransport() }

    override func queuedBytes(_ stream: ActiveStream) -> Int {
        isCurrent(stream) ? transport.output.pinnedBytes + transport.input.count : 0
    }

    /// The response cannot be completed.
    override func reset(_ stream: ActiveStream, _ manager: HTTPConnectionManager) {
        guard isCurrent(stream) else { return }
        current = nil
        isOver = true
        let hadClosed = manager.isClosed
        stream.finish(manager)
        guard !hadClosed else { return }
        if framing == .untilClose || stream.isTunnel {
            manager.abort()
        } else {
            // A body with a length or with chunks shows by itself that it was cut; what was received goes out first.
            manager.closeAfterFlush(lingers: false)
        }
    }
}
