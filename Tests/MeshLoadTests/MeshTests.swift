// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@testable import MeshLoad

@Suite struct MeshConfigurationTests {
    private let configuration = MeshConfiguration(
        shape: MeshShape(services: 12, endpoints: 2, routes: 3), port: 20_001, adminPort: 20_002, endpointPorts: [20_003, 20_004, 20_005])

    private func object(_ text: String) throws -> [String: Any] {
        try #require(JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
    }

    /// A file of the folder.
    private func file(_ name: String) throws -> [String: Any] {
        try object(#require(configuration.files(folder: "/m")[name]))
    }

    /// The value at a path of keys and places.
    private func value(_ object: Any?, _ path: Any...) throws -> Any {
        var value = object
        for step in path {
            if let key = step as? String { value = (value as? [String: Any])?[key] }
            if let place = step as? Int { value = (value as? [Any]).flatMap { place < $0.count ? $0[place] : nil } }
        }
        return try #require(value, "\(path)")
    }

    @Test func theBootstrapHoldsEveryServiceWithItsRoutesAndEndpoints() throws {
        let bootstrap = try object(configuration.bootstrap)
        let clusters = try #require(value(bootstrap, "static_resources", "clusters") as? [[String: Any]])
        #expect(clusters.count == 12)
        #expect(clusters.last?["name"] as? String == "outbound|80||svc-11.default.svc.cluster.local")
        let endpoints = try value(clusters.last, "load_assignment", "endpoints", 0, "lb_endpoints")
        #expect((endpoints as? [Any])?.count == 2)
        let filter = try value(bootstrap, "static_resources", "listeners", 0, "filter_chains", 0, "filters", 0, "typed_config")
        let hosts = try #require(value(filter, "route_config", "virtual_hosts") as? [[String: Any]])
        #expect(hosts.count == 12)
        let routes = try #require(hosts[3]["routes"] as? [[String: Any]])
        #expect(try routes.map { try value($0, "match", "prefix") as? String } == ["/api/v0/", "/api/v1/", "/"])
        #expect(try value(routes[0], "route", "cluster") as? String == "outbound|80||svc-3.default.svc.cluster.local")
    }

    @Test func theFolderPointsFromTheBootstrapToEveryEndpoint() throws {
        #expect(configuration.files(folder: "/m").count == 4 + 12)
        let bootstrap = try file("bootstrap.json")
        #expect(try value(bootstrap, "dynamic_resources", "lds_config", "path_config_source", "path") as? String == "/m/lds.json")
        #expect(try value(bootstrap, "dynamic_resources", "cds_config", "path_config_source", "path") as? String == "/m/cds.json")
        let listener = try value(file("lds.json"), "resources", 0)
        #expect(try value(listener, "@type") as? String == "type.googleapis.com/envoy.config.listener.v3.Listener")
        let rds = try value(listener, "filter_chains", 0, "filters", 0, "typed_config", "rds")
        #expect(try value(rds, "config_source", "path_config_source", "path") as? String == "/m/rds.json")
        let table = try value(file("rds.json"), "resources", 0)
        #expect(try value(table, "name") as? String == value(rds, "route_config_name") as? String)
        let clusters = try #require(value(file("cds.json"), "resources") as? [[String: Any]])
        for (service, cluster) in clusters.enumerated() {
            let path = try value(cluster, "eds_cluster_config", "eds_config", "path_config_source", "path")
            #expect(path as? String == "/m/eds/\(service).json")
            let assignment = try value(file("eds/\(service).json"), "resources", 0)
            #expect(try value(assignment, "cluster_name") as? String == value(cluster, "eds_cluster_config", "service_name") as? String)
        }
    }

    @Test func theServicesThatAreAskedAreSpreadOverAll() {
        #expect(MeshShape(services: 100, endpoints: 1, routes: 1).asked(4) == [0, 25, 50, 75])
        #expect(MeshShape(services: 3, endpoints: 1, routes: 1).asked(10) == [0, 1, 2])
    }

    @Test func everyRouteOfThemIsAsked() {
        let plan = MeshShape(services: 100, endpoints: 1, routes: 2).requests(3)
        #expect(plan.requests.map(\.path) == ["/api/v0/items", "/", "/api/v0/items", "/", "/api/v0/items", "/"])
        #expect(plan.requests.last?.authority == "svc-66.default.svc.cluster.local")
    }

    @Test(arguments: [MeshShape(services: 0, endpoints: 1, routes: 1), MeshShape(services: 1, endpoints: 51, routes: 1), MeshShape(services: 1, endpoints: 1, routes: 0)])
    func shapesThatAreNoneAreRefused(shape: MeshShape) {
        #expect(throws: ScenarioError.self) { try shape.check() }
    }

    @Test func apusIsNotStartedOnAFolder() {
        let plan = MeshPlan(
            proxies: [ProxyChoice(kind: .apus)], shapes: [MeshShape(services: 1, endpoints: 1, routes: 1)], form: .xds, folder: "/m")
        #expect(throws: ScenarioError.self) { try plan.check() }
    }
}

@Suite struct MeshReportTests {
    private func reading(_ proxy: String, _ services: Int, _ round: Int, idle: UInt64, cpu: Double, dropped: Bool = false) -> MeshReading {
        MeshReading(
            proxy: proxy, shape: MeshShape(services: services, endpoints: 2, routes: 3), round: round, configurationBytes: 5_000,
            secondsToServe: 0.25, idleBytes: idle, loadedBytes: idle + 1, cpuMicroseconds: cpu, throughput: 1_000, failed: 0, isDropped: dropped)
    }

    private func report(_ readings: [MeshReading]) -> MeshReport {
        MeshReport(
            date: "d", machine: "m", command: "c", form: .bootstrap, asked: 10,
            participants: [ComparisonParticipant(label: "apus", kind: .apus, path: "/a", version: "1")], readings: readings, broken: [])
    }

    @Test func whatOneMoreServiceTakesIsTheSlopeBetweenSizes() {
        let table = report([
            reading("apus", 10, 0, idle: 10_000_000, cpu: 10), reading("apus", 110, 0, idle: 10_500_000, cpu: 11),
            reading("envoy", 110, 0, idle: 60_000_000, cpu: 30),
        ]).table()
        #expect(table.map { $0[5] } == ["a service more", "–", "5.00 kB", "–"])
    }

    @Test func costsAreMediansOfTheQuietRounds() {
        let rows = report([
            reading("apus", 10, 0, idle: 10, cpu: 10), reading("apus", 10, 1, idle: 10, cpu: 12), reading("apus", 10, 2, idle: 10, cpu: 90, dropped: true),
        ]).rows
        #expect(rows.map(\.cpuMicroseconds) == [11])
        #expect(!rows[0].hasNoise)
        #expect(report([reading("apus", 10, 0, idle: 10, cpu: 90, dropped: true)]).rows[0].hasNoise)
    }

    @Test func thePageHasAPlotForEachFigure() {
        let page = report([reading("apus", 10, 0, idle: 10, cpu: 10), reading("apus", 100, 0, idle: 20, cpu: 10)]).page
        #expect(page.components(of: "<polyline") == 4)
    }
}
