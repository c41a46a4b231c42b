// SPDX-License-Identifier: Apache-2.0

/// Protobuf's wire format, as much of it as taking messages apart and putting them together needs.
struct WireBytes {
    private(set) var bytes: [UInt8] = []

    /// A message, text or bytes.
    mutating func append(_ field: Int, _ content: some Collection<UInt8>) {
        appendVarint(UInt64(field) << 3 | 2)
        appendVarint(UInt64(content.count))
        bytes += content
    }

    /// Text; left out when it is empty.
    mutating func append(_ field: Int, text: String) {
        if !text.isEmpty { append(field, text.utf8) }
    }

    /// A number; left out when it is 0.
    mutating func append(varint value: UInt64, field: Int) {
        guard value != 0 else { return }
        appendVarint(UInt64(field) << 3)
        appendVarint(value)
    }

    /// A field as it was found.
    /// A number of a `oneof`, which is there even when it is 0.
    mutating func append(choice value: UInt64, field: Int) {
        appendVarint(UInt64(field) << 3)
        appendVarint(value)
    }

    /// A `double`, there even when it is 0.
    mutating func append(double value: Double, field: Int) {
        appendVarint(UInt64(field) << 3 | 1)
        withUnsafeBytes(of: value.bitPattern.littleEndian) { bytes += $0 }
    }

    mutating func append(record: ArraySlice<UInt8>) { bytes += record }

    private mutating func appendVarint(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(truncatingIfNeeded: rest))
    }

    /// The contents of every length-delimited field of that number; what follows malformed bytes is left out.
    static func fields(_ message: ArraySlice<UInt8>, _ number: Int) -> [ArraySlice<UInt8>] {
        var found: [ArraySlice<UInt8>] = []
        forEach(in: message) { field, _, content in
            if field == number, let content { found.append(content) }
        }
        return found
    }

    /// Calls `body` with number, whole record, and content where it is length-delimited, of each field. Ends at malformed bytes.
    static func forEach(
        in message: ArraySlice<UInt8>, _ body: (_ number: Int, _ record: ArraySlice<UInt8>, _ content: ArraySlice<UInt8>?) -> Void
    ) {
        var index = message.startIndex
        func varint() -> UInt64? {
            var value: UInt64 = 0
            var shift: UInt64 = 0
            while index < message.endIndex, shift < 64 {
                let byte = message[index]
                index += 1
                value |= UInt64(byte & 0x7F) << shift
                if byte < 0x80 { return value }
                shift += 7
            }
            return nil
        }
        while index < message.endIndex {
            let start = index
            guard let tag = varint(), tag >> 3 <= 0x1FFF_FFFF else { return }
            var content: ArraySlice<UInt8>?
            switch tag & 7 {
            case 0: guard varint() != nil else { return }
            case 1: index += 8
            case 5: index += 4
            case 2:
                guard let length = varint(), length <= UInt64(message.endIndex - index) else { return }
                let end = index + Int(length)
                content = message[index..<end]
                index = end
            default: return
            }
            guard index <= message.endIndex else { return }
            body(Int(tag >> 3), message[start..<index], content)
        }
    }
}
