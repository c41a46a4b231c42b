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
    @OptionGroup var reports: ReportOptions

    func run() throws {
        guard (1...2).contains(files.count) else { throw ValidationError("found \(files.count) files; allowed: one or two") }
        let summaries = try files.map { path in
            guard let bytes = FileContents.bytes(path) else { throw ValidationError("\(path): cannot be read") }
            do throws(ScenarioError) { return try FileReport.read(bytes, path: path) } catch { throw RunFailure(error.description) }
        }
        guard summaries.count == 2 else {
            let summary = summaries[0]
            print(TextReport.text(summary), terminator: "")
            return try reports.write(json: FileReport.json(summary), csv: FileReport.csv(summary), html: HTMLReport.page(summaries))
        }
        let compared = RunComparison(summaries[0], summaries[1])
        print(TextReport.comparison(summaries[0], summaries[1]), terminator: "")
        try reports.write(json: FileReport.json(compared), csv: FileReport.csv(compared), html: HTMLReport.page(summaries))
    }
}
