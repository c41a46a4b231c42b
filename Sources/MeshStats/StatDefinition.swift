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
    /// Counter, gauge or histogram.
    package let kind: StatKind
    /// Unit of a histogram's values.
    package let unit: StatUnit
    /// One sentence for a reader of the code; not printed by admin, because Envoy prints none.
    package let help: String

    package init(_ name: String, kind: StatKind, unit: StatUnit = .none, help: String) {
        self.name = name
        self.kind = kind
        self.unit = unit
        self.help = help
    }
}
