// SPDX-License-Identifier: Apache-2.0

/// JSON and YAML to protobuf wire format and back, by the schema of the whole API, honoured or not.
package struct Transcoder {
    let schema: Schema

    package init(schema: Schema = Schema()) {
        self.schema = schema
    }

    /// What to do with a field name the message does not have.
    package enum UnknownNames { case refused, collected }

    /// Encodes a value as a message.
    ///
    /// Field names may be the proto's or lowerCamelCase; enums are names or numbers; durations are text like `0.25s`;
    /// 64-bit integers are numbers or text; bytes are base64; an `Any` is an object with `@type`.
    /// - Throws: `ConfigError` for a value of the wrong type, an unknown name (if `.refused`), a name given twice,
    ///   two members of a oneof.
    /// - Returns: the wire bytes and, if `.collected`, a row for each unknown name, which is left out.
    package func wire(
        _ value: ConfigValue, type: String, source: String, unknownNames: UnknownNames = .refused, path: String = ""
    ) throws(ConfigError) -> (wire: [UInt8], unknown: [UnsupportedField]) {
        var encoder = WireEncoder(schema: schema, source: source, unknownNames: unknownNames, path: path)
        try encoder.body(value, type: type)
        return (encoder.writer.bytes, encoder.unknown)
    }

    /// Prints a message as JSON: snake_case names, defaults left out, 64-bit integers as text, a known `Any` expanded
    /// beside its `@type`.
    ///
    /// - Parameter redactsSensitive: private keys and the like are printed as `[redacted]`, as Envoy does in
    ///   `config_dump`.
    /// - Throws: `ConfigError` if the bytes are no such message or nest beyond `ConfigLimit.depth`.
    package func json(
        fromWire wire: [UInt8], type: String, pretty: Bool = true, redactsSensitive: Bool = true
    ) throws(ConfigError) -> String {
        var printer = JSONPrinter(schema: schema, isPretty: pretty, redactsSensitive: redactsSensitive)
        do {
            try printer.message(wire, [0..<wire.count], type: type)
        } catch {
            throw ConfigError(
                source: type, path: "", found: "bytes that do not decode", allowed: "a serialized message")
        }
        return String(decoding: printer.out, as: UTF8.self)
    }

    /// The message inside an `Any`, with a `TypedStruct` wrapper taken off where the schema knows the type it names.
    ///
    /// - Returns: the `Any` itself if it holds no `TypedStruct`, or one that names an unknown type.
    /// - Throws: `ConfigError` if the struct does not fit the message it names.
    package func unwrapped(
        _ any: Google_Protobuf_Any, source: String, path: String = ""
    ) throws(ConfigError) -> Google_Protobuf_Any {
        guard let inner = try unwrappedStruct(typeURL: any.typeURL, wire: Array(any.value), source: source, path: path)
        else { return any }
        var result = Google_Protobuf_Any()
        result.typeURL = "type.googleapis.com/" + inner.type
        result.value = .init(inner.wire)
        return result
    }

    /// As `unwrapped`, over bytes; nil if there is nothing to unwrap.
    func unwrappedStruct(
        typeURL: String, wire: [UInt8], source: String, path: String
    ) throws(ConfigError) -> (type: String, wire: [UInt8], unknown: [UnsupportedField])? {
        guard TypeURL.isTypedStruct(TypeURL.messageName(typeURL)) else { return nil }
        do {
            let outer = try WireMessage(wire, ranges: [0..<wire.count])
            guard case .delimited(let name)? = outer.values(1).last else { return nil }
            let type = TypeURL.messageName(String(decoding: wire[name], as: UTF8.self))
            guard schema.message(type) != nil else { return nil }
            let value = try StructReader(document: wire).structure(outer.ranges(2), depth: 0)
            let encoded = try self.wire(
                value, type: type, source: source, unknownNames: .collected,
                path: path.isEmpty ? "value" : path + ".value")
            return (type, encoded.wire, encoded.unknown)
        } catch let error as ConfigError {
            throw error
        } catch {
            throw ConfigError(source: source, path: path, found: "bytes that do not decode", allowed: "a TypedStruct")
        }
    }
}

/// Names of messages in type URLs.
package enum TypeURL {
    /// What stands behind the last slash.
    package static func messageName(_ url: String) -> String {
        url.lastIndex(of: "/").map { String(url[url.index(after: $0)...]) } ?? url
    }

    /// Both spellings of `TypedStruct`.
    package static func isTypedStruct(_ name: String) -> Bool {
        name == "udpa.type.v1.TypedStruct" || name == "xds.type.v3.TypedStruct"
    }
}
