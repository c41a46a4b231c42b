// SPDX-License-Identifier: Apache-2.0
package import MeshProto

/// What the configuration asks for and Apus does not do: printed by `--mode validate`, served at `/unsupported`.
package enum UnsupportedReport {
    /// A line for each field, the gravest first, and a line with the counts.
    package static func text(_ fields: [UnsupportedField]) -> String {
        guard !fields.isEmpty else { return "every field of the configuration is honoured\n" }
        var text = ""
        var counts: [String] = []
        for severity in UnsupportedField.Severity.allCases.reversed() {
            let rows = fields.filter { $0.severity == severity }
            for row in rows { text += "\(row)\n" }
            if !rows.isEmpty { counts.append("\(rows.count) \(severity.rawValue)") }
        }
        return text + "\(fields.count) fields are not honoured: \(counts.joined(separator: ", "))\n"
    }
}
