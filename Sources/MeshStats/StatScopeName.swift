// SPDX-License-Identifier: Apache-2.0

/// The prefix of a group of stats, with the labels that are part of it.
///
/// Envoy finds labels by matching regular expressions against finished names; here they are known where the name is made,
/// so a dot inside a stat prefix cannot be cut in the wrong place.
package struct StatScopeName: Hashable, Sendable {
    /// The whole prefix, dot included: `cluster.backend.`; empty for the root.
    package private(set) var prefix: String
    /// The prefix without label values: `cluster.`.
    package private(set) var extractedPrefix: String
    /// Labels, outermost first. Prometheus prints them innermost first, as Envoy does.
    package private(set) var tags: [StatTag]
    /// Whether Prometheus names carry `envoy_`; false for the metrics of Istio's custom namespace.
    package private(set) var isEnvoyNamespace: Bool

    private init(prefix: String, extractedPrefix: String, tags: [StatTag], isEnvoyNamespace: Bool = true) {
        self.prefix = prefix
        self.extractedPrefix = extractedPrefix
        self.tags = tags
        self.isEnvoyNamespace = isEnvoyNamespace
    }

    /// The scope of stats with no prefix.
    package static let root = StatScopeName(prefix: "", extractedPrefix: "", tags: [])

    /// A fixed prefix such as `cluster_manager.`; the dot is part of `text`.
    package static func literal(_ text: String) -> StatScopeName { root.appending(text) }

    /// `cluster.<name>.`, label `envoy.cluster_name`.
    /// - Parameter name: the cluster's `alt_stat_name`, else its name. A `;` that ends it delimits the label (Istio) and
    ///   stays in the name.
    package static func cluster(_ name: String) -> StatScopeName {
        root.appending("cluster.").appending(name, tag: "envoy.cluster_name").appending(".")
    }

    /// `http.<stat_prefix>.`, label `envoy.http_conn_manager_prefix`.
    package static func http(_ statPrefix: String) -> StatScopeName {
        root.appending("http.").appending(statPrefix, tag: "envoy.http_conn_manager_prefix").appending(".")
    }

    /// `tcp.<stat_prefix>.`, label `envoy.tcp_prefix`.
    package static func tcp(_ statPrefix: String) -> StatScopeName {
        root.appending("tcp.").appending(statPrefix, tag: "envoy.tcp_prefix").appending(".")
    }

    /// `listener.<address>.`, label `envoy.listener_address`.
    /// - Parameter address: the listener's `stat_prefix`, else its address with `:` written as `_`.
    package static func listener(_ address: String) -> StatScopeName {
        root.appending("listener.")
            .appending(String(address.map { $0 == ":" ? "_" : $0 }), tag: "envoy.listener_address").appending(".")
    }

    /// `listener.<address>.worker_<index>.`, labels `envoy.listener_address` and `envoy.worker_id`.
    package static func listenerWorker(_ address: String, _ index: Int) -> StatScopeName {
        listener(address).appending("worker_").appending(String(index), tag: "envoy.worker_id").appending(".")
            .renamingExtracted("listener.worker.")
    }

    /// `listener.<address>.http.<stat_prefix>.`, where the connection manager repeats its counts per listener.
    package static func listenerHTTP(_ address: String, _ statPrefix: String) -> StatScopeName {
        listener(address).appending("http.").appending(statPrefix, tag: "envoy.http_conn_manager_prefix").appending(".")
    }

    /// `vhost.<virtual host>.`, label `envoy.virtual_host`.
    package static func virtualHost(_ name: String) -> StatScopeName {
        root.appending("vhost.").appending(name, tag: "envoy.virtual_host").appending(".")
    }

    /// Adds text that is part of the name only.
    package func appending(_ text: String) -> StatScopeName {
        var copy = self
        copy.prefix += text
        // A label's value leaves with the dot in front of it, so two dots never meet.
        copy.extractedPrefix += text.hasPrefix(".") && copy.extractedPrefix.hasSuffix(".") ? String(text.dropFirst()) : text
        return copy
    }

    /// Adds text that is the value of a label and vanishes from the extracted name.
    package func appending(_ value: String, tag: String) -> StatScopeName {
        var copy = self
        copy.prefix += value
        copy.tags.append(StatTag(tag, value.hasSuffix(";") ? String(value.dropLast()) : value))
        return copy
    }

    /// Ends the name with a dot and the value of a label; the stat itself is then declared with an empty name.
    /// `ssl.ciphers` and `AES` make `ssl.ciphers.AES`, extracted `ssl.ciphers`.
    package func ending(with value: String, tag: String) -> StatScopeName {
        var copy = self
        copy.prefix += "." + value
        copy.tags.append(StatTag(tag, value))
        return copy
    }

    /// The same scope printed without `envoy_` (`istiocustom.` and the like).
    package func inCustomNamespace() -> StatScopeName {
        var copy = self
        copy.isEnvoyNamespace = false
        return copy
    }

    private func renamingExtracted(_ text: String) -> StatScopeName {
        var copy = self
        copy.extractedPrefix = text
        return copy
    }
}
