// SPDX-License-Identifier: Apache-2.0
import Foundation

/// The checkout as the tests read it.
enum SourceTree {
    /// The directory with Package.swift.
    static let root: URL = {
        var url = URL(fileURLWithPath: #filePath)
        for _ in 0..<3 { url.deleteLastPathComponent() }
        return url
    }()

    /// A Swift file of ours.
    struct File: Sendable {
        /// The target: the folder below Sources or Tests.
        let target: String
        /// Path from the root.
        let path: String
        let lines: [String]
        var isGenerated: Bool { path.contains("/Generated/") }
        var text: String { lines.joined(separator: "\n") }
    }

    /// Every Swift file below `folder`.
    static func files(in folder: String) throws -> [File] {
        let base = root.appendingPathComponent(folder)
        let names = try FileManager.default.subpathsOfDirectory(atPath: base.path).sorted()
        return try names.filter { $0.hasSuffix(".swift") }.map { name in
            let text = try String(contentsOf: base.appendingPathComponent(name), encoding: .utf8)
            let target = name.split(separator: "/").first.map(String.init) ?? ""
            let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
            return File(target: target, path: folder + "/" + name, lines: lines)
        }
    }

    static func text(of name: String) throws -> String {
        try String(contentsOf: root.appendingPathComponent(name), encoding: .utf8)
    }

    /// The modules that a line imports, nil for a line that is no import.
    static func imported(by line: String) -> String? {
        var words = line.split(separator: " ")
        while let first = words.first, first.hasPrefix("@") || ["public", "package", "internal", "private", "fileprivate"].contains(first) {
            words.removeFirst()
        }
        guard words.first == "import", words.count >= 2 else { return nil }
        let kinds: Set<Substring> = ["struct", "class", "enum", "func", "protocol", "typealias", "var", "let"]
        let module = kinds.contains(words[1]) && words.count > 2 ? words[2] : words[1]
        return module.split(separator: ".").first.map(String.init)
    }

    /// A line without the text of its comment and its string literals, so that a word in either is not taken for code.
    static func code(_ line: String) -> String {
        var output = ""
        var isInString = false
        var previous: Character = " "
        for character in line {
            if character == "\"", previous != "\\" { isInString.toggle() }
            if !isInString {
                if character == "/", previous == "/" { return String(output.dropLast()) }
                output.append(character)
            }
            previous = character
        }
        return output
    }
}

/// The import table of ARCHITECTURE.md: the one place where it is written down.
struct ImportTable {
    let allowed: [String: Set<String>]

    /// Reads the rows `| target | imports |` below the heading "Imports".
    init() throws {
        var rows: [String: Set<String>] = [:]
        var isInside = false
        for line in try SourceTree.text(of: "ARCHITECTURE.md").split(separator: "\n") {
            if line.hasPrefix("#") { isInside = line.hasSuffix("Imports") }
            guard isInside, line.hasPrefix("| `") else { continue }
            let cells = line.split(separator: "|").map { cell in
                cell.split(separator: "`").enumerated().filter { $0.offset % 2 == 1 }.map { String($0.element) }
            }
            guard cells.count >= 2 else { continue }
            for target in cells[0] { rows[target, default: []].formUnion(cells[1]) }
        }
        allowed = rows
    }
}
