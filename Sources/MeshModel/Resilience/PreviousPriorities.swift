// SPDX-License-Identifier: Apache-2.0

/// Which priorities another attempt leaves out: those of the hosts that failed, renewed after every so many failures.
///
/// As in Envoy only the attempt that follows on such a renewal keeps away from them: the one after it may go anywhere.
///
/// - Source: `envoy.retry_priorities.previous_priorities`.
package struct PreviousPriorities: Equatable, Sendable {
    /// Failures between two renewals; 0 leaves nothing out, ever.
    private let updateFrequency: UInt32
    private var failures: UInt32 = 0
    /// Priorities of the failures since the last renewal, as bits. Those above 63 are not told apart.
    private var failed: UInt64 = 0
    private var excluded: UInt64 = 0

    package init(updateFrequency: UInt32 = 0) { self.updateFrequency = updateFrequency }

    /// An attempt on a host of this priority failed.
    package mutating func attemptFailed(priority: UInt32) {
        guard updateFrequency > 0 else { return }
        failures &+= 1
        failed |= 1 << UInt64(min(priority, 63))
    }

    /// The priorities to leave out of the next attempt, as bits.
    package mutating func next() -> UInt64 {
        guard updateFrequency > 0, failures >= updateFrequency else { return 0 }
        excluded |= failed
        failed = 0
        failures = 0
        return excluded
    }

    /// Nothing was left to choose from: all of them count again.
    package mutating func startOver() { excluded = 0 }
}
