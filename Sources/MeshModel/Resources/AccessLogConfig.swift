// SPDX-License-Identifier: Apache-2.0

/// One access log. Source: `envoy.config.accesslog.v3.AccessLog`.
package struct AccessLogConfig: Equatable, Sendable {
    package var destination: Destination
    /// A whole line including its line feed. Default: `FormatTemplate.defaultAccessLog`.
    package var format: FormatTemplate

    package enum Destination: Hashable, Sendable {
        /// Appended to. Source: `FileAccessLog.path`; `/dev/stdout` and `/dev/stderr` become the streams below.
        case file(String)
        case standardOutput
        case standardError
    }

    package init(_ destination: Destination, format: FormatTemplate = .defaultAccessLog) {
        self.destination = destination
        self.format = format
    }
}
