// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import MeshLoad

/// `meshbench report`.
struct ReportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "report",
        abstract: "Shows one result, or compares two.",
        discussion: """
            Examples:
              meshbench report run.json
              meshbench report before.json after.json --html compared.html
            """)

    @Argument(help: "Results that `run --json` wrote; one or two.")
    var files: [String]
    @Option(help: "Write a page with plots.")
    var html: String?

    func run() throws {
        guard (1...2).contains(files.count) else { throw ValidationError("found \(files.count) files; allowed: one or two") }
        let summaries = try files.map { path in
            guard let bytes = FileContents.bytes(path) else { throw ValidationError("\(path): cannot be read") }
            do throws(ScenarioError) { return try FileReport.read(bytes, path: path) } catch { throw RunFailure(error.description) }
        }
        if summaries.count == 2 {
            print(TextReport.comparison(summaries[0], summaries[1]), terminator: "")
        } else {
            print(TextReport.text(summaries[0]), terminator: "")
        }
        if let html { try FileContents.write(Array(HTMLReport.page(summaries).utf8), to: html) }
    }
}
