// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshIO
import MeshModel
import MeshStats

/// HTTP/1 on a downstream connection: one stream at a time, the next request waits in the input until the response of the
/// current one is queued.
final class HTTP1ServerCodec {
    private let transport: ByteStream
    private let config: CompiledHTTP
    /// The manager owns the codec.
    private unowned(unsafe) var manager: HTTPConnectionManager?
    private var decoder: HTTP1RequestDecoder
    /// The stream being received or answered.
    private(set) var current: ActiveStream?
    /// The stream object the next head is read into, from its first complete line on.
    private var incoming: ActiveStream?
    /// How the response in progress is framed on the wire.
    private var framing = BodyFraming.none
    private var isReceiving = false
    private var isPausedForPipelining = false
    /// The client does not read its responses: no further request is taken until it does.
    private var isPausedForOutput = false

    init(config: CompiledHTTP, transport: ByteStream) {
        self.config = config
        self.transport = transport
        decoder = HTTP1RequestDecoder(limits: config.decoderLimits, options: config.decoderOptions)
    }

    func attach(_ manager: HTTPConnectionManager) { self.manager = manager }

    // MARK: Receiving

    /// Reads what is in the input, as far as it may be read now.
    func receive() {
        // A reply sent while a head is handled ends its stream inside this loop; the loop goes on by itself then.
        guard !isReceiving else { return }
        isReceiving = true
        while !transport.isClosed, !transport.input.isEmpty || (current != nil && decoder.isBodyComplete) {
            if let current, current.phase.contains(.requestReceived) {
                pauseForPipelining()
                break
            }
            guard let manager, !manager.isClosed else { break }
            if current == nil, transport.isAboveHighWatermark {
                pauseForOutput()
                break
            }
            if let current, current.phase.contains(.upgradeRequested) {
                let count = transport.input.count
                guard count > 0 else { break }
                let slice = transport.input.slice(offset: 0, length: count)
                transport.input.consume(count)
                if let slice { current.onRequestBody(slice) }
                continue
            }
            guard step(manager) else { break }
        }
        isReceiving = false
    }

