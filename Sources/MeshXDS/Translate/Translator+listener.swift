// SPDX-License-Identifier: Apache-2.0
import MeshIO
package import MeshModel
package import MeshProto

extension Translator {
    /// A listener with all its chains.
    ///
    /// - Throws: `ConfigError` also when chains overlap or a chain does not end in the HTTP connection manager or TCP
    ///   proxy.
    package func listener(_ message: Envoy_Config_Listener_V3_Listener, at path: String) throws(ConfigError) -> Listener
    {
        guard message.hasAddress else {
            throw error(path + ".address", found: "no address", allowed: "socket_address or pipe")
        }
        var addresses = [try listenerAddress(message.address, at: path + ".address")]
        for (index, additional) in message.additionalAddresses.enumerated() {
            addresses.append(
                try listenerAddress(additional.address, at: "\(path).additional_addresses[\(index)].address"))
        }
        let name = message.name.isEmpty ? addresses[0].address.description : message.name
        var listener = Listener(name: name, addresses: addresses)
        for (index, chain) in message.filterChains.enumerated() {
            listener.filterChains.append(try filterChain(chain, at: "\(path).filter_chains[\(index)]"))
        }
        if message.hasDefaultFilterChain {
            listener.defaultFilterChain = try filterChain(
                message.defaultFilterChain, at: path + ".default_filter_chain")
        }
        guard !listener.filterChains.isEmpty || listener.defaultFilterChain != nil else {
            throw error(path + ".filter_chains", found: "none", allowed: "at least one chain, or default_filter_chain")
        }
        do throws(ResourceError) {
            _ = try FilterChainTable(listener.filterChains)
        } catch {
            throw self.error(error, under: path)
        }
        setOptions(of: &listener, message)
        listener.listenerFilters = try listenerFilters(message.listenerFilters, at: path + ".listener_filters")
        listener.metadata = metadata(message.metadata)
        listener.accessLogs = try accessLogs(message.accessLog, at: path + ".access_log")
        return listener
    }

    private func setOptions(of listener: inout Listener, _ message: Envoy_Config_Listener_V3_Listener) {
        listener.useOriginalDestination = message.useOriginalDst.value
        if message.hasBindToPort {
            listener.bindToPort = message.bindToPort.value
        } else if message.deprecatedV1.hasBindToPort {
            listener.bindToPort = message.deprecatedV1.bindToPort.value
        }
        if message.hasPerConnectionBufferLimitBytes {
            listener.bufferLimitBytes = message.perConnectionBufferLimitBytes.value
        }
        if message.hasListenerFiltersTimeout {
            listener.listenerFiltersTimeout = message.listenerFiltersTimeout.timeout
        }
        listener.continueOnListenerFiltersTimeout = message.continueOnListenerFiltersTimeout
        listener.trafficDirection =
            switch message.trafficDirection {
            case .inbound: .inbound
            case .outbound: .outbound
            default: .unspecified
            }
        if message.hasMaxConnectionsToAcceptPerSocketEvent {
            listener.acceptsPerSocketEvent = message.maxConnectionsToAcceptPerSocketEvent.value
        }
        listener.connectionLimit = runtime["envoy.resource_limits.listener.\(listener.name).connection_limit"].flatMap(
            UInt64.init)
        listener.ignoreGlobalConnectionLimit = message.ignoreGlobalConnLimit
        listener.bypassesOverloadManager = message.bypassOverloadManager
        listener.drainsWhenUnhealthy = message.drainType != .modifyOnly
        if message.hasTransparent { listener.transparent = message.transparent.value }
        if message.hasTcpBacklogSize { listener.backlog = message.tcpBacklogSize.value }
        listener.statPrefix = message.statPrefix
        if message.hasEnableReusePort { listener.reusePort = message.enableReusePort.value }
        if case .exactBalance? = message.connectionBalanceConfig.balanceType { listener.exactBalance = true }
    }

    // MARK: Listener filters

