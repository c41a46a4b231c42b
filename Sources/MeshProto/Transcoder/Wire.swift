// SPDX-License-Identifier: Apache-2.0

/// Appends protobuf wire format to an array.
struct WireWriter {
    private(set) var bytes: [UInt8] = []

    mutating func varint(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(truncatingIfNeeded: rest))
    }

    mutating func tag(_ number: Int, _ wireType: UInt64) {
        varint(UInt64(number) << 3 | wireType)
    }

    mutating func fixed32(_ value: UInt32) {
        for shift in stride(from: UInt32(0), to: 32, by: 8) { bytes.append(UInt8(truncatingIfNeeded: value >> shift)) }
    }

    mutating func fixed64(_ value: UInt64) {
        for shift in stride(from: UInt64(0), to: 64, by: 8) { bytes.append(UInt8(truncatingIfNeeded: value >> shift)) }
    }

    mutating func delimited(_ number: Int, _ content: some Collection<UInt8>) {
        tag(number, 2)
        varint(UInt64(content.count))
        bytes.append(contentsOf: content)
    }

    /// Opens a length-delimited field; `close` with what is returned puts the length in.
    mutating func open(_ number: Int) -> Int {
        tag(number, 2)
        return bytes.count
    }

    mutating func close(_ start: Int) {
        var length = WireWriter()
        length.varint(UInt64(bytes.count - start))
        bytes.insert(contentsOf: length.bytes, at: start)
    }
}

/// A value as it stands on the wire.
enum WireValue {
    case varint(UInt64)
    case fixed32(UInt32)
    case fixed64(UInt64)
    /// Offsets into the whole document.
    case delimited(Range<Int>)
}

/// The bytes are no protobuf message.
struct MalformedWire: Error {}

/// One message's records, sorted by field number, within a document that is shared by all its messages.
///
/// Several ranges are read as one message, which is protobuf's merge: scalars of later ones win, messages merge,
/// lists append.
struct WireMessage {
    /// All values of one field. `end` is the position after the last one, by which the last member of a oneof is
    /// told.
    struct Field {
        let number: Int
        var values: [WireValue]
        var end: Int
    }

    let document: [UInt8]
    private(set) var fields: [Field] = []

    init(_ document: [UInt8], ranges: [Range<Int>]) throws(MalformedWire) {
        self.document = document
        var isSorted = true
        for range in ranges {
            var reader = WireReader(document, range)
            while !reader.isAtEnd {
                let (number, value) = try reader.record()
                // A list's records follow each other, and messages have few fields: a search from the end beats a
                // dictionary.
                if let slot = fields.lastIndex(where: { $0.number == number }) {
                    fields[slot].values.append(value)
                    fields[slot].end = reader.position
                } else {
                    if let last = fields.last, last.number > number { isSorted = false }
                    fields.append(Field(number: number, values: [value], end: reader.position))
                }
            }
        }
        if !isSorted { fields.sort { $0.number < $1.number } }
    }

    func values(_ number: Int) -> [WireValue] {
        fields.first { $0.number == number }?.values ?? []
    }

    /// Drops members of oneofs that a later member replaced.
    mutating func settleOneofs(_ schema: MessageSchema) {
        if schema.oneofs.isEmpty || fields.count < 2 { return }
        var winner: [String: Field] = [:]
        for field in fields {
            guard let oneof = schema.field(number: field.number)?.oneof else { continue }
            if let held = winner[oneof], held.end > field.end { continue }
            winner[oneof] = field
        }
        fields.removeAll { field in
            guard let oneof = schema.field(number: field.number)?.oneof else { return false }
            return winner[oneof]?.number != field.number
        }
    }

    /// The ranges of a message field, to be read as one.
    func ranges(_ number: Int) -> [Range<Int>] { Self.ranges(values(number)) }

    static func ranges(_ values: [WireValue]) -> [Range<Int>] {
        values.compactMap { if case .delimited(let range) = $0 { range } else { nil } }
    }
}

/// Reads records of protobuf wire format.
struct WireReader {
    private let document: [UInt8]
    private(set) var position: Int
    private let end: Int

    init(_ document: [UInt8], _ range: Range<Int>) {
        self.document = document
        position = range.lowerBound
        end = min(range.upperBound, document.count)
    }

    var isAtEnd: Bool { position >= end }

    mutating func varint() throws(MalformedWire) -> UInt64 {
        var value: UInt64 = 0
        for shift in stride(from: UInt64(0), to: 70, by: 7) {
            guard position < end else { throw MalformedWire() }
            let byte = document[position]
            position += 1
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return value }
        }
        throw MalformedWire()
    }

    mutating func fixed(_ count: Int) throws(MalformedWire) -> UInt64 {
        guard end - position >= count else { throw MalformedWire() }
        var value: UInt64 = 0
        for offset in 0..<count { value |= UInt64(document[position + offset]) << UInt64(8 * offset) }
        position += count
        return value
    }

    mutating func record() throws(MalformedWire) -> (Int, WireValue) {
        let tag = try varint()
        guard let number = Int(exactly: tag >> 3), (1..<1 << 29).contains(number) else { throw MalformedWire() }
        switch tag & 7 {
        case 0: return (number, .varint(try varint()))
        case 1: return (number, .fixed64(try fixed(8)))
        case 5: return (number, .fixed32(UInt32(truncatingIfNeeded: try fixed(4))))
        case 2:
            let length = try varint()
            guard length <= UInt64(end - position) else { throw MalformedWire() }
            let start = position
            position += Int(length)
            return (number, .delimited(start..<position))
        default: throw MalformedWire()
        }
    }
}
