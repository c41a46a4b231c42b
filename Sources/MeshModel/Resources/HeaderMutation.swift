// SPDX-License-Identifier: Apache-2.0

/// Header operations of one level (route configuration, virtual host, route, weighted cluster).
///
/// - Source: `request_headers_to_add`, `request_headers_to_remove`, `response_headers_to_add`,
///   `response_headers_to_remove`.
package struct HeaderMutations: Equatable, Sendable {
    /// Removals are done before additions.
    package var requestRemove: [String] = []
    package var requestAdd: [HeaderMutation] = []
    package var responseRemove: [String] = []
    package var responseAdd: [HeaderMutation] = []

    package init() {}

    /// Whether there is nothing to do.
    package var isEmpty: Bool {
        requestRemove.isEmpty && requestAdd.isEmpty && responseRemove.isEmpty && responseAdd.isEmpty
    }
}

/// One header to set. Source: `envoy.config.core.v3.HeaderValueOption`.
package struct HeaderMutation: Equatable, Sendable {
    /// Lower case. `:path` and `:authority` may be set; other pseudo headers are rejected.
    package var name: String
    /// The value with its `%COMMAND%`s, compiled.
    package var value: FormatTemplate
    /// Source: `append_action`, or the deprecated `append`. Default: append.
    package var action = Action.appendOrAdd
    /// Set the header although its value came out empty. Source: `keep_empty_value`. Default: false.
    package var keepEmptyValue = false

    /// Source: `HeaderAppendAction`.
    package enum Action: UInt8, Sendable {
        /// Add another field.
        case appendOrAdd = 0
        case addIfAbsent = 1
        case overwriteOrAdd = 2
        case overwriteIfPresent = 3
    }

    package init(name: String, value: FormatTemplate, action: Action = .appendOrAdd, keepEmptyValue: Bool = false) {
        self.name = name
        self.value = value
        self.action = action
        self.keepEmptyValue = keepEmptyValue
    }
}
