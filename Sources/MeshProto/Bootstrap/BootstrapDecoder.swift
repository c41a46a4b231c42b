// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// A bootstrap, read, merged and validated.
package struct DecodedBootstrap: Sendable {
    /// `envoy.config.bootstrap.v3.Bootstrap` with every field, honoured or not; what `config_dump` prints.
    package var wire: [UInt8]
    /// The honoured part.
    package var message: Envoy_Config_Bootstrap_V3_Bootstrap
    /// What is set and not honoured, in the order of the API's fields; unknown names first.
    package var unsupported: [UnsupportedField]
}

/// Reads a bootstrap: `-c` and `--config-yaml`.
package enum BootstrapDecoder {
    /// Full name of the message.
    package static let type = "envoy.config.bootstrap.v3.Bootstrap"
    /// The source that errors of the overlay name.
    package static let overlaySource = "--config-yaml"

    /// Where the document is.
    package enum Input {
        case file(String)
        /// `name` is what errors call it; ending in `.json` it must be JSON.
        case bytes([UInt8], name: String)
    }

    /// Reads, merges, validates.
    ///
    /// - `overlayYAML` is merged over `input` as protobuf merges: scalars replace, messages merge, lists append, map
    ///   entries replace.
    /// - With `allowsUnknownFields` (`--allow-unknown-static-fields`) unknown and unsupported fields are rows of
    ///   `unsupported`. Without, the first unknown field, and the first unsupported one that is not safe to ignore,
    ///   is an error.
    /// - Throws: `ConfigError` for an unreadable file, wrong syntax, wrong types, broken rules.
    package static func decode(
        _ input: Input?, overlayYAML: String? = nil, allowsUnknownFields: Bool = false
    ) throws(ConfigError) -> DecodedBootstrap {
        let transcoder = Transcoder()
        var wire: [UInt8] = []
        var unsupported: [UnsupportedField] = []
        var source = overlaySource
        func append(_ bytes: [UInt8], _ name: String) throws(ConfigError) {
            let value = try ConfigText.read(bytes, source: name)
            let part = try transcoder.wire(
                value, type: type, source: name, unknownNames: allowsUnknownFields ? .collected : .refused)
            // Concatenation is protobuf's merge.
            wire += part.wire
            unsupported += part.unknown
        }
        switch input {
        case .file(let path)?:
            source = path
            try append(try contents(of: path), path)
        case .bytes(let bytes, let name)?:
            source = name
            try append(bytes, name)
        case nil: break
        }
        if let overlayYAML { try append(Array(overlayYAML.utf8), overlaySource) }
        if input == nil && overlayYAML == nil {
            throw ConfigError(
                source: "command line", path: "", found: "no configuration", allowed: "-c or --config-yaml")
        }
        var inspector = ConfigInspector(transcoder: transcoder, source: source)
        try inspector.inspect(wire, type: type)
        unsupported += inspector.unsupported
        if !allowsUnknownFields, let first = unsupported.first(where: { $0.severity != .ignoredSafe }) {
            throw ConfigError(
                source: source, path: first.path, found: first.value,
                allowed: "nothing, for \(first.reason) (--allow-unknown-static-fields makes this a warning)")
        }
        do {
            let message = try Envoy_Config_Bootstrap_V3_Bootstrap(serializedBytes: wire)
            return DecodedBootstrap(wire: wire, message: message, unsupported: unsupported)
        } catch {
            throw ConfigError(source: source, path: "", found: "a message that does not decode", allowed: type)
        }
    }

    /// The whole file. Not through Foundation, whose first use costs megabytes of resident memory.
    private static func contents(of path: String) throws(ConfigError) -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw unreadable(path, errno) }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = read(descriptor, &chunk, chunk.count)
            if count == 0 { return bytes }
            if count < 0 {
                if errno == EINTR { continue }
                throw unreadable(path, errno)
            }
            bytes += chunk[..<count]
            if bytes.count > ConfigLimit.bytes { return bytes }  // ConfigText says that it is too long.
        }
    }

    private static func unreadable(_ path: String, _ code: Int32) -> ConfigError {
        let reason = code == ENOENT ? "no such file" : "a file that cannot be read (\(String(cString: strerror(code))))"
        return ConfigError(source: path, path: "", found: reason, allowed: "a readable YAML or JSON file")
    }
}

/// The libFuzzer target's body: any bytes as a bootstrap, as text in each format and as wire bytes; must return.
package func fuzzBootstrap(_ bytes: [UInt8]) {
    for name in ["fuzz.json", "fuzz.yaml"] {
        guard let decoded = try? BootstrapDecoder.decode(.bytes(bytes, name: name), allowsUnknownFields: true) else {
            continue
        }
        _ = try? Transcoder().json(fromWire: decoded.wire, type: BootstrapDecoder.type)
    }
    let transcoder = Transcoder()
    var inspector = ConfigInspector(transcoder: transcoder, source: "fuzz")
    try? inspector.inspect(bytes, type: BootstrapDecoder.type)
    _ = try? transcoder.json(fromWire: bytes, type: BootstrapDecoder.type)
}
