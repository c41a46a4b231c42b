// SPDX-License-Identifier: Apache-2.0

/// Base64 (RFC 4648): writes the standard alphabet with padding, reads both alphabets, padding optional, as protobuf's JSON
/// mapping wants it.
package enum Base64 {
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    /// Standard alphabet, padded.
    package static func encode(_ bytes: some Sequence<UInt8>) -> String {
        var out: [UInt8] = []
        encode(bytes) { out.append($0) }
        return String(decoding: out, as: UTF8.self)
    }

    /// Standard alphabet, padded, letter by letter.
    package static func encode(_ bytes: some Sequence<UInt8>, _ write: (UInt8) -> Void) {
        var bits: UInt32 = 0
        var count = 0
        for byte in bytes {
            bits = bits << 8 | UInt32(byte)
            count += 1
            if count == 3 {
                for place in 0...3 { write(alphabet[Int(bits >> UInt32(18 - 6 * place) & 63)]) }
                (bits, count) = (0, 0)
            }
        }
        guard count > 0 else { return }
        bits <<= count == 1 ? 16 : 8
        for place in 0...3 {
            write(place <= count ? alphabet[Int(bits >> UInt32(18 - 6 * place) & 63)] : UInt8(ascii: "="))
        }
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
