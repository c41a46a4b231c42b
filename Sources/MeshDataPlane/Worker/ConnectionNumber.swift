// SPDX-License-Identifier: Apache-2.0
import Synchronization

/// Numbers of connections of either side, unique in the process, as `%CONNECTION_ID%` prints them.
enum ConnectionNumber {
    private static let last = Atomic<UInt64>(0)

    /// Once for each connection: the one atomic that all workers share is touched rarely enough.
    static func next() -> UInt64 { last.add(1, ordering: .relaxed).oldValue }
}
