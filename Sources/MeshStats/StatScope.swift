// SPDX-License-Identifier: Apache-2.0

/// Stats that every scope of one kind has: `cluster.a.…` and `cluster.b.…`.
///
/// `init` declares the same stats in the same order whenever it is called, and nothing else: it runs once to learn them,
/// and then again for each scope, whose rows lie behind each other.
package protocol StatGroup: Sendable {
    init(in scope: inout StatScope)
}

/// Where a group declares its stats: `requests = scope.counter("downstream_rq_total", "Requests whose head was decoded.")`.
///
/// Declaring the same name in the same scope again yields the same row, so two listeners with one `stat_prefix` share
/// their counters, as in Envoy.
package struct StatScope {
    private enum Target {
        /// Each stat is looked up, or made, on its own.
        case group(StatCatalog, Int)
        /// Nothing is made; the definitions are noted.
        case recording
        /// The next row and the next histogram of a block.
        case block(row: UInt32, histogram: UInt32)
        /// There were no rows left.
        case sinks
    }

    private var target: Target
    /// What was declared while recording.
    private(set) var recorded: [StatDefinition] = []

    init(catalog: StatCatalog, group: Int) { target = .group(catalog, group) }

    private init(_ target: Target) { self.target = target }

    static var recording: StatScope { StatScope(.recording) }

    static func block(row: UInt32, histogram: UInt32) -> StatScope { StatScope(.block(row: row, histogram: histogram)) }

    static var sinks: StatScope { StatScope(.sinks) }

    /// A count that only grows.
    package mutating func counter(_ name: String, _ help: String) -> CounterID {
        CounterID(row: row(name, .counter, .none, help))
    }

    /// A level that moves both ways; printed by `usedonly` once it was set, even to 0.
    package mutating func gauge(_ name: String, _ help: String) -> GaugeID {
        GaugeID(row: row(name, .gauge, .none, help))
    }

    /// A distribution.
    /// - Parameter unit: of the values given to `StatPages.record`.
    package mutating func histogram(_ name: String, unit: StatUnit, _ help: String) -> HistogramID {
        HistogramID(row: row(name, .histogram, unit, help))
    }

    private mutating func row(_ name: String, _ kind: StatKind, _ unit: StatUnit, _ help: String) -> UInt32 {
        switch target {
        case .group(let catalog, let group):
            return catalog.row(in: group, StatDefinition(name, kind: kind, unit: unit, help: help))
        case .recording:
            recorded.append(StatDefinition(name, kind: kind, unit: unit, help: help))
            return 0
        case .block(let row, let histogram):
            let isHistogram = kind == .histogram
            target = .block(row: isHistogram ? row : row + 1, histogram: isHistogram ? histogram + 1 : histogram)
            return isHistogram ? histogram : row
        case .sinks: return 0
        }
    }
}

/// The stats of a `StatGroup`, in the order it declares them.
final class StatLayout: Sendable {
    struct Member: Sendable {
        /// Index into the catalog's definitions.
        let definition: UInt32
        /// From the first row, or the first histogram, of a block.
        let offset: UInt32
        let isHistogram: Bool
    }

    let members: [Member]
    let rowCount: UInt32
    let histogramCount: UInt32

    init(_ definitions: [(index: UInt32, isHistogram: Bool)]) {
        var rows: UInt32 = 0
        var histograms: UInt32 = 0
        var members: [Member] = []
        for (index, isHistogram) in definitions {
            members.append(Member(definition: index, offset: isHistogram ? histograms : rows, isHistogram: isHistogram))
            if isHistogram { histograms += 1 } else { rows += 1 }
        }
        self.members = members
        rowCount = rows
        histogramCount = histograms
    }
}
