// SPDX-License-Identifier: Apache-2.0
import Foundation
import MeshProto
import MeshServer
import Testing

struct ConfigDumpTests {
    static let bootstrap = """
        node: {id: node-1, metadata: {k: v}}
        static_resources:
          listeners:
          - name: main
            address: {socket_address: {address: 127.0.0.1, port_value: 80}}
            filter_chains:
            - filters:
              - name: envoy.filters.network.http_connection_manager
                typed_config:
                  "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
                  stat_prefix: in
                  route_config:
                    name: local
                    virtual_hosts: [{name: all, domains: ["*"], routes: [{match: {prefix: /}, direct_response: {status: 204}}]}]
                  http_filters:
                  - name: envoy.filters.http.router
                    typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
          clusters:
          - {name: one, type: STATIC, connect_timeout: 0.25s, load_assignment: {cluster_name: one}}
          - {name: two, type: STATIC, load_assignment: {cluster_name: two}}
        """

    let admin = AdminFixture()

    init() throws {
        let decoded = try BootstrapDecoder.decode(.bytes(Array(Self.bootstrap.utf8), name: "test.yaml"), allowsUnknownFields: true)
        admin.view.update { view in
            view.bootstrapWire = decoded.wire
            view.loadedAt = 1_700_000_000_123_456_789
        }
    }

    private func configs(_ target: String) throws -> [[String: Any]] {
        let json = try JSONSerialization.jsonObject(with: Data(admin.answer(target).body.utf8)) as? [String: Any]
        return try #require(json?["configs"] as? [[String: Any]])
    }

    @Test func sectionsComeInEnvoysOrder() throws {
        let types = try configs("/config_dump").compactMap { ($0["@type"] as? String)?.split(separator: ".").last.map(String.init) }
        #expect(types == [
            "BootstrapConfigDump", "ClustersConfigDump", "ListenersConfigDump", "ScopedRoutesConfigDump", "RoutesConfigDump",
            "SecretsConfigDump",
        ])
    }

    @Test func resourcesAreListedAsTheyWereRead() throws {
        let sections = try configs("/config_dump")
        let clusters = try #require(sections[1]["static_clusters"] as? [[String: Any]])
        #expect(clusters.compactMap { ($0["cluster"] as? [String: Any])?["name"] as? String } == ["one", "two"])
        #expect((clusters[0]["cluster"] as? [String: Any])?["connect_timeout"] as? String == "0.250s")
        #expect(clusters[0]["last_updated"] as? String == "2023-11-14T22:13:20.123Z")
        let routes = try #require(sections[4]["static_route_configs"] as? [[String: Any]])
        #expect((routes.first?["route_config"] as? [String: Any])?["name"] as? String == "local")
        let node = (sections[0]["bootstrap"] as? [String: Any])?["node"] as? [String: Any]
        #expect((node?["metadata"] as? [String: Any])?["k"] as? String == "v")
    }

    @Test func oneResourceListCanBeAskedFor() throws {
        let found = try configs("/config_dump?resource=static_clusters&name_regex=^two$")
        #expect(found.compactMap { ($0["cluster"] as? [String: Any])?["name"] as? String } == ["two"])
        #expect(admin.answer("/config_dump?resource=nonsense").status == 404)
    }

    @Test func aMaskReachesIntoTheResource() throws {
        let found = try configs("/config_dump?resource=static_clusters&mask=cluster.name,last_updated")
        #expect(found.allSatisfy { Set($0.keys) == ["@type", "cluster", "last_updated"] })
        let cluster = try #require(found.first?["cluster"] as? [String: String])
        #expect(cluster == ["@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster", "name": "one"])
        let part = try configs("/config_dump?mask=bootstrap.node.id")
        #expect(part.count == 1)
        #expect((part[0]["bootstrap"] as? [String: [String: String]]) == ["node": ["id": "node-1"]])
    }

    @Test(arguments: [
        ("resource=nope", 404, "nope not found in config dump"),
        ("resource=bootstrap", 400, "bootstrap is not a repeated field. Use ?mask=bootstrap to get only this field"),
        ("mask=nope", 400, "FieldMask nope could not be successfully applied to any configs."),
        ("resource=static_clusters&mask=cluster.nope", 400, "FieldMask paths: \"cluster.nope\"\n could not be successfully used."),
        ("resource=static_clusters&mask=cluster..", 400, "FieldMask paths: \"cluster..\"\n could not be successfully used."),
        ("name_regex=(", 400, "INVALID_ARGUMENT: Error while parsing name_regex from (: missing ): ("),
    ])
    func mistakesAreToldAsEnvoyTellsThem(query: String, status: Int, text: String) {
        #expect(admin.answer("/config_dump?" + query) == (status, text))
    }

    @Test func namesAreMatchedWhole() throws {
        let part = admin.answer("/config_dump?resource=static_clusters&name_regex=tw")
        #expect(part == (200, "{}\n"))
        #expect(try configs("/config_dump?resource=static_clusters&name_regex=t.o").count == 1)
    }

    /// Bytes that are no message end the walk; they do not trap.
    @Test(arguments: [
        [0x12, 0xFF], [0x12, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F], [0x09], [0x0D, 1], [0x0B], [0x80],
        [0x12, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01],
    ] as [[UInt8]])
    func brokenBytesAreNotFollowed(bytes: [UInt8]) {
        admin.view.update { $0.bootstrapWire = bytes }
        #expect([200, 500].contains(admin.answer("/config_dump").status))
    }
}
