// SPDX-License-Identifier: Apache-2.0

/// The command line, parsed. Names and defaults are Envoy's; `/server_info` prints them.
package struct ServerOptions: Equatable, Sendable {
    /// What to do with the configuration.
    package enum Mode: String, Sendable, CaseIterable {
        /// Serve traffic.
        case serve
        /// Check the configuration, print the report and exit.
        case validate
        /// Start everything but the workers' traffic, then exit.
        case initOnly = "init_only"
    }

    /// How connections are asked to go away while draining.
    package enum DrainStrategy: String, Sendable, CaseIterable {
        case gradual, immediate
    }

    /// Which family DNS and local addresses prefer.
    package enum IPVersion: String, Sendable, CaseIterable {
        case v4, v6
    }

    /// Who is told in a header why a reply is what it is, when it asks.
    package enum Explanations: String, Sendable, CaseIterable {
        case off, trusted, all
    }

    /// `-c`; nil when only `--config-yaml` is given.
    package var configPath: String?
    /// `--config-yaml`, merged over the file.
    package var configYAML: String?
    package var mode = Mode.serve
    /// `--concurrency`; 0 means one worker for each CPU the process may use.
    package var concurrency: UInt32 = 0
    /// `--drain-time-s`. Default: 600 s.
    package var drainTimeSeconds: UInt32 = 600
    /// `--memory-limit-mb`: where the process sheds load instead of growing; 0 takes the cgroup's limit, if it has one. Not
    /// one of Envoy's flags.
    package var memoryLimitMegabytes: UInt32 = 0
    package var drainStrategy = DrainStrategy.gradual
    /// `--parent-shutdown-time-s`. Default: 900 s. Without hot restart it has no effect.
    package var parentShutdownTimeSeconds: UInt32 = 900
    package var logLevel = LogLevel.info
    /// `--component-log-level`, as given.
    package var componentLogLevel = ""
    package var logFormat = ApplicationLog.defaultFormat
    /// Whether `logFormat` came from the command line, which wins over the bootstrap's.
    package var hasLogFormat = false
    package var logFormatEscaped = false
    /// `--log-path`; empty logs to stderr.
    package var logPath = ""
    package var allowUnknownStaticFields = false
    package var rejectUnknownDynamicFields = false
    package var ignoreUnknownDynamicFields = false
    /// `--admin-address-path`: a file that gets the admin address.
    package var adminAddressPath = ""
    package var baseID: UInt32 = 0
    package var useDynamicBaseID = false
    package var baseIDPath = ""
    package var restartEpoch: UInt32 = 0
    package var disableHotRestart = false
    package var serviceNode = ""
    package var serviceCluster = ""
    package var serviceZone = ""
    /// `--file-flush-interval-msec`. Default: 10 s.
    package var fileFlushIntervalMilliseconds: UInt32 = 10_000
    /// `--file-flush-min-size-kb`. Default: 64 KiB.
    package var fileFlushMinSizeKilobytes: UInt32 = 64
    /// `--explain-replies`: who may ask in a header why a reply of the proxy is what it is. Not one of Envoy's.
    package var explanations = Explanations.off
    package var localAddressIPVersion = IPVersion.v4
    package var cpusetThreads = false
    package var skipDeprecatedLogs = false
    package var enableCoreDump = false
    package var enableMutexTracing = false
    package var enableFineGrainLogging = false
    package var disabledExtensions: [String] = []
    package var socketPath = "@envoy_domain_socket"
    package var socketMode: UInt32 = 0
    /// `--stats-tag`, as `name:value`.
    package var statsTags: [String] = []
    package var skipHotRestartOnNoParent = false
    package var skipHotRestartParentStats = false
    package var logStacktraceSingleEntry = false

    package init() {}
}

/// What this build calls itself.
package enum ApusVersion {
    /// Version of Apus.
    package static let number = "0.1.0"
    /// In the shape of Envoy's: revision, version, tree state, build type, TLS library.
    package static let text = "apus/\(number)/Clean/RELEASE/OpenSSL"
    /// `user_agent_build_version.metadata` of the node, by Envoy's keys.
    static let metadata: [(name: String, value: String)] = [
        ("build.label", "apus/\(number)"), ("build.type", "RELEASE"), ("revision.status", "Clean"), ("ssl.version", "OpenSSL"),
    ]
    /// Envoy's version whose behaviour is followed.
    package static let envoy = (major: 1, minor: 40, patch: 0)
}
