// SPDX-License-Identifier: Apache-2.0

/// What a stat is.
package enum StatKind: UInt8, Sendable {
    case counter, gauge, histogram
}

/// What the values of a histogram are measured in.
package enum StatUnit: UInt8, Sendable {
    case none, milliseconds, microseconds, bytes
}

/// One label: Envoy's tag name (`envoy.cluster_name`) and its value.
package struct StatTag: Hashable, Sendable {
    /// Envoy's dotted name; Prometheus prints it with underscores.
    package let name: String
    /// The text cut out of the stat's name.
    package let value: String

    package init(_ name: String, _ value: String) {
        self.name = name
        self.value = value
    }
}

/// The declaration of a stat, shared by every scope that declares the same one.
package struct StatDefinition: Hashable, Sendable {
    /// Envoy's name within its scope, such as `downstream_rq_2xx`.
    package let name: String
    /// The name with the tag's text removed (`downstream_rq_xx`); equal to `name` where `tag` is nil.
    package let extractedName: String
    /// The label that `extractedName` lacks.
    package let tag: StatTag?
    /// Counter, gauge or histogram.
    package let kind: StatKind
    /// Unit of a histogram's values.
    package let unit: StatUnit
    /// One sentence for a reader of `docs/stats.md`; not printed by admin, because Envoy prints none.
    package let help: String

    package init(_ name: String, kind: StatKind, unit: StatUnit = .none, help: String) {
        self.name = name
        self.kind = kind
        self.unit = unit
        self.help = help
        (extractedName, tag) = StatDefinition.extractResponseCode(name)
    }

    /// Cuts a trailing `_rq_200` or `_rq_2xx` the way Envoy's built-in tags `response_code` and `response_code_class` do.
    private static func extractResponseCode(_ name: String) -> (String, StatTag?) {
        let tail = Array(name.utf8.suffix(7))
        guard tail.count == 7, tail.starts(with: "_rq_".utf8), (0x30...0x39).contains(tail[4]) else { return (name, nil) }
        let code = String(name.suffix(3))
        if tail[5] == UInt8(ascii: "x"), tail[6] == UInt8(ascii: "x") {
            return (String(name.dropLast(3)) + "xx", StatTag("envoy.response_code_class", String(code.prefix(1))))
        }
        guard (0x30...0x39).contains(tail[5]), (0x30...0x39).contains(tail[6]) else { return (name, nil) }
        return (String(name.dropLast(4)), StatTag("envoy.response_code", code))
    }
}
