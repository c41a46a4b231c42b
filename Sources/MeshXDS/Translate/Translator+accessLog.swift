// SPDX-License-Identifier: Apache-2.0
import MeshModel
import MeshProto

extension Translator {
    func accessLogs(
        _ messages: [Envoy_Config_Accesslog_V3_AccessLog], at path: String
    ) throws(ConfigError) -> [AccessLogConfig] {
        var logs: [AccessLogConfig] = []
        for (index, message) in messages.enumerated() {
            logs.append(try accessLog(message, at: "\(path)[\(index)].typed_config"))
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
            case .jsonFormat?, .typedJsonFormat?:
                throw error(path + ".json_format", found: "a JSON format", allowed: "a text format")
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

    private func format(
        _ message: Envoy_Config_Core_V3_SubstitutionFormatString, at path: String
    ) throws(ConfigError) -> FormatTemplate {
        switch message.format {
        case .textFormat(let text)?: return try format(text, at: path + ".text_format")
        case .textFormatSource(let source)?:
            let text = String(decoding: try bytes(source, at: path + ".text_format_source"), as: UTF8.self)
            return try format(text, at: path + ".text_format_source")
        case .jsonFormat?: throw error(path + ".json_format", found: "a JSON format", allowed: "a text format")
        case nil: throw error(path, found: "no format", allowed: "text_format or text_format_source")
        }
    }

    /// Compiles a format string.
    func format(_ text: String, at path: String) throws(ConfigError) -> FormatTemplate {
        do throws(FormatError) {
            return try FormatTemplate.compile(text)
        } catch {
            throw self.error(
                path, found: "\(error.description) of '\(text)'", allowed: "text with Envoy's command operators")
        }
    }
}
