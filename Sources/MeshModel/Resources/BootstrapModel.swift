// SPDX-License-Identifier: Apache-2.0

/// What the process needs to know before any traffic. Source: `envoy.config.bootstrap.v3.Bootstrap`.
package struct BootstrapModel: Equatable, Sendable {
    package var node = NodeIdentity()
    /// Source: `admin.address`. Default: nil (no admin server).
    package var adminAddress: ListenerAddress?
    /// Source: `admin.access_log`, `admin.access_log_path`.
    package var adminAccessLogs: [AccessLogConfig] = []
    package var stats = StatsOptions()
    /// Most downstream connections of the process. Source: overload manager's `downstream_connections` monitor.
    /// Default: nil.
    package var maxDownstreamConnections: UInt64?
    /// Source: `overload_manager`.
    package var overload = OverloadOptions()
    /// Values that change while the process runs. Source: `layered_runtime`.
    package var runtimeLayers: [RuntimeLayer] = []
    /// Static listeners and clusters.
    package var resources = ChangeSet()

    package init() {}
}

/// Who this proxy is. Source: `envoy.config.core.v3.Node`.
package struct NodeIdentity: Equatable, Sendable {
    package var id = ""
    package var cluster = ""
    package var locality = Locality()
    /// For expressions.
    package var metadata = MetadataTree.empty

    package init() {}
}

/// Source: `stats_config`, `stats_flush_interval`.
package struct StatsOptions: Equatable, Sendable {
    /// Source: `stats_flush_interval`. Default: 5 s.
    package var flushInterval: Duration = .seconds(5)
    /// Extract Envoy's default tags. Source: `use_all_default_tags`. Default: true.
    package var useDefaultTags = true
    /// In order. Source: `stats_tags`.
    package var tags: [Tag] = []
    /// Which stats exist. Default: all.
    package var inclusion = Inclusion.all
    /// Bounds of the buckets of some histograms, rising; the first match counts. Source: `histogram_bucket_settings`.
    package var histogramBuckets: [HistogramBuckets] = []

    package struct HistogramBuckets: Equatable, Sendable {
        package var match: StringMatcher
        package var bounds: [Double]

        package init(match: StringMatcher, bounds: [Double]) {
            self.match = match
            self.bounds = bounds
        }
    }

    package struct Tag: Equatable, Sendable {
        package var name: String
        package var value: Value

        package enum Value: Equatable, Sendable {
            /// The default extraction of that name.
            case builtin
            /// Taken out of the stat's name by an ECMAScript regex.
            case regex(String)
            case fixed(String)
        }

        package init(name: String, value: Value) {
            self.name = name
            self.value = value
        }
    }

    package enum Inclusion: Equatable, Sendable {
        case all
        case only([StringMatcher])
        case except([StringMatcher])
        case none
    }

    package init() {}
}
