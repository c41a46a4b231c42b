// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

/// STYLE.md's rules that a machine can hold.
struct RuleTests {
    let sources: [SourceTree.File]

    init() throws {
        sources = try SourceTree.files(in: "Sources").filter { !$0.isGenerated }
    }

    /// Every line of code that matches, as `path:line: text`.
    private func lines(in files: [SourceTree.File], where matches: (String) -> Bool) -> [String] {
        files.flatMap { file in
            file.lines.enumerated().compactMap { index, line in
                matches(SourceTree.code(line)) ? "\(file.path):\(index + 1): \(line.trimmingCharacters(in: .whitespaces))" : nil
            }
        }
    }

    /// Foundation costs megabytes of memory: only where configuration is read and the process is put together, and in the
    /// load tester, whose memory nobody measures.
    @Test func foundationStaysAboveTheDataPath() {
        let allowed: Set<String> = ["MeshProto", "MeshXDS", "MeshServer", "apus", "MeshLoad", "meshbench"]
        let found = lines(in: sources.filter { !allowed.contains($0.target) }) { line in
            SourceTree.imported(by: line).map { $0.hasPrefix("Foundation") } ?? false
        }
        #expect(found.isEmpty, "\(found)")
    }

    @Test func noTaskActorOrDispatchQueue() {
        let words = ["async", "await", "actor", "Dispatch", "DispatchQueue", "Task"]
        let found = lines(in: sources) { line in
            if SourceTree.imported(by: line) == "Dispatch" { return true }
            let tokens = line.split { !$0.isLetter && !$0.isNumber && $0 != "_" && $0 != "." }
            return tokens.contains { words.contains(String($0)) }
        }
        #expect(found.isEmpty, "\(found)")
    }

    @Test func noForcedUnwrapCastOrTry() throws {
        let forced = try Regex(#"\btry!|\bas!|[\w\)\]]!(\.|\)|,|\]|\s*$|\s+[^=])"#)
        let found = lines(in: sources) { $0.firstMatch(of: forced) != nil }
        #expect(found.isEmpty, "\(found)")
    }

    /// Each use says why it is sound, within a few lines.
    @Test func uncheckedSendableSaysWhy() {
        var found: [String] = []
        var count = 0
        for file in sources {
            for (index, line) in file.lines.enumerated() {
                let code = SourceTree.code(line)
                guard code.contains("@unchecked Sendable") || code.contains("nonisolated(unsafe)") else { continue }
                count += 1
                let near = file.lines[max(0, index - 6)...min(index + 2, file.lines.count - 1)]
                if !near.contains(where: { $0.contains("Sendable because") }) { found.append("\(file.path):\(index + 1)") }
            }
        }
        #expect(found.isEmpty, "\(found)")
        // More than this many wants a look at the design, not a higher number.
        #expect(count <= 12, "\(count) uses")
    }

    @Test func longFilesSayWhy() {
        let found = sources.filter { file in
            guard file.lines.count > 600 else { return false }
            return !file.lines.prefix(12).contains { $0.contains("600 lines") }
        }
        #expect(found.isEmpty, "over 600 lines without a reason at the top: \(found.map(\.path))")
    }

    @Test func everyFileNamesItsLicence() throws {
        let all = try sources + SourceTree.files(in: "Tests")
        let found = all.filter { $0.lines.first?.contains("SPDX-License-Identifier: Apache-2.0") != true }
        #expect(found.isEmpty, "\(found.map(\.path))")
    }

    @Test func noPlaceholderIsLeft() throws {
        let all = try sources + SourceTree.files(in: "Tests")
        let found = all.filter { $0.path.hasSuffix("Placeholder.swift") }.map(\.path)
        #expect(found.isEmpty, "\(found)")
    }

    @Test func namesSayWhatThingsAre() throws {
        let banned = try Regex(#"\b(class|struct|enum|protocol) \w*(Helper|Utils?|Impl|Manager)\b"#)
        let allowed = ["ClusterManager", "HTTPConnectionManager"]
        let found = lines(in: sources) { line in
            line.firstMatch(of: banned) != nil && !allowed.contains { line.contains($0) }
        }
        #expect(found.isEmpty, "\(found)")
    }

    @Test func noTestSleeps() throws {
        // This file names what it forbids.
        let tests = try SourceTree.files(in: "Tests").filter { !$0.path.hasPrefix("Tests/ArchitectureTests") }
        let found = lines(in: tests) { line in
            line.contains("usleep(") || line.contains("sleep(") || line.contains("Task.sleep")
        }
        #expect(found.isEmpty, "\(found)")
    }
}
