// SPDX-License-Identifier: Apache-2.0
import COpenSSL
import MeshIO

/// The handshake's proof that the server speaks WebSocket (RFC 6455 §4.2.2).
enum WebSocketKey {
    private static let suffix = Array("258EAFA5-E914-47DA-95CA-C5AB0DC85B11".utf8)

    /// What `sec-websocket-accept` has to be for a `sec-websocket-key`.
    static func accept(_ key: [UInt8]) -> [UInt8] { base64(SHA1.hash(key + suffix)) }

    /// A key: sixteen random bytes in base64.
    static func make(_ random: inout SplitMix) -> [UInt8] {
        var bytes: [UInt8] = []
        for _ in 0..<2 { withUnsafeBytes(of: random.next()) { bytes += $0 } }
        return base64(bytes)
    }

    static func base64(_ bytes: [UInt8]) -> [UInt8] { Array(Base64.encode(bytes).utf8) }
}

/// SHA-1 (FIPS 180-4), which RFC 6455 asks for; it protects nothing there.
enum SHA1 {
    static func hash(_ message: [UInt8]) -> [UInt8] {
        var digest = [UInt8](repeating: 0, count: 20)
        EVP_Digest(message, message.count, &digest, nil, EVP_sha1(), nil)
        return digest
    }
}
