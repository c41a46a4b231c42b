// SPDX-License-Identifier: Apache-2.0

/// A field that is set and that Apus does not honour: one row of the report that `--mode validate` prints and admin
/// serves.
package struct UnsupportedField: Equatable, Sendable, CustomStringConvertible {
    /// What it means for the mesh that the field is not honoured.
    package enum Severity: String, Sendable, CaseIterable {
        /// Nothing observable changes, or only what is observed about the proxy.
        case ignoredSafe = "ignored-safe"
        /// Traffic flows, but not all as configured.
        case degraded
        /// Going on would be less secure than what is configured; what carries the field must not be used.
        case refused
    }

    /// The field, e.g. `static_resources.clusters[0].transport_socket`.
    package var path: String
    /// What stands there, short and without secrets: a scalar, the names of the fields that are set, or a type URL.
    package var value: String
    package var severity: Severity
    /// One clause for people.
    package var reason: String

    package init(path: String, value: String, severity: Severity, reason: String) {
        self.path = path
        self.value = value
        self.severity = severity
        self.reason = reason
    }

    /// One line: severity, path, value, reason.
    package var description: String { "\(severity.rawValue): \(path) = \(value) (\(reason))" }
}
