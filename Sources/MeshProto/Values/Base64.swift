// SPDX-License-Identifier: Apache-2.0

/// Base64 (RFC 4648) as protobuf's JSON mapping wants it: writes the standard alphabet with padding, reads both
/// alphabets, padding optional.
package enum Base64 {
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    /// Standard alphabet, padded.
    package static func encode(_ bytes: some Sequence<UInt8>) -> String {
        var out: [UInt8] = []
        var bits: UInt32 = 0
        var count = 0
        for byte in bytes {
            bits = bits << 8 | UInt32(byte)
            count += 1
            if count == 3 {
                for shift in [18, 12, 6, 0] { out.append(alphabet[Int(bits >> UInt32(shift) & 63)]) }
                (bits, count) = (0, 0)
            }
        }
        if count == 1 {
            out += [alphabet[Int(bits >> 2)], alphabet[Int(bits << 4 & 63)], 0x3D, 0x3D]
        } else if count == 2 {
            out += [alphabet[Int(bits >> 10)], alphabet[Int(bits >> 4 & 63)], alphabet[Int(bits << 2 & 63)], 0x3D]
        }
        return String(decoding: out, as: UTF8.self)
    }

    /// Either alphabet, padded or not; nil for anything else.
    package static func decode(_ text: String) -> [UInt8]? {
        var out: [UInt8] = []
        var bits: UInt32 = 0
        var count = 0
        var padding = 0
        for byte in text.utf8 {
            let value: UInt8
            switch byte {
            case 0x41...0x5A: value = byte - 0x41
            case 0x61...0x7A: value = byte - 0x61 + 26
            case 0x30...0x39: value = byte - 0x30 + 52
            case UInt8(ascii: "+"), UInt8(ascii: "-"): value = 62
            case UInt8(ascii: "/"), UInt8(ascii: "_"): value = 63
            case UInt8(ascii: "="):
                padding += 1
                continue
            default: return nil
            }
            if padding > 0 { return nil }
            bits = bits << 6 | UInt32(value)
            count += 1
            if count % 4 == 0 {
                for shift in [16, 8, 0] { out.append(UInt8(truncatingIfNeeded: bits >> UInt32(shift))) }
                bits = 0
            }
        }
        let rest = count % 4
        if rest == 1 || padding > 2 || (padding > 0 && rest + padding != 4) { return nil }
        if rest == 2 { out.append(UInt8(truncatingIfNeeded: bits >> 4)) }
        if rest == 3 { out += [UInt8(truncatingIfNeeded: bits >> 10), UInt8(truncatingIfNeeded: bits >> 2)] }
        return out
    }
}
