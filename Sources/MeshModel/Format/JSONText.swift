// SPDX-License-Identifier: Apache-2.0

/// Writing JSON strings into a sink.
extension ByteSink {
    /// Turns what was written from `start` on into the inside of a JSON string, as Envoy escapes it: control characters and
    /// what is no UTF-8 become `\u00XX` by the byte.
    package func escapeJSON(from start: Int) {
        guard JSONText.needsEscape(bytes(from: start)) else { return }
        // Rare: a copy is what makes writing over the same place safe.
        let original = Array(bytes(from: start))
        truncate(to: start)
        original.withUnsafeBytes { JSONText.append(escaping: $0, to: self) }
    }

    /// Appends a whole JSON string.
    package func append(jsonString text: UnsafeRawBufferPointer) {
        append(UInt8(ascii: "\""))
        if JSONText.needsEscape(text) { JSONText.append(escaping: text, to: self) } else { append(text) }
        append(UInt8(ascii: "\""))
    }
}

/// The rules of JSON strings (RFC 8259 §7).
enum JSONText {
    /// Whether any byte is not written as it is. Text above ASCII is looked at closely.
    static func needsEscape(_ text: UnsafeRawBufferPointer) -> Bool {
        for byte in text where !isPlain(byte) { return true }
        return false
    }

    static func append(escaping text: UnsafeRawBufferPointer, to sink: ByteSink) {
        guard isUTF8(text) else {
            // What is no text is written byte by byte, and then nothing has a short form.
            for byte in text { if isPlain(byte) { sink.append(byte) } else { appendCode(byte, to: sink) } }
            return
        }
        for byte in text {
            switch byte {
            case UInt8(ascii: "\""): sink.append("\\\"")
            case UInt8(ascii: "\\"): sink.append("\\\\")
            case 0x08: sink.append("\\b")
            case 0x09: sink.append("\\t")
            case 0x0A: sink.append("\\n")
            case 0x0C: sink.append("\\f")
            case 0x0D: sink.append("\\r")
            case 0x00..<0x20, 0x7F: appendCode(byte, to: sink)
            default: sink.append(byte)
            }
        }
    }

    /// ASCII that stands for itself.
    private static func isPlain(_ byte: UInt8) -> Bool {
        byte >= 0x20 && byte < 0x7F && byte != UInt8(ascii: "\"") && byte != UInt8(ascii: "\\")
    }

    private static func appendCode(_ byte: UInt8, to sink: ByteSink) {
        sink.append("\\u00")
        for nibble in [byte >> 4, byte & 15] {
            sink.append(nibble < 10 ? UInt8(ascii: "0") + nibble : UInt8(ascii: "a") + nibble - 10)
        }
    }

    /// Well-formed UTF-8 (RFC 3629 §4).
    static func isUTF8(_ text: UnsafeRawBufferPointer) -> Bool {
        var index = 0
        while index < text.count {
            let lead = text[index]
            index += 1
            if lead < 0x80 { continue }
            let (length, low, high): (Int, UInt8, UInt8)
            switch lead {
            case 0xC2...0xDF: (length, low, high) = (1, 0x80, 0xBF)
            case 0xE0: (length, low, high) = (2, 0xA0, 0xBF)
            case 0xED: (length, low, high) = (2, 0x80, 0x9F)
            case 0xE1...0xEF: (length, low, high) = (2, 0x80, 0xBF)
            case 0xF0: (length, low, high) = (3, 0x90, 0xBF)
            case 0xF4: (length, low, high) = (3, 0x80, 0x8F)
            case 0xF1...0xF3: (length, low, high) = (3, 0x80, 0xBF)
            default: return false
            }
            guard index + length <= text.count, text[index] >= low, text[index] <= high else { return false }
            for offset in 1..<max(length, 1) where text[index + offset] & 0xC0 != 0x80 { return false }
            index += length
        }
        return true
    }
}
