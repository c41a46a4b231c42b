// SPDX-License-Identifier: Apache-2.0
package import MeshIO
import Glibc

/// In which order the addresses of one host are tried (RFC 8305 §4). Source:
/// `upstream_connection_options.happy_eyeballs_config`.
package struct HappyEyeballs: Equatable, Sendable {
    package enum FirstFamily: UInt8, Sendable {
        /// The one of the first address.
        case ofFirst
        case ipv4
        case ipv6
    }

    /// Source: `first_address_family_version`. Default: that of the first address.
    package var firstFamily = FirstFamily.ofFirst
    /// How many of the first family go before one of the other. Source: `first_address_family_count`. Default: 1.
    package var firstCount: UInt32 = 1

    package init() {}

    /// The addresses with their families in turn; within a family the order stays.
    package func order(_ addresses: [Address]) -> [Address] {
        guard let first = addresses.first else { return [] }
        let wanted: Int32? =
            switch firstFamily {
            case .ofFirst: first.family
            case .ipv4: AF_INET
            case .ipv6: AF_INET6
            }
        var preferred = addresses.filter { $0.family == wanted }[...]
        var others = addresses.filter { $0.family != wanted }[...]
        var ordered: [Address] = []
        let count = Int(max(firstCount, 1))
        while !preferred.isEmpty || !others.isEmpty {
            ordered += preferred.prefix(count)
            preferred = preferred.dropFirst(count)
            if let other = others.popFirst() { ordered.append(other) }
        }
        return ordered
    }
}
