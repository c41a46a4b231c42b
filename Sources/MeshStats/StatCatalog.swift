// SPDX-License-Identifier: Apache-2.0
import Synchronization

/// Which rows exist and what they are called; and the pages of every thread that counts.
///
/// Declaring takes a lock and is meant for the control thread and for a worker's first use of a cluster; counting takes
/// none. A reader copies the list of groups under the lock and prints without it.
package final class StatCatalog: Sendable {
    private let state = Mutex(State())

    /// One declared stat of a group.
    struct Entry: Sendable {
        /// Index into `State.definitions`.
        let definition: UInt32
        /// Row of a counter or gauge, header of a histogram.
        let row: UInt32
    }

    /// The stats of one scope.
    struct Group: Sendable {
        let name: StatScopeName
        var entries: [Entry]
        /// How many `declare` calls share the group; 0 after the last `release`.
        var owners: Int
    }

    struct State {
        var definitions: [StatDefinition] = []
        var definitionIndex: [StatDefinition: UInt32] = [:]
        var groups: [Group] = []
        var groupIndex: [String: Int] = [:]
        var freeGroups: [Int] = []
        // Row 0 is the sink.
        var nextRow: UInt32 = 1
        var nextHistogram: UInt32 = 1
        var freeRows: [UInt32] = []
        var freeHistograms: [UInt32] = []
        var pages: [StatPages] = []
        var refused = 0
    }

    package init() {}

    // MARK: Declaring

    /// Declares the stats of one scope: `catalog.declare(.http("ingress")) { HTTPConnectionManagerStats(in: &$0) }`.
    ///
    /// `body` must not call `declare` or `release`. When the rows run out, the IDs are sinks and `refusedCount` grows.
    package func declare<Stats>(_ name: StatScopeName, _ body: (inout StatScope) -> Stats) -> Stats {
        let group = state.withLock { state in
            if let index = state.groupIndex[name.prefix] {
                state.groups[index].owners += 1
                return index
            }
            let group = Group(name: name, entries: [], owners: 1)
            if let index = state.freeGroups.popLast() {
                state.groups[index] = group
                state.groupIndex[name.prefix] = index
                return index
            }
            state.groups.append(group)
            state.groupIndex[name.prefix] = state.groups.count - 1
            return state.groups.count - 1
        }
        var scope = StatScope(catalog: self, group: group)
        return body(&scope)
    }

    /// Ends one `declare` of the scope. With the last one its rows vanish from the output and are used again.
    ///
    /// Only after every thread has stopped writing them: a removed cluster's after all workers have acknowledged.
    package func release(_ name: StatScopeName) {
        state.withLock { state in
            guard let index = state.groupIndex[name.prefix] else { return }
            state.groups[index].owners -= 1
            guard state.groups[index].owners == 0 else { return }
            for entry in state.groups[index].entries where entry.row != 0 {
                if state.definitions[Int(entry.definition)].kind == .histogram {
                    for pages in state.pages { pages.clear(histogram: entry.row) }
                    state.freeHistograms.append(entry.row)
                } else {
                    for pages in state.pages { pages.clear(row: entry.row) }
                    state.freeRows.append(entry.row)
                }
            }
            state.groups[index].entries = []
            state.groupIndex[name.prefix] = nil
            state.freeGroups.append(index)
        }
    }

    /// The row of `definition` in a group, made on first use.
    func row(in group: Int, _ definition: StatDefinition) -> UInt32 {
        state.withLock { state in
            let index: UInt32
            if let known = state.definitionIndex[definition] {
                index = known
            } else {
                index = UInt32(state.definitions.count)
                state.definitions.append(definition)
                state.definitionIndex[definition] = index
            }
            // A group has some tens of entries: a search is cheaper than a dictionary for each of 5,000 clusters.
            if let entry = state.groups[group].entries.first(where: { $0.definition == index }) { return entry.row }
            let row = state.takeRow(histogram: definition.kind == .histogram)
            state.groups[group].entries.append(Entry(definition: index, row: row))
            return row
        }
    }

    /// Rows that are in no group; see `HiddenRows`.
    func takeRows(_ count: Int) -> [UInt32] {
        state.withLock { state in (0..<count).map { _ in state.takeRow(histogram: false) } }
    }

    func giveBack(rows: [UInt32]) {
        state.withLock { state in
            for row in rows where row != 0 {
                for pages in state.pages { pages.clear(row: row) }
                state.freeRows.append(row)
            }
        }
    }

    // MARK: Pages

    /// Makes the pages of one more thread. They are summed from now on, and for as long as the catalog lives.
    ///
    /// Stops the process when the kernel refuses 64 MiB of address space: nothing could be counted.
    package func makePages() -> StatPages {
        guard let pages = StatPages() else { fatalError("no address space for stat pages") }
        state.withLock { $0.pages.append(pages) }
        return pages
    }

    // MARK: Reading

    /// How many declarations found no row left.
    package var refusedCount: Int { state.withLock { $0.refused } }

    /// The value of a counter over all threads.
    package func value(_ id: CounterID) -> UInt64 {
        state.withLock { $0.pages }.reduce(0) { $0 &+ $1.value(id) }
    }

    /// The value of a gauge over all threads; 0 where it was never set.
    package func value(_ id: GaugeID) -> Int64 {
        state.withLock { $0.pages }.reduce(0) { $0 &+ ($1.value(id) ?? 0) }
    }

    /// The values of a histogram over all threads.
    package func value(_ id: HistogramID) -> HistogramBins {
        var total = HistogramBins()
        for pages in state.withLock({ $0.pages }) { pages.merge(id, into: &total) }
        return total
    }

    /// The value of the counter or gauge with this full name, for tests and for readiness; nil where it is not declared.
    package func value(named name: String) -> Int64? {
        let (groups, definitions, pages) = contents()
        for group in groups where name.hasPrefix(group.name.prefix) {
            let rest = name.dropFirst(group.name.prefix.count)
            for entry in group.entries where definitions[Int(entry.definition)].name == rest {
                switch definitions[Int(entry.definition)].kind {
                case .counter: return Int64(clamping: pages.reduce(0) { $0 &+ $1.value(CounterID(row: entry.row)) })
                case .gauge: return pages.reduce(0) { $0 &+ ($1.value(GaugeID(row: entry.row)) ?? 0) }
                case .histogram: return nil
                }
            }
        }
        return nil
    }

    /// What there is now: copies of the lists, so that printing holds no lock.
    func contents() -> (groups: [Group], definitions: [StatDefinition], pages: [StatPages]) {
        state.withLock { ($0.groups, $0.definitions, $0.pages) }
    }
}

extension StatCatalog.State {
    mutating func takeRow(histogram: Bool) -> UInt32 {
        if histogram {
            if let row = freeHistograms.popLast() { return row }
            guard Int(nextHistogram) < StatPages.histogramCapacity else { refused += 1; return 0 }
            nextHistogram += 1
            return nextHistogram - 1
        }
        if let row = freeRows.popLast() { return row }
        guard Int(nextRow) < StatPages.rowCapacity else { refused += 1; return 0 }
        nextRow += 1
        return nextRow - 1
    }
}
