// SPDX-License-Identifier: Apache-2.0

/// Where a walk stands in a configuration, rendered only when somebody has to read it.
struct FieldPath {
    enum Step { case field(String), index(Int), key(String) }

    private(set) var steps: [Step] = []

    mutating func push(_ step: Step) { steps.append(step) }

    mutating func pop() { steps.removeLast() }

    /// E.g. `static_resources.clusters[0].typed_extension_protocol_options["a.b"].name`.
    func text(_ extra: Step? = nil) -> String {
        var out = ""
        for step in extra.map({ steps + [$0] }) ?? steps {
            switch step {
            case .field(let name): out += out.isEmpty ? name : "." + name
            case .index(let index): out += "[\(index)]"
            case .key(let key): out += "[\"\(ConfigValue.cut(key))\"]"
            }
        }
        return out
    }
}
