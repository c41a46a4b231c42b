// SPDX-License-Identifier: Apache-2.0
import CProcess
import Glibc
import Synchronization

/// What the process says about itself, on stderr or in `--log-path`. For events of the control plane, never per request.
package final class ApplicationLog: Sendable {
    /// Envoy's default for `--log-format`.
    package static let defaultFormat = "[%Y-%m-%d %T.%e][%t][%l][%n] [%g:%#] %v"

    /// The names `POST /logging` knows: all of Envoy's loggers in its order, so that what asks for any of them is answered.
    package static let components = [
        "a2a", "admin", "ai_protocol_manager", "alternate_protocols_cache", "aws", "assert", "backtrace", "basic_auth",
        "cache_filter", "client", "config", "connection", "conn_handler", "compression", "credential_injector",
        "decompression", "dns", "dubbo", "envoy_bug", "ext_authz", "ext_proc", "rocketmq", "file", "filter", "forward_proxy",
        "geolocation", "grpc", "happy_eyeballs", "hc", "health_checker", "http", "http2", "hystrix", "init", "io", "jwt",
        "json_rpc", "kafka", "key_value_store", "lua", "local_rate_limit", "main", "matcher", "mcp", "misc", "mongo",
        "multi_connection", "notification", "oauth2", "quic", "quic_stream", "pool", "rate_limit_quota", "rbac", "rds",
        "redis", "router", "runtime", "stats", "secret", "sse", "tap", "testing", "thrift", "tracing", "upstream", "udp",
        "wasm", "websocket", "golang", "stats_sinks", "dynamic_modules", "ip_tagging",
    ]
    private static let componentSet = Set(components)

    /// Whether a logger of that name exists.
    package static func isComponent(_ name: String) -> Bool { componentSet.contains(name) }

    /// So many of the last warnings and errors are kept for `/recent_errors`.
    package static let recentLimit = 50
    /// Bytes of a kept message; the log itself has it whole.
    private static let recentMessageLimit = 1_000

    private struct State {
        var descriptor: Int32
        var path: String
        var pattern: LogPattern
        var levels: [String: LogLevel] = [:]
        var level: LogLevel
        /// The last records of level warning or above, whatever the level that is written; the oldest first.
        var recent: [LogRecord] = []
    }

    private let state: Mutex<State>

    /// Logs to stderr until `open` is called.
    package init(level: LogLevel = .info, format: String = ApplicationLog.defaultFormat, escapes: Bool = false) {
        state = Mutex(State(descriptor: STDERR_FILENO, path: "", pattern: LogPattern(format, escapes: escapes), level: level))
    }

    /// Sends what follows to a file. False when it cannot be opened; then nothing changes.
    package func open(path: String) -> Bool {
        let descriptor = Glibc.open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { return false }
        state.withLock { state in
            if state.descriptor != STDERR_FILENO { close(state.descriptor) }
            state.descriptor = descriptor
            state.path = path
        }
        return true
    }

    /// Opens the log file again, after it was renamed (SIGUSR1).
    package func reopen() {
        let path = state.withLock { $0.path }
        if !path.isEmpty { _ = open(path: path) }
    }

    /// Uses another pattern from now on (`application_log_config`).
    package func setFormat(_ format: String, escapes: Bool) {
        state.withLock { $0.pattern = LogPattern(format, escapes: escapes) }
    }

    /// Sets the level of one component, or of all.
    package func setLevel(_ level: LogLevel, component: String? = nil) {
        state.withLock { state in
            if let component {
                state.levels[component] = level
            } else {
                state.level = level
                state.levels = [:]
            }
        }
    }

    /// The level of one component.
    package func level(of component: String) -> LogLevel {
        state.withLock { $0.levels[component] ?? $0.level }
    }

    /// Every component with its level.
    package var levels: [(component: String, level: LogLevel)] {
        state.withLock { state in ApplicationLog.components.map { ($0, state.levels[$0] ?? state.level) } }
    }

    /// The last warnings and errors, the oldest first.
    var recentProblems: [LogRecord] { state.withLock { $0.recent } }

    /// Writes one line if the component's level lets it through. A failing stderr is ignored: there is nowhere to say so.
    package func log(
        _ level: LogLevel, _ component: String, _ message: @autoclosure () -> String, file: StaticString = #fileID,
        line: Int = #line
    ) {
        let isWritten = level >= self.level(of: component)
        guard isWritten || level >= .warning, level != .off else { return }
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        let record = LogRecord(
            level: level, component: component, message: message(), file: file.description, line: line, time: time,
            thread: apus_thread_number())
        state.withLock { state in
            if level >= .warning {
                if state.recent.count >= ApplicationLog.recentLimit { state.recent.removeFirst() }
                state.recent.append(record.shortened(to: ApplicationLog.recentMessageLimit))
            }
            guard isWritten else { return }
            let bytes = state.pattern.line(record)
            _ = bytes.withUnsafeBytes { Glibc.write(state.descriptor, $0.baseAddress, $0.count) }
        }
    }

    package func debug(_ component: String, _ message: @autoclosure () -> String, file: StaticString = #fileID, line: Int = #line) {
        log(.debug, component, message(), file: file, line: line)
    }

    package func info(_ component: String, _ message: @autoclosure () -> String, file: StaticString = #fileID, line: Int = #line) {
        log(.info, component, message(), file: file, line: line)
    }

    package func warning(_ component: String, _ message: @autoclosure () -> String, file: StaticString = #fileID, line: Int = #line) {
        log(.warning, component, message(), file: file, line: line)
    }

    package func error(_ component: String, _ message: @autoclosure () -> String, file: StaticString = #fileID, line: Int = #line) {
        log(.error, component, message(), file: file, line: line)
    }

    /// A problem that ends the process; printed whatever the level.
    package func critical(_ component: String, _ message: @autoclosure () -> String, file: StaticString = #fileID, line: Int = #line) {
        log(.critical, component, message(), file: file, line: line)
    }
}
