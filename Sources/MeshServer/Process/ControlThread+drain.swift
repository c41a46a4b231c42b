// SPDX-License-Identifier: Apache-2.0
import MeshDataPlane
import MeshIO
import MeshModel

// How listeners and the process drain. The order is what loses nothing: first no new connection begins here, so that clients
// find the process that takes over; when those that had begun have arrived, the sockets are closed, which then resets nobody;
// and only then clients are asked to go away, so that none of them comes back to a door that is about to close.
extension ControlThread {
    /// From the last SYN taken to closing: the time of the two other packets of a handshake. - Unit: milliseconds. A round trip
    /// around the world, and less than the second after which a client repeats a SYN.
    private static let handshakePatience: UInt64 = 250
    /// A process that was told to end is waited for: its clients are asked within this time, or the drain time where that is
    /// shorter. - Unit: nanoseconds.
    private static let terminationSpread: UInt64 = 1_000_000_000

    private var drainNanoseconds: UInt64 { UInt64(options.drainTimeSeconds) * 1_000_000_000 }

    private func window(_ length: UInt64) -> DrainWindow {
        DrainWindow(start: loop.now, length: options.drainStrategy == .immediate ? 0 : length)
    }

    // MARK: The process ends

    /// `--drain-time-s` from now on is the one deadline of everything that follows.
    func beginTermination() {
        tellWorkers(.stopHandshakes(.all))
        arm(.closeForTermination, milliseconds: ControlThread.handshakePatience)
        arm(.giveUpDraining, milliseconds: UInt64(options.drainTimeSeconds) * 1_000)
    }

    func askToGoAway() {
        tellWorkers(.closeListeners(.all))
        tellWorkers(.drain(.all, window(min(drainNanoseconds, ControlThread.terminationSpread))))
        tellWorkers(.finish)
    }

    // MARK: Admin's word

    /// `POST /drain_listeners`: clients are asked to go away. The listening sockets are closed at once, with `graceful` after
    /// the drain time, with `skip_exit` never. A drain that has begun is not begun again.
    func drainListeners(_ scope: ListenerScope, graceful: Bool, skipExit: Bool) {
        if drainedScope != .all, drainedScope != scope {
            drainedScope = scope
            tellWorkers(.drain(scope, window(drainNanoseconds)))
        }
        guard !skipExit else { return }
        if stoppedScope != .all { stoppedScope = scope }
        if graceful {
            arm(.stopAccepting, milliseconds: UInt64(options.drainTimeSeconds) * 1_000)
        } else {
            stopListeners()
        }
    }

    func stopListeners() {
        tellWorkers(.stopHandshakes(stoppedScope))
        arm(.closeListeners, milliseconds: ControlThread.handshakePatience)
    }
}
