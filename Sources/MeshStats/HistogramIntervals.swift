// SPDX-License-Identifier: Apache-2.0
import Synchronization

/// What came into each histogram in the last whole interval of `stats_flush_interval`. One thread flushes and prints, admin's.
///
/// Only histograms that moved are looked at more closely: two words of each thread tell.
package final class HistogramIntervals: Sendable {
    private struct State: Sendable {
        /// What `pulse` said at the last flush.
        var pulse: (sum: UInt64, zeros: UInt64)
        /// Everything up to the last flush.
        var total: SparseBins
        /// What came in between the last two.
        var interval = SparseBins()
    }

    private let kept = Mutex<[UInt32: State]>([:])
    private let catalog: StatCatalog

    package init(_ catalog: StatCatalog) { self.catalog = catalog }

    /// An interval ends.
    package func flush() {
        let (pages, end) = catalog.state.withLock { ($0.pages, $0.nextHistogram) }
        kept.withLock { states in
            for row in 1..<max(end, 1) { flush(row, pages, &states) }
        }
    }

    private func flush(_ row: UInt32, _ pages: [StatCatalog.ThreadPages], _ states: inout [UInt32: State]) {
        var pulse: (sum: UInt64, zeros: UInt64) = (0, 0)
        for thread in pages {
            let part = thread.pages.pulse(histogram: row)
            pulse.sum &+= part.sum
            pulse.zeros &+= part.zeros
        }
        guard var state = states[row] else {
            if pulse != (0, 0) { states[row] = begin(row, pulse, pages) }
            return
        }
        if state.pulse == pulse {
            if state.interval.count > 0 { states[row]?.interval = SparseBins() }
            return
        }
        // A histogram that has less than before was given to another stat.
        if pulse.sum < state.pulse.sum || pulse.zeros < state.pulse.zeros {
            states[row] = pulse == (0, 0) ? nil : begin(row, pulse, pages)
            return
        }
        let now = merged(row, pages)
        state.interval = now.since(state.total).sparse
        state.total = now.sparse
        state.pulse = pulse
        states[row] = state
    }

    private func begin(_ row: UInt32, _ pulse: (sum: UInt64, zeros: UInt64), _ pages: [StatCatalog.ThreadPages]) -> State {
        let total = merged(row, pages).sparse
        return State(pulse: pulse, total: total, interval: total)
    }

    private func merged(_ row: UInt32, _ pages: [StatCatalog.ThreadPages]) -> HistogramBins {
        var bins = HistogramBins()
        for thread in pages { thread.pages.merge(HistogramID(row: row), into: &bins) }
        return bins
    }

    /// The last interval of a stat.
    func interval(of item: StatSnapshot.Item) -> HistogramBins {
        var total = HistogramBins()
        for row in [item.row] + item.more {
            guard let interval = kept.withLock({ $0[row]?.interval }), interval.count > 0 else { continue }
            total.merge(HistogramBins(interval))
        }
        return total
    }
}
