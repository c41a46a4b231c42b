// SPDX-License-Identifier: Apache-2.0

/// Resources that changed, as the configuration source said. Unnamed resources keep their state.
///
/// Additions take effect clusters first, removals listeners first (make before break).
package struct ChangeSet: Equatable, Sendable {
    /// New or changed clusters.
    package var clusters: [Cluster] = []
    /// Names of clusters that are gone.
    package var removedClusters: [String] = []
    /// Endpoints of clusters that take them from elsewhere, by cluster name.
    package var endpoints: [String: EndpointSet] = [:]
    /// Dynamic route configurations, new or changed.
    package var routes: [RouteConfiguration] = []
    package var removedRoutes: [String] = []
    /// New or changed listeners.
    package var listeners: [Listener] = []
    package var removedListeners: [String] = []

    package init() {}

    /// Whether nothing changes.
    package var isEmpty: Bool {
        clusters.isEmpty && removedClusters.isEmpty && endpoints.isEmpty && routes.isEmpty && removedRoutes.isEmpty
            && listeners.isEmpty && removedListeners.isEmpty
    }
}

/// One resource that was not taken, and why; its previous version stays in force.
package struct Rejection: Equatable, Sendable {
    package enum Kind: String, Sendable {
        case listener, route, cluster, endpoints
    }

    package var kind: Kind
    /// Name of the resource.
    package var name: String
    /// Text for the operator.
    package var reason: String

    package init(kind: Kind, name: String, reason: String) {
        self.kind = kind
        self.name = name
        self.reason = reason
    }
}

/// Takes configuration over; the seam between those who understand xDS and those who serve traffic.
package protocol ConfigSink: AnyObject {
    /// Applies what it can and returns what it refused. Called on the control thread.
    func apply(_ changes: ChangeSet) -> [Rejection]
}
