// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
package import MeshIO
import MeshModel
import MeshStats

/// A downstream connection after its listener chose a filter chain, or while it is choosing.
package class DownstreamConnection: StreamHandler {
    /// Place in the registry; -1 while not in it.
    final var place = -1

    override package init() { super.init() }

    /// Its listener drains: has the client go away when its turn comes, after what is in flight.
    func drain() {}

    /// Bytes held for nothing but this connection: no stream accounts for them.
    var heldBytes: Int { 0 }

    /// The overload manager made timeouts shorter or longer.
    func timeoutsChanged() {}

    /// Close without further ado.
    func closeNow() {}
}

/// The connections of one worker. It is what keeps them alive; a place is found and freed in O(1).
final class ConnectionRegistry {
    private var places: ContiguousArray<DownstreamConnection?> = []
    private var free: ContiguousArray<Int> = []
    private(set) var count = 0

    func insert(_ connection: DownstreamConnection) {
        if let place = free.popLast() {
            places[place] = connection
            connection.place = place
        } else {
            connection.place = places.count
            places.append(connection)
        }
        count += 1
    }

    /// Every connection.
    var all: [DownstreamConnection] { places.compactMap { $0 } }

    /// Lets go of the connection; it may be freed when the caller's reference ends.
    func remove(_ connection: DownstreamConnection) {
        guard connection.place >= 0 else { return }
        places[connection.place] = nil
        free.append(connection.place)
        connection.place = -1
        count -= 1
    }

    /// Gives back what a burst left behind: connections move to the front. Returns the bytes that went to the allocator. Not
    /// while `forEach` runs.
    func shrink() -> Int {
        let before = places.capacity
        guard let smaller = TableSize.shrunk(before, holding: count) else { return free.shrink() }
        var kept: ContiguousArray<DownstreamConnection?> = []
        kept.reserveCapacity(smaller)
        for case let connection? in places {
            connection.place = kept.count
            kept.append(connection)
        }
        places = kept
        free.removeAll(keepingCapacity: true)
        return (before - places.capacity) * MemoryLayout<DownstreamConnection?>.stride + free.shrink()
    }

    /// Puts `successor` in the place of `connection`.
    func replace(_ connection: DownstreamConnection, with successor: DownstreamConnection) {
        guard connection.place >= 0 else { return }
        successor.place = connection.place
        places[connection.place] = successor
        connection.place = -1
    }

    /// Calls `body` with every connection; it may remove any of them.
    func forEach(_ body: (DownstreamConnection) -> Void) {
        for index in places.indices {
            if let connection = places[index] { body(connection) }
        }
    }
}
