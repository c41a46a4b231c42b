// SPDX-License-Identifier: Apache-2.0

/// One access log. Source: `envoy.config.accesslog.v3.AccessLog`.
package struct AccessLogConfig: Equatable, Sendable {
    package var destination: Destination
    /// Default: `FormatTemplate.defaultAccessLog`.
    package var format: AccessLogFormat
    /// Which records are written; nil for all.
    package var filter: AccessLogFilter?

    package enum Destination: Hashable, Sendable {
        /// Appended to. Source: `FileAccessLog.path`; `/dev/stdout` and `/dev/stderr` become the streams below.
        case file(String)
        case standardOutput
        case standardError
    }

    package init(
        _ destination: Destination, format: AccessLogFormat = AccessLogFormat(.defaultAccessLog),
        filter: AccessLogFilter? = nil
    ) {
        self.destination = destination
        self.format = format
        self.filter = filter
    }

    /// A text log.
    package init(_ destination: Destination, format: FormatTemplate) {
        self.init(destination, format: AccessLogFormat(format))
    }
}

/// When records are written besides the end. Source: `HcmAccessLogOptions`, `TcpAccessLogOptions`.
package struct AccessLogOptions: Equatable, Sendable {
    /// A record of what goes on is written this often. Source: `access_log_flush_interval`. Default: nil, never.
    package var flushInterval: Duration?
    /// A record when the request has its route, or the upstream connection is there.
    /// Source: `flush_access_log_on_new_request`, `flush_access_log_on_connected`. Default: false.
    package var logsBeginning = false
    /// A record when the connection came, before anything is known of an upstream. Source: `flush_access_log_on_start`.
    /// Default: false.
    package var logsStart = false
    /// A record when an upgrade or CONNECT has succeeded. Source: `flush_log_on_tunnel_successfully_established`.
    /// Default: false.
    package var logsTunnel = false

    package init() {}
}

/// Which record of a request or connection it is. Source: `envoy.data.accesslog.v3.AccessLogType`.
package enum AccessLogType: UInt8, CaseIterable, Sendable {
    case notSet = 0
    case tcpUpstreamConnected = 1
    case tcpPeriodic = 2
    case tcpConnectionEnd = 3
    case downstreamStart = 4
    case downstreamPeriodic = 5
    case downstreamEnd = 6
    case upstreamPoolReady = 7
    case upstreamPeriodic = 8
    case upstreamEnd = 9
    case downstreamTunnelEstablished = 10
    case tcpConnectionStart = 14

    /// Envoy's name.
    package var name: StaticString {
        switch self {
        case .notSet: "NotSet"
        case .tcpUpstreamConnected: "TcpUpstreamConnected"
        case .tcpPeriodic: "TcpPeriodic"
        case .tcpConnectionEnd: "TcpConnectionEnd"
        case .downstreamStart: "DownstreamStart"
        case .downstreamPeriodic: "DownstreamPeriodic"
        case .downstreamEnd: "DownstreamEnd"
        case .upstreamPoolReady: "UpstreamPoolReady"
        case .upstreamPeriodic: "UpstreamPeriodic"
        case .upstreamEnd: "UpstreamEnd"
        case .tcpConnectionStart: "TcpConnectionStart"
        case .downstreamTunnelEstablished: "DownstreamTunnelSuccessfullyEstablished"
        }
    }
}
