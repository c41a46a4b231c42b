// SPDX-License-Identifier: Apache-2.0

/// A resource that cannot be compiled into its tables.
package struct ResourceError: Error, Equatable, Sendable, CustomStringConvertible {
    /// Field path inside the resource, in Envoy's names.
    package var path: String
    /// What stands there.
    package var found: String
    /// What may stand there.
    package var allowed: String

    package init(path: String, found: String, allowed: String) {
        self.path = path
        self.found = found
        self.allowed = allowed
    }

    package var description: String { "\(path): found \(found); allowed: \(allowed)" }
}
