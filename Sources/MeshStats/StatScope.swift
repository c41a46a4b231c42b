// SPDX-License-Identifier: Apache-2.0

/// Where a group declares its stats: `requests = scope.counter("downstream_rq_total", "Requests whose head was decoded.")`.
///
/// Declaring the same name in the same scope again yields the same row, so two listeners with one `stat_prefix` share
/// their counters, as in Envoy.
package struct StatScope {
    private let catalog: StatCatalog
    private let group: Int

    init(catalog: StatCatalog, group: Int) {
        self.catalog = catalog
        self.group = group
    }

    /// A count that only grows.
    package mutating func counter(_ name: String, _ help: String) -> CounterID {
        CounterID(row: catalog.row(in: group, StatDefinition(name, kind: .counter, help: help)))
    }

    /// A level that moves both ways; printed by `usedonly` once it was set, even to 0.
    package mutating func gauge(_ name: String, _ help: String) -> GaugeID {
        GaugeID(row: catalog.row(in: group, StatDefinition(name, kind: .gauge, help: help)))
    }

    /// A distribution.
    /// - Parameter unit: of the values given to `StatPages.record`.
    package mutating func histogram(_ name: String, unit: StatUnit, _ help: String) -> HistogramID {
        HistogramID(row: catalog.row(in: group, StatDefinition(name, kind: .histogram, unit: unit, help: help)))
    }
}
