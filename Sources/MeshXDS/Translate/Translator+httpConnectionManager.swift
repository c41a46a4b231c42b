// SPDX-License-Identifier: Apache-2.0
import MeshModel
import MeshProto

extension Translator {
    typealias Manager = Envoy_Extensions_Filters_Network_HttpConnectionManager_V3_HttpConnectionManager

    func httpTerminal(_ message: Manager, at path: String) throws(ConfigError) -> HTTPTerminal {
        guard case .routeConfig(let routes)? = message.routeSpecifier else {
            throw error(path, found: "no routes", allowed: "route_config")
        }
        let configuration = try routeConfiguration(routes, at: path + ".route_config")
        var terminal = HTTPTerminal(statPrefix: message.statPrefix, routes: .inline(configuration))
        switch message.codecType {
        case .auto: terminal.codec = .auto
        case .http1: terminal.codec = .http1
        case .http2: terminal.codec = .http2
        default: throw error(path + ".codec_type", found: "\(message.codecType)", allowed: "AUTO, HTTP1 or HTTP2")
        }
        terminal.httpFilters = try httpFilters(message.httpFilters, at: path + ".http_filters")
        setIdentity(of: &terminal, message)
        terminal.internalRanges = try ranges(
            message.internalAddressConfig.cidrRanges, at: path + ".internal_address_config.cidr_ranges")
        terminal.internalUnixSockets = message.internalAddressConfig.unixSockets
        terminal.requestID = try requestIDOptions(message, at: path)
        setShape(of: &terminal, message)
        terminal.timeouts = timeouts(message)
        terminal.http1 = try http1Options(message.httpProtocolOptions, at: path + ".http_protocol_options")
        terminal.http2 = http2Options(
            message.http2ProtocolOptions,
            managerStreamError: message.hasStreamErrorOnInvalidHTTPMessage
                ? message.streamErrorOnInvalidHTTPMessage.value : nil)
        terminal.forwardClientCertificate = forwardClientCertificate(message)
        let limit = message.commonHTTPProtocolOptions.maxRequestsPerConnection.value
        terminal.maxRequestsPerConnection = limit == 0 ? nil : limit
        for (index, upgrade) in message.upgradeConfigs.enumerated() {
            let place = "\(path).upgrade_configs[\(index)]"
            let name = upgrade.upgradeType.lowercased()
            guard !terminal.upgrades.contains(where: { $0.name == name }) else {
                throw error(
                    place + ".upgrade_type", found: "'\(upgrade.upgradeType)' a second time", allowed: "each type once")
            }
            let filters = upgrade.filters.isEmpty ? [] : try httpFilters(upgrade.filters, at: place + ".filters")
            terminal.upgrades.append(
                UpgradeOption(
                    name: name, enabled: !upgrade.hasEnabled || upgrade.enabled.value, filters: filters))
        }
        terminal.proxy100Continue = message.proxy100Continue
        terminal.streamErrorOnInvalidMessage =
            message.httpProtocolOptions.hasOverrideStreamErrorOnInvalidHTTPMessage
            ? message.httpProtocolOptions.overrideStreamErrorOnInvalidHTTPMessage.value
            : message.streamErrorOnInvalidHTTPMessage.value
        terminal.accessLogs = try accessLogs(message.accessLog, at: path + ".access_log")
        terminal.accessLogOptions = try accessLogOptions(message, at: path)
        if message.hasLocalReplyConfig {
            terminal.localReplies = try localReplyPolicy(message.localReplyConfig, at: path + ".local_reply_config")
        }
        return terminal
    }

    private func setIdentity(of terminal: inout HTTPTerminal, _ message: Manager) {
        if !message.serverName.isEmpty { terminal.serverName = message.serverName }
        terminal.serverHeaderTransformation =
            switch message.serverHeaderTransformation {
            case .appendIfAbsent: .appendIfAbsent
            case .passThrough: .passThrough
            default: .overwrite
            }
        terminal.useRemoteAddress = message.useRemoteAddress.value
        terminal.xffTrustedHops = message.xffNumTrustedHops
        terminal.skipXFFAppend = message.skipXffAppend
        terminal.appendXForwardedPort = message.appendXForwardedPort
        terminal.via = message.via
        terminal.addUserAgent = message.addUserAgent.value
        terminal.representIPv4AsMappedIPv6 = message.representIpv4RemoteAddressAsIpv4MappedIpv6
    }

    private func forwardClientCertificate(_ message: Manager) -> ForwardClientCertificate {
        var forward = ForwardClientCertificate()
        forward.mode =
            switch message.forwardClientCertDetails {
            case .forwardOnly: .forwardOnly
            case .appendForward: .appendForward
            case .sanitizeSet: .sanitizeSet
            case .alwaysForwardOnly: .alwaysForwardOnly
            default: .sanitize
            }
        let current = message.setCurrentClientCertDetails
        if current.subject.value { forward.details.insert(.subject) }
        if current.cert { forward.details.insert(.certificate) }
        if current.chain { forward.details.insert(.chain) }
        if current.dns { forward.details.insert(.dns) }
        if current.uri { forward.details.insert(.uri) }
        return forward
    }

