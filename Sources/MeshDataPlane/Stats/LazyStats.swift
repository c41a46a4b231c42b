// SPDX-License-Identifier: Apache-2.0
import MeshStats
import Synchronization

/// Stats of a scope whose rows are made when the first worker asks for them; until then they are only announced, so that
/// thousands of clusters that nobody uses cost no rows.
final class LazyStats<Stats: StatGroup>: Sendable {
    /// Address of the stats; 0 until they are made. They live as long as this object.
    private let address = Atomic<UInt>(0)
    private let catalog: StatCatalog
    private let scope: StatScopeName

    /// - Parameter isListed: readers see the stats, as unused, before they are made.
    init(_ catalog: StatCatalog, _ scope: StatScopeName, isListed: Bool) {
        self.catalog = catalog
        self.scope = scope
        if isListed { catalog.announce(scope, Stats.self) }
    }

    deinit {
        guard let made = UnsafeMutablePointer<Stats>(bitPattern: address.load(ordering: .acquiring)) else { return }
        made.deinitialize(count: 1)
        made.deallocate()
    }

    /// One load more than a stored property, where they are made.
    var value: Stats {
        @inline(__always) get { pointer.pointee }
    }

    /// The two ways meet in a pointer, so that a caller that wants one row copies one row.
    @inline(__always) private var pointer: UnsafeMutablePointer<Stats> {
        UnsafeMutablePointer(bitPattern: address.load(ordering: .acquiring)) ?? make()
    }

    @inline(never)
    private func make() -> UnsafeMutablePointer<Stats> {
        let made = UnsafeMutablePointer<Stats>.allocate(capacity: 1)
        made.initialize(to: catalog.declare(scope, Stats.self))
        let (exchanged, original) = address.compareExchange(
            expected: 0, desired: UInt(bitPattern: made), ordering: .acquiringAndReleasing)
        guard !exchanged, let other = UnsafeMutablePointer<Stats>(bitPattern: original) else { return made }
        // Two workers at once: both have the same rows.
        made.deinitialize(count: 1)
        made.deallocate()
        return other
    }
}
