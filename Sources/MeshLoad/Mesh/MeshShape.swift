// SPDX-License-Identifier: Apache-2.0

/// How large a mesh is, as one data plane sees it.
public struct MeshShape: Equatable, Sendable, Codable {
    public let services: Int
    /// Of each service.
    public let endpoints: Int
    /// Of each service: prefixes, and a catch-all as the last.
    public let routes: Int

    public init(services: Int, endpoints: Int, routes: Int) {
        self.services = services
        self.endpoints = endpoints
        self.routes = routes
    }

    /// Each endpoint is served by a thread of this program.
    static let mostEndpoints = 50
    static let mostServices = 100_000

    public func check() throws(ScenarioError) {
        guard (1...MeshShape.mostServices).contains(services) else {
            throw ScenarioError("services: found \(services); allowed: 1 to \(MeshShape.mostServices)")
        }
        guard (1...MeshShape.mostEndpoints).contains(endpoints) else {
            throw ScenarioError("endpoints: found \(endpoints); allowed: 1 to \(MeshShape.mostEndpoints)")
        }
        guard (1...1_000).contains(routes) else { throw ScenarioError("routes: found \(routes); allowed: 1 to 1000") }
    }

    /// The host of a service, as Kubernetes names it.
    static func host(_ service: Int) -> String { "svc-\(service).default.svc.cluster.local" }

    /// The name of a service's cluster, as Istio names it.
    static func cluster(_ service: Int) -> String { "outbound|80||\(host(service))" }

    /// The services that a load asks for: so many, spread evenly over all.
    func asked(_ count: Int) -> [Int] {
        let wanted = max(1, min(count, services))
        return (0..<wanted).map { $0 * services / wanted }
    }

    /// One request for each route of the services that are asked for.
    func requests(_ count: Int) -> RequestPlan {
        RequestPlan(requests: asked(count).flatMap { service in
            (0..<routes).map { route in
                PlannedRequest(authority: MeshShape.host(service), path: route == routes - 1 ? "/" : "/api/v\(route)/items")
            }
        })
    }
}

/// How a data plane is told of the mesh.
public enum MeshForm: String, CaseIterable, Sendable, Codable {
    /// One bootstrap that holds everything.
    case bootstrap
    /// A bootstrap that points to a folder of discovery responses.
    case xds
}
