// SPDX-License-Identifier: Apache-2.0
import MeshProto

/// A `google.protobuf.FieldMask` over a message in wire form, by the schema of the API.
///
/// As in protobuf's own library a path goes through singular messages only, and a whole field keeps more than a part of it.
struct FieldMask {
    /// As they were written, without empty ones.
    let paths: [String]
    private let root: Node

    private struct Node {
        var children: [String: Node] = [:]
        /// Everything below is kept.
        var isWhole = false

        mutating func add(_ path: ArraySlice<Substring>) {
            guard !isWhole else { return }
            guard let first = path.first else {
                isWhole = true
                children = [:]
                return
            }
            children[String(first), default: Node()].add(path.dropFirst())
        }
    }

    /// - Parameter text: paths with commas between them.
    init(_ text: String) { self.init(paths: text.split(separator: ",").map(String.init)) }

    init(paths: [String]) {
        self.paths = paths
        var root = Node()
        for path in paths { root.add(path.split(separator: ".", omittingEmptySubsequences: false)[...]) }
        self.root = root
    }

    /// Whether every path names a field of the message.
    func isValid(for type: String, _ schema: Schema) -> Bool {
        paths.allSatisfy { path in
            let names = path.split(separator: ".", omittingEmptySubsequences: false)
            var message = schema.message(type)
            for (index, name) in names.enumerated() {
                // Proto names only: `field(named:)` knows the JSON names too.
                guard let field = message?.field(named: String(name)), field.name == name else { return false }
                if index == names.count - 1 { return true }
                guard !field.isRepeated, case .message(let inner) = field.type else { return false }
                // The well-known types are not in the schema; their parts are not worth a table of their own.
                message = schema.message(inner)
            }
            return false
        }
    }

    /// What the mask leaves of a message; without any path everything.
    func trimmed(_ message: ArraySlice<UInt8>, type: String, _ schema: Schema) -> [UInt8] {
        paths.isEmpty ? Array(message) : FieldMask.trimmed(message, type: type, by: root, schema)
    }

    private static func trimmed(_ message: ArraySlice<UInt8>, type: String, by node: Node, _ schema: Schema) -> [UInt8] {
        guard !node.isWhole, let fields = schema.message(type) else { return Array(message) }
        var output = WireBytes()
        WireBytes.forEach(in: message) { number, record, content in
            guard let field = fields.field(number: number), let child = node.children[field.name] else { return }
            if let content, !child.isWhole, case .message(let inner) = field.type {
                output.append(number, trimmed(content, type: inner, by: child, schema))
            } else {
                output.append(record: record)
            }
        }
        return output.bytes
    }

    /// Splits the paths at a field that holds an `Any`: what is left to apply to the message around it, and what to the
    /// message in it. Nil for the second where no path leads to the field.
    func split(atAny field: String) -> (outer: FieldMask, inner: FieldMask?) {
        var outer: [String] = []
        var inner: [String] = []
        for path in paths {
            if path == field || path.hasPrefix(field + ".") {
                outer.append(field)
                inner.append(String(path.dropFirst(field.count + 1)))
            } else {
                outer.append(path)
            }
        }
        return (FieldMask(paths: outer), inner.isEmpty ? nil : FieldMask(paths: inner))
    }
}
