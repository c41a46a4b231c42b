// SPDX-License-Identifier: Apache-2.0
import COpenSSL

/// A SHA-256 value.
package struct Digest: Hashable, Sendable {
    let words: (UInt64, UInt64, UInt64, UInt64)

    init(words: (UInt64, UInt64, UInt64, UInt64)) { self.words = words }

    /// The 32 bytes, in order.
    package init?(bytes: [UInt8]) {
        guard bytes.count == 32 else { return nil }
        self = bytes.withUnsafeBytes { raw in
            Digest(words: (
                raw.loadUnaligned(fromByteOffset: 0, as: UInt64.self), raw.loadUnaligned(fromByteOffset: 8, as: UInt64.self),
                raw.loadUnaligned(fromByteOffset: 16, as: UInt64.self),
                raw.loadUnaligned(fromByteOffset: 24, as: UInt64.self)))
        }
    }

    /// What `body` writes into 32 bytes, nil when it returns 0.
    init?(writing body: (UnsafeMutablePointer<UInt8>) -> Int32) {
        var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
        let done = withUnsafeMutableBytes(of: &words) { raw in
            guard let base = raw.bindMemory(to: UInt8.self).baseAddress else { return Int32(0) }
            return body(base)
        }
        guard done == 1 else { return nil }
        self.words = words
    }

    /// SHA-256 of `bytes`.
    init?(of bytes: UnsafeRawBufferPointer) {
        self.init { apus_tls_hash(bytes.baseAddress, bytes.count, TLSLibrary.shared.sha256, $0) }
    }

    /// The 32 bytes.
    package var bytes: [UInt8] { withUnsafeBytes(of: words) { [UInt8]($0) } }

    /// 64 lower-case hexadecimal digits.
    package var hexadecimal: [UInt8] { Digest.hexadecimal(bytes) }

    /// Two lower-case hexadecimal digits for each byte.
    static func hexadecimal(_ bytes: [UInt8]) -> [UInt8] {
        let digits = Array("0123456789abcdef".utf8)
        var text: [UInt8] = []
        text.reserveCapacity(2 * bytes.count)
        for byte in bytes {
            text.append(digits[Int(byte >> 4)])
            text.append(digits[Int(byte & 15)])
        }
        return text
    }

    package static func == (one: Digest, other: Digest) -> Bool { one.words == other.words }

    package func hash(into hasher: inout Hasher) {
        // It is a hash already; one word of it, salted by the hasher, spreads as well as all four.
        hasher.combine(words.0)
    }
}
