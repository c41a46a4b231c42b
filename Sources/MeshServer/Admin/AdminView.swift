// SPDX-License-Identifier: Apache-2.0
package import MeshDataPlane
package import MeshIO
package import MeshModel
package import MeshProto
import Synchronization

/// The state of the process in Envoy's words and numbers (`envoy.admin.v3.ServerInfo.State`; the gauge `server.state`).
package enum ServerState: Int, Sendable {
    case live = 0
    case draining = 1
    case preInitializing = 2
    case initializing = 3

    package var name: String {
        switch self {
        case .live: "LIVE"
        case .draining: "DRAINING"
        case .preInitializing: "PRE_INITIALIZING"
        case .initializing: "INITIALIZING"
        }
    }
}

/// A listener as `/listeners` shows it.
package struct ListenerStatus: Equatable, Sendable {
    package var name: String
    /// The addresses that are bound, with the ports the kernel chose.
    package var addresses: [Address]

    package init(name: String, addresses: [Address]) {
        self.name = name
        self.addresses = addresses
    }
}

/// A picture of the configuration that admin prints. The control thread replaces it; it is never changed.
package struct AdminView: Sendable {
    /// What control says.
    package var state = ServerState.preInitializing
    /// `POST /healthcheck/fail`; set by admin itself, so that the next `/ready` knows it.
    package var isHealthCheckFailing = false
    /// What is shown: a failed health check looks like a drain, as in Envoy.
    package var shownState: ServerState { state == .live && isHealthCheckFailing ? .draining : state }
    /// The bootstrap in wire form, whole; `config_dump` prints it.
    package var bootstrapWire: [UInt8] = []
    /// When it was loaded. - Unit: nanoseconds since 1970.
    package var loadedAt: UInt64 = 0
    /// When the process began. - Unit: nanoseconds of the monotonic clock.
    package var startedAt = MonotonicInstant(nanoseconds: 0)
    package var node = NodeIdentity()
    /// `node.metadata` as it was read.
    var nodeMetadata = JSONValue.object([])
    package var listeners: [ListenerStatus] = []
    package var clusters: [Cluster] = []
    /// The hosts each cluster has now, by its name: those of the configuration, and those that were looked up.
    package var endpoints: [String: EndpointSet] = [:]

    /// The hosts of `cluster` now.
    func endpoints(of cluster: Cluster) -> EndpointSet? {
        if let known = endpoints[cluster.name] { return known }
        if case .static(let set) = cluster.discovery { return set }
        return nil
    }
    package var certificates: [ContextCertificates] = []
    /// What is counted of the hosts.
    package var hosts: HostStatsTable?
    package var unsupported: [UnsupportedField] = []
    package var options = ServerOptions()
    package var statRules = StatRules()
    /// Workers that run.
    package var concurrency = 0

    package init() {}
}

/// Where control puts the view and admin finds it.
package final class AdminViewSlot: Sendable {
    private let view = Mutex(AdminView())

    package init() {}

    package var current: AdminView { view.withLock { $0 } }

    /// Changes the view; what admin reads at the time stays as it is.
    package func update(_ change: (inout AdminView) -> Void) {
        view.withLock { change(&$0) }
    }
}

/// What admin asks of the control thread.
package enum AdminCommand: Equatable, Sendable {
    /// `POST /quitquitquit`.
    case quit
    /// `POST /drain_listeners`.
    case drainListeners(inboundOnly: Bool, graceful: Bool, skipExit: Bool)
    /// `POST /reopen_logs`.
    case reopenLogs
    /// `POST /healthcheck/fail` (true) and `/healthcheck/ok`.
    case failHealthCheck(Bool)
}
