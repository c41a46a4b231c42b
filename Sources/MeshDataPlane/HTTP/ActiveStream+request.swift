// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshIO
import MeshModel
import MeshStats

// The request's way: connection manager → filters → router.
extension ActiveStream {
    /// The head is normalised and routed: shows it to the filters, then to the router.
    func onRequestHead(_ manager: HTTPConnectionManager, endStream: Bool) {
        phase.insert(.requestStarted)
        if manager.config.filters.isEmpty {
            routeRequest(manager, endStream: endStream)
            return
        }
        filters.make(manager.config.filters, for: self)
        continueRequestHead(from: 0, manager)
    }

    func markRequestReceived() {
        phase.insert(.requestReceived)
        info.requestEnd = loop.now
        cancelRequestTimeout()
    }

    private func continueRequestHead(from first: Int, _ manager: HTTPConnectionManager) {
        let endStream = phase.contains(.requestReceived) && filters.heldRequest.isEmpty
        var index = first
        while index < filters.count {
            switch filters[index].onRequestHead(self, endStream: endStream) {
            case .continue: index += 1
            case .pause:
                filters.requestPausedAt = index
                phase.insert(.requestPaused)
                return
            case .reply(let reply):
                self.reply(reply)
                return
            }
            if phase.contains(.responseStarted) || phase.contains(.finished) { return }
        }
        routeRequest(manager, endStream: endStream)
        if !filters.heldRequest.isEmpty || phase.contains(.requestReceived), !endStream { releaseHeldRequest() }
    }

    private func releaseHeldRequest() {
        drainHeldRequest()
        if phase.contains(.requestReceived), !phase.contains(.finished) { passRequestEnd() }
    }

    /// Goes on after a filter's pause.
    package func resumeRequest() {
        guard phase.contains(.requestPaused), !phase.contains(.finished), let manager else { return }
        phase.remove(.requestPaused)
        resumeDownstreamAfterFilter()
        continueRequestHead(from: filters.requestPausedAt + 1, manager)
    }

    /// Request body arrived.
    func onRequestBody(_ slice: consuming SlabSlice) {
        guard !phase.contains(.finished) else { return }
        info.receivedBodyBytes &+= UInt64(slice.count)
        touch()
        // What arrives behind a reply is read and dropped, so that the client can be told before it stops sending.
        guard !phase.contains(.localReply), !phase.contains(.upstreamEnded) else { return }
        if phase.contains(.requestPaused) || (phase.contains(.upgradeRequested) && !phase.contains(.tunnel)) {
            filters.heldRequest.append(slice, from: pool)
            holdIfTooMuch()
            return
        }
        passRequestBody(slice, from: 0)
    }

    private func holdIfTooMuch() {
        guard let manager, filters.heldRequest.pinnedBytes > manager.chain.bufferLimit else { return }
        if filters.needsWholeRequest {
            stats.add(manager.config.stats.requestsTooLarge)
            reply(.payloadTooLarge)
        } else {
            pauseDownstreamForFilter()
        }
    }

    private func passRequestBody(_ slice: consuming SlabSlice, from first: Int) {
        var index = first
        while index < filters.count {
            if filters[index].phases.contains(.requestBody) {
                if case .reply(let reply) = filters[index].onRequestBody(self, slice.bytes, endStream: false) {
                    self.reply(reply)
                    return
                }
            }
            index += 1
        }
        guard phase.contains(.routed), !phase.contains(.upstreamEnded) else { return }
        upstream.sendBody(slice)
    }

    /// The request is whole (trailers, if any, are in `requestTrailers`).
    func onRequestEnd(_ manager: HTTPConnectionManager) {
        guard !phase.contains(.finished), !phase.contains(.requestReceived) else { return }
        markRequestReceived()
        touch()
        if phase.contains(.requestPaused) || phase.contains(.localReply) { return }
        passRequestEnd()
    }

    private func passRequestEnd() {
        if requestTrailers.liveCount > 0 {
            for index in 0..<filters.count where filters[index].phases.contains(.requestTrailers) {
                if case .reply(let reply) = filters[index].onRequestTrailers(self) {
                    self.reply(reply)
                    return
                }
            }
        }
        guard phase.contains(.routed), !phase.contains(.upstreamEnded) else { return }
        startRouteTimeout()
        if retry.isUsed, upstream.isConnected { startTryTimeouts() }
        upstream.sendEnd()
    }

    /// The upstream accepted the upgrade: what the client sent early goes out now.
    func releaseUpgradeBytes() {
        drainHeldRequest()
    }

    /// Passes on what was held. It is taken out first: passing on looks at the filters.
    private func drainHeldRequest() {
        var held = HeldBytes()
        swap(&held, &filters.heldRequest)
        held.drain { slice in self.passRequestBody(slice, from: 0) }
    }

    // MARK: Back-pressure

    func pauseDownstream() {
        guard !phase.contains(.requestBackPressure) else { return }
        phase.insert(.requestBackPressure)
        manager?.pauseReading(self)
    }

    func resumeDownstream() {
        guard phase.contains(.requestBackPressure) else { return }
        phase.remove(.requestBackPressure)
        manager?.resumeReading(self)
    }

    private func pauseDownstreamForFilter() {
        guard !filters.hasPausedDownstream else { return }
        filters.hasPausedDownstream = true
        manager?.pauseReading(self)
    }

    private func resumeDownstreamAfterFilter() {
        guard filters.hasPausedDownstream else { return }
        filters.hasPausedDownstream = false
        manager?.resumeReading(self)
    }

    /// Takes back every pause this stream holds; the connection goes on without it.
    func releasePauses() {
        resumeDownstream()
        resumeDownstreamAfterFilter()
    }
}
