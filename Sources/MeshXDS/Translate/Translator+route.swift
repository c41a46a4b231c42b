// SPDX-License-Identifier: Apache-2.0
package import MeshModel
package import MeshProto

extension Translator {
    /// A route configuration, checked by compiling it once.
    package func routeConfiguration(
        _ message: Envoy_Config_Route_V3_RouteConfiguration, at path: String
    ) throws(ConfigError) -> RouteConfiguration {
        var configuration = RouteConfiguration(name: message.name)
        configuration.internalOnlyHeaders = message.internalOnlyHeaders.map { $0.lowercased() }
        configuration.headers = try headers(
            message.requestHeadersToAdd, message.requestHeadersToRemove, message.responseHeadersToAdd,
            message.responseHeadersToRemove, at: path)
        configuration.mostSpecificHeaderMutationsWin = message.mostSpecificHeaderMutationsWins
        if message.hasValidateClusters { configuration.validateClusters = message.validateClusters.value }
        if message.hasMaxDirectResponseBodySizeBytes {
            configuration.maxDirectResponseBodyBytes = message.maxDirectResponseBodySizeBytes.value
        }
        configuration.ignorePortInHostMatching = message.ignorePortInHostMatching
        configuration.ignorePathParameters = message.ignorePathParametersInPathMatching
        configuration.perFilterConfigs = try perFilterConfigs(message.typedPerFilterConfig, at: path)
        for (index, host) in message.virtualHosts.enumerated() {
            configuration.virtualHosts.append(
                try virtualHost(
                    host, bodyLimit: configuration.maxDirectResponseBodyBytes, at: "\(path).virtual_hosts[\(index)]"))
        }
        do throws(ResourceError) {
            _ = try RouteTable(configuration, maxRegexProgramSize: maxRegexProgramSize)
        } catch {
            throw self.error(error, under: path)
        }
        return configuration
    }

    private func virtualHost(
        _ message: Envoy_Config_Route_V3_VirtualHost, bodyLimit: UInt32, at path: String
    ) throws(ConfigError) -> VirtualHost {
        var host = VirtualHost(name: message.name, domains: message.domains)
        host.headers = try headers(
            message.requestHeadersToAdd, message.requestHeadersToRemove, message.responseHeadersToAdd,
            message.responseHeadersToRemove, at: path)
        host.tlsRequirement =
            switch message.requireTls {
            case .all: .all
            case .externalOnly: .externalOnly
            default: .none
            }
        host.includeRequestAttemptCount = message.includeRequestAttemptCount
        host.includeAttemptCountInResponse = message.includeAttemptCountInResponse
        host.includeIsTimeoutRetry = message.includeIsTimeoutRetryHeader
        if message.hasRetryPolicy {
            host.retryPolicy = try retryPolicy(message.retryPolicy, at: path + ".retry_policy")
        }
        if message.hasRequestBodyBufferLimit {
            host.requestBufferLimit = .bytes(message.requestBodyBufferLimit.value)
        } else if message.hasPerRequestBufferLimitBytes {
            host.requestBufferLimit = .atMost(UInt64(message.perRequestBufferLimitBytes.value))
        }
        host.metadata = metadata(message.metadata)
        host.perFilterConfigs = try perFilterConfigs(message.typedPerFilterConfig, at: path)
        for (index, cluster) in message.virtualClusters.enumerated() {
            let place = "\(path).virtual_clusters[\(index)]"
            guard !cluster.name.isEmpty else { throw error(place + ".name", found: "''", allowed: "a name") }
            guard !cluster.headers.isEmpty else { throw error(place + ".headers", found: "none", allowed: "at least one") }
            var headers: [HeaderMatcher] = []
            for (number, header) in cluster.headers.enumerated() {
                headers.append(try headerMatcher(header, at: "\(place).headers[\(number)]"))
            }
            host.virtualClusters.append(VirtualCluster(name: cluster.name, headers: headers))
        }
        for (index, route) in message.routes.enumerated() {
            host.routes.append(try self.route(route, bodyLimit: bodyLimit, at: "\(path).routes[\(index)]"))
        }
        return host
    }

