// SPDX-License-Identifier: Apache-2.0
import Synchronization

/// Which stats there were at one moment, to be read without a lock; the values are those of the moment of reading.
struct StatSnapshot {
    let groups: [StatCatalog.Group]
    let definitions: [StatDefinition]
    let pages: [StatCatalog.ThreadPages]
    /// Indices of the groups in use, by their prefix in byte order.
    let order: [UInt32]

    /// One stat: a name and the rows that make its value.
    struct Item {
        let group: UInt32
        /// Index into `definitions`.
        let definition: UInt32
        /// 0 for a stat of a scope that was only announced.
        let row: UInt32
        /// The one worker whose pages count; nil for all.
        let worker: UInt16?
        /// Further rows that belong to the sum.
        var more: [UInt32] = []
    }

    func definition(_ item: Item) -> StatDefinition { definitions[Int(item.definition)] }

    func name(_ item: Item) -> String { groups[Int(item.group)].name.prefix + definitions[Int(item.definition)].name }

    /// Every row of a group, in no order.
    /// - Parameter usedOnly: without those of a scope that was only announced.
    func items(of index: UInt32, usedOnly: Bool = false) -> [Item] {
        let group = groups[Int(index)]
        var items: [Item] = []
        for block in group.blocks where block.hasRows || !usedOnly {
            for member in block.layout.members {
                let row = block.hasRows ? (member.isHistogram ? block.histogram : block.row) + member.offset : 0
                items.append(Item(group: index, definition: member.definition, row: row, worker: nil))
            }
        }
        // An entry without a row is one that found none left: it is not listed.
        for entry in group.entries where entry.row != 0 {
            items.append(Item(group: index, definition: entry.definition, row: entry.row, worker: entry.worker))
        }
        return items
    }

    /// The value of a counter or gauge, and whether it was ever written.
    func scalar(_ item: Item) -> (value: Int64, isUsed: Bool) {
        var value: Int64 = 0
        var isUsed = false
        let isCounter = definition(item).kind == .counter
        func add(_ row: UInt32) {
            guard row != 0 else { return }
            for thread in pages where item.worker == nil || item.worker == thread.worker {
                if isCounter {
                    let count = thread.pages.value(CounterID(row: row))
                    if count != 0 { isUsed = true }
                    value &+= Int64(bitPattern: count &- (thread.baseline?.value(CounterID(row: row)) ?? 0))
                } else if let part = thread.pages.value(GaugeID(row: row)) {
                    isUsed = true
                    value &+= part
                }
            }
        }
        add(item.row)
        for row in item.more { add(row) }
        return (value, isUsed)
    }

    /// The values of a histogram.
    func bins(_ item: Item) -> HistogramBins {
        var bins = HistogramBins()
        for row in [item.row] + item.more where row != 0 {
            for thread in pages { thread.pages.merge(HistogramID(row: row), into: &bins) }
        }
        return bins
    }

    /// Whether a stat was ever written: what `usedonly` keeps.
    func isUsed(_ item: Item) -> Bool {
        if definition(item).kind == .histogram {
            return ([item.row] + item.more).contains { row in
                row != 0 && pages.contains { $0.pages.pulse(histogram: row) != (0, 0) }
            }
        }
        return scalar(item).isUsed
    }
}

extension StatCatalog {
    /// What there is now: copies of the lists, so that printing holds no lock.
    func snapshot() -> StatSnapshot {
        let (groups, definitions, pages, version, known) = state.withLock {
            ($0.groups, $0.definitions, $0.pages, $0.version, $0.orderVersion == $0.version ? $0.order : nil)
        }
        if let known { return StatSnapshot(groups: groups, definitions: definitions, pages: pages, order: known) }
        // Sorted outside of the lock, which a worker may want.
        let used = groups.indices.filter { groups[$0].owners > 0 }
        let order = used.sorted { ByteOrder.precedes(groups[$0].name.prefix, groups[$1].name.prefix) }.map { UInt32($0) }
        state.withLock { state in
            if state.version == version {
                state.order = order
                state.orderVersion = version
            }
        }
        return StatSnapshot(groups: groups, definitions: definitions, pages: pages, order: order)
    }
}

