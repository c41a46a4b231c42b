// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshIO
import MeshModel
import MeshStats
import Synchronization

/// The process-wide limit on downstream connections (`envoy.resource_monitors.global_downstream_max_connections`), and
/// the per-listener ones (`connection_limit`): counts that all workers share, touched once per connection.
package final class ConnectionLimit: Sendable {
    private let active = Atomic<UInt64>(0)
    /// Most connections open at once.
    package let limit: UInt64

    package init(limit: UInt64?) { self.limit = limit ?? .max }

    /// Counts one connection; false when the limit is reached.
    package func acquire() -> Bool {
        let (_, count) = active.add(1, ordering: .relaxed)
        if count <= limit { return true }
        active.subtract(1, ordering: .relaxed)
        return false
    }

    package func release() { active.subtract(1, ordering: .relaxed) }

    /// Connections open now.
    package var count: UInt64 { active.load(ordering: .relaxed) }
}
