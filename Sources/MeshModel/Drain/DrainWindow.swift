// SPDX-License-Identifier: Apache-2.0
package import MeshIO

/// The time over which the clients of a draining listener are asked to go away.
///
/// Source: `--drain-time-s` and `--drain-strategy`. As in Envoy the chance that a response asks grows evenly from 0 at the
/// start to 1 at the end, so that clients come back elsewhere little by little; `immediate` is a window of no length.
package struct DrainWindow: Equatable, Sendable {
    /// When the drain began.
    package let start: MonotonicInstant
    /// - Unit: nanoseconds; 0 asks everybody at once.
    package let length: UInt64

    package init(start: MonotonicInstant, length: UInt64) {
        self.start = start
        self.length = length
    }

    /// Whether a response given now is its connection's last one.
    package func asksToClose(at now: MonotonicInstant, random: UInt64) -> Bool {
        let elapsed = now.nanoseconds(since: start)
        if elapsed >= length { return true }
        return random % length < elapsed
    }

    /// When a connection that carries nothing is asked, evenly spread over the window.
    package func turn(random: UInt64) -> MonotonicInstant {
        length > 0 ? start.advanced(byNanoseconds: random % length) : start
    }

    /// When a connection that has been quiet since `lastActivity` may be closed: not before its turn, and not while its
    /// client may just be sending the next request, for that one would be lost.
    package static func closingTime(turn: MonotonicInstant, lastActivity: MonotonicInstant) -> MonotonicInstant {
        let quiet = lastActivity.advanced(byNanoseconds: patience)
        return quiet > turn ? quiet : turn
    }

    /// How long a connection has to be quiet before it counts as idle. - Unit: nanoseconds. A slow path's round trip with
    /// one repeated SYN is below a second; a client that sends one request after the other is never that quiet.
    package static let patience: UInt64 = 1_000_000_000
}
