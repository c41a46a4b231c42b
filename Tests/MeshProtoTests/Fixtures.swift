// SPDX-License-Identifier: Apache-2.0
import Foundation
import MeshProto

/// Documents the tests start from and change one thing of.
enum Fixture {
    /// A minimal proxy: one listener with an HTTP connection manager, one static cluster.
    static let yaml = """
        node: {id: node, cluster: c}
        static_resources:
          listeners:
          - name: main
            address:
              socket_address: {address: 127.0.0.1, port_value: 8080}
            filter_chains:
            - filters:
              - name: envoy.filters.network.http_connection_manager
                typed_config:
                  "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
                  stat_prefix: in
                  request_timeout: 1.5s
                  route_config:
                    name: r
                    virtual_hosts:
                    - name: all
                      domains: ["*"]
                      routes:
                      - match: {prefix: "/"}
                        route: {cluster: up}
                  http_filters:
                  - name: envoy.filters.http.router
                    typed_config:
                      "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
          clusters:
          - name: up
            connect_timeout: 0.25s
            type: STATIC
            load_assignment:
              cluster_name: up
              endpoints:
              - lb_endpoints:
                - endpoint:
                    address:
                      socket_address: {address: 127.0.0.1, port_value: 9000}
        """

    /// The same in lowerCamelCase JSON, with the numbers and durations written differently.
    static let json = """
        {"node": {"id": "node", "cluster": "c"},
         "staticResources": {
          "listeners": [{"name": "main", "address": {"socketAddress": {"address": "127.0.0.1", "portValue": 8080}},
            "filterChains": [{"filters": [{"name": "envoy.filters.network.http_connection_manager", "typedConfig": {
              "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
              "statPrefix": "in", "requestTimeout": "1.500s",
              "routeConfig": {"name": "r", "virtualHosts": [{"name": "all", "domains": ["*"],
                "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "up"}}]}]},
              "httpFilters": [{"name": "envoy.filters.http.router", "typedConfig": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}]}}]}]}],
          "clusters": [{"name": "up", "connectTimeout": "0.250s", "type": 0, "loadAssignment": {"clusterName": "up",
            "endpoints": [{"lbEndpoints": [{"endpoint": {"address": {"socketAddress": {"address": "127.0.0.1", "portValue": "9000"}}}}]}]}}]
         },
        }
        """

    /// The folder of Istio's captured documents, if the environment names it.
    static let dataFolder: String? = ProcessInfo.processInfo.environment["APUS_DATA"]

    static func decode(
        _ text: String, name: String = "b.yaml", overlay: String? = nil, allowsUnknownFields: Bool = false
    ) throws(ConfigError) -> DecodedBootstrap {
        try BootstrapDecoder.decode(
            .bytes(Array(text.utf8), name: name), overlayYAML: overlay, allowsUnknownFields: allowsUnknownFields)
    }

    /// The text of the error a document is refused with, or nil if it is taken.
    static func refusal(_ text: String, name: String = "b.yaml", overlay: String? = nil) -> String? {
        do {
            _ = try decode(text, name: name, overlay: overlay)
            return nil
        } catch {
            return error.description
        }
    }
}
