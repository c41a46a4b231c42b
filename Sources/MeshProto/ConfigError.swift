// SPDX-License-Identifier: Apache-2.0

/// Why a configuration is refused, in the words an operator needs to mend it.
package struct ConfigError: Error, Equatable, Sendable, CustomStringConvertible {
    /// Where the configuration came from: a file name, or `--config-yaml`.
    package var source: String
    /// The field, e.g. `static_resources.listeners[0].name`; for a syntax error the line and column. May be empty.
    package var path: String
    /// What stands there.
    package var found: String
    /// What may stand there.
    package var allowed: String
    /// The nearest valid name, if one is near enough to be a likely slip.
    package var suggestion: String?

    package init(source: String, path: String, found: String, allowed: String, suggestion: String? = nil) {
        self.source = source
        self.path = path
        self.found = found
        self.allowed = allowed
        self.suggestion = suggestion
    }

    /// One line: source, path, found, allowed, suggestion.
    package var description: String {
        var text = source
        if !path.isEmpty { text += ": " + path }
        text += ": found \(found); allowed: \(allowed)"
        if let suggestion { text += "; did you mean \"\(suggestion)\"?" }
        return text
    }
}
