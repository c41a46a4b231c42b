// SPDX-License-Identifier: Apache-2.0

/// The configuration of a sidecar in a mesh, as Istio's control plane makes it: one outbound listener, a virtual host with its
/// routes and a cluster with its endpoints for each service. All of it is JSON, written by hand: the texts in it need no escapes,
/// and encoders take minutes for what takes seconds here.
struct MeshConfiguration {
    let shape: MeshShape
    /// Where the listener and admin are, on 127.0.0.1.
    let port: UInt16
    let adminPort: UInt16
    /// The ports of the endpoints, on 127.0.0.1; every service has the same ones.
    let endpointPorts: [UInt16]

    private static let types = "type.googleapis.com/envoy"

    /// Everything in one file.
    var bootstrap: String {
        var out = "{\(head),\"static_resources\":{\"listeners\":[\(listener(routes: "\"route_config\":\(routeTable(typed: false))", typed: false))],\"clusters\":[\n"
        for service in 0..<shape.services { out += (service == 0 ? "" : ",\n") + cluster(service, assignment: "\"load_assignment\":\(assignment(service, typed: false))", discovered: false, typed: false) }
        return out + "\n]}}\n"
    }

    /// The files of the folder by name: `bootstrap.json`, `lds.json`, `rds.json`, `cds.json`, and `eds/N.json` for each service.
    /// - Parameter folder: its path, without a slash at the end.
    func files(folder: String) -> [String: String] {
        func source(_ name: String) -> String { "{\"path_config_source\":{\"path\":\"\(folder)/\(name)\"},\"resource_api_version\":\"V3\"}" }
        var files = [
            "bootstrap.json": "{\(head),\"dynamic_resources\":{\"lds_config\":\(source("lds.json")),\"cds_config\":\(source("cds.json"))}}\n",
            "lds.json": response([listener(routes: "\"rds\":{\"route_config_name\":\"80\",\"config_source\":\(source("rds.json"))}", typed: true)]),
            "rds.json": response([routeTable(typed: true)]),
        ]
        files["cds.json"] = response((0..<shape.services).map { service in
            let eds = "\"eds_cluster_config\":{\"service_name\":\"\(MeshShape.cluster(service))\",\"eds_config\":\(source("eds/\(service).json"))}"
            return cluster(service, assignment: eds, discovered: true, typed: true)
        })
        // A file for each cluster: whoever watches one for all of them reads it once per cluster.
        for service in 0..<shape.services { files["eds/\(service).json"] = response([assignment(service, typed: true)]) }
        return files
    }

    // MARK: Pieces

    private var head: String {
        "\"node\":{\"id\":\"sidecar~127.0.0.1~bench.default~default.svc.cluster.local\",\"cluster\":\"bench\"},"
            + "\"admin\":{\"address\":\(address(adminPort))}"
    }

    private func response(_ resources: [String]) -> String { "{\"version_info\":\"1\",\"resources\":[\n\(resources.joined(separator: ",\n"))\n]}\n" }

    private func type(_ name: String, _ typed: Bool) -> String { typed ? "\"@type\":\"\(MeshConfiguration.types).\(name)\"," : "" }

    private func address(_ port: UInt16) -> String { "{\"socket_address\":{\"address\":\"127.0.0.1\",\"port_value\":\(port)}}" }

    private func listener(routes: String, typed: Bool) -> String {
        "{\(type("config.listener.v3.Listener", typed))\"name\":\"outbound\",\"address\":\(address(port)),\"filter_chains\":[{\"filters\":[{"
            + "\"name\":\"envoy.filters.network.http_connection_manager\",\"typed_config\":{"
            + "\(type("extensions.filters.network.http_connection_manager.v3.HttpConnectionManager", true))"
            + "\"stat_prefix\":\"outbound\",\"codec_type\":\"AUTO\",\"normalize_path\":true,\"http_filters\":[{\"name\":\"envoy.filters.http.router\","
            + "\"typed_config\":{\"@type\":\"\(MeshConfiguration.types).extensions.filters.http.router.v3.Router\"}}],\(routes)}}]}]}"
    }

    private func routeTable(typed: Bool) -> String {
        var out = "{\(type("config.route.v3.RouteConfiguration", typed))\"name\":\"80\",\"virtual_hosts\":[\n"
        for service in 0..<shape.services {
            let host = MeshShape.host(service)
            out += (service == 0 ? "" : ",\n")
            out += "{\"name\":\"\(host):80\",\"domains\":[\"\(host)\",\"\(host):80\",\"svc-\(service)\",\"svc-\(service):80\","
            out += "\"svc-\(service).default\",\"svc-\(service).default:80\"],\"routes\":["
            for route in 0..<shape.routes {
                let prefix = route == shape.routes - 1 ? "/" : "/api/v\(route)/"
                out += (route == 0 ? "" : ",") + "{\"match\":{\"prefix\":\"\(prefix)\"},\"route\":{\"cluster\":\"\(MeshShape.cluster(service))\","
                out += "\"timeout\":\"0s\",\"retry_policy\":{\"retry_on\":\"connect-failure,refused-stream,unavailable,cancelled\",\"num_retries\":2}}}"
            }
            out += "]}"
        }
        return out + "\n]}"
    }

    private func cluster(_ service: Int, assignment: String, discovered: Bool, typed: Bool) -> String {
        "{\(type("config.cluster.v3.Cluster", typed))\"name\":\"\(MeshShape.cluster(service))\",\"type\":\"\(discovered ? "EDS" : "STATIC")\","
            + "\"connect_timeout\":\"10s\",\"lb_policy\":\"LEAST_REQUEST\",\"circuit_breakers\":{\"thresholds\":[{\"max_connections\":4294967295,"
            + "\"max_pending_requests\":4294967295,\"max_requests\":4294967295,\"max_retries\":4294967295,\"track_remaining\":true}]},\(assignment)}"
    }

    private func assignment(_ service: Int, typed: Bool) -> String {
        let endpoints = endpointPorts.prefix(shape.endpoints).map { "{\"endpoint\":{\"address\":\(address($0))}}" }
        return "{\(type("config.endpoint.v3.ClusterLoadAssignment", typed))\"cluster_name\":\"\(MeshShape.cluster(service))\","
            + "\"endpoints\":[{\"lb_endpoints\":[\(endpoints.joined(separator: ","))]}]}"
    }
}