    private func route(
        _ message: Envoy_Config_Route_V3_Route, bodyLimit: UInt32, at path: String
    ) throws(ConfigError) -> Route {
        let match = try routeMatch(message.match, at: path + ".match")
        let action: Route.Action
        switch message.action {
        case .route(let forward)?: action = .forward(try routeAction(forward, at: path + ".route"))
        case .redirect(let redirect)?: action = .redirect(try redirectAction(redirect, at: path + ".redirect"))
        case .directResponse(let response)?:
            let place = path + ".direct_response"
            let body = response.hasBody ? try bytes(response.body, at: place + ".body") : []
            guard body.count <= Int(bodyLimit) else {
                throw error(place + ".body", found: "\(body.count) bytes", allowed: "at most \(bodyLimit) bytes")
            }
            action = .directResponse(DirectResponse(status: UInt16(clamping: response.status), body: body))
        case nil:
            throw error(path, found: "no action", allowed: "route, redirect or direct_response")
        }
        var route = Route(match: match, action: action)
        route.name = message.name
        route.metadata = metadata(message.metadata)
        route.headers = try headers(
            message.requestHeadersToAdd, message.requestHeadersToRemove, message.responseHeadersToAdd,
            message.responseHeadersToRemove, at: path)
        route.decoratorOperation = message.decorator.operation
        route.decoratorPropagates = !message.decorator.hasPropagate || message.decorator.propagate.value
        route.statPrefix = message.statPrefix
        if message.hasRequestBodyBufferLimit {
            route.requestBufferLimit = .bytes(message.requestBodyBufferLimit.value)
        } else if message.hasPerRequestBufferLimitBytes {
            route.requestBufferLimit = .atMost(UInt64(message.perRequestBufferLimitBytes.value))
        }
        route.perFilterConfigs = try perFilterConfigs(message.typedPerFilterConfig, at: path)
        return route
    }

    // MARK: Header operations

    func headers(
        _ requestAdd: [Envoy_Config_Core_V3_HeaderValueOption], _ requestRemove: [String],
        _ responseAdd: [Envoy_Config_Core_V3_HeaderValueOption], _ responseRemove: [String], at path: String
    ) throws(ConfigError) -> HeaderMutations {
        var mutations = HeaderMutations()
        mutations.requestAdd = try additions(requestAdd, at: path + ".request_headers_to_add")
        mutations.requestRemove = try removals(requestRemove, at: path + ".request_headers_to_remove")
        mutations.responseAdd = try additions(responseAdd, at: path + ".response_headers_to_add")
        mutations.responseRemove = try removals(responseRemove, at: path + ".response_headers_to_remove")
        return mutations
    }

    private func removals(_ names: [String], at path: String) throws(ConfigError) -> [String] {
        var result: [String] = []
        for (index, name) in names.enumerated() { result.append(try headerName(name, at: "\(path)[\(index)]")) }
        return result
    }

    /// A name that header operations may touch.
    private func headerName(_ name: String, at path: String) throws(ConfigError) -> String {
        let lower = name.lowercased()
        guard !lower.hasPrefix(":"), lower != "host", !lower.isEmpty else {
            throw error(path, found: "'\(name)'", allowed: "a header that is neither host nor begins with ':'")
        }
        return lower
    }

    func additions(
        _ messages: [Envoy_Config_Core_V3_HeaderValueOption], at path: String
    ) throws(ConfigError) -> [HeaderMutation] {
        var result: [HeaderMutation] = []
        for (index, message) in messages.enumerated() {
            let place = "\(path)[\(index)]"
            let name = try headerName(message.header.key, at: place + ".header.key")
            let text =
                message.header.rawValue.isEmpty
                ? message.header.value : String(decoding: message.header.rawValue, as: UTF8.self)
            let value = try format(text, at: place + ".header.value")
            guard !message.hasAppend || message.appendAction == .appendIfExistsOrAdd else {
                throw error(place, found: "append and append_action", allowed: "one of them")
            }
            let action: HeaderMutation.Action =
                switch message.appendAction {
                case .addIfAbsent: .addIfAbsent
                case .overwriteIfExistsOrAdd: .overwriteOrAdd
                case .overwriteIfExists: .overwriteIfPresent
                default: message.hasAppend && !message.append.value ? .overwriteOrAdd : .appendOrAdd
                }
            result.append(
                HeaderMutation(name: name, value: value, action: action, keepEmptyValue: message.keepEmptyValue))
        }
        return result
    }
}
