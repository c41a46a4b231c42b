// SPDX-License-Identifier: Apache-2.0
import MeshModel
import MeshProto

extension Translator {
    func routeAction(_ message: Envoy_Config_Route_V3_RouteAction, at path: String) throws(ConfigError) -> RouteAction {
        let target: RouteAction.Target
        switch message.clusterSpecifier {
        case .cluster(let name)?: target = .cluster(name)
        case .clusterHeader(let name)?: target = .clusterHeader(name.lowercased())
        case .weightedClusters(let weighted)?:
            target = .weighted(try weightedClusters(weighted, at: path + ".weighted_clusters"))
        case nil: throw error(path, found: "no cluster", allowed: "cluster, cluster_header or weighted_clusters")
        }
        var action = RouteAction(target)
        action.clusterNotFoundStatus =
            switch message.clusterNotFoundResponseCode {
            case .notFound: 404
            case .internalServerError: 500
            default: 503
            }
        guard message.prefixRewrite.isEmpty || !message.hasRegexRewrite else {
            throw error(path, found: "prefix_rewrite and regex_rewrite", allowed: "one of them")
        }
        if !message.prefixRewrite.isEmpty { action.pathRewrite = .prefix(message.prefixRewrite) }
        if message.hasRegexRewrite { action.pathRewrite = .regex(rewrite(message.regexRewrite)) }
        switch message.hostRewriteSpecifier {
        case .hostRewriteLiteral(let host)?: action.hostRewrite = host.isEmpty ? .none : .literal(host)
        case .autoHostRewrite(let automatic)?: action.hostRewrite = automatic.value ? .automatic : .none
        case .hostRewriteHeader(let name)?: action.hostRewrite = .header(name.lowercased())
        case .hostRewritePathRegex(let regex)?: action.hostRewrite = .pathRegex(rewrite(regex))
        case nil: break
        }
        action.appendXForwardedHost = message.appendXForwardedHost
        if message.hasTimeout { action.timeout = message.timeout.timeout }
        if message.hasIdleTimeout { action.idleTimeout = message.idleTimeout.override }
        action.priority = message.priority == .high ? .high : .normal
        action.hashPolicies = message.hashPolicy.compactMap { hashPolicy($0) }
        for (index, upgrade) in message.upgradeConfigs.enumerated() {
            let option = UpgradeOption(
                name: upgrade.upgradeType.lowercased(), enabled: !upgrade.hasEnabled || upgrade.enabled.value,
                terminatesConnect: upgrade.hasConnectConfig, allowPost: upgrade.connectConfig.allowPost)
            guard !option.terminatesConnect || option.name == "connect" else {
                throw error(
                    "\(path).upgrade_configs[\(index)].connect_config", found: "it for '\(upgrade.upgradeType)'",
                    allowed: "connect_config for CONNECT only")
            }
            guard !action.upgrades.contains(where: { $0.name == option.name }) else {
                throw error(
                    "\(path).upgrade_configs[\(index)].upgrade_type", found: "'\(upgrade.upgradeType)' a second time",
                    allowed: "each type once")
            }
            action.upgrades.append(option)
        }
        action.maxStreamDuration = try streamDuration(message, at: path)
        return action
    }

    private func streamDuration(
        _ message: Envoy_Config_Route_V3_RouteAction, at path: String
    ) throws(ConfigError) -> StreamDurationOptions {
        var options = StreamDurationOptions()
        if message.hasMaxStreamDuration {
            let duration = message.maxStreamDuration
            options.isPresent = true
            if duration.hasMaxStreamDuration { options.limit = duration.maxStreamDuration.override }
            if duration.hasGrpcTimeoutHeaderMax { options.grpcTimeoutHeaderMax = duration.grpcTimeoutHeaderMax.duration }
            if duration.hasGrpcTimeoutHeaderOffset {
                options.grpcTimeoutHeaderOffset = duration.grpcTimeoutHeaderOffset.duration
            }
            // The older pair has no say beside the newer message.
            return options
        }
        if message.hasGrpcTimeoutOffset {
            guard message.grpcTimeoutOffset.duration >= .zero else {
                throw error(
                    path + ".grpc_timeout_offset", found: "\(message.grpcTimeoutOffset.duration)", allowed: "0s or more")
            }
            options.grpcTimeoutHeaderOffset = message.grpcTimeoutOffset.duration
        }
        if message.hasMaxGrpcTimeout { options.maxGRPCTimeout = message.maxGrpcTimeout.duration }
        return options
    }

