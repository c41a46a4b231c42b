// SPDX-License-Identifier: Apache-2.0
import MeshHTTP

/// A value of metadata as a flat table, for expressions: what holds others names a range of them.
package final class MetadataTree: Hashable, Sendable {
    struct Node: Hashable, Sendable {
        enum Kind: UInt8, Sendable { case null, bool, number, string, list, object }
        var kind: Kind
        /// A bool is 0 or 1.
        var number = 0.0
        /// Bytes of a string in `text`.
        var content: Range<Int> = 0..<0
        /// Bytes of the key in the object around it.
        var key: Range<Int> = 0..<0
        /// The nodes inside; by their keys' bytes in an object.
        var children: Range<Int> = 0..<0
    }

    /// The first is the whole.
    let nodes: [Node]
    let text: [UInt8]

    /// No metadata at all.
    package static let empty = MetadataTree(.object([:]))

    package init(_ value: MetadataValue) {
        var nodes = [Node(kind: .null)]
        var text: [UInt8] = []
        Self.place(value, at: 0, &nodes, &text)
        self.nodes = nodes
        self.text = text
    }

    private static func add(_ string: String, _ text: inout [UInt8]) -> Range<Int> {
        let start = text.count
        text += string.utf8
        return start..<text.count
    }

    private static func place(_ value: MetadataValue, at index: Int, _ nodes: inout [Node], _ text: inout [UInt8]) {
        switch value {
        case .null: nodes[index].kind = .null
        case .bool(let flag):
            nodes[index].kind = .bool
            nodes[index].number = flag ? 1 : 0
        case .number(let number):
            nodes[index].kind = .number
            nodes[index].number = number
        case .string(let string):
            nodes[index].kind = .string
            nodes[index].content = add(string, &text)
        case .list(let values):
            let start = nodes.count
            nodes[index].kind = .list
            nodes[index].children = start..<start + values.count
            nodes += values.map { _ in Node(kind: .null) }
            for (offset, inner) in values.enumerated() { place(inner, at: start + offset, &nodes, &text) }
        case .object(let fields):
            let start = nodes.count
            nodes[index].kind = .object
            nodes[index].children = start..<start + fields.count
            let sorted = fields.sorted { $0.key < $1.key }
            for field in sorted {
                var node = Node(kind: .null)
                node.key = add(field.key, &text)
                nodes.append(node)
            }
            for (offset, field) in sorted.enumerated() { place(field.value, at: start + offset, &nodes, &text) }
        }
    }

    /// What the tree was made from; of the whole, or of one node.
    package func value(at index: Int = 0) -> MetadataValue {
        let node = nodes[index]
        return switch node.kind {
        case .null: .null
        case .bool: .bool(node.number != 0)
        case .number: .number(node.number)
        case .string: .string(String(decoding: text[node.content], as: UTF8.self))
        case .list: .list(node.children.map { value(at: $0) })
        case .object:
            .object(Dictionary(
                node.children.map { (String(decoding: text[nodes[$0].key], as: UTF8.self), value(at: $0)) },
                uniquingKeysWith: { first, _ in first }))
        }
    }

    /// The member of an object with this key; nil where there is none.
    func member(_ key: UnsafeRawBufferPointer, of index: Int) -> Int? {
        guard nodes[index].kind == .object else { return nil }
        return text.withUnsafeBytes { text in
            nodes[index].children.first { UnsafeRawBufferPointer(rebasing: text[nodes[$0].key]).hasSameBytes(as: key) }
        }
    }

    package static func == (left: MetadataTree, right: MetadataTree) -> Bool {
        left === right || (left.nodes == right.nodes && left.text == right.text)
    }

    package func hash(into hasher: inout Hasher) { hasher.combine(text) }
}
