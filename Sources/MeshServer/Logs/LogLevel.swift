// SPDX-License-Identifier: Apache-2.0

/// How grave a line of the application log is. Names are Envoy's.
package enum LogLevel: Int, Sendable, CaseIterable, Comparable {
    case trace, debug, info, warning, error, critical, off

    package static func < (left: LogLevel, right: LogLevel) -> Bool { left.rawValue < right.rawValue }

    /// Envoy's spelling; `warn` is taken too. Nil for anything else.
    package init?(name: String) {
        switch name {
        case "trace": self = .trace
        case "debug": self = .debug
        case "info": self = .info
        case "warning", "warn": self = .warning
        case "error": self = .error
        case "critical": self = .critical
        case "off": self = .off
        default: return nil
        }
    }

    package var name: String {
        switch self {
        case .trace: "trace"
        case .debug: "debug"
        case .info: "info"
        case .warning: "warning"
        case .error: "error"
        case .critical: "critical"
        case .off: "off"
        }
    }
}
