// SPDX-License-Identifier: Apache-2.0
package import MeshIO
import MeshModel
import MeshProto

/// Turns typed xDS messages into the model. One file per resource; errors name the field, what stands there and what
/// may.
///
/// Rules that the API itself states (lengths, ranges, required fields) are checked before, by `ConfigInspector`.
package struct Translator {
    /// Where the configuration came from, for errors.
    package let source: String
    /// Largest RE2 program taken. Source: runtime key `re2.max_program_size.error_level`. Default: 100.
    package var maxRegexProgramSize = 100
    /// Static runtime values, by key.
    package var runtime: [String: String] = [:]
    /// How names are looked up where a cluster does not say. Source: the bootstrap's `typed_dns_resolver_config`.
    package var defaultResolver = ResolverOptions()

    package init(source: String) { self.source = source }

    func error(_ path: String, found: String, allowed: String) -> ConfigError {
        ConfigError(source: source, path: path, found: found, allowed: allowed)
    }

    /// The error of a table that could not be compiled, under the path of its resource.
    func error(_ error: ResourceError, under path: String) -> ConfigError {
        self.error(path.isEmpty ? error.path : "\(path).\(error.path)", found: error.found, allowed: error.allowed)
    }

    /// Decodes the message inside an `Any` that must hold one type.
    func decode<Message: SwiftProtobuf.Message>(
        _ type: Message.Type, from any: SwiftProtobuf.Google_Protobuf_Any, at path: String
    ) throws(ConfigError) -> Message {
        do {
            return try Message(serializedBytes: any.value)
        } catch {
            throw self.error(path, found: "bytes that do not decode", allowed: type.protoMessageName)
        }
    }

    /// The `Any` without a `TypedStruct` around it.
    func unwrapped(
        _ any: SwiftProtobuf.Google_Protobuf_Any, at path: String
    ) throws(ConfigError) -> SwiftProtobuf.Google_Protobuf_Any {
        // The transcoder loads the schema of the whole API: only where it is needed.
        guard TypeURL.isTypedStruct(TypeURL.messageName(any.typeURL)) else { return any }
        return try Transcoder().unwrapped(any, source: source, path: path)
    }

    /// An extension's configuration, left undecoded.
    func typedConfig(
        name: String, _ any: SwiftProtobuf.Google_Protobuf_Any, isOptional: Bool = false, isDisabled: Bool = false,
        at path: String
    ) throws(ConfigError) -> TypedConfig {
        let inner = try unwrapped(any, at: path + ".typed_config")
        guard !inner.typeURL.isEmpty else {
            throw error(path + ".typed_config", found: "no type", allowed: "a message with its @type")
        }
        return TypedConfig(
            name: name, typeURL: inner.typeURL, bytes: Array(inner.value), isOptional: isOptional,
            isDisabled: isDisabled,
            path: path)
    }

    /// `typed_per_filter_config`, in order of name.
    func perFilterConfigs(
        _ configs: [String: SwiftProtobuf.Google_Protobuf_Any], at path: String
    ) throws(ConfigError) -> [TypedConfig] {
        var result: [TypedConfig] = []
        for (name, any) in configs.sorted(by: { $0.key < $1.key }) {
            result.append(try typedConfig(name: name, any, at: "\(path).typed_per_filter_config[\"\(name)\"]"))
        }
        return result
    }
}

extension SwiftProtobuf.Google_Protobuf_Duration {
    var duration: Duration { Duration(secondsComponent: seconds, attosecondsComponent: Int64(nanos) * 1_000_000_000) }

    /// A timeout for which zero means none.
    var timeout: Duration? { seconds == 0 && nanos == 0 ? nil : duration }

    /// A timeout for which zero switches off what a wider place set.
    var override: TimeoutOverride { timeout.map { .after($0) } ?? .disabled }
}
