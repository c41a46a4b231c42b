// SPDX-License-Identifier: Apache-2.0
import MeshModel
import MeshProto

extension Translator {
    func accessLogs(
        _ messages: [Envoy_Config_Accesslog_V3_AccessLog], at path: String
    ) throws(ConfigError) -> [AccessLogConfig] {
        var logs: [AccessLogConfig] = []
        for (index, message) in messages.enumerated() {
            let place = "\(path)[\(index)]"
            var log = try accessLog(message, at: place + ".typed_config")
            if message.hasFilter { log.filter = try accessLogFilter(message.filter, at: place + ".filter") }
            logs.append(log)
        }
        return logs
    }

    static func destination(_ path: String) -> AccessLogConfig.Destination {
        switch path {
        case "/dev/stdout": .standardOutput
        case "/dev/stderr": .standardError
        default: .file(path)
        }
    }

    private func accessLog(
        _ message: Envoy_Config_Accesslog_V3_AccessLog, at path: String
    ) throws(ConfigError) -> AccessLogConfig {
        typealias File = Envoy_Extensions_AccessLoggers_File_V3_FileAccessLog
        typealias Output = Envoy_Extensions_AccessLoggers_Stream_V3_StdoutAccessLog
        typealias ErrorOutput = Envoy_Extensions_AccessLoggers_Stream_V3_StderrAccessLog
        let any = try unwrapped(message.typedConfig, at: path)
        switch TypeURL.messageName(any.typeURL) {
        case File.protoMessageName:
            let file = try decode(File.self, from: any, at: path)
            let destination = Self.destination(file.path)
            switch file.accessLogFormat {
            case .format(let text)?: return AccessLogConfig(destination, format: try format(text, at: path + ".format"))
            case .logFormat(let log)?:
                return AccessLogConfig(destination, format: try format(log, at: path + ".log_format"))
            case .jsonFormat(let json)?:
                return AccessLogConfig(destination, format: try jsonFormat(json, at: path + ".json_format"))
            case .typedJsonFormat(let json)?:
                return AccessLogConfig(destination, format: try jsonFormat(json, at: path + ".typed_json_format"))
            case nil: return AccessLogConfig(destination)
            }
        case Output.protoMessageName:
            let stream = try decode(Output.self, from: any, at: path)
            guard case .logFormat(let log)? = stream.accessLogFormat else { return AccessLogConfig(.standardOutput) }
            return AccessLogConfig(.standardOutput, format: try format(log, at: path + ".log_format"))
        case ErrorOutput.protoMessageName:
            let stream = try decode(ErrorOutput.self, from: any, at: path)
            guard case .logFormat(let log)? = stream.accessLogFormat else { return AccessLogConfig(.standardError) }
            return AccessLogConfig(.standardError, format: try format(log, at: path + ".log_format"))
        default:
            throw error(path, found: "'\(any.typeURL)'", allowed: "a file, stdout or stderr access log")
        }
    }

    // MARK: When

    func accessLogOptions(_ message: Manager, at path: String) throws(ConfigError) -> AccessLogOptions {
        var options = AccessLogOptions()
        if message.hasAccessLogOptions {
            let own = message.accessLogOptions
            let place = path + ".access_log_options"
            guard !message.hasAccessLogFlushInterval, !message.flushAccessLogOnNewRequest else {
                throw error(place, found: "the deprecated fields beside it", allowed: "only access_log_options")
            }
            if own.hasAccessLogFlushInterval {
                options.flushInterval = own.accessLogFlushInterval.timeout
            }
            options.logsBeginning = own.flushAccessLogOnNewRequest
            options.logsTunnel = own.flushLogOnTunnelSuccessfullyEstablished
        } else {
            if message.hasAccessLogFlushInterval { options.flushInterval = message.accessLogFlushInterval.timeout }
            options.logsBeginning = message.flushAccessLogOnNewRequest
        }
        return options
    }

    func accessLogOptions(
        _ message: Envoy_Extensions_Filters_Network_TcpProxy_V3_TcpProxy, at path: String
    ) throws(ConfigError) -> AccessLogOptions {
        var options = AccessLogOptions()
        if message.hasAccessLogOptions {
            let own = message.accessLogOptions
            guard !message.hasAccessLogFlushInterval, !message.flushAccessLogOnConnected else {
                throw error(
                    path + ".access_log_options", found: "the deprecated fields beside it",
                    allowed: "only access_log_options")
            }
            if own.hasAccessLogFlushInterval { options.flushInterval = own.accessLogFlushInterval.timeout }
            options.logsBeginning = own.flushAccessLogOnConnected
            options.logsStart = own.flushAccessLogOnStart
        } else {
            if message.hasAccessLogFlushInterval { options.flushInterval = message.accessLogFlushInterval.timeout }
            options.logsBeginning = message.flushAccessLogOnConnected
        }
        return options
    }

    // MARK: Formats

    func format(
        _ message: Envoy_Config_Core_V3_SubstitutionFormatString, at path: String
    ) throws(ConfigError) -> AccessLogFormat {
        let extensions = try formatters(message, at: path + ".formatters")
        let omits = message.omitEmptyValues
        switch message.format {
        case .textFormat(let text)?:
            return AccessLogFormat(
                try format(text, extensions: extensions, at: path + ".text_format"), omitsEmpty: omits)
        case .textFormatSource(let source)?:
            let place = path + ".text_format_source"
            let text = String(decoding: try bytes(source, at: place), as: UTF8.self)
            return AccessLogFormat(try format(text, extensions: extensions, at: place), omitsEmpty: omits)
        case .jsonFormat(let json)?:
            return try jsonFormat(json, extensions: extensions, omitsEmpty: omits, at: path + ".json_format")
        case nil: throw error(path, found: "no format", allowed: "text_format, text_format_source or json_format")
        }
    }

