// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshIO
import MeshModel
import MeshStats

// The response's way: upstream or local reply → filters in reverse → connection manager → codec.
extension ActiveStream {
    // MARK: From the upstream

    func onUpstreamConnected() { touch() }

    func onUpstreamInformationalHead() {
        guard !phase.contains(.responseStarted), !phase.contains(.finished) else { return }
        touch()
        // As Envoy: a 100 passes where the client's wish for one was passed on; other interim responses end here.
        if let manager, response.status == 100, manager.config.terminal.proxy100Continue { manager.sendInformational(self) }
        response.reset()
    }

    func onUpstreamHead(endStream: Bool) {
        guard !phase.contains(.responseStarted), !phase.contains(.finished), let managerReference else { return }
        managerReference._withUnsafeGuaranteedRef { forwardUpstreamHead($0, endStream: endStream) }
    }

    private func forwardUpstreamHead(_ manager: HTTPConnectionManager, endStream: Bool) {
        info.upstreamFirstByte = loop.now
        touch()
        info.status = response.status
        info.details = "via_upstream"
        if phase.contains(.upgradeRequested) {
            let isAccepted = response.status == 101 || (request.method == .connect && response.status / 100 == 2)
            if isAccepted {
                phase.insert(.tunnel)
                if routeTimeout > 0 { cancelRouteTimeout() }
            } else if response.status == 200, request.headers.value(of: .upgrade)?.equalsIgnoringCase("websocket") == true {
                // An answer that is no handshake would be taken for the tunnel's bytes by a client that does not look.
                reply(.websocketHandshakeUnsuccessful)
                return
            } else {
                // What the client sent behind the request belongs to a protocol that never began.
                phase.insert(.closesConnection)
            }
        }
        addUpstreamHeaders(manager)
        passResponseHead(manager, from: filters.count - 1, endStream: endStream)
        if !manager.config.keepsHeads, !endStream { releaseHeads() }
        if phase.contains(.tunnel) {
            if manager.config.accessLogs.options.logsTunnel { log(.downstreamTunnelEstablished, manager) }
            releaseUpgradeBytes()
        }
    }

    /// Nobody reads the heads any more, and there are streams that stay open for hours. What is still to be sent of them is
    /// kept by the codec.
    private func releaseHeads() {
        guard phase.contains(.responseStarted), !phase.contains(.finished) else { return }
        request.headers.reset()
        response.headers.reset()
    }

    func onUpstreamBody(_ slice: consuming SlabSlice) {
        guard phase.contains(.responseStarted) || phase.contains(.responsePaused), !phase.contains(.finished) else { return }
        touch()
        touchTry()
        if phase.contains(.responsePaused) {
            filters.heldResponse.append(slice, from: pool)
            if filters.heldResponse.pinnedBytes > (manager?.chain.bufferLimit ?? 0) { upstream.pauseReading() }
            return
        }
        passResponseBody(slice)
    }

    /// The upstream's response is whole.
    func onUpstreamEnd() {
        phase.insert(.upstreamEnded)
        info.upstreamLastByte = loop.now
        guard !phase.contains(.finished), !phase.contains(.responsePaused) else { return }
        passResponseEnd()
    }

    func onUpstreamFailure(_ failure: UpstreamFailure) {
        phase.insert(.upstreamEnded)
        guard !phase.contains(.finished) else { return }
        info.flags.formUnion(failure.flags)
        if phase.contains(.responseStarted) {
            info.details = failure.detailsAfterResponseStarted
            // Never a clean end: the client must see that the message was cut.
            manager?.resetStream(self)
        } else if retry.isRetry {
            replyAfterRetries(failure) { sayOverloaded(failure, &$0) }
        } else {
            self.reply(failure.reply, body: UnsafeRawBufferPointer(failure.reply.body)) { sayOverloaded(failure, &$0) }
        }
    }

    private func sayOverloaded(_ failure: UpstreamFailure, _ response: inout ResponseHead) {
        guard failure == .overflow, let manager, !manager.config.router.suppressEnvoyHeaders else { return }
        response.headers.append(.envoyOverloaded, "true", from: pool)
    }

    // MARK: Local replies

    /// Answers with a response of the proxy's own, whatever state the request is in. A response that has already begun
    /// cannot be replaced: then the stream is reset.
    package func reply(_ reply: LocalReply) {
        self.reply(reply, body: UnsafeRawBufferPointer(reply.body))
    }