    private func rewrite(_ message: Envoy_Type_Matcher_V3_RegexMatchAndSubstitute) -> RegexRewrite {
        RegexRewrite(pattern: message.pattern.regex, substitution: message.substitution)
    }

    private func weightedClusters(
        _ message: Envoy_Config_Route_V3_WeightedCluster, at path: String
    ) throws(ConfigError) -> WeightedClusters {
        var entries: [WeightedClusters.Entry] = []
        var total: UInt64 = 0
        for (index, cluster) in message.clusters.enumerated() {
            let place = "\(path).clusters[\(index)]"
            guard cluster.name.isEmpty != cluster.clusterHeader.isEmpty else {
                throw error(
                    place, found: cluster.name.isEmpty ? "no cluster" : "name and cluster_header",
                    allowed: "name or cluster_header")
            }
            var entry = WeightedClusters.Entry(cluster: cluster.name, weight: cluster.weight.value)
            entry.clusterHeader = cluster.clusterHeader.lowercased()
            if !cluster.hostRewriteLiteral.isEmpty { entry.hostRewrite = cluster.hostRewriteLiteral }
            entry.headers = try headers(
                cluster.requestHeadersToAdd, cluster.requestHeadersToRemove, cluster.responseHeadersToAdd,
                cluster.responseHeadersToRemove, at: place)
            entry.perFilterConfigs = try perFilterConfigs(cluster.typedPerFilterConfig, at: place)
            entries.append(entry)
            total += UInt64(entry.weight)
        }
        guard total > 0, total <= UInt64(UInt32.max) else {
            throw error(path, found: "weights that add up to \(total)", allowed: "1 to \(UInt32.max)")
        }
        var weighted = WeightedClusters(entries)
        weighted.randomHeader = message.headerName.lowercased()
        weighted.runtimeKeyPrefix = message.runtimeKeyPrefix
        return weighted
    }

    func redirectAction(
        _ message: Envoy_Config_Route_V3_RedirectAction, at path: String
    ) throws(ConfigError) -> RedirectAction {
        var redirect = RedirectAction()
        switch message.schemeRewriteSpecifier {
        case .httpsRedirect(let https)?: redirect.scheme = https ? .https : .keep
        case .schemeRedirect(let scheme)?: redirect.scheme = scheme.isEmpty ? .keep : .literal(scheme)
        case nil: break
        }
        redirect.host = message.hostRedirect
        redirect.port = message.portRedirect
        switch message.pathRewriteSpecifier {
        case .pathRedirect(let text)?: redirect.path = text.isEmpty ? .keep : .literal(text)
        case .prefixRewrite(let text)?: redirect.path = text.isEmpty ? .keep : .prefix(text)
        case .regexRewrite(let regex)?: redirect.path = .regex(rewrite(regex))
        case nil: break
        }
        redirect.status =
            switch message.responseCode {
            case .found: 302
            case .seeOther: 303
            case .temporaryRedirect: 307
            case .permanentRedirect: 308
            default: 301
            }
        redirect.stripQuery = message.stripQuery
        return redirect
    }

    private func hashPolicy(_ message: Envoy_Config_Route_V3_RouteAction.HashPolicy) -> HashPolicy? {
        let input: HashPolicy.Input
        switch message.policySpecifier {
        case .header(let header)?:
            input = .header(
                name: header.headerName.lowercased(),
                rewrite: header.hasRegexRewrite ? rewrite(header.regexRewrite) : nil)
        case .cookie(let cookie)?:
            input = .cookie(
                name: cookie.name, lifetime: cookie.hasTtl ? cookie.ttl.duration : nil, path: cookie.path,
                attributes: cookie.attributes.map { HashPolicy.CookieAttribute(name: $0.name, value: $0.value) })
        case .connectionProperties(let properties)?:
            guard properties.sourceIp else { return nil }
            input = .sourceIP
        case .queryParameter(let parameter)?: input = .queryParameter(parameter.name)
        case .filterState(let state)?: input = .filterState(state.key)
        case nil: return nil
        }
        return HashPolicy(input, terminal: message.terminal)
    }
}