    /// Commands that the extensions of a format add.
    private func formatters(
        _ message: Envoy_Config_Core_V3_SubstitutionFormatString, at path: String
    ) throws(ConfigError) -> Set<FormatCommand> {
        var commands: Set<FormatCommand> = []
        for (index, formatter) in message.formatters.enumerated() {
            let place = "\(path)[\(index)].typed_config"
            let any = try unwrapped(formatter.typedConfig, at: place)
            let allowed = Envoy_Extensions_Formatter_ReqWithoutQuery_V3_ReqWithoutQuery.protoMessageName
            let expressions = Envoy_Extensions_Formatter_Cel_V3_Cel.protoMessageName
            switch TypeURL.messageName(any.typeURL) {
            case allowed: commands.insert(.requestWithoutQuery)
            // `%CEL%` is there without it too, as in Envoy.
            case expressions: break
            default: throw error(place, found: "'\(any.typeURL)'", allowed: "\(allowed) or \(expressions)")
            }
        }
        return commands
    }

    /// Compiles a format string.
    func format(_ text: String, extensions: Set<FormatCommand> = [], at path: String) throws(ConfigError) -> FormatTemplate {
        do throws(FormatError) {
            return try FormatTemplate.compile(text, extensions: extensions)
        } catch {
            throw self.error(error, of: text, at: path)
        }
    }

    private func error(_ error: FormatError, of text: String, at path: String) -> ConfigError {
        ConfigError(
            source: source, path: path, found: "\(error.description) of '\(text)'",
            allowed: "text with Envoy's command operators",
            suggestion: error.unknownCommand.flatMap {
                NearestName.of($0, among: FormatCommand.allNames).map { "%\($0)%" }
            })
    }

    private func jsonFormat(
        _ message: SwiftProtobuf.Google_Protobuf_Struct, extensions: Set<FormatCommand> = [], omitsEmpty: Bool = false,
        at path: String
    ) throws(ConfigError) -> AccessLogFormat {
        let node = try jsonNode(message, extensions, at: path)
        do throws(FormatError) {
            return try AccessLogFormat(json: node, omitsEmpty: omitsEmpty, extensions: extensions)
        } catch {
            // Every text was compiled by itself before, to name its place.
            throw self.error(error, of: "the format", at: path)
        }
    }

    private func jsonNode(
        _ message: SwiftProtobuf.Google_Protobuf_Struct, _ extensions: Set<FormatCommand>, at path: String
    ) throws(ConfigError) -> JSONFormatNode {
        var fields: [String: JSONFormatNode] = [:]
        for (key, value) in message.fields.sorted(by: { $0.key < $1.key }) {
            fields[key] = try jsonNode(value, extensions, at: "\(path).\(key)")
        }
        return .object(fields)
    }

    private func jsonNode(
        _ message: SwiftProtobuf.Google_Protobuf_Value, _ extensions: Set<FormatCommand>, at path: String
    ) throws(ConfigError) -> JSONFormatNode {
        switch message.kind {
        case .nullValue?, nil: return .null
        case .boolValue(let flag)?: return .bool(flag)
        case .numberValue(let number)?: return .number(number)
        case .stringValue(let text)?:
            _ = try format(text, extensions: extensions, at: path)
            return .text(text)
        case .structValue(let object)?: return try jsonNode(object, extensions, at: path)
        case .listValue(let list)?:
            var nodes: [JSONFormatNode] = []
            for (index, value) in list.values.enumerated() {
                nodes.append(try jsonNode(value, extensions, at: "\(path)[\(index)]"))
            }
            return .list(nodes)
        }
    }

    // MARK: Local replies

    func localReplyPolicy(
        _ message: Envoy_Extensions_Filters_Network_HttpConnectionManager_V3_LocalReplyConfig, at path: String
    ) throws(ConfigError) -> LocalReplyPolicy {
        var policy = LocalReplyPolicy()
        if message.hasBodyFormat { policy.body = try body(message.bodyFormat, at: path + ".body_format") }
        for (index, item) in message.mappers.enumerated() {
            let place = "\(path).mappers[\(index)]"
            var mapper = LocalReplyPolicy.Mapper(filter: try accessLogFilter(item.filter, at: place + ".filter"))
            if item.hasStatusCode { mapper.status = UInt16(clamping: item.statusCode.value) }
            if item.hasBody { mapper.text = try bytes(item.body, at: place + ".body") }
            if item.hasBodyFormatOverride {
                mapper.body = try body(item.bodyFormatOverride, at: place + ".body_format_override")
            }
            mapper.headers = try additions(item.headersToAdd, at: place + ".headers_to_add")
            policy.mappers.append(mapper)
        }
        return policy
    }

    private func body(
        _ message: Envoy_Config_Core_V3_SubstitutionFormatString, at path: String
    ) throws(ConfigError) -> LocalReplyPolicy.Body {
        let format = try format(message, at: path)
        let type = message.contentType.isEmpty ? (format.isJSON ? "application/json" : "text/plain") : message.contentType
        return LocalReplyPolicy.Body(format: format, contentType: type)
    }
}
