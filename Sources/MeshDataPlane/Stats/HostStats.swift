// SPDX-License-Identifier: Apache-2.0
package import MeshIO
package import MeshStats
import Synchronization

/// What is counted of one host of a cluster. Rows without a name: `/clusters` shows them, `/stats` does not.
package struct HostStats: Sendable {
    package let connectionsTotal: CounterID
    package let connectFailures: CounterID
    package let requestsTotal: CounterID
    package let requestsFailed: CounterID
    package let requestsSucceeded: CounterID
    package let requestsTimedOut: CounterID
    package let connectionsActive: GaugeID
    package let requestsActive: GaugeID
    package let requestsPending: GaugeID

    init(_ scope: HiddenRows) {
        connectionsTotal = scope.counter(0)
        connectFailures = scope.counter(1)
        requestsTotal = scope.counter(2)
        requestsFailed = scope.counter(3)
        requestsSucceeded = scope.counter(4)
        requestsTimedOut = scope.counter(5)
        connectionsActive = scope.gauge(6)
        requestsActive = scope.gauge(7)
        requestsPending = scope.gauge(8)
    }

    static let count = 9
}

/// The rows of every host that a worker has used, by cluster and address.
///
/// A host takes part when the first worker makes it and until the last has forgotten it; the lock is for those moments.
package final class HostStatsTable: Sendable {
    private struct Key: Hashable {
        let cluster: String
        let address: Address
    }

    private struct Entry {
        let rows: HiddenRows
        let stats: HostStats
        var owners = 1
    }

    private let catalog: StatCatalog
    private let entries = Mutex<[Key: Entry]>([:])

    package init(catalog: StatCatalog) { self.catalog = catalog }

    /// The rows of a host, which stay until as many calls of `release`. Any thread.
    package func use(cluster: String, address: Address) -> HostStats {
        entries.withLock { entries in
            let key = Key(cluster: cluster, address: address)
            if let known = entries[key] {
                entries[key]?.owners += 1
                return known.stats
            }
            let rows = catalog.takeHiddenRows(HostStats.count)
            let entry = Entry(rows: rows, stats: HostStats(rows))
            entries[key] = entry
            return entry.stats
        }
    }

    /// Ends one `use`. The caller has written the rows for the last time.
    package func release(cluster: String, address: Address) {
        entries.withLock { entries in
            let key = Key(cluster: cluster, address: address)
            guard let entry = entries[key] else { return }
            entries[key]?.owners -= 1
            guard entry.owners == 1 else { return }
            entries[key] = nil
            catalog.giveBack(entry.rows)
        }
    }

    /// The rows of a host for a reader; nil where no worker has used it.
    package func find(cluster: String, address: Address) -> HostStats? {
        entries.withLock { $0[Key(cluster: cluster, address: address)]?.stats }
    }

    /// Every host of a cluster that a worker has used.
    package func hosts(of cluster: String) -> [Address] {
        entries.withLock { entries in entries.keys.filter { $0.cluster == cluster }.map(\.address) }
    }
}
