// SPDX-License-Identifier: Apache-2.0
import ArgumentParser

/// The command line; every decision about load is in MeshLoad.
struct MeshbenchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "meshbench",
        abstract: "Load tests whose numbers people believe.",
        discussion: """
            Examples:
              meshbench serve --port 8080 &
              meshbench run http://127.0.0.1:8080/ --rate 2000 --duration 10s
              meshbench run https://127.0.0.1:8443/ --protocol http2 -c 10 -s 32 \\
                --closed --html run.html
              meshbench run http://127.0.0.1:8080/ -p grpc --grpc-call bidi \\
                --messages 10 --rate 500
              meshbench run ws://127.0.0.1:8080/ --body-size exp:2000 --rate 1000
              meshbench find http://127.0.0.1:8080/ --keep 'p99<5ms'
              meshbench report before.json after.json
              meshbench compare --proxy apus --proxy envoy --html report.html
              meshbench mesh --services 10,1000 --html mesh.html
            """,
        subcommands: [RunCommand.self, FindCommand.self, ServeCommand.self, ReportCommand.self, CompareCommand.self, MeshCommand.self])
}
