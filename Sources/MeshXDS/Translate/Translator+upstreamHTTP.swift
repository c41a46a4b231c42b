// SPDX-License-Identifier: Apache-2.0
import MeshModel
import MeshProto

extension Translator {
    /// What a cluster says about HTTP, in its own fields and in `HttpProtocolOptions`, which goes before.
    func upstreamOptions(
        _ message: Envoy_Config_Cluster_V3_Cluster, at path: String
    ) throws(ConfigError) -> UpstreamHTTPOptions {
        typealias Extension = Envoy_Extensions_Upstreams_Http_V3_HttpProtocolOptions
        var options = try ownOptions(of: message, at: path)
        for (name, any) in message.typedExtensionProtocolOptions.sorted(by: { $0.key < $1.key }) {
            let place = "\(path).typed_extension_protocol_options[\"\(name)\"]"
            let inner = try unwrapped(any, at: place)
            guard TypeURL.messageName(inner.typeURL) == Extension.protoMessageName else {
                throw error(place, found: "'\(inner.typeURL)'", allowed: Extension.protoMessageName)
            }
            let http = try decode(Extension.self, from: inner, at: place)
            setCommon(of: &options, http.commonHTTPProtocolOptions)
            if http.hasUpstreamHTTPProtocolOptions { setServerName(of: &options, http.upstreamHTTPProtocolOptions) }
            try setProtocol(of: &options, http, at: place)
        }
        return options
    }

    private func ownOptions(
        of message: Envoy_Config_Cluster_V3_Cluster, at path: String
    ) throws(ConfigError) -> UpstreamHTTPOptions {
        var options = UpstreamHTTPOptions()
        if message.hasMaxRequestsPerConnection {
            options.maxRequestsPerConnection = message.maxRequestsPerConnection.value
        }
        setCommon(of: &options, message.commonHTTPProtocolOptions)
        setServerName(of: &options, message.upstreamHTTPProtocolOptions)
        options.http1 = try http1Options(message.httpProtocolOptions, at: path + ".http_protocol_options")
        options.http2 = http2Options(message.http2ProtocolOptions)
        if message.protocolSelection == .useDownstreamProtocol {
            options.protocolSelection = .downstream
        } else if message.hasHTTP2ProtocolOptions {
            guard !message.hasHTTPProtocolOptions else {
                throw error(
                    path + ".http2_protocol_options", found: "options of HTTP/2 beside those of HTTP/1",
                    allowed: "one of them, or protocol_selection USE_DOWNSTREAM_PROTOCOL")
            }
            options.protocolSelection = .http2
        }
        return options
    }

    private func setProtocol(
        of options: inout UpstreamHTTPOptions, _ message: Envoy_Extensions_Upstreams_Http_V3_HttpProtocolOptions,
        at path: String
    ) throws(ConfigError) {
        switch message.upstreamProtocolOptions {
        case .explicitHTTPConfig(let config)?:
            switch config.protocolConfig {
            case .httpProtocolOptions(let http1)?:
                options.protocolSelection = .http1
                options.http1 = try http1Options(http1, at: path + ".explicit_http_config.http_protocol_options")
            case .http2ProtocolOptions(let http2)?:
                options.protocolSelection = .http2
                options.http2 = http2Options(http2)
            case nil:
                throw error(
                    path + ".explicit_http_config", found: "no protocol",
                    allowed: "http_protocol_options or http2_protocol_options")
            }
        case .useDownstreamProtocolConfig(let config)?:
            options.protocolSelection = .downstream
            options.http1 = try http1Options(
                config.httpProtocolOptions, at: path + ".use_downstream_protocol_config.http_protocol_options")
            options.http2 = http2Options(config.http2ProtocolOptions)
        case .autoConfig(let config)?:
            options.protocolSelection = .auto
            options.http1 = try http1Options(config.httpProtocolOptions, at: path + ".auto_config.http_protocol_options")
            options.http2 = http2Options(config.http2ProtocolOptions)
        case nil:
            throw error(
                path, found: "no protocol",
                allowed: "explicit_http_config, use_downstream_protocol_config or auto_config")
        }
    }

    private func setServerName(
        of options: inout UpstreamHTTPOptions, _ message: Envoy_Config_Core_V3_UpstreamHttpProtocolOptions
    ) {
        options.autoSNI = message.autoSni
        options.autoSANValidation = message.autoSanValidation
        options.autoSNIHeader = message.overrideAutoSniHeader.lowercased()
    }

    private func setCommon(of options: inout UpstreamHTTPOptions, _ common: Envoy_Config_Core_V3_HttpProtocolOptions) {
        if common.hasIdleTimeout { options.idleTimeout = common.idleTimeout.timeout }
        if common.hasMaxRequestsPerConnection {
            options.maxRequestsPerConnection = common.maxRequestsPerConnection.value
        }
        if options.maxRequestsPerConnection == 0 { options.maxRequestsPerConnection = nil }
        if common.hasMaxConnectionDuration { options.maxConnectionDuration = common.maxConnectionDuration.timeout }
        if common.hasMaxStreamDuration { options.maxStreamDuration = common.maxStreamDuration.timeout }
        if common.hasMaxHeadersCount { options.maxResponseHeadersCount = common.maxHeadersCount.value }
    }
}
