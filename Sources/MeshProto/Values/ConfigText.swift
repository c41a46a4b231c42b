// SPDX-License-Identifier: Apache-2.0

/// Text to values: chooses between JSON and YAML.
package enum ConfigText {
    /// Reads a document.
    ///
    /// - `.json` is JSON. Everything else is YAML, which contains JSON; a document that opens with a brace is tried
    ///   as JSON first, for that is much faster and accepts a trailing comma.
    /// - Throws: `ConfigError` for wrong syntax, a key that stands twice, or a document beyond `ConfigLimit`.
    package static func read(_ bytes: [UInt8], source: String) throws(ConfigError) -> ConfigValue {
        if bytes.count > ConfigLimit.bytes {
            throw ConfigError(
                source: source, path: "", found: "\(bytes.count) bytes", allowed: "at most \(ConfigLimit.bytes)")
        }
        if source.hasSuffix(".json") { return try JSONReader.read(bytes, source: source) }
        let opener = bytes.first { ![0x20, 0x09, 0x0A, 0x0D].contains($0) }
        guard opener == UInt8(ascii: "{") else { return try YAMLReader.read(bytes, source: source) }
        do {
            return try JSONReader.read(bytes, source: source)
        } catch let jsonError {
            // YAML's flow style also opens with a brace; if it is not that either, the JSON error says more.
            do { return try YAMLReader.read(bytes, source: source) } catch { throw jsonError }
        }
    }
}
