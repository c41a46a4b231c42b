// SPDX-License-Identifier: Apache-2.0
import MeshModel
import MeshProto
import MeshXDS

/// The bootstrap, read, translated, and ready to be put in force.
struct LoadedConfiguration {
    let model: BootstrapModel
    /// The whole message in wire form, for `config_dump`.
    let wire: [UInt8]
    let unsupported: [UnsupportedField]
    /// `node.metadata`, for `/server_info`.
    let nodeMetadata: JSONValue
    /// From `application_log_config`; nil where the bootstrap says nothing.
    let logFormat: String?

    /// Reads what the options name.
    ///
    /// The decoded message and the schema it was read by are gone when this returns: they are larger than what is kept.
    ///
    /// - Throws: `ConfigError` with file, field, what was found, what is allowed.
    static func load(_ options: ServerOptions) throws(ConfigError) -> LoadedConfiguration {
        let decoded = try BootstrapDecoder.decode(
            options.configPath.map { .file($0) }, overlayYAML: options.configYAML,
            allowsUnknownFields: options.allowUnknownStaticFields)
        var model = try Translate.bootstrap(decoded.message, source: options.configPath ?? BootstrapDecoder.overlaySource)
        if !options.serviceNode.isEmpty { model.node.id = options.serviceNode }
        if !options.serviceCluster.isEmpty { model.node.cluster = options.serviceCluster }
        if !options.serviceZone.isEmpty { model.node.locality.zone = options.serviceZone }
        return LoadedConfiguration(
            model: model, wire: decoded.wire, unsupported: decoded.unsupported,
            nodeMetadata: JSONValue(decoded.message.node.metadata), logFormat: logFormat(decoded.message))
    }

    /// `application_log_config` as a pattern; its JSON form becomes an object whose values are patterns.
    private static func logFormat(_ message: Envoy_Config_Bootstrap_V3_Bootstrap) -> String? {
        switch message.applicationLogConfig.logFormat.logFormat {
        case .textFormat(let text)?: return text
        case .jsonFormat(let object)?:
            let members = object.fields.sorted { $0.key < $1.key }.map { name, value in
                // Inside JSON the message must be escaped, whichever flag was written.
                "\"\(name)\":\"\(value.stringValue.replacing("%v", with: "%j"))\""
            }
            return "{" + members.joined(separator: ",") + "}"
        case nil: return nil
        }
    }
}
