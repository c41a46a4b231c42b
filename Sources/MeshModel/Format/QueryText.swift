// SPDX-License-Identifier: Apache-2.0

/// A query string (without its `?`) as `%QUERY_PARAM%` and `%QUERY_PARAMS%` print it.
package enum QueryText {
    /// Appends the decoded value of the first parameter whose decoded name this is: nothing without `=`. False, with nothing
    /// appended, when there is none.
    package static func appendValue(
        of name: UnsafeRawBufferPointer, in query: UnsafeRawBufferPointer, to sink: ByteSink
    ) -> Bool {
        var start = 0
        while start < query.count {
            let end = query[start...].firstIndex(of: UInt8(ascii: "&")) ?? query.count
            let nameEnd = query[start..<end].firstIndex(of: UInt8(ascii: "=")) ?? end
            if isDecoded(UnsafeRawBufferPointer(rebasing: query[start..<nameEnd]), equalTo: name) {
                var index = min(nameEnd + 1, end)
                while index < end { sink.append(decode(query, until: end, at: &index)) }
                return true
            }
            start = end + 1
        }
        return false
    }

    /// Appends a query with the escapes taken out of those characters that are unmistakable in a log. Of an escape without
    /// two digits its percent sign is left out, unless the query ends there: so Envoy does it.
    package static func appendDecoded(_ query: UnsafeRawBufferPointer, to sink: ByteSink) {
        var index = 0
        while index < query.count {
            let byte = query[index]
            index += 1
            guard byte == UInt8(ascii: "%"), index + 1 < query.count else {
                sink.append(byte)
                continue
            }
            guard let escaped = hexadecimal(query[index], query[index + 1]) else { continue }
            if isPlain(escaped) {
                sink.append(escaped)
                index += 2
            } else {
                sink.append(byte)
            }
        }
    }

    private static func isDecoded(_ text: UnsafeRawBufferPointer, equalTo name: UnsafeRawBufferPointer) -> Bool {
        var index = 0
        var place = 0
        while index < text.count {
            guard place < name.count, decode(text, until: text.count, at: &index) == name[place] else { return false }
            place += 1
        }
        return place == name.count
    }

    /// The next byte; what is no escape stands for itself.
    private static func decode(_ text: UnsafeRawBufferPointer, until end: Int, at index: inout Int) -> UInt8 {
        let byte = text[index]
        if byte == UInt8(ascii: "%"), index + 2 < end, let escaped = hexadecimal(text[index + 1], text[index + 2]) {
            index += 3
            return escaped
        }
        index += 1
        return byte
    }

    /// Printable, and neither a space nor one of `"<>\^{|}`.
    private static func isPlain(_ byte: UInt8) -> Bool {
        guard byte > 0x20, byte < 0x7F else { return false }
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "<"), UInt8(ascii: ">"), UInt8(ascii: "\\"), UInt8(ascii: "^"), UInt8(ascii: "{"),
            UInt8(ascii: "|"), UInt8(ascii: "}"):
            return false
        default: return true
        }
    }

    private static func hexadecimal(_ high: UInt8, _ low: UInt8) -> UInt8? {
        guard let high = digit(high), let low = digit(low) else { return nil }
        return high << 4 | low
    }

    private static func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
