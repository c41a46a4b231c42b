// SPDX-License-Identifier: Apache-2.0
import Glibc

/// How Envoy writes numbers and names, which is not the same everywhere.
enum StatNumber {
    /// The shortest text that reads back as the same number, without a `.0`: quantiles in text.
    static func text(_ value: Double) -> String {
        if value.isNaN { return "nan" }
        let text = value.description
        return text.hasSuffix(".0") ? String(text.dropLast(2)) : text
    }

    /// Six significant digits, as `%g`: bounds of buckets in text.
    static func general(_ value: Double) -> String { printed("%g", value) }

    /// 32 significant digits: everything that is no whole number in Prometheus text.
    static func prometheus(_ value: Double) -> String {
        if value == value.rounded(), abs(value) < 1e15 { return String(Int64(value)) }
        return printed("%.32g", value)
    }

    /// The shorter of plain and exponential, plain where they are equal: numbers in JSON.
    static func json(_ value: Double) -> String {
        let plain = text(value)
        guard value == value.rounded(), value != 0, abs(value) < 1e15 else { return plain }
        var digits = String(Int64(abs(value)))
        let exponent = digits.utf8.count - 1
        while digits.hasSuffix("0") { digits.removeLast() }
        var mantissa = String(digits.removeFirst())
        if !digits.isEmpty { mantissa += "." + digits }
        let exponential = "\(value < 0 ? "-" : "")\(mantissa)e+\(exponent < 10 ? "0" : "")\(exponent)"
        return exponential.utf8.count < plain.utf8.count ? exponential : plain
    }

    private static func printed(_ format: String, _ value: Double) -> String {
        var buffer: [CChar] = Array(repeating: 0, count: 64)
        let count = withVaList([value]) { vsnprintf(&buffer, buffer.count, format, $0) }
        return String(decoding: buffer[..<max(0, min(Int(count), buffer.count - 1))].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// A JSON string with its quotes.
    static func appendJSON(_ text: String, to output: inout [UInt8]) {
        output.append(UInt8(ascii: "\""))
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"):
                output.append(UInt8(ascii: "\\"))
                output.append(byte)
            case 0..<0x20:
                let hex = Array("0123456789abcdef".utf8)
                output += "\\u00".utf8
                output.append(hex[Int(byte >> 4)])
                output.append(hex[Int(byte & 15)])
            default:
                output.append(byte)
            }
        }
        output.append(UInt8(ascii: "\""))
    }
}
