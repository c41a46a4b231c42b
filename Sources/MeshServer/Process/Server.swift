// SPDX-License-Identifier: Apache-2.0
import CProcess
import Glibc
import MeshDataPlane
import MeshIO
import MeshModel
import MeshProto
import MeshStats

/// The process, from its options to its exit status.
package enum Server {
    /// Runs until a signal or admin ends it.
    ///
    /// - Parameter onLive: called on the control thread when traffic is served, with a way to command it; for the demo.
    /// - Returns: 0 after a clean end, 1 when the configuration or an address is refused.
    package static func run(
        _ options: ServerOptions, onLive: ((@escaping @Sendable (AdminCommand) -> Void) -> Void)? = nil
    ) -> Int32 {
        let startedAt = MonotonicInstant.current()
        let log = ApplicationLog(level: options.logLevel, format: options.logFormat, escapes: options.logFormatEscaped)
        for pair in options.componentLogLevel.split(separator: ",") {
            let sides = pair.split(separator: ":").map(String.init)
            if sides.count == 2, let level = LogLevel(name: sides[1]) { log.setLevel(level, component: sides[0]) }
        }
        if !options.logPath.isEmpty, !log.open(path: options.logPath) {
            log.critical("main", "cannot open log file '\(options.logPath)': \(String(cString: strerror(errno)))")
            return 1
        }
        if options.enableCoreDump { apus_allow_core_dumps(1) }
        // Every connection is one; the soft limit is often 1024, for programs that use select(2).
        _ = apus_raise_descriptor_limit()
        do throws(ConfigError) {
            let configuration = try LoadedConfiguration.load(options)
            if !options.hasLogFormat, let format = configuration.logFormat { log.setFormat(format, escapes: options.logFormatEscaped) }
            if options.mode == .validate { return validate(configuration, options, log) }
            for field in configuration.unsupported { log.warning("config", "not honoured: \(field)") }
            return serve(configuration, options, log, startedAt, onLive)
        } catch {
            log.critical("main", "error initializing configuration '\(options.configPath ?? "")': \(error)")
            // Without --log-path this is the last line on stderr; with it, the operator still sees why.
            if !options.logPath.isEmpty { apus_print_error("\(error)\n") }
            return 1
        }
    }

    private static func serve(
        _ configuration: LoadedConfiguration, _ options: ServerOptions, _ log: ApplicationLog, _ startedAt: MonotonicInstant,
        _ onLive: ((@escaping @Sendable (AdminCommand) -> Void) -> Void)?
    ) -> Int32 {
        let control = ControlThread(
            options: options, log: log, startedAt: startedAt, maxConnections: configuration.model.maxDownstreamConnections,
            onLive: onLive)
        do throws(StartError) {
            try control.start(configuration)
        } catch {
            log.critical("main", "error initializing configuration '\(options.configPath ?? "")': \(error)")
            // Threads that were started hold nothing that outlives the process.
            fflush(nil)
            _exit(1)
        }
        control.run()
        return 0
    }

    /// `--mode validate`: compiles everything, opens nothing.
    private static func validate(_ configuration: LoadedConfiguration, _ options: ServerOptions, _ log: ApplicationLog) -> Int32 {
        let catalog = StatCatalog()
        let compiler = ConfigCompiler(
            registry: .builtin, catalog: catalog, pages: catalog.makePages(), workers: 1, node: configuration.model.node,
            sockets: NoSockets(), logFiles: NoLogFiles()
        ) { _ in }
        let rejections = compiler.apply(configuration.model.resources)
        for warning in compiler.takeWarnings() { log.warning("config", warning) }
        for rejection in rejections { log.critical("config", "\(rejection.kind.rawValue) '\(rejection.name)': \(rejection.reason)") }
        guard rejections.isEmpty else { return 1 }
        print("configuration '\(options.configPath ?? "")' OK")
        if !configuration.unsupported.isEmpty { print(UnsupportedReport.text(configuration.unsupported), terminator: "") }
        return 0
    }
}
