// SPDX-License-Identifier: Apache-2.0

/// The row of a counter: the same number on every worker's pages.
@frozen @usableFromInline package struct CounterID: Hashable, Sendable {
    /// Index into `StatPages`; row 0 is the sink, which is never printed.
    @usableFromInline package let row: UInt32

    @inlinable package init(row: UInt32) { self.row = row }

    /// Where counts go when no row is wanted or none was left.
    @inlinable package static var sink: CounterID { CounterID(row: 0) }
}

/// The row of a gauge.
@frozen @usableFromInline package struct GaugeID: Hashable, Sendable {
    /// Index into `StatPages`; row 0 is the sink.
    @usableFromInline package let row: UInt32

    @inlinable package init(row: UInt32) { self.row = row }

    /// Where changes go when no row is wanted or none was left.
    @inlinable package static var sink: GaugeID { GaugeID(row: 0) }
}

/// The header of a histogram; numbered apart from counters and gauges.
@frozen @usableFromInline package struct HistogramID: Hashable, Sendable {
    /// Index into the histogram headers of `StatPages`; 0 is the sink.
    @usableFromInline package let row: UInt32

    @inlinable package init(row: UInt32) { self.row = row }

    /// Where values go when no histogram is wanted or none was left.
    @inlinable package static var sink: HistogramID { HistogramID(row: 0) }
}
