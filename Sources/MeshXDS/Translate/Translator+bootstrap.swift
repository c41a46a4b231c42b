// SPDX-License-Identifier: Apache-2.0
package import MeshModel
package import MeshProto

/// Static configuration as a whole.
package enum Translate {
    /// The process's options and its static listeners and clusters.
    ///
    /// - Parameter source: what errors call the configuration.
    /// - Throws: `ConfigError` for the first thing that cannot be taken.
    package static func bootstrap(
        _ message: Envoy_Config_Bootstrap_V3_Bootstrap, source: String
    ) throws(ConfigError) -> BootstrapModel {
        var translator = Translator(source: source)
        return try translator.bootstrap(message)
    }
}

extension Translator {
    mutating func bootstrap(_ message: Envoy_Config_Bootstrap_V3_Bootstrap) throws(ConfigError) -> BootstrapModel {
        var model = BootstrapModel()
        model.node.id = message.node.id
        model.node.cluster = message.node.cluster
        model.node.locality = locality(message.node.locality)
        if message.node.hasMetadata { model.node.metadata = metadata(message.node.metadata) }
        for (index, layer) in message.layeredRuntime.layers.enumerated() {
            var values: [String: String] = [:]
            if case .staticLayer(let tree)? = layer.layerSpecifier {
                try flatten(tree, prefix: "", at: "layered_runtime.layers[\(index)].static_layer", into: &values)
                runtime.merge(values) { $1 }
            }
            let isAdmin = if case .adminLayer? = layer.layerSpecifier { true } else { false }
            model.runtimeLayers.append(RuntimeLayer(name: layer.name, isAdmin: isAdmin, values: values))
        }
        if let limit = runtime["re2.max_program_size.error_level"].flatMap(Int.init) { maxRegexProgramSize = limit }
        if message.admin.hasAddress {
            model.adminAddress = try listenerAddress(message.admin.address, at: "admin.address")
        }
        model.adminAccessLogs = try accessLogs(message.admin.accessLog, at: "admin.access_log")
        if !message.admin.accessLogPath.isEmpty {
            model.adminAccessLogs.append(AccessLogConfig(Self.destination(message.admin.accessLogPath)))
        }
        model.stats = try stats(message)
        model.maxDownstreamConnections = try maxDownstreamConnections(message.overloadManager)
        if message.hasTypedDnsResolverConfig {
            defaultResolver = try resolverOptions(message.typedDnsResolverConfig, at: "typed_dns_resolver_config")
        }
        model.overload = try overload(message.overloadManager)
        model.resources = try staticResources(message.staticResources)
        return model
    }

    private func staticResources(
        _ message: Envoy_Config_Bootstrap_V3_Bootstrap.StaticResources
    ) throws(ConfigError) -> ChangeSet {
        var changes = ChangeSet()
        var clusterNames: Set<String> = []
        for (index, cluster) in message.clusters.enumerated() {
            let path = "static_resources.clusters[\(index)]"
            changes.clusters.append(try self.cluster(cluster, at: path))
            guard clusterNames.insert(cluster.name).inserted else {
                throw error(path + ".name", found: "'\(cluster.name)' a second time", allowed: "each name once")
            }
        }
        var listenerNames: Set<String> = []
        for (index, listener) in message.listeners.enumerated() {
            let path = "static_resources.listeners[\(index)]"
            let translated = try self.listener(listener, at: path)
            changes.listeners.append(translated)
            guard listenerNames.insert(translated.name).inserted else {
                throw error(path + ".name", found: "'\(translated.name)' a second time", allowed: "each name once")
            }
            try checkClusters(of: translated, known: clusterNames, at: path)
        }
        return changes
    }

    /// Routes in a static listener must lead to clusters that are there, unless `validate_clusters` is off.
    private func checkClusters(of listener: Listener, known: Set<String>, at path: String) throws(ConfigError) {
        for (index, chain) in (listener.filterChains + (listener.defaultFilterChain.map { [$0] } ?? [])).enumerated() {
            guard case .http(let terminal) = chain.terminal, case .inline(let routes) = terminal.routes,
                routes.validateClusters ?? true
            else { continue }
            let place =
                index < listener.filterChains.count ? "\(path).filter_chains[\(index)]" : "\(path).default_filter_chain"
            for (hostIndex, host) in routes.virtualHosts.enumerated() {
                for (routeIndex, route) in host.routes.enumerated() {
                    guard case .forward(let action) = route.action else { continue }
                    let names: [String]
                    switch action.target {
                    case .cluster(let name): names = [name]
                    case .clusterHeader: names = []
                    case .weighted(let weighted): names = weighted.clusters.map(\.cluster).filter { !$0.isEmpty }
                    }
                    for name in names where !known.contains(name) {
                        throw ConfigError(
                            source: source,
                            path:
                                "\(place).route_config.virtual_hosts[\(hostIndex)].routes[\(routeIndex)].route.cluster",
                            found: "'\(name)'", allowed: "the name of a cluster",
                            suggestion: NearestName.of(name, among: known.sorted()))
                    }
                }
            }
        }
    }

