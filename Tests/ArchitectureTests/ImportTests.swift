// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

struct ImportTests {
    let table: ImportTable
    let sources: [SourceTree.File]

    init() throws {
        table = try ImportTable()
        sources = try SourceTree.files(in: "Sources")
    }

    /// Modules of the platform that any target may use.
    static let platform: Set<String> = ["Glibc", "Synchronization"]

    @Test func theTableNamesEveryTarget() throws {
        let targets = Set(sources.map(\.target))
        #expect(targets.count > 8)
        #expect(targets.subtracting(table.allowed.keys).isEmpty)
    }

    @Test func everyImportIsInTheTable() {
        var wrong: [String] = []
        for file in sources {
            for line in file.lines {
                guard let module = SourceTree.imported(by: line), !ImportTests.platform.contains(module) else { continue }
                if table.allowed[file.target]?.contains(module) != true { wrong.append("\(file.path): import \(module)") }
            }
        }
        #expect(wrong.isEmpty, "not in ARCHITECTURE.md: \(wrong.joined(separator: "; "))")
    }

    /// Package.swift may not allow what the table forbids: each target's list there is a subset of its row.
    @Test func thePackageManifestAgreesWithTheTable() throws {
        let manifest = try SourceTree.text(of: "Package.swift")
        var compared = 0
        for line in manifest.split(separator: "\n") {
            guard let start = line.range(of: "library(\"") else { continue }
            let words = line[start.upperBound...].split(separator: "\"", omittingEmptySubsequences: false).map(String.init)
            guard words.count > 2 else { continue }
            let dependencies = Set(words.enumerated().filter { $0.offset % 2 == 0 && $0.offset > 0 }.map(\.element))
            let row = table.allowed[words[0]] ?? []
            #expect(dependencies.subtracting(row).isEmpty, "\(words[0]): \(dependencies.subtracting(row))")
            compared += 1
        }
        #expect(compared >= 8)
    }

    @Test func theTableHasNoCycle() {
        var state: [String: Int] = [:]
        func visit(_ target: String, _ trail: [String]) {
            if state[target] == 2 { return }
            #expect(state[target] != 1, "cycle: \((trail + [target]).joined(separator: " → "))")
            if state[target] == 1 { return }
            state[target] = 1
            for next in table.allowed[target] ?? [] { visit(next, trail + [target]) }
            state[target] = 2
        }
        for target in table.allowed.keys.sorted() { visit(target, []) }
    }

    @Test(arguments: [
        ("import Glibc", "Glibc"), ("package import MeshIO", "MeshIO"), ("@_exported public import SwiftProtobuf", "SwiftProtobuf"),
        ("import struct Foundation.Data", "Foundation"),
    ])
    func importLinesAreUnderstood(line: String, module: String) {
        #expect(SourceTree.imported(by: line) == module)
    }

    @Test func otherLinesAreNoImports() {
        #expect(SourceTree.imported(by: "// import Foundation") == nil)
        #expect(SourceTree.imported(by: "let important = 1") == nil)
    }
}
