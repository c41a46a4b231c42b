// SPDX-License-Identifier: Apache-2.0
package import MeshModel
package import MeshStats

/// What admin may see and ask for. Everything in it is safe from any thread.
package struct AdminContext: Sendable {
    package let view: AdminViewSlot
    package let catalog: StatCatalog
    package let log: ApplicationLog
    /// Gauges that are worked out when they are read: uptime, memory.
    let process: ProcessGauges
    package let runtime: Runtime
    let runtimeStats: RuntimeStats?
    let access: AdminAccess
    /// Hands a command to the control thread.
    let command: @Sendable (AdminCommand) -> Void

    package init(
        view: AdminViewSlot, catalog: StatCatalog, log: ApplicationLog, process: ProcessGauges,
        runtime: Runtime = Runtime(), runtimeStats: RuntimeStats? = nil, access: AdminAccess = AdminAccess(),
        command: @escaping @Sendable (AdminCommand) -> Void
    ) {
        self.view = view
        self.catalog = catalog
        self.log = log
        self.process = process
        self.runtime = runtime
        self.access = access
        self.runtimeStats = runtimeStats
        self.command = command
    }
}
