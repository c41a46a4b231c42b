// SPDX-License-Identifier: Apache-2.0

/// The prefix of a group of stats. Labels are found in finished names, as in Envoy: `DefaultTags` and `stats_tags`.
package struct StatScopeName: Hashable, Sendable {
    /// The whole prefix, dot included: `cluster.backend.`; empty for the root.
    package private(set) var prefix: String
    /// Whether Prometheus names carry `envoy_`; false for the metrics of Istio's custom namespace.
    package private(set) var isEnvoyNamespace = true

    private init(_ prefix: String) { self.prefix = prefix }

    /// The scope of stats with no prefix.
    package static let root = StatScopeName("")

    /// A fixed prefix such as `cluster_manager.`; the dot is part of `text`.
    package static func literal(_ text: String) -> StatScopeName { StatScopeName(text) }

    /// `cluster.<name>.`
    /// - Parameter name: the cluster's `alt_stat_name`, else its name. Istio ends it with `;`, where its tags end.
    package static func cluster(_ name: String) -> StatScopeName { StatScopeName("cluster.\(underscored(name)).") }

    /// `http.<stat_prefix>.`
    package static func http(_ statPrefix: String) -> StatScopeName { StatScopeName("http.\(statPrefix).") }

    /// `tcp.<stat_prefix>.`
    package static func tcp(_ statPrefix: String) -> StatScopeName { StatScopeName("tcp.\(statPrefix).") }

    /// `listener.<address>.`
    /// - Parameter address: the listener's `stat_prefix`, else its address.
    package static func listener(_ address: String) -> StatScopeName { StatScopeName("listener.\(underscored(address)).") }

    /// `listener.<address>.worker_<index>.`
    package static func listenerWorker(_ address: String, _ index: Int) -> StatScopeName {
        listener(address).appending("worker_\(index).")
    }

    /// `listener.<address>.http.<stat_prefix>.`, where the connection manager repeats its counts per listener.
    package static func listenerHTTP(_ address: String, _ statPrefix: String) -> StatScopeName {
        listener(address).appending("http.\(statPrefix).")
    }

    /// `vhost.<virtual host>.`
    package static func virtualHost(_ name: String) -> StatScopeName { StatScopeName("vhost.\(name).") }

    /// Adds text.
    package func appending(_ text: String) -> StatScopeName {
        var copy = self
        copy.prefix += text
        return copy
    }

    /// The same scope printed without `envoy_` (`istiocustom.` and the like).
    package func inCustomNamespace() -> StatScopeName {
        var copy = self
        copy.isEnvoyNamespace = false
        return copy
    }

    /// Envoy writes a colon in the names of clusters and listeners as `_`.
    private static func underscored(_ name: String) -> String {
        name.utf8.contains(UInt8(ascii: ":")) ? String(name.map { $0 == ":" ? "_" : $0 }) : name
    }
}
