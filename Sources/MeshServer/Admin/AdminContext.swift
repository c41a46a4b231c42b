// SPDX-License-Identifier: Apache-2.0
package import MeshDataPlane
package import MeshModel
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
    package let runtime: Runtime
    let runtimeStats: RuntimeStats?
    let access: AdminAccess
    let accessLog: AdminAccessLog?
    let replies: ReplyJournal
    /// Hands a command to the control thread.
    let command: @Sendable (AdminCommand) -> Void

    package init(
        view: AdminViewSlot, catalog: StatCatalog, log: ApplicationLog, process: ProcessGauges,
        runtime: Runtime = Runtime(), runtimeStats: RuntimeStats? = nil, access: AdminAccess = AdminAccess(),
        accessLog: AdminAccessLog? = nil, replies: ReplyJournal = ReplyJournal(),
        command: @escaping @Sendable (AdminCommand) -> Void
    ) {
        self.view = view
        self.catalog = catalog
        self.log = log
        self.process = process
        intervals = HistogramIntervals(catalog)
        self.runtime = runtime
        self.access = access
        self.accessLog = accessLog
        self.replies = replies
        self.runtimeStats = runtimeStats
        self.command = command
    }
}
