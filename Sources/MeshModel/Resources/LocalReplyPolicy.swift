// SPDX-License-Identifier: Apache-2.0

/// How responses of the proxy's own look. Source: `LocalReplyConfig`.
package struct LocalReplyPolicy: Equatable, Sendable {
    /// The first that fits a reply changes it. Source: `mappers`.
    package var mappers: [Mapper] = []
    /// Of every reply's body. Source: `body_format`. Default: nil, the body as it is.
    package var body: Body?

    /// Source: `ResponseMapper`.
    package struct Mapper: Equatable, Sendable {
        package var filter: AccessLogFilter
        /// Source: `status_code`. Default: nil, as it is.
        package var status: UInt16?
        /// Source: `body`. Default: nil, as it is.
        package var text: [UInt8]?
        /// In place of the policy's. Source: `body_format_override`.
        package var body: Body?
        /// Source: `headers_to_add`.
        package var headers: [HeaderMutation]

        package init(filter: AccessLogFilter) {
            self.filter = filter
            headers = []
        }
    }

    /// A body that is made from a format.
    package struct Body: Equatable, Sendable {
        package var format: AccessLogFormat
        /// Source: `content_type`. Default: `text/plain`, `application/json` for JSON.
        package var contentType: String

        package init(format: AccessLogFormat, contentType: String) {
            self.format = format
            self.contentType = contentType
        }
    }

    package init() {}
}