    /// As `reply(_:)`, with a body that is not a constant, and headers the caller puts in `response` through `prepare`.
    func reply(_ reply: LocalReply, body: UnsafeRawBufferPointer, prepare: (inout ResponseHead) -> Void = { _ in }) {
        guard !phase.contains(.finished), let manager else { return }
        info.flags.formUnion(reply.flags)
        if phase.contains(.responseStarted) {
            if !phase.contains(.responseEnded) {
                info.details = reply.details
                manager.resetStream(self)
            }
            return
        }
        phase.insert(.localReply)
        if retry.isUsed { endRetries() }
        phase.remove(.requestPaused)
        if phase.contains(.routed), !phase.contains(.upstreamEnded) {
            upstream.cancel()
            phase.insert(.upstreamEnded)
        }
        releasePauses()
        if reply.closesConnection { phase.insert(.closesConnection) }
        info.details = reply.details
        response.reset()
        response.status = reply.status
        prepare(&response)
        if phase.contains(.inRouter) { finishRouterReply(status: reply.status) }
        // As Envoy: what the route adds sees no status yet, and has no say in what describes the reply.
        var body = body
        var contentType: UnsafeRawBufferPointer?
        var reply = reply
        if let policy = manager.config.localReplies {
            (body, contentType) = rewriteReply(policy, body)
            reply.status = response.status
        }
        if worker.explanations != .off { explainReply(manager) }
        if isGRPC {
            turnReplyIntoGRPC(reply, message: body)
            body = UnsafeRawBufferPointer(start: nil, count: 0)
        }
        info.status = response.status
        if body.count > 0 {
            setLength(body.count)
            if !response.headers.contains(.contentType) {
                response.headers.append(.contentType, contentType ?? UnsafeRawBufferPointer("text/plain"), from: pool)
            }
        }
        response.framing = body.count > 0 ? .length(UInt64(body.count)) : .none
        passResponseHead(manager, from: filters.count - 1, endStream: body.count == 0)
        guard !phase.contains(.finished), body.count > 0 else { return }
        if !phase.contains(.responseHasNoBody) {
            info.sentBodyBytes &+= UInt64(body.count)
            manager.sendBody(self, copying: body)
        }
        passResponseEnd()
    }

    private func setLength(_ count: Int) {
        withUnsafeTemporaryAllocation(byteCount: DecimalText.maxLength, alignment: 1) { buffer in
            let digits = DecimalText.write(UInt64(count), to: buffer, at: 0)
            response.headers.replace(
                .contentLength, UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(buffer)[..<digits]),
                from: pool)
        }
    }

    /// A timeout or an error ends the stream: with a reply while that is possible, else by a reset.
    func fail(with reply: LocalReply) {
        if phase.contains(.responseStarted), !phase.contains(.finished) {
            info.flags.formUnion(reply.flags)
            if !phase.contains(.responseEnded) { info.details = reply.details }
            manager?.resetStream(self)
        } else {
            self.reply(reply)
        }
    }

    // MARK: Through the filters

    private func passResponseHead(_ manager: HTTPConnectionManager, from last: Int, endStream: Bool) {
        var index = last
        while index >= 0 {
            if filters[index].phases.contains(.responseHead) {
                switch filters[index].onResponseHead(self, endStream: endStream) {
                case .continue: break
                case .pause:
                    filters.responsePausedAt = index
                    filters.responseEndsWithHead = endStream
                    phase.insert(.responsePaused)
                    return
                case .reply(let reply):
                    // A filter replaces the response; the ones already passed do not see it again.
                    info.status = reply.status
                    info.details = reply.details
                }
            }
            index -= 1
        }
        phase.insert(.responseStarted)
        manager.sendHead(self, endStream: endStream)
        if endStream, phase.contains(.localReply) { passResponseEnd() }
    }

    /// Goes on after a filter's pause of the response.
    package func resumeResponse() {
        guard phase.contains(.responsePaused), !phase.contains(.finished), let manager else { return }
        phase.remove(.responsePaused)
        upstream.resumeReading()
        passResponseHead(manager, from: filters.responsePausedAt - 1, endStream: filters.responseEndsWithHead)
        guard phase.contains(.responseStarted) else { return }
        var held = HeldBytes()
        swap(&held, &filters.heldResponse)
        held.drain { slice in self.passResponseBody(slice) }
        if phase.contains(.upstreamEnded), !phase.contains(.finished) { passResponseEnd() }
    }

    private func passResponseBody(_ slice: consuming SlabSlice) {
        var index = filters.count - 1
        while index >= 0 {
            if filters[index].phases.contains(.responseBody) {
                _ = filters[index].onResponseBody(self, slice.bytes, endStream: false)
            }
            index -= 1
        }
        info.sentBodyBytes &+= UInt64(slice.count)
        var body: SlabSlice? = slice
        managerReference?._withUnsafeGuaranteedRef { if let slice = body.take() { $0.sendBody(self, slice) } }
    }

    private func passResponseEnd() {
        guard !phase.contains(.responseEnded) else { return }
        phase.insert(.responseEnded)
        if responseTrailers.liveCount > 0 {
            for index in stride(from: filters.count - 1, through: 0, by: -1)
            where filters[index].phases.contains(.responseTrailers) {
                _ = filters[index].onResponseTrailers(self)
            }
        }
        managerReference?._withUnsafeGuaranteedRef { $0.sendEnd(self) }
    }
}
