// SPDX-License-Identifier: Apache-2.0
import Foundation
package import MeshProto

/// A bootstrap with Envoy's word on it, from a file of verdicts in `xds-fixtures`: `base` is a bootstrap that Envoy accepts, each
/// of `cases` says what to `set` in it and what to `remove`, and what Envoy said.
package struct VerdictCase: CustomStringConvertible, Sendable {
    package let document: ConfigValue
    package let isAcceptedByEnvoy: Bool
    /// Apus says otherwise, and the file says why.
    package let differs: Bool
    /// The field that a refusal names.
    package let path: String?
    package let description: String

    /// The cases of `xds-fixtures/<file>`; none if it cannot be read.
    package static func all(of file: String) -> [VerdictCase] {
        let url = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("../../xds-fixtures/" + file)
        guard let data = try? Data(contentsOf: url),
            let fixture = try? ConfigText.read(Array(data), source: file),
            let base = fixture["base"], case .array(let cases)? = fixture["cases"]
        else { return [] }
        return cases.map { VerdictCase($0, of: base) }
    }

    private init(_ entry: ConfigValue, of base: ConfigValue) {
        var document = base
        if case .array(let sets)? = entry["set"] {
            for case .array(let pair) in sets where pair.count == 2 {
                document = document.changed(at: pair[0].steps, to: pair[1])
            }
        }
        if case .array(let removals)? = entry["remove"] {
            for removal in removals { document = document.changed(at: removal.steps, to: nil) }
        }
        self.document = document
        isAcceptedByEnvoy = entry["envoy"] == .string("accepts")
        differs = entry["differs"] != nil
        path = entry["at"]?.text
        description = entry["name"]?.text ?? "\(entry)"
    }
}

extension ConfigValue {
    fileprivate subscript(key: String) -> ConfigValue? {
        guard case .object(let members) = self else { return nil }
        return members.first { $0.key == key }?.value
    }

    fileprivate var text: String? {
        if case .string(let text) = self { text } else { nil }
    }

    fileprivate var steps: ArraySlice<ConfigValue> {
        if case .array(let steps) = self { steps[...] } else { [] }
    }

    fileprivate func changed(at path: ArraySlice<ConfigValue>, to new: ConfigValue?) -> ConfigValue {
        guard let step = path.first else { return new ?? self }
        switch (self, step) {
        case (.object(var members), .string(let key)):
            let place = members.firstIndex { $0.key == key }
            if path.count == 1, new == nil {
                if let place { members.remove(at: place) }
            } else if let place {
                members[place].value = members[place].value.changed(at: path.dropFirst(), to: new)
            } else {
                members.append(.init(key, ConfigValue.object([]).changed(at: path.dropFirst(), to: new)))
            }
            return .object(members)
        case (.array(var items), .number(let text)):
            if let index = Int(text), items.indices.contains(index) {
                items[index] = items[index].changed(at: path.dropFirst(), to: new)
            }
            return .array(items)
        default: return self
        }
    }
}
