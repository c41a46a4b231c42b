// SPDX-License-Identifier: Apache-2.0
package import MeshStats

/// What admin may see and ask for. Everything in it is safe from any thread.
package struct AdminContext: Sendable {
    package let view: AdminViewSlot
    package let catalog: StatCatalog
    package let log: ApplicationLog
    /// Gauges that are worked out when they are read: uptime, memory.
    let process: ProcessGauges
    /// What came into histograms in the last interval; admin's thread ends the intervals.
    package let intervals: HistogramIntervals
    /// Hands a command to the control thread.
    let command: @Sendable (AdminCommand) -> Void

    package init(
        view: AdminViewSlot, catalog: StatCatalog, log: ApplicationLog, process: ProcessGauges,
        command: @escaping @Sendable (AdminCommand) -> Void
    ) {
        self.view = view
        self.catalog = catalog
        self.log = log
        self.process = process
        intervals = HistogramIntervals(catalog)
        self.command = command
    }
}