    private func listenerFilters(
        _ messages: [Envoy_Config_Listener_V3_ListenerFilter], at path: String
    ) throws(ConfigError) -> [ListenerFilterConfig] {
        var filters: [ListenerFilterConfig] = []
        for (index, message) in messages.enumerated() {
            let place = "\(path)[\(index)]"
            let config = try typedConfig(name: message.name, message.typedConfig, at: place)
            let kind: ListenerFilterConfig.Kind
            switch config.messageName {
            case "envoy.extensions.filters.listener.http_inspector.v3.HttpInspector": kind = .httpInspector
            case "envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector":
                let inspector = try decode(
                    Envoy_Extensions_Filters_Listener_TlsInspector_V3_TlsInspector.self,
                    from: unwrapped(message.typedConfig, at: place), at: place)
                kind = .tlsInspector(Self.options(inspector))
            case "envoy.extensions.filters.listener.original_dst.v3.OriginalDst": kind = .originalDestination
            case "envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol":
                let proxy = try decode(
                    Envoy_Extensions_Filters_Listener_ProxyProtocol_V3_ProxyProtocol.self,
                    from: unwrapped(message.typedConfig, at: place), at: place)
                var options = ProxyProtocolOptions()
                options.allowWithoutHeader = proxy.allowRequestsWithoutProxyProtocol
                options.statPrefix = proxy.statPrefix
                kind = .proxyProtocol(options)
            default: kind = .other(config)
            }
            let disabled =
                message.hasFilterDisabled ? try predicate(message.filterDisabled, at: place + ".filter_disabled") : nil
            filters.append(ListenerFilterConfig(name: message.name, kind: kind, disabled: disabled))
        }
        return filters
    }

    private static func options(
        _ message: Envoy_Extensions_Filters_Listener_TlsInspector_V3_TlsInspector
    ) -> TLSInspectorOptions {
        var options = TLSInspectorOptions()
        if message.hasMaxClientHelloSize { options.maxClientHelloBytes = message.maxClientHelloSize.value }
        options.initialReadBufferSize = min(
            message.hasInitialReadBufferSize ? message.initialReadBufferSize.value : .max, options.maxClientHelloBytes)
        options.closesOnParsingErrors = message.closeConnectionOnClientHelloParsingErrors
        return options
    }

    private func predicate(
        _ message: Envoy_Config_Listener_V3_ListenerFilterChainMatchPredicate, at path: String
    ) throws(ConfigError) -> DestinationPredicate {
        func all(
            _ set: Envoy_Config_Listener_V3_ListenerFilterChainMatchPredicate.MatchSet, _ name: String
        ) throws(ConfigError) -> [DestinationPredicate] {
            var rules: [DestinationPredicate] = []
            for (index, rule) in set.rules.enumerated() {
                rules.append(try predicate(rule, at: "\(path).\(name).rules[\(index)]"))
            }
            return rules
        }
        switch message.rule {
        case .orMatch(let set)?: return .or(try all(set, "or_match"))
        case .andMatch(let set)?: return .and(try all(set, "and_match"))
        case .notMatch(let rule)?: return .not(try predicate(rule, at: path + ".not_match"))
        case .anyMatch?: return .any
        case .destinationPortRange(let range)?: return .port(start: range.start, end: range.end)
        case nil:
            throw error(
                path, found: "no rule", allowed: "or_match, and_match, not_match, any_match or destination_port_range")
        }
    }

    // MARK: Chains

