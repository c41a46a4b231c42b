// SPDX-License-Identifier: Apache-2.0

/// The configuration of an extension, not yet understood: the filter registry decodes it by its type.
///
/// - Source: `google.protobuf.Any` beside a `name`; a `TypedStruct` has been unwrapped.
package struct TypedConfig: Equatable, Sendable {
    /// Name of the filter instance; per-route configuration is found by it. Not unique.
    package var name: String
    /// Full type URL, as `type.googleapis.com/envoy.extensions.filters.http.router.v3.Router`.
    package var typeURL: String
    /// The message in protobuf's binary form.
    package var bytes: [UInt8]
    /// An unknown type is skipped instead of rejected. Source: `HttpFilter.is_optional`. Default: false.
    package var isOptional: Bool
    /// Only runs where a route turns it on. Source: `HttpFilter.disabled`. Default: false.
    package var isDisabled: Bool
    /// Field path of the configuration, for errors.
    package var path: String

    package init(
        name: String, typeURL: String, bytes: [UInt8], isOptional: Bool = false, isDisabled: Bool = false,
        path: String = ""
    ) {
        self.name = name
        self.typeURL = typeURL
        self.bytes = bytes
        self.isOptional = isOptional
        self.isDisabled = isDisabled
        self.path = path
    }

    /// The message name: what follows the last `/` of the type URL.
    package var messageName: Substring {
        typeURL.lastIndex(of: "/").map { typeURL[typeURL.index(after: $0)...] } ?? typeURL[...]
    }
}
