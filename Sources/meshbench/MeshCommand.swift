// SPDX-License-Identifier: Apache-2.0
public import ArgumentParser
import Foundation
import Glibc
public import MeshLoad

/// `meshbench mesh`.
struct MeshCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mesh",
        abstract: "What a data plane takes as the mesh around it grows.",
        discussion: """
            Makes the configuration of a sidecar in a mesh of so many services, each \
            with endpoints and routes, as a bootstrap or as a folder of xDS in JSON; \
            starts the data plane on it; and reports its memory, the time until it \
            serves the last service, and its cost per request, size by size.

            Examples:
              meshbench mesh --services 10,100,1000,5000 --html mesh.html
              meshbench mesh --proxy apus --proxy envoy --services 10,1000 \\
                --endpoints 5 --routes 4
              meshbench mesh --proxy envoy --form xds --services 100
              meshbench mesh --services 500 --form xds --write-only \\
                --folder /tmp/mesh
            """)

    @Option(help: "apus or envoy, with @LABEL and =PATH where wanted; may be repeated.")
    var proxy: [String] = ["apus"]
    @Option(help: "Numbers of services, separated by commas.")
    var services = "10,100,1000,5000"
    @Option(help: "Endpoints of a service.")
    var endpoints = 3
    @Option(help: "Routes of a service.")
    var routes = 3
    @Option(help: "bootstrap (everything in one file) or xds (a folder of discovery responses).")
    var form: MeshForm = .bootstrap
    @Option(help: "Services that the load asks for, spread over all.")
    var asked = 10
    @Option(help: "Fresh starts of each data plane at each size.")
    var rounds = 3
    @Option(help: "Load on each of them.")
    var duration = Seconds(1)
    @OptionGroup var reports: ReportOptions
    @OptionGroup var places: PlaceOptions

    func run() throws {
        var shapes: [MeshShape] = []
        for text in services.split(separator: ",") {
            guard let count = Int(text) else { throw ValidationError("services: found '\(text)'; allowed: numbers, such as 10,100,1000") }
            shapes.append(MeshShape(services: count, endpoints: endpoints, routes: routes))
        }
        try places.withFolder { folder in
            if places.writeOnly { try write(shapes, folder) } else { try measure(shapes, folder: folder) }
        }
    }

    private func measure(_ shapes: [MeshShape], folder: String) throws {
        let plan: MeshPlan
        do throws(ScenarioError) {
            var choices: [ProxyChoice] = []
            for text in proxy.flatMap({ $0.split(separator: ",").map(String.init) }) { choices.append(try ProxyChoice(text)) }
            plan = MeshPlan(
                proxies: choices, shapes: shapes, form: form, rounds: rounds, seconds: duration.value, asked: asked, proxyCPU: places.proxyCpu,
                loadCPU: places.loadCpu, folder: folder, command: "meshbench " + CommandLine.arguments.dropFirst().joined(separator: " "))
            try plan.check()
        } catch { throw ValidationError(error) }
        let line = StepLine()
        let report: MeshReport
        do throws(ScenarioError) {
            let measurement = try MeshMeasurement(plan) { line.show($0) }
            for text in measurement.notFound { line.note(text) }
            report = try measurement.run()
        } catch {
            line.clear()
            throw RunFailure(error.description)
        }
        line.clear()
        print(report.text, terminator: "")
        try reports.write(json: FileReport.json(report), csv: report.csv, html: report.page)
        if !report.isValid { throw ExitCode(2) }
    }

    /// Each size in a folder of its own; the ports are those that a sidecar has.
    private func write(_ shapes: [MeshShape], _ folder: String) throws {
        do throws(ScenarioError) {
            for shape in shapes {
                let place = "\(folder)/\(shape.services)"
                try MeshFiles.write(shape, form: form, folder: place)
                print("\(place)/bootstrap.json")
            }
        } catch { throw RunFailure(error.description) }
    }
}

extension MeshForm: ExpressibleByArgument {}
