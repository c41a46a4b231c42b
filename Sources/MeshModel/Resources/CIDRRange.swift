// SPDX-License-Identifier: Apache-2.0
package import MeshIO

/// A range of IP addresses.
///
/// - Source: `envoy.config.core.v3.CidrRange`; the prefix length is cut to the family's width, host bits are cleared.
package struct CIDRRange: Hashable, Sendable {
    /// The network address, port 0, host bits cleared.
    package let network: Address
    /// 0...32 or 0...128.
    package let prefixLength: UInt8

    /// Nil when `address` is not an IP address.
    package init?(_ address: Address, prefixLength: UInt32) {
        switch address {
        case .ipv4(let host, _):
            let length = min(prefixLength, 32)
            network = .ipv4(host & Self.mask32(length), port: 0)
            self.prefixLength = UInt8(length)
        case .ipv6(let high, let low, _, _):
            let length = min(prefixLength, 128)
            network = .ipv6(
                high: high & Self.mask64(min(length, 64)), low: low & Self.mask64(length > 64 ? length - 64 : 0),
                port: 0, scope: 0)
            self.prefixLength = UInt8(length)
        case .pipe, .internal:
            return nil
        }
    }

    /// Whether the address lies in the range; never for another family.
    package func contains(_ address: Address) -> Bool {
        switch (network, address) {
        case (.ipv4(let base, _), .ipv4(let host, _)):
            return host & Self.mask32(UInt32(prefixLength)) == base
        case (.ipv6(let baseHigh, let baseLow, _, _), .ipv6(let high, let low, _, _)):
            let length = UInt32(prefixLength)
            return high & Self.mask64(min(length, 64)) == baseHigh
                && low & Self.mask64(length > 64 ? length - 64 : 0) == baseLow
        default:
            return false
        }
    }

    private static func mask32(_ length: UInt32) -> UInt32 { length == 0 ? 0 : UInt32.max << (32 - length) }
    private static func mask64(_ length: UInt32) -> UInt64 { length == 0 ? 0 : UInt64.max << (64 - UInt64(length)) }
}