    /// One step of the decoder; false when it needs more input or gave up.
    private func step(_ manager: HTTPConnectionManager) -> Bool {
        let stream: ActiveStream
        if let current {
            stream = current
        } else if let incoming {
            stream = incoming
        } else {
            stream = manager.worker.takeStream()
            incoming = stream
            manager.headStarted()
        }
        let step = decoder.next(
            transport.input.readable, head: &stream.request, trailers: &stream.requestTrailers,
            pool: transport.loop.pool)
        switch step.kind {
        case .needMore:
            transport.input.consume(step.consumed)
            if current == nil, decoder.isBetweenMessages { returnIncoming() }
            return false
        case .head:
            transport.input.consume(step.consumed)
            incoming = nil
            current = stream
            if decoder.droppedFields > 0 {
                manager.worker.stats.add(manager.worker.http1Stats.droppedUnderscores, UInt64(decoder.droppedFields))
            }
            manager.onRequestHead(stream, endStream: stream.request.framing == .none && !isTunnelRequest(stream))
        case .body:
            let slice = transport.input.slice(offset: step.bodyOffset, length: step.bodyLength)
            transport.input.consume(step.consumed)
            if let slice { stream.onRequestBody(slice) }
        case .trailers:
            transport.input.consume(step.consumed)
        case .end:
            transport.input.consume(step.consumed)
            manager.requestEnded()
            stream.onRequestEnd()
            endIfComplete(stream)
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

    private func returnIncoming() {
        guard let stream = incoming else { return }
        incoming = nil
        stream.request.reset()
        manager?.worker.giveBack(stream)
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

    /// The client has read what was queued for it.
    func outputDrained() {
        current?.upstream.resumeReading()
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
        let isNew = current == nil
        if isNew {
            // A head that broke the protocol is not shown to anyone, as if it had not come.
            if failure.isProtocolError { stream.request.headers.reset() }
            current = stream
            manager.startStream(stream)
        }
        stream.phase.insert(.closesConnection)
        if failure.isProtocolError { stream.info.flags.insert(.downstreamProtocolError) }
        // An HTTP/1.0 that is not served is told so in the version that is.
        if failure == .lowVersion { stream.request.version = .http11 }
        if stream.phase.contains(.responseStarted) {
            stream.info.details = failure.details
            reset(stream)
            return
        }
        stream.reply(LocalReply(failure.status, details: failure.details, body: failure.body, closesConnection: true))
    }

    /// A timeout ends a request whose head never became complete.
    func rejectCurrent(_ reply: LocalReply) {
        guard let manager, current == nil else { return }
        let stream = incoming ?? manager.worker.takeStream()
        incoming = nil
        current = stream
        manager.startStream(stream)
        stream.reply(reply)
    }

    /// The client closed its sending side. HTTP/1 has no half-closed request: it is gone, whatever was in flight.
    func inputEnded() {
        guard let manager else { return }
        if let current, !current.isFinished {
            current.info.flags.insert(.downstreamConnectionTermination)
            if current.isTunnel, current.phase.contains(.responseStarted) {
                current.info.details = nil
            } else if current.info.details == nil || current.info.status == 0 {
                current.info.details = "downstream_remote_disconnect"
            }
        }
        manager.close(byClient: true)
    }

    func transportLost() {
        if let current, !current.isFinished {
            current.info.flags.insert(.downstreamConnectionTermination)
            current.info.details = "downstream_remote_disconnect"
        }
    }

    /// The connection is closed; a stream in flight ends without an answer.
    func connectionClosed(byClient: Bool) {
        returnIncoming()
        guard let stream = current else { return }
        current = nil
        if byClient, !stream.isFinished { manager?.worker.stats.add(config.stats.requestsResetReceived) }
        stream.finish()
    }

    // MARK: Sending

    func sendInformational(_ stream: ActiveStream) {
        guard stream === current, stream.request.version != .http10 else { return }
        HTTP1Encoder.writeResponseHead(stream.response, to: transport, closes: false, names: config.fieldNames)
    }

    /// Tells the client to go on with its body.
    func sendContinue(_ stream: ActiveStream) {
        guard stream === current, stream.request.version != .http10 else { return }
        HTTP1Encoder.writeContinue(to: transport)
    }

    /// Writes the head, with the framing the rest of the response will have.
    func sendHead(_ stream: ActiveStream, endStream: Bool) {
        guard stream === current else { return }
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
        HTTP1Encoder.writeResponseHead(
            stream.response, to: transport, closes: stream.phase.contains(.closesConnection) && !stream.isTunnel,
            version: stream.request.version, names: config.fieldNames)
    }

    func sendBody(_ stream: ActiveStream, _ slice: consuming SlabSlice) {
        guard stream === current, !stream.phase.contains(.responseHasNoBody) else { return }
        if framing == .chunked {
            HTTP1Encoder.writeChunk(slice, to: transport)
        } else {
            transport.write(slice)
        }
    }

    func sendBody(_ stream: ActiveStream, copying bytes: UnsafeRawBufferPointer) {
        guard stream === current, !stream.phase.contains(.responseHasNoBody) else { return }
        if framing == .chunked {
            HTTP1Encoder.writeChunk(copying: bytes, to: transport)
        } else {
            transport.write(copying: bytes)
        }
    }

    /// The response is whole.
    func sendEnd(_ stream: ActiveStream) {
        guard stream === current else { return }
        if framing == .chunked, !stream.phase.contains(.responseHasNoBody) {
            if config.terminal.http1.enableTrailers {
                HTTP1Encoder.writeLastChunk(trailers: stream.responseTrailers, to: transport)
            } else {
                HTTP1Encoder.writeLastChunk(to: transport)
            }
        }
        stream.phase.insert(.responseEnded)
        if stream.phase.contains(.closesConnection) || stream.isTunnel || !stream.phase.contains(.requestReceived) {
            closeAfter(stream)
        } else {
            endIfComplete(stream)
        }
    }

    private func closeAfter(_ stream: ActiveStream) {
        guard let manager else { return }
        current = nil
        let clientExpectsClose = stream.phase.contains(.clientCloses) && stream.phase.contains(.requestReceived)
        let isClean = stream.phase.contains(.requestReceived) && transport.input.isEmpty
        stream.finish()
        manager.closeAfterFlush(lingers: !(clientExpectsClose && isClean))
    }

    /// Both messages are whole: the connection goes on with the next request.
    private func endIfComplete(_ stream: ActiveStream) {
        guard stream === current, stream.phase.contains([.requestReceived, .responseEnded]) else { return }
        current = nil
        decoder.reset()
        stream.finish()
        guard let manager, !manager.isClosed else { return }
        if isPausedForPipelining {
            isPausedForPipelining = false
            transport.resumeReading()
        }
        manager.waitForRequest()
        if !transport.input.isEmpty { receive() }
    }

    /// The response cannot be completed.
    func reset(_ stream: ActiveStream) {
        guard stream === current, let manager else { return }
        current = nil
        let hadClosed = manager.isClosed
        stream.finish()
        guard !hadClosed else { return }
        if framing == .untilClose || stream.isTunnel {
            manager.abort()
        } else {
            // A body with a length or with chunks shows by itself that it was cut; what was received goes out first.
            manager.closeAfterFlush(lingers: false)
        }
    }
}
