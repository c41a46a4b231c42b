// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshIO
import MeshModel
import MeshStats

/// A decoded filter configuration; made on the control thread, so that a bad one is refused before it is used.
package protocol HTTPFilterConfig: Sendable {
    /// A filter for one stream; nil where the route leaves it inert.
    func makeFilter(_ stream: ActiveStream) -> HTTPFilter?
}

/// Why a filter configuration was refused.
package struct FilterConfigError: Error, Equatable, Sendable {
    package let reason: String
    package init(_ reason: String) { self.reason = reason }
}

/// The one list of filters the proxy knows; adding a filter is adding a row. Tests inject their own.
package struct FilterRegistry: Sendable {
    /// Binds a type URL to how its bytes become a configuration.
    package struct HTTPRow: Sendable {
        let typeURL: String
        let decode: @Sendable ([UInt8]) throws(FilterConfigError) -> any HTTPFilterConfig

        package init(
            _ typeURL: String, _ decode: @escaping @Sendable ([UInt8]) throws(FilterConfigError) -> any HTTPFilterConfig
        ) {
            self.typeURL = typeURL
            self.decode = decode
        }
    }

    /// A filter that is accepted and does nothing, with the reason why that is right.
    package struct IgnoredRow: Sendable {
        let typeURL: String
        let reason: String

        package init(_ typeURL: String, because reason: String) {
            self.typeURL = typeURL
            self.reason = reason
        }
    }

    /// The terminal filter; not a row, because the connection manager ends every chain with it.
    package static let routerTypeURL = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"

    package let http: [HTTPRow]
    package let ignored: [IgnoredRow]

    package init(http: [HTTPRow], ignored: [IgnoredRow] = []) {
        self.http = http
        self.ignored = ignored
    }

    package static let builtin = FilterRegistry(http: [], ignored: [])

    /// Decodes one configured filter.
    ///
    /// - Returns: nil for an ignored row, or for an unknown filter marked optional.
    /// - Throws: `FilterConfigError` for an unknown filter or a configuration its row refuses.
    func decode(_ config: TypedConfig) throws(FilterConfigError) -> (any HTTPFilterConfig)? {
        for row in http where row.typeURL == config.typeURL { return try row.decode(config.bytes) }
        if ignored.contains(where: { $0.typeURL == config.typeURL }) || config.isOptional { return nil }
        let known = (http.map(\.typeURL) + ignored.map(\.typeURL) + [FilterRegistry.routerTypeURL]).joined(separator: ", ")
        throw FilterConfigError("unknown HTTP filter '\(config.name)' with type \(config.typeURL); known are: \(known)")
    }
}
