// SPDX-License-Identifier: Apache-2.0
internal import CSchema

/// The whole v3 API by name: what the generated messages cannot tell, for they know only the fields we honour.
///
/// Made on demand: `init` indexes the names in the table that lies in the binary, a message is parsed when first
/// asked for, and all of it is freed with the last reference. Not thread-safe; make one per use.
package final class Schema {
    /// Byte ranges of the blocks in the table, header line excluded.
    private var messageBlocks: [String: Range<Int>] = [:]
    private var enumBlocks: [String: Range<Int>] = [:]
    private var declared: Set<String> = []
    private var messages: [String: MessageSchema] = [:]
    private var enums: [String: EnumSchema] = [:]

    package init() {
        index()
    }

    /// All message names, unordered.
    package var messageNames: some Sequence<String> { messageBlocks.keys }

    /// The message of that full name, or nil. The well-known types of google.protobuf are not in the table.
    package func message(_ name: String) -> MessageSchema? {
        if let known = messages[name] { return known }
        guard let block = messageBlocks[name] else { return nil }
        let schema = MessageSchema(name: name, isDeclared: declared.contains(name), lines: lines(of: block))
        messages[name] = schema
        return schema
    }

    /// The enum of that full name, or nil.
    package func enumeration(_ name: String) -> EnumSchema? {
        if let known = enums[name] { return known }
        guard let block = enumBlocks[name] else { return nil }
        let schema = EnumSchema(name: name, lines: lines(of: block))
        enums[name] = schema
        return schema
    }

    /// The table. It is constant data of the binary, so the view never dangles.
    private var table: UnsafeBufferPointer<UInt8> {
        UnsafeBufferPointer(start: cschema_bytes(), count: cschema_length())
    }

    private func text(_ range: Range<Int>) -> String {
        String(decoding: UnsafeBufferPointer(rebasing: table[range]), as: UTF8.self)
    }

    private func lines(of block: Range<Int>) -> [Substring] {
        text(block).split(separator: "\n")
    }

    /// Finds the header lines, which are those that do not begin with a space.
    private func index() {
        let table = table
        var header: Range<Int>?
        var position = 0
        func close(at end: Int) {
            guard let header else { return }
            let words = text(header).split(separator: " ")
            guard words.count >= 2 else { return }
            let name = String(words[1])
            let body = min(header.upperBound + 1, end)..<end
            if words[0] == "enum" { enumBlocks[name] = body } else { messageBlocks[name] = body }
            if words.count > 2 { declared.insert(name) }
        }
        while position < table.count {
            var end = position
            while end < table.count, table[end] != 0x0A { end += 1 }
            if table[position] != 0x20 {
                close(at: position)
                header = position..<end
            }
            position = end + 1
        }
        close(at: table.count)
    }
}

/// One message of the API.
package final class MessageSchema {
    /// Full name, e.g. `envoy.config.cluster.v3.Cluster`.
    package let name: String
    /// Whether our own protos declare it, that is, whether Apus reads it at all.
    package let isDeclared: Bool
    /// Fields in the order of the official proto.
    package let fields: [FieldSchema]
    /// Oneofs, by the names `FieldSchema.oneof` refers to, and whether one member must be set.
    package let oneofs: [(name: String, isRequired: Bool)]
    private let indexByName: [String: Int]
    private let indexByNumber: [Int: Int]

    init(name: String, isDeclared: Bool, lines: [Substring]) {
        self.name = name
        self.isDeclared = isDeclared
        var fields: [FieldSchema] = []
        var oneofs: [(name: String, isRequired: Bool)] = []
        for line in lines {
            let words = line.split(separator: " ")
            if words.first == "oneof", words.count > 1 {
                oneofs.append((String(words[1]), words.count > 2))
            } else if let field = FieldSchema(words: words) {
                fields.append(field)
            }
        }
        self.fields = fields
        self.oneofs = oneofs
        var byName: [String: Int] = [:]
        var byNumber: [Int: Int] = [:]
        for (index, field) in fields.enumerated() {
            byName[field.name] = index
            byName[field.jsonName] = index
            byNumber[field.number] = index
        }
        indexByName = byName
        indexByNumber = byNumber
    }

    /// A field by its proto name or its JSON name.
    package func field(named name: String) -> FieldSchema? { indexByName[name].map { fields[$0] } }

    /// A field by its number.
    package func field(number: Int) -> FieldSchema? { indexByNumber[number].map { fields[$0] } }
}

/// One enum of the API.
package final class EnumSchema {
    package let name: String
    /// Values in the order of the official proto; aliases keep the first name.
    package let values: [(name: String, number: Int32)]

    init(name: String, lines: [Substring]) {
        self.name = name
        values = lines.compactMap { line in
            let words = line.split(separator: " ")
            guard words.count == 2, let number = Int32(words[0]) else { return nil }
            return (String(words[1]), number)
        }
    }

    package func number(of name: String) -> Int32? { values.first { $0.name == name }?.number }

    package func name(of number: Int32) -> String? { values.first { $0.number == number }?.name }
}