/// Walks over the stats of some kinds in the byte order of their full names, one at a time.
///
/// Scopes are opened when the walk reaches their prefix, so that what it holds is a few scopes and not every name.
struct StatCursor {
    let snapshot: StatSnapshot
    private let kinds: Set<StatKind>
    private let usedOnly: Bool
    private var nextGroup = 0
    /// Scopes that one step looks into at most, of which none may have anything to print.
    private static let scopesPerStep = 64
    private var open: [Source] = []

    /// The rows of one open scope, by name.
    private struct Source {
        let items: [StatSnapshot.Item]
        var position = 0
        /// Full name of the item at `position`.
        var name: String
    }

    /// - Parameter usedOnly: leaves out what was never written, before its name is even made: pilot-agent asks like that every
    ///   other second.
    init(_ snapshot: StatSnapshot, kinds: Set<StatKind>, usedOnly: Bool = false) {
        self.snapshot = snapshot
        self.kinds = kinds
        self.usedOnly = usedOnly
    }

    /// Whether `next` has nothing more to say.
    var isAtEnd: Bool { open.isEmpty && nextGroup == snapshot.order.count }

    /// The next stat. Nil at the end, and after a step that found none yet.
    mutating func next() -> (name: String, item: StatSnapshot.Item)? {
        guard openScopes(), let first = firstSource() else { return nil }
        let name = open[first].name
        var item = open[first].items[open[first].position]
        advance(first)
        // The other rows of a sum stand right behind it.
        while first < open.count, open[first].name == name {
            let other = open[first].items[open[first].position]
            if other.row != 0 { item.more.append(other.row) }
            advance(first)
        }
        return (name, item)
    }

    /// Opens the scopes that may have the next name; false when there are more than one step may take.
    private mutating func openScopes() -> Bool {
        var steps = StatCursor.scopesPerStep
        while nextGroup < snapshot.order.count {
            let index = snapshot.order[nextGroup]
            if let first = firstSource(),
                !ByteOrder.precedes(snapshot.groups[Int(index)].name.prefix, open[first].name) { return true }
            guard steps > 0 else { return false }
            steps -= 1
            nextGroup += 1
            let items = snapshot.items(of: index, usedOnly: usedOnly)
                .filter { kinds.contains(snapshot.definition($0).kind) && (!usedOnly || snapshot.isUsed($0)) }
                .sorted { ByteOrder.precedes(snapshot.definition($0).name, snapshot.definition($1).name) }
            guard let item = items.first else { continue }
            open.append(Source(items: items, name: snapshot.name(item)))
        }
        return true
    }

    private func firstSource() -> Int? {
        guard !open.isEmpty else { return nil }
        var first = 0
        for index in open.indices.dropFirst() where ByteOrder.precedes(open[index].name, open[first].name) { first = index }
        return first
    }

    /// Goes on in a source. A finished one leaves the list, where another then stands at its index.
    private mutating func advance(_ index: Int) {
        open[index].position += 1
        guard open[index].position < open[index].items.count else {
            open.remove(at: index)
            return
        }
        open[index].name = snapshot.name(open[index].items[open[index].position])
    }
}

/// The order of bytes, which is not always that of `String`'s `<`.
enum ByteOrder {
    static func precedes(_ one: String, _ other: String) -> Bool {
        if let before = one.utf8.withContiguousStorageIfAvailable({ left in
            other.utf8.withContiguousStorageIfAvailable { right in precedes(left, right) }
        }), let before { return before }
        return one.utf8.lexicographicallyPrecedes(other.utf8)
    }

    private static func precedes(_ left: UnsafeBufferPointer<UInt8>, _ right: UnsafeBufferPointer<UInt8>) -> Bool {
        var index = 0
        let shared = min(left.count, right.count)
        while index < shared, left[index] == right[index] { index += 1 }
        return index < shared ? left[index] < right[index] : left.count < right.count
    }
}
