// SPDX-License-Identifier: Apache-2.0
import Synchronization

/// Which rows exist and what they are called; and the pages of every thread that counts.
///
/// Declaring takes a lock and is meant for the control thread and for a worker's first use of something; counting takes
/// none. A reader copies the list of groups under the lock and prints without it.
package final class StatCatalog: Sendable {
    let state = Mutex(State())

    /// One stat of a group that has a row of its own.
    struct Entry: Equatable, Sendable {
        /// Index into `State.definitions`.
        let definition: UInt32
        /// Row of a counter or gauge, header of a histogram.
        let row: UInt32
        /// The one worker whose pages count; nil for the sum of all.
        var worker: UInt16?
        /// False where the row belongs to another stat, to which this one is another name or a sum.
        var isOwner = true
    }

    /// The stats of a `StatGroup` in one scope.
    struct Block: Sendable {
        let layout: StatLayout
        var row: UInt32
        var histogram: UInt32
        /// False while the scope is only announced: its stats are listed, as unused, and have no rows.
        var hasRows: Bool
    }

    /// The stats of one scope.
    struct Group: Sendable {
        let name: StatScopeName
        var blocks: [Block] = []
        /// More than one may have the same definition: the stat is their sum.
        var entries: [Entry] = []
        /// How many `declare` calls share the group; 0 after the last `release`.
        var owners = 1
    }

    /// The pages of one thread.
    struct ThreadPages: Sendable {
        /// Number of the worker they belong to; nil for other threads.
        let worker: UInt16?
        let pages: StatPages
        /// What its counters stood at when they were last reset: readers subtract it, for only the owning thread writes a
        /// row. Nil until the first reset.
        var baseline: StatPages?
    }

    struct State {
        var definitions: [StatDefinition] = []
        var definitionIndex: [StatDefinition: UInt32] = [:]
        var layouts: [ObjectIdentifier: StatLayout] = [:]
        var groups: [Group] = []
        var groupIndex: [String: Int] = [:]
        var freeGroups: [Int] = []
        // Row 0 is the sink.
        var nextRow: UInt32 = 1
        var nextHistogram: UInt32 = 1
        var freeRows: [UInt32] = []
        var freeHistograms: [UInt32] = []
        var freeBlocks: [ObjectIdentifier: [Block]] = [:]
        var pages: [ThreadPages] = []
        var refused = 0
        /// Which names readers may see at all (`stats_matcher`); nil for all. Others get no rows.
        var isIncluded: ((String) -> Bool)?
        /// Grows when the set of groups changes.
        var version = 0
        /// Indices of the groups in use by their prefix, at `orderVersion`.
        var order: [UInt32] = []
        var orderVersion = -1
    }

    package init() {}

    // MARK: Declaring

    /// From now on what is declared gets rows only if its name is included. A `StatGroup` has them if one of its names is.
    /// - Parameter make: makes the predicate, which then belongs to the catalog.
    package func include(_ make: @Sendable () -> sending (String) -> Bool) {
        state.withLock { $0.isIncluded = make() }
    }

    /// Declares the stats of one scope: `catalog.declare(.literal("server.")) { ServerStats(in: &$0) }`.
    ///
    /// `body` must not call `declare` or `release`. When the rows run out, the IDs are sinks and `refusedCount` grows.
    package func declare<Stats>(_ name: StatScopeName, _ body: (inout StatScope) -> Stats) -> Stats {
        let group = state.withLock { $0.group(name) }
        var scope = StatScope(catalog: self, group: group)
        return body(&scope)
    }

    /// Declares the stats that scopes of this kind have, in rows of their own that lie behind each other.
    package func declare<Stats: StatGroup>(_ name: StatScopeName, _ type: Stats.Type = Stats.self) -> Stats {
        let layout = layout(of: type)
        let block = state.withLock { state in
            let group = state.group(name)
            return state.block(layout, in: group, hasRows: true)
        }
        var scope = block.hasRows ? StatScope.block(row: block.row, histogram: block.histogram) : StatScope.sinks
        return Stats(in: &scope)
    }

    /// Lists the stats of a scope as unused, without rows, until `declare` is called for it.
    package func announce<Stats: StatGroup>(_ name: StatScopeName, _ type: Stats.Type) {
        let layout = layout(of: type)
        state.withLock { state in
            let group = state.group(name)
            _ = state.block(layout, in: group, hasRows: false)
        }
    }

    private func layout<Stats: StatGroup>(of type: Stats.Type) -> StatLayout {
        if let known = state.withLock({ $0.layouts[ObjectIdentifier(type)] }) { return known }
        var scope = StatScope.recording
        _ = Stats(in: &scope)
        let recorded = scope.recorded
        return state.withLock { state in
            if let known = state.layouts[ObjectIdentifier(type)] { return known }
            let layout = StatLayout(recorded.map { (state.index(of: $0), $0.kind == .histogram) })
            state.layouts[ObjectIdentifier(type)] = layout
            return layout
        }
    }

    /// Ends one `declare` of the scope. With the last one its rows vanish from the output and are used again.
    ///
    /// Only after every thread has stopped writing them: a removed cluster's after all workers have acknowledged.
    package func release(_ name: StatScopeName) {
        state.withLock { state in
            guard let index = state.groupIndex[name.prefix] else { return }
            state.groups[index].owners -= 1
            guard state.groups[index].owners == 0 else { return }
            for entry in state.groups[index].entries where entry.row != 0 && entry.isOwner {
                if state.definitions[Int(entry.definition)].kind == .histogram {
                    clear(histograms: entry.row..<entry.row + 1, state)
                    state.freeHistograms.append(entry.row)
                } else {
                    clear(rows: entry.row..<entry.row + 1, state)
                    state.freeRows.append(entry.row)
                }
            }
            for block in state.groups[index].blocks where block.hasRows {
                clear(rows: block.row..<block.row + block.layout.rowCount, state)
                clear(histograms: block.histogram..<block.histogram + block.layout.histogramCount, state)
                state.freeBlocks[ObjectIdentifier(block.layout), default: []].append(block)
            }
            state.groups[index].entries = []
            state.groups[index].blocks = []
            state.groupIndex[name.prefix] = nil
            state.freeGroups.append(index)
            state.version += 1
        }
    }

    private func clear(rows: Range<UInt32>, _ state: borrowing State) {
        for row in rows {
            for thread in state.pages {
                thread.pages.clear(row: row)
                thread.baseline?.clear(row: row)
            }
        }
    }

    private func clear(histograms: Range<UInt32>, _ state: borrowing State) {
        for row in histograms { for thread in state.pages { thread.pages.clear(histogram: row) } }
    }

    /// The row of `definition` in a group, made on first use.
    func row(in group: Int, _ definition: StatDefinition) -> UInt32 {
        state.withLock { state in
            let index = state.index(of: definition)
            if let entry = state.groups[group].entries.first(where: { $0.definition == index && $0.isOwner }) { return entry.row }
            guard state.includes(definition.name, in: group) else { return 0 }
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
                clear(rows: row..<row + 1, state)
                state.freeRows.append(row)
            }
        }
    }

    // MARK: Stats of more than one name

    /// A counter whose row counts for other stats of its scope too: `external.upstream_rq_200` for `upstream_rq_2xx`. One
    /// addition when something happens, and the sums are made by who reads them.
    package func counter(_ name: String, in scope: StatScopeName, countingFor others: [String], _ help: String) -> CounterID {
        CounterID(row: shared(StatDefinition(name, kind: .counter, help: help), in: scope, others))
    }

    /// The same for a histogram.
    package func histogram(
        _ name: String, unit: StatUnit, in scope: StatScopeName, countingFor others: [String], _ help: String
    ) -> HistogramID {
        HistogramID(row: shared(StatDefinition(name, kind: .histogram, unit: unit, help: help), in: scope, others))
    }

    private func shared(_ definition: StatDefinition, in scope: StatScopeName, _ others: [String]) -> UInt32 {
        state.withLock { state in
            let group = state.groupIndex[scope.prefix] ?? state.group(scope)
            let index = state.index(of: definition)
            if let entry = state.groups[group].entries.first(where: { $0.definition == index && $0.isOwner }) { return entry.row }
            guard state.includes(definition.name, in: group) || others.contains(where: { state.includes($0, in: group) }) else {
                return 0
            }
            let row = state.takeRow(histogram: definition.kind == .histogram)
            state.groups[group].entries.append(Entry(definition: index, row: row))
            guard row != 0 else { return row }
            for name in others {
                let other = state.index(of: StatDefinition(name, kind: definition.kind, unit: definition.unit, help: "Sum."))
                state.groups[group].entries.append(Entry(definition: other, row: row, isOwner: false))
            }
            return row
        }
    }

    /// Lists a counter under a second name, or as a part of the sum that this name is.
    /// - Parameter worker: the worker whose part it is (`listener.a.worker_0.downstream_cx_total`); nil for the whole.
    package func show(_ id: CounterID, as name: String, in scope: StatScopeName, ofWorker worker: Int? = nil) {
        show(id.row, StatDefinition(name, kind: .counter, help: "Another stat, or a part of it."), in: scope, worker)
    }

    /// The same for a gauge.
    package func show(_ id: GaugeID, as name: String, in scope: StatScopeName, ofWorker worker: Int? = nil) {
        show(id.row, StatDefinition(name, kind: .gauge, help: "Another stat, or a part of it."), in: scope, worker)
    }

    private func show(_ row: UInt32, _ definition: StatDefinition, in scope: StatScopeName, _ worker: Int?) {
        state.withLock { state in
            let group = state.groupIndex[scope.prefix] ?? state.group(scope)
            let index = state.index(of: definition)
            let entry = Entry(definition: index, row: row, worker: worker.map { UInt16(clamping: $0) }, isOwner: false)
            guard !state.groups[group].entries.contains(where: { $0 == entry }) else { return }
            state.groups[group].entries.append(entry)
        }
    }

    // MARK: Pages

    /// Makes the pages of one more thread. They are summed from now on, and for as long as the catalog lives.
    ///
    /// Stops the process when the kernel refuses 64 MiB of address space: nothing could be counted.
    /// - Parameter worker: number of the worker they belong to; nil for other threads.
    package func makePages(worker: Int? = nil) -> StatPages {
        guard let pages = StatPages() else { fatalError("no address space for stat pages") }
        state.withLock { $0.pages.append(ThreadPages(worker: worker.map { UInt16(clamping: $0) }, pages: pages)) }
        return pages
    }

    // MARK: Reset

    /// Lets every counter begin at 0 again for whoever reads it. Gauges and histograms stay, as in Envoy.
    ///
    /// Called by one thread only, admin's.
    package func resetCounters() {
        state.withLock { state in
            for index in state.pages.indices where state.pages[index].baseline == nil {
                state.pages[index].baseline = StatPages()
            }
        }
        let snapshot = snapshot()
        for group in snapshot.order {
            for item in snapshot.items(of: group) where snapshot.definition(item).kind == .counter {
                for thread in snapshot.pages {
                    let value = thread.pages.value(CounterID(row: item.row))
                    // A row that nobody wrote stays a page that nobody touched.
                    if value != 0 { thread.baseline?.setWord(row: item.row, value) }
                }
            }
        }
    }

    // MARK: Reading single values

    /// How many declarations found no row left.
    package var refusedCount: Int { state.withLock { $0.refused } }

    /// The value of a counter over all threads.
    package func value(_ id: CounterID) -> UInt64 {
        state.withLock { $0.pages }.reduce(0) { $0 &+ $1.pages.value(id) &- ($1.baseline?.value(id) ?? 0) }
    }

    /// The value of a gauge over all threads; 0 where it was never set.
    package func value(_ id: GaugeID) -> Int64 {
        state.withLock { $0.pages }.reduce(0) { $0 &+ ($1.pages.value(id) ?? 0) }
    }

    /// The values of a histogram over all threads.
    package func value(_ id: HistogramID) -> HistogramBins {
        var total = HistogramBins()
        for thread in state.withLock({ $0.pages }) { thread.pages.merge(id, into: &total) }
        return total
    }

    /// The value of the counter or gauge with this full name, for tests and for readiness; nil where it is not declared.
    package func value(named name: String) -> Int64? {
        var cursor = StatCursor(snapshot(), kinds: [.counter, .gauge])
        while !cursor.isAtEnd {
            if let found = cursor.next(), found.name == name { return cursor.snapshot.scalar(found.item).value }
        }
        return nil
    }
}