    private func filterChain(
        _ message: Envoy_Config_Listener_V3_FilterChain, at path: String
    ) throws(ConfigError) -> FilterChain {
        var networkFilters: [TypedConfig] = []
        var terminal: FilterChain.Terminal?
        for (index, filter) in message.filters.enumerated() {
            let place = "\(path).filters[\(index)]"
            let config = try typedConfig(name: filter.name, filter.typedConfig, at: place)
            guard let found = try self.terminal(config, filter.typedConfig, at: place) else {
                networkFilters.append(config)
                continue
            }
            guard index == message.filters.count - 1 else {
                throw error(
                    place, found: "the terminal filter '\(filter.name)' before the end",
                    allowed: "a terminal filter in last place only")
            }
            terminal = found
        }
        guard let terminal else {
            throw error(
                path + ".filters", found: message.filters.last.map { "'\($0.name)' in last place" } ?? "no filters",
                allowed: "an HTTP connection manager or TCP proxy in last place")
        }
        let match = try filterChainMatch(message.filterChainMatch, at: path + ".filter_chain_match")
        var chain = FilterChain(name: message.name, match: match, terminal: terminal)
        chain.metadata = metadata(message.metadata)
        chain.networkFilters = networkFilters
        if message.hasTransportSocket {
            chain.tls = try downstreamTLS(message.transportSocket, at: path + ".transport_socket")
        }
        chain.transportConnectTimeout = message.transportSocketConnectTimeout.timeout
        chain.digest = Self.digest(message)
        return chain
    }

    private func terminal(
        _ config: TypedConfig, _ any: SwiftProtobuf.Google_Protobuf_Any, at path: String
    ) throws(ConfigError) -> FilterChain.Terminal? {
        typealias HTTP = Envoy_Extensions_Filters_Network_HttpConnectionManager_V3_HttpConnectionManager
        typealias TCP = Envoy_Extensions_Filters_Network_TcpProxy_V3_TcpProxy
        let place = path + ".typed_config"
        switch String(config.messageName) {
        case HTTP.protoMessageName:
            return .http(try httpTerminal(decode(HTTP.self, from: unwrapped(any, at: place), at: place), at: place))
        case TCP.protoMessageName:
            return .tcp(try tcpTerminal(decode(TCP.self, from: unwrapped(any, at: place), at: place), at: place))
        default:
            return nil
        }
    }

    private func filterChainMatch(
        _ message: Envoy_Config_Listener_V3_FilterChainMatch, at path: String
    ) throws(ConfigError) -> FilterChainMatch {
        guard message.addressSuffix.isEmpty, !message.hasSuffixLen else {
            throw error(
                path + ".address_suffix", found: "'\(message.addressSuffix)'", allowed: "nothing: it is not implemented"
            )
        }
        var match = FilterChainMatch()
        if message.hasDestinationPort {
            guard let port = UInt16(exactly: message.destinationPort.value) else {
                throw error(
                    path + ".destination_port", found: "\(message.destinationPort.value)", allowed: "1 to 65535")
            }
            match.destinationPort = port
        }
        match.prefixRanges = try ranges(message.prefixRanges, at: path + ".prefix_ranges")
        match.directSourcePrefixRanges = try ranges(
            message.directSourcePrefixRanges, at: path + ".direct_source_prefix_ranges")
        match.sourcePrefixRanges = try ranges(message.sourcePrefixRanges, at: path + ".source_prefix_ranges")
        match.sourceType =
            switch message.sourceType {
            case .sameIpOrLoopback: .sameIPOrLoopback
            case .external: .external
            default: .any
            }
        for (index, port) in message.sourcePorts.enumerated() {
            guard let port = UInt16(exactly: port) else {
                throw error("\(path).source_ports[\(index)]", found: "\(port)", allowed: "1 to 65535")
            }
            match.sourcePorts.append(port)
        }
        match.serverNames = message.serverNames
        match.transportProtocol = message.transportProtocol
        match.applicationProtocols = message.applicationProtocols
        return match
    }

    /// Equal configuration, equal digest: FNV-1a over the message in its deterministic form.
    private static func digest(_ message: Envoy_Config_Listener_V3_FilterChain) -> UInt64 {
        var options = BinaryEncodingOptions()
        options.useDeterministicOrdering = true
        guard let bytes: [UInt8] = try? message.serializedBytes(options: options) else { return 0 }
        var hash: UInt64 = 14_695_981_039_346_656_037
        for byte in bytes { hash = (hash ^ UInt64(byte)) &* 1_099_511_628_211 }
        return hash
    }
}
