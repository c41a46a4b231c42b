// SPDX-License-Identifier: Apache-2.0

/// Rows of counters and gauges that have no name and so appear in no listing of stats.
package struct HiddenRows: Sendable {
    let rows: [UInt32]

    /// Row `index`, used as a counter. Out of range it is the sink, which is never read.
    package func counter(_ index: Int) -> CounterID { CounterID(row: row(index)) }

    /// Row `index`, used as a gauge.
    package func gauge(_ index: Int) -> GaugeID { GaugeID(row: row(index)) }

    private func row(_ index: Int) -> UInt32 { rows.indices.contains(index) ? rows[index] : 0 }
}

extension StatCatalog {
    /// Takes rows that only their taker knows. When they run out, the rest are sinks.
    package func takeHiddenRows(_ count: Int) -> HiddenRows { HiddenRows(rows: takeRows(count)) }

    /// Zeroes rows and lets others have them. Only when no thread writes them any more.
    package func giveBack(_ rows: HiddenRows) { giveBack(rows: rows.rows) }
}
