// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshIO

/// What makes an HTTP message one of gRPC.
package enum GRPCMessage {
    /// Whether a request with this `content-type` is gRPC's: `application/grpc`, alone or with a codec's name behind `+`.
    /// gRPC-Web is not: its clients read plain HTTP.
    package static func isContentType(_ value: UnsafeRawBufferPointer) -> Bool {
        let prefix = UnsafeRawBufferPointer("application/grpc")
        guard value.starts(with: prefix) else { return false }
        return value.count == prefix.count || value[prefix.count] == UInt8(ascii: "+")
    }

    /// Most bytes `encode` makes of one.
    package static let expansion = 3

    /// Writes text as a `grpc-message` field carries it: percent-encoded outside the printable characters (as Envoy, which
    /// encodes `~` too). The buffer needs `expansion` bytes for each of `text`; those used are returned.
    package static func encode(_ text: UnsafeRawBufferPointer, to buffer: UnsafeMutableRawBufferPointer) -> Int {
        var end = 0
        for byte in text {
            if byte >= 0x20, byte < 0x7E, byte != UInt8(ascii: "%") {
                buffer[end] = byte
                end += 1
            } else {
                buffer[end] = UInt8(ascii: "%")
                buffer[end + 1] = hexDigit(byte >> 4)
                buffer[end + 2] = hexDigit(byte & 0x0F)
                end += 3
            }
        }
        return end
    }

    private static func hexDigit(_ value: UInt8) -> UInt8 {
        value < 10 ? UInt8(ascii: "0") &+ value : UInt8(ascii: "A") &+ value &- 10
    }
}
