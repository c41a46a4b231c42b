// SPDX-License-Identifier: Apache-2.0
import MeshHTTP

/// A value of `google.protobuf.Value`.
package indirect enum MetadataValue: Hashable, Sendable {
    case null
    case bool(Bool)
    case number(Double)
    case string(String)
    case list([MetadataValue])
    case object([String: MetadataValue])
}

/// Metadata of a resource (`envoy.config.core.v3.Metadata`), rendered when it is read: every path that a format can name
/// with the text it gives, so that a log line builds none.
package struct MetadataTable: Hashable, Sendable {
    private struct Entry: Hashable, Sendable {
        /// `namespace:key:key`.
        var path: [UInt8]
        var text: [UInt8]
        /// A string is quoted in JSON; everything else is JSON already.
        var isString: Bool
    }

    private var entries: [Entry] = []
    /// The same for expressions.
    package let tree: MetadataTree

    package init(_ namespaces: [String: MetadataValue] = [:]) {
        tree = namespaces.isEmpty ? .empty : MetadataTree(.object(namespaces))
        for (name, value) in namespaces.sorted(by: { $0.key < $1.key }) { add(value, at: Array(name.utf8)) }
    }

    package var isEmpty: Bool { entries.isEmpty }

    private mutating func add(_ value: MetadataValue, at path: [UInt8]) {
        switch value {
        // As Envoy: a null is no value.
        case .null: return
        case .string(let text): entries.append(Entry(path: path, text: Array(text.utf8), isString: true))
        default:
            let sink = ByteSink()
            Self.append(value, to: sink)
            entries.append(Entry(path: path, text: Array(sink.bytes), isString: false))
        }
        guard case .object(let fields) = value else { return }
        for (key, inner) in fields.sorted(by: { $0.key < $1.key }) {
            add(inner, at: path + [UInt8(ascii: ":")] + Array(key.utf8))
        }
    }

    /// JSON, keys sorted.
    private static func append(_ value: MetadataValue, to sink: ByteSink) {
        switch value {
        case .null: sink.append("null")
        case .bool(let flag): sink.append(flag ? "true" : "false")
        case .number(let number):
            sink.append(string: Int64(exactly: number).map { "\($0)" } ?? "\(number)")
        case .string(let text): Array(text.utf8).withUnsafeBytes { sink.append(jsonString: $0) }
        case .list(let values):
            sink.append("[")
            for (index, inner) in values.enumerated() {
                if index > 0 { sink.append(",") }
                append(inner, to: sink)
            }
            sink.append("]")
        case .object(let fields):
            sink.append("{")
            for (index, (key, inner)) in fields.sorted(by: { $0.key < $1.key }).enumerated() {
                if index > 0 { sink.append(",") }
                Array(key.utf8).withUnsafeBytes { sink.append(jsonString: $0) }
                sink.append(":")
                append(inner, to: sink)
            }
            sink.append("}")
        }
    }

    /// Whether the value at `namespace:key:key` is the bool true.
    func isTrue(_ path: String) -> Bool {
        entries.contains { !$0.isString && $0.path.elementsEqual(path.utf8) && $0.text.elementsEqual("true".utf8) }
    }

    /// Appends the value at `namespace:key:key`; false where there is none.
    ///
    /// - Parameter quotes: for JSON: a string is quoted and escaped.
    package func append(_ path: UnsafeRawBufferPointer, quotes: Bool, to sink: ByteSink) -> Bool {
        for entry in entries where entry.path.count == path.count {
            let isIt = entry.path.withUnsafeBytes { $0.hasSameBytes(as: path) }
            guard isIt else { continue }
            entry.text.withUnsafeBytes {
                if quotes, entry.isString { sink.append(jsonString: $0) } else { sink.append($0) }
            }
            return true
        }
        return false
    }
}