extension StatCatalog.State {
    /// The group of that name, made on first use; one more owner otherwise.
    mutating func group(_ name: StatScopeName) -> Int {
        if let index = groupIndex[name.prefix] {
            groups[index].owners += 1
            return index
        }
        version += 1
        let group = StatCatalog.Group(name: name)
        if let index = freeGroups.popLast() {
            groups[index] = group
            groupIndex[name.prefix] = index
            return index
        }
        groups.append(group)
        groupIndex[name.prefix] = groups.count - 1
        return groups.count - 1
    }

    func includes(_ name: String, in group: Int) -> Bool { isIncluded?(groups[group].name.prefix + name) ?? true }

    mutating func index(of definition: StatDefinition) -> UInt32 {
        if let known = definitionIndex[definition] { return known }
        let index = UInt32(definitions.count)
        definitions.append(definition)
        definitionIndex[definition] = index
        return index
    }

    /// The block of that layout in a group, made or given rows where it has none.
    mutating func block(_ layout: StatLayout, in group: Int, hasRows: Bool) -> StatCatalog.Block {
        let position = groups[group].blocks.firstIndex { $0.layout === layout }
        if let position, groups[group].blocks[position].hasRows || !hasRows { return groups[group].blocks[position] }
        if hasRows, isIncluded != nil,
            !layout.members.contains(where: { includes(definitions[Int($0.definition)].name, in: group) }) {
            return StatCatalog.Block(layout: layout, row: 0, histogram: 0, hasRows: false)
        }
        let block = hasRows ? takeBlock(layout) : StatCatalog.Block(layout: layout, row: 0, histogram: 0, hasRows: false)
        if let position {
            groups[group].blocks[position] = block
        } else {
            // Most groups have one: the array is made as large as it is needed.
            groups[group].blocks = groups[group].blocks + [block]
        }
        return block
    }

    private mutating func takeBlock(_ layout: StatLayout) -> StatCatalog.Block {
        if let free = freeBlocks[ObjectIdentifier(layout)]?.popLast() { return free }
        guard Int(nextRow) + Int(layout.rowCount) <= StatPages.rowCapacity,
            Int(nextHistogram) + Int(layout.histogramCount) <= StatPages.histogramCapacity
        else {
            refused += layout.members.count
            return StatCatalog.Block(layout: layout, row: 0, histogram: 0, hasRows: false)
        }
        defer {
            nextRow += layout.rowCount
            nextHistogram += layout.histogramCount
        }
        return StatCatalog.Block(layout: layout, row: nextRow, histogram: nextHistogram, hasRows: true)
    }

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
