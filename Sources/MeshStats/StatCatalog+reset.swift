// SPDX-License-Identifier: Apache-2.0

extension StatCatalog {
    /// Makes every counter read 0, histograms and gauges untouched, as `POST /reset_counters` does.
    ///
    /// The threads that count are not asked: what they have counted so far is subtracted on the pages of the thread that
    /// calls this, since readers add all pages up with wrap-around.
    ///
    /// - Parameter pages: the calling thread's own.
    package func resetCounters(on pages: StatPages) {
        let (groups, definitions, all) = contents()
        for group in groups {
            for entry in group.entries where entry.row != 0 && definitions[Int(entry.definition)].kind == .counter {
                let id = CounterID(row: entry.row)
                let sum = all.reduce(0 as UInt64) { $0 &+ $1.value(id) }
                if sum != 0 { pages.add(id, 0 &- sum) }
            }
        }
    }
}
