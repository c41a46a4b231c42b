// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshIO
import MeshModel
import MeshStats

// How a connection ends on purpose: its listener drains, it is old enough, or the process is overloaded. HTTP/2 says so by
// itself, HTTP/1 with a response; one that carries nothing is closed when no request can be on its way any more.
extension HTTPConnectionManager {
    /// A draining connection that has not carried a request yet: its client has just connected and is about to send one, so
    /// it gets the time of a round trip, and the request its answer.
    func waitForFirstRequest() {
        timers.arm(timer, at: loop.now.advanced(byNanoseconds: DrainWindow.patience))
    }

    /// The listener drains and an HTTP/1 connection idles: it is closed when it was quiet long enough after its turn, so that
    /// a request that is on its way gets its answer.
    func waitForTurn() {
        timers.arm(timer, at: DrainWindow.closingTime(turn: drainTurn, lastActivity: lastActivity))
    }

    /// The time `waitForTurn` set is over.
    func turnCame() {
        let due = DrainWindow.closingTime(turn: drainTurn, lastActivity: lastActivity)
        guard due <= loop.now else { return timers.arm(timer, at: due) }
        stats.add(counts.connectionsDrainClose)
        closeAfterFlush(lingers: false)
    }

    /// A response of a process that is unhealthy or overloaded.
    func decideCloseUnderPressure(_ stream: ActiveStream) {
        if pressure.isHealthCheckFailed, listener.compiled.listener.drainsWhenUnhealthy {
            startDraining()
        } else if OverloadLevels.happens(pressure.levels.disableKeepAlive, random: worker.random.next()) {
            stats.add(counts.connectionsOverloadDisableKeepAlive)
            if isMultiplexed { startDraining() } else { stream.phase.insert(.closesConnection) }
        }
    }

    /// HTTP/2 can say that it ends, whatever is open. But a client that has just connected must get its first answer, or it
    /// would try again and again while the listener drains and still accepts.
    func armTurn() {
        guard !isDraining else { return }
        if drainTimer.isNone { drainTimer = timers.make(target: self, tag: TimerTag.drain) }
        let due = requestsServed > 0 ? drainTurn : DrainWindow.closingTime(turn: drainTurn, lastActivity: lastActivity)
        timers.arm(drainTimer, at: due)
    }

    /// `max_connection_duration`: the connection ends after what is in flight.
    func endByAge() {
        guard !isClosed, !isDraining else { return }
        startDraining()
        guard !isMultiplexed else { return }
        guard activeStreams == 0, waitingFor == .request else { return }
        if requestsServed == 0 { return waitForFirstRequest() }
        stats.add(counts.connectionsDrainClose)
        closeAfterFlush(lingers: false)
    }

    /// Has the codec told when `drain_timeout` has passed.
    func armDrainTimeout() {
        if drainTimer.isNone { drainTimer = timers.make(target: self, tag: TimerTag.drain) }
        timers.arm(drainTimer, at: loop.now.advanced(byNanoseconds: config.drainTimeout))
    }

    /// From now on streams are the last ones: HTTP/2 says so by itself, HTTP/1 with its next response.
    func startDraining() {
        guard !isDraining else { return }
        isDraining = true
        if withCodec({ $0.drain(self) }) { stats.add(counts.connectionsDrainClose) }
    }
}