    private func requestIDOptions(_ message: Manager, at path: String) throws(ConfigError) -> RequestIDOptions {
        var options = RequestIDOptions()
        if message.hasGenerateRequestID { options.generate = message.generateRequestID.value }
        options.preserveExternal = message.preserveExternalRequestID
        options.alwaysSetInResponse = message.alwaysSetRequestIDInResponse
        guard message.requestIDExtension.hasTypedConfig else { return options }
        let place = path + ".request_id_extension.typed_config"
        let any = try unwrapped(message.requestIDExtension.typedConfig, at: place)
        typealias UUID = Envoy_Extensions_RequestId_Uuid_V3_UuidRequestIdConfig
        guard TypeURL.messageName(any.typeURL) == UUID.protoMessageName else {
            throw error(place, found: any.typeURL, allowed: UUID.protoMessageName)
        }
        let uuid = try decode(UUID.self, from: any, at: place)
        if uuid.hasPackTraceReason { options.packTraceReason = uuid.packTraceReason.value }
        if uuid.hasUseRequestIDForTraceSampling {
            options.useForTraceSampling = uuid.useRequestIDForTraceSampling.value
        }
        return options
    }

    /// Path, host and head limits.
    private func setShape(of terminal: inout HTTPTerminal, _ message: Manager) {
        terminal.paths.normalize = message.normalizePath.value
        terminal.paths.mergeSlashes = message.mergeSlashes
        terminal.paths.escapedSlashes =
            switch message.pathWithEscapedSlashesAction {
            case .rejectRequest: .reject
            case .unescapeAndRedirect: .unescapeAndRedirect
            case .unescapeAndForward: .unescapeAndForward
            default: .keepUnchanged
            }
        if case .stripAnyHostPort(true)? = message.stripPortMode {
            terminal.host.portStripping = .any
        } else if message.stripMatchingHostPort {
            terminal.host.portStripping = .matching
        }
        terminal.host.stripTrailingDot = message.stripTrailingHostDot
        if message.hasMaxRequestHeadersKb {
            terminal.limits.maxRequestHeadersBytes = Int(message.maxRequestHeadersKb.value) * 1024
        }
        let common = message.commonHTTPProtocolOptions
        if common.hasMaxHeadersCount { terminal.limits.maxHeadersCount = common.maxHeadersCount.value }
        terminal.limits.underscores =
            switch common.headersWithUnderscoresAction {
            case .rejectRequest: .reject
            case .dropHeader: .drop
            default: .allow
            }
    }

    private func timeouts(_ message: Manager) -> DownstreamTimeouts {
        var timeouts = DownstreamTimeouts()
        let common = message.commonHTTPProtocolOptions
        if message.hasStreamIdleTimeout { timeouts.streamIdle = message.streamIdleTimeout.timeout }
        timeouts.request = message.requestTimeout.timeout
        timeouts.requestHeaders = message.requestHeadersTimeout.timeout
        if common.hasIdleTimeout { timeouts.idle = common.idleTimeout.timeout }
        timeouts.maxConnectionDuration = common.maxConnectionDuration.timeout
        timeouts.http1SafeMaxConnectionDuration = message.http1SafeMaxConnectionDuration
        if message.hasDrainTimeout { timeouts.drain = message.drainTimeout.timeout }
        if message.hasDelayedCloseTimeout { timeouts.delayedClose = message.delayedCloseTimeout.timeout }
        timeouts.maxStreamDuration = common.maxStreamDuration.timeout
        return timeouts
    }

    /// HTTP/1 options of either side.
    func http1Options(_ message: Envoy_Config_Core_V3_Http1ProtocolOptions, at path: String) throws(ConfigError)
        -> HTTP1Options
    {
        var options = HTTP1Options()
        if message.hasAllowAbsoluteURL { options.allowAbsoluteURL = message.allowAbsoluteURL.value }
        options.acceptHTTP10 = message.acceptHTTP10
        options.defaultHostForHTTP10 = message.defaultHostForHTTP10
        options.enableTrailers = message.enableTrailers
        options.allowChunkedLength = message.allowChunkedLength
        switch message.headerKeyFormat.headerFormat {
        case .properCaseWords?: options.keyFormat = .properCase
        case .statefulFormatter(let formatter)?:
            let place = path + ".header_key_format.stateful_formatter.typed_config"
            let any = try unwrapped(formatter.typedConfig, at: place)
            let allowed = Envoy_Extensions_Http_HeaderFormatters_PreserveCase_V3_PreserveCaseFormatterConfig
                .protoMessageName
            guard TypeURL.messageName(any.typeURL) == allowed else {
                throw error(place, found: any.typeURL, allowed: allowed)
            }
            options.keyFormat = .preserve
        case nil: break
        }
        return options
    }

    private func httpFilters(
        _ messages: [Envoy_Extensions_Filters_Network_HttpConnectionManager_V3_HttpFilter], at path: String
    ) throws(ConfigError) -> [TypedConfig] {
        var filters: [TypedConfig] = []
        let router = Envoy_Extensions_Filters_Http_Router_V3_Router.protoMessageName
        for (index, message) in messages.enumerated() {
            let place = "\(path)[\(index)]"
            let config = try typedConfig(
                name: message.name, message.typedConfig, isOptional: message.isOptional, isDisabled: message.disabled,
                at: place)
            let isLast = index == messages.count - 1
            guard (config.messageName == router) == isLast else {
                throw error(
                    place, found: isLast ? "'\(message.name)' in last place" : "the router before the end",
                    allowed: "\(router) in last place, and only there")
            }
            filters.append(config)
        }
        guard !filters.isEmpty else { throw error(path, found: "no filters", allowed: "at least \(router)") }
        return filters
    }
}
