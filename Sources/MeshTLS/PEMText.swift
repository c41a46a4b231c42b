// SPDX-License-Identifier: Apache-2.0

/// DER as PEM text, and PEM in a header field.
package enum PEMText {
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    /// One certificate in lines of 64 characters.
    package static func certificate(_ der: [UInt8]) -> [UInt8] {
        var text = Array("-----BEGIN CERTIFICATE-----\n".utf8)
        text.reserveCapacity(der.count / 3 * 4 + der.count / 48 + 64)
        var column = 0
        var index = 0
        while index < der.count {
            let left = der.count - index
            let bits = UInt32(der[index]) << 16 | (left > 1 ? UInt32(der[index + 1]) << 8 : 0)
                | (left > 2 ? UInt32(der[index + 2]) : 0)
            text.append(alphabet[Int(bits >> 18 & 63)])
            text.append(alphabet[Int(bits >> 12 & 63)])
            text.append(left > 1 ? alphabet[Int(bits >> 6 & 63)] : UInt8(ascii: "="))
            text.append(left > 2 ? alphabet[Int(bits & 63)] : UInt8(ascii: "="))
            index += 3
            column += 4
            if column == 64 {
                text.append(UInt8(ascii: "\n"))
                column = 0
            }
        }
        if column > 0 { text.append(UInt8(ascii: "\n")) }
        text.append(contentsOf: "-----END CERTIFICATE-----\n".utf8)
        return text
    }

    /// PEM as XFCC's `Cert` and `Chain` carry it: what is no base64 letter, digit, `-`, `_` or `.` is percent-encoded.
    package static func percentEncoded(_ text: [UInt8]) -> [UInt8] {
        let digits = Array("0123456789ABCDEF".utf8)
        var encoded: [UInt8] = []
        encoded.reserveCapacity(text.count + text.count / 8)
        for byte in text {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."):
                encoded.append(byte)
            default:
                encoded.append(UInt8(ascii: "%"))
                encoded.append(digits[Int(byte >> 4)])
                encoded.append(digits[Int(byte & 15)])
            }
        }
        return encoded
    }
}