    func locality(_ message: Envoy_Config_Core_V3_Locality) -> Locality {
        Locality(region: message.region, zone: message.zone, subZone: message.subZone)
    }

    // MARK: Runtime, stats, overload

    /// Nested keys are joined by dots; numbers lose a fraction of zero; a share (`numerator`, `denominator`) is one value.
    private func flatten(
        _ values: SwiftProtobuf.Google_Protobuf_Struct, prefix: String, at path: String,
        into result: inout [String: String]
    ) throws(ConfigError) {
        for (name, value) in values.fields {
            let key = prefix.isEmpty ? name : "\(prefix).\(name)"
            switch value.kind {
            case .structValue(let inner)?:
                if inner.fields["numerator"] != nil || inner.fields["denominator"] != nil {
                    let parts = inner.fields.sorted { $0.key > $1.key }
                    result[key] = parts.map { "\($0.key): \(Self.text($0.value) ?? "")" }.joined(separator: ", ")
                } else {
                    try flatten(inner, prefix: key, at: path, into: &result)
                }
            case let kind?:
                guard let text = Self.text(value) else {
                    let found = if case .listValue = kind { "a list" } else { "null" }
                    throw error("\(path).\(key)", found: found, allowed: "text, a number, true, false or a message")
                }
                result[key] = text
            case nil: break
            }
        }
    }

    private static func text(_ value: SwiftProtobuf.Google_Protobuf_Value) -> String? {
        switch value.kind {
        case .stringValue(let text)?: text
        case .boolValue(let flag)?: flag ? "true" : "false"
        case .numberValue(let number)?: Int64(exactly: number).map { "\($0)" } ?? "\(number)"
        default: nil
        }
    }

    private func stats(_ message: Envoy_Config_Bootstrap_V3_Bootstrap) throws(ConfigError) -> StatsOptions {
        var options = StatsOptions()
        if message.hasStatsFlushInterval { options.flushInterval = message.statsFlushInterval.duration }
        let config = message.statsConfig
        if config.hasUseAllDefaultTags { options.useDefaultTags = config.useAllDefaultTags.value }
        for tag in config.statsTags {
            let value: StatsOptions.Tag.Value =
                switch tag.tagValue {
                case .regex(let regex)?: regex.isEmpty ? .builtin : .regex(regex)
                case .fixedValue(let text)?: .fixed(text)
                case nil: .builtin
                }
            options.tags.append(StatsOptions.Tag(name: tag.tagName, value: value))
        }
        let path = "stats_config.stats_matcher"
        switch config.statsMatcher.statsMatcher {
        case .rejectAll(let all)?: options.inclusion = all ? .none : .all
        case .exclusionList(let list)?:
            options.inclusion = .except(try stringMatchers(list.patterns, at: path + ".exclusion_list.patterns"))
        case .inclusionList(let list)?:
            options.inclusion = .only(try stringMatchers(list.patterns, at: path + ".inclusion_list.patterns"))
        case nil: break
        }
        for (index, setting) in config.histogramBucketSettings.enumerated() {
            let path = "stats_config.histogram_bucket_settings[\(index)]"
            let bounds = setting.buckets.sorted()
            guard !bounds.isEmpty, bounds[0] > 0, Set(bounds).count == bounds.count else {
                throw error(
                    path + ".buckets", found: "\(setting.buckets)", allowed: "one number or more, above 0 and no two equal")
            }
            options.histogramBuckets.append(StatsOptions.HistogramBuckets(
                match: try stringMatcher(setting.match, at: path + ".match"), bounds: bounds))
        }
        return options
    }

    private func stringMatchers(
        _ messages: [Envoy_Type_Matcher_V3_StringMatcher], at path: String
    ) throws(ConfigError) -> [StringMatcher] {
        var result: [StringMatcher] = []
        for (index, message) in messages.enumerated() {
            result.append(try stringMatcher(message, at: "\(path)[\(index)]"))
        }
        return result
    }

    private func maxDownstreamConnections(
        _ message: Envoy_Config_Overload_V3_OverloadManager
    ) throws(ConfigError) -> UInt64? {
        for (index, monitor) in message.resourceMonitors.enumerated() {
            let path = "overload_manager.resource_monitors[\(index)].typed_config"
            let any = try unwrapped(monitor.typedConfig, at: path)
            typealias Limit = Envoy_Extensions_ResourceMonitors_DownstreamConnections_V3_DownstreamConnectionsConfig
            guard TypeURL.messageName(any.typeURL) == Limit.protoMessageName else { continue }
            return UInt64(clamping: try decode(Limit.self, from: any, at: path).maxActiveDownstreamConnections)
        }
        return runtime["overload.global_downstream_max_connections"].flatMap(UInt64.init)
    }
}
