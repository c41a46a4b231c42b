// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import MeshServer

/// Envoy's flags.
struct ProxyFlags: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "apus",
        abstract: "A service-mesh proxy that reads Envoy's v3 configuration.",
        discussion: """
            Example:
              apus -c envoy.yaml --concurrency 2 -l warning
              apus -c envoy.yaml --mode validate      check a configuration and list what is not supported
              apus demo                               a proxy with an upstream in it, to try at once
            """)

    @Option(name: [.customShort("c"), .customLong("config-path")], help: "Bootstrap file, YAML or JSON.")
    var configPath: String?
    @Option(help: "Bootstrap as YAML or JSON text, merged over the file.")
    var configYaml: String?
    @Option(help: "serve, validate or init_only.")
    var mode = "serve"
    @Option(help: "Number of workers; 0 for one per CPU.")
    var concurrency: UInt32 = 0
    @Option(name: .customLong("drain-time-s"), help: "Seconds a drain may take.")
    var drainTime: UInt32 = 600
    @Option(name: .customLong("memory-limit-mb"), help: "Resident MiB near which load is shed; 0 for the cgroup's limit.")
    var memoryLimit: UInt32 = 0
    @Option(help: "gradual or immediate.")
    var drainStrategy = "gradual"
    @Option(name: .customLong("parent-shutdown-time-s"), help: "Seconds to wait for a parent process; without effect.")
    var parentShutdownTime: UInt32 = 900
    @Option(name: [.customShort("l"), .customLong("log-level")], help: "trace, debug, info, warning, error, critical or off.")
    var logLevel = "info"
    @Option(help: "Levels of single loggers: name:level,name:level.")
    var componentLogLevel = ""
    @Option(help: "Pattern of an application log line.")
    var logFormat: String?
    @Flag(help: "Escape line feeds in application log messages.")
    var logFormatEscaped = false
    @Option(help: "File of the application log; stderr without it.")
    var logPath = ""
    @Flag(help: "The same as --allow-unknown-static-fields.")
    var allowUnknownFields = false
    @Flag(help: "Unknown and unsupported fields of the bootstrap are warnings, not errors.")
    var allowUnknownStaticFields = false
    @Flag(help: "Unknown fields of xDS resources are errors.")
    var rejectUnknownDynamicFields = false
    @Flag(help: "Unknown fields of xDS resources are not even counted.")
    var ignoreUnknownDynamicFields = false
    @Option(help: "File that gets the admin address.")
    var adminAddressPath = ""
    @Option(help: "Identity for hot restart; without effect.")
    var baseId: UInt32 = 0
    @Flag(help: "Choose a base id; without effect.")
    var useDynamicBaseId = false
    @Option(help: "File that gets the base id.")
    var baseIdPath = ""
    @Option(help: "Epoch of hot restart; only 0 is possible.")
    var restartEpoch: UInt32 = 0
    @Flag(help: "There is no hot restart; always so.")
    var disableHotRestart = false
    @Option(help: "node.id, over the bootstrap's.")
    var serviceNode = ""
    @Option(help: "node.cluster, over the bootstrap's.")
    var serviceCluster = ""
    @Option(help: "node.locality.zone, over the bootstrap's.")
    var serviceZone = ""
    @Option(name: .customLong("file-flush-interval-msec"), help: "Milliseconds after which access logs are written.")
    var fileFlushInterval: UInt32 = 10_000
    @Option(name: .customLong("file-flush-min-size-kb"), help: "Kilobytes at which access logs are written at once.")
    var fileFlushMinSize: UInt32 = 64
    @Option(name: .customLong("local-address-ip-version"), help: "v4 or v6.")
    var localAddressIPVersion = "v4"
    @Flag(help: "Pin each worker to a CPU of the process's set.")
    var cpusetThreads = false
    @Flag(help: "Do not log deprecated fields.")
    var skipDeprecatedLogs = false
    @Flag(help: "Allow core dumps.")
    var enableCoreDump = false
    @Flag(help: "Trace mutexes; without effect.")
    var enableMutexTracing = false
    @Flag(help: "A logger per file; without effect.")
    var enableFineGrainLogging = false
    @Option(help: "Extensions to leave out, by name.")
    var disableExtensions = ""
    @Option(help: "Socket of hot restart; without effect.")
    var socketPath = "@envoy_domain_socket"
    @Option(help: "Permissions of that socket.")
    var socketMode = "600"
    @Option(parsing: .singleValue, help: "A label of every stat: name:value. May be repeated.")
    var statsTag: [String] = []
    @Flag(help: "Without effect, for there is no hot restart.")
    var skipHotRestartOnNoParent = false
    @Flag(help: "Without effect, for there is no hot restart.")
    var skipHotRestartParentStats = false
    @Flag(help: "Without effect, for there are no stack traces in the log.")
    var logStacktraceSingleEntry = false
    @Option(help: "Who is told in x-apus-reason, when it asks with x-apus-explain: off, trusted or all.")
    var explainReplies = "off"
    @Flag(help: "Print the version.")
    var version = false
    @Flag(help: "Print the version of hot restart.")
    var hotRestartVersion = false

    /// The flags as the server takes them.
    func options() throws -> ServerOptions {
        var options = ServerOptions()
        options.configPath = configPath
        options.configYAML = configYaml
        guard let mode = ServerOptions.Mode(rawValue: mode) else { throw ValidationError("error: unknown mode '\(mode)'") }
        options.mode = mode
        options.concurrency = concurrency
        options.drainTimeSeconds = drainTime
        guard let strategy = ServerOptions.DrainStrategy(rawValue: drainStrategy) else {
            throw ValidationError("error: unknown drain-strategy '\(drainStrategy)'")
        }
        options.drainStrategy = strategy
        options.parentShutdownTimeSeconds = parentShutdownTime
        guard let level = LogLevel(name: logLevel) else {
            throw ValidationError("error: invalid log level specified '\(logLevel)'")
        }
        options.logLevel = level
        for pair in componentLogLevel.split(separator: ",") {
            let sides = pair.split(separator: ":")
            guard sides.count == 2 else {
                throw ValidationError("error: component log level not correctly specified '\(pair)'")
            }
            guard LogLevel(name: String(sides[1])) != nil else {
                throw ValidationError("error: invalid log level specified '\(sides[1])'")
            }
            guard ApplicationLog.isComponent(String(sides[0])) else {
                throw ValidationError("error: invalid component specified '\(sides[0])'")
            }
        }
        options.componentLogLevel = componentLogLevel
        options.memoryLimitMegabytes = memoryLimit
        if let logFormat {
            options.logFormat = logFormat
            options.hasLogFormat = true
        }
        options.logFormatEscaped = logFormatEscaped
        options.logPath = logPath
        options.allowUnknownStaticFields = allowUnknownStaticFields || allowUnknownFields
        options.rejectUnknownDynamicFields = rejectUnknownDynamicFields
        options.ignoreUnknownDynamicFields = ignoreUnknownDynamicFields
        options.adminAddressPath = adminAddressPath
        options.baseID = baseId
        options.useDynamicBaseID = useDynamicBaseId
        options.baseIDPath = baseIdPath
        options.restartEpoch = restartEpoch
        options.disableHotRestart = disableHotRestart
        options.serviceNode = serviceNode
        options.serviceCluster = serviceCluster
        options.serviceZone = serviceZone
        options.fileFlushIntervalMilliseconds = fileFlushInterval
        options.fileFlushMinSizeKilobytes = fileFlushMinSize
        guard let version = ServerOptions.IPVersion(rawValue: localAddressIPVersion) else {
            throw ValidationError("error: unknown IP address version '\(localAddressIPVersion)'")
        }
        options.localAddressIPVersion = version
        guard let explanations = ServerOptions.Explanations(rawValue: explainReplies) else {
            throw ValidationError("error: unknown explain-replies '\(explainReplies)'; off, trusted or all")
        }
        options.explanations = explanations
        options.cpusetThreads = cpusetThreads
        options.skipDeprecatedLogs = skipDeprecatedLogs
        options.enableCoreDump = enableCoreDump
        options.enableMutexTracing = enableMutexTracing
        options.enableFineGrainLogging = enableFineGrainLogging
        options.disabledExtensions = disableExtensions.split(separator: ",").map(String.init)
        options.socketPath = socketPath
        guard let mode = UInt32(socketMode, radix: 8) else { throw ValidationError("error: invalid socket-mode '\(socketMode)'") }
        options.socketMode = mode
        for tag in statsTag where !tag.contains(":") || tag.hasPrefix(":") {
            throw ValidationError("error: misformatted stats-tag '\(tag)'")
        }
        options.statsTags = statsTag
        options.skipHotRestartOnNoParent = skipHotRestartOnNoParent
        options.skipHotRestartParentStats = skipHotRestartParentStats
        options.logStacktraceSingleEntry = logStacktraceSingleEntry
        return options
    }
}
