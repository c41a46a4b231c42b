// SPDX-License-Identifier: Apache-2.0
import MeshIO
import MeshModel
import MeshStats

/// The listeners of one worker by address, to hand a redirected connection to the listener of its original destination.
///
/// A look-up is one or two hashes, whatever the number of listeners: a sidecar has thousands of unbound ones.
final class ListenerSet {
    private var byAddress: [Address: ActiveListener] = [:]

    /// Puts a listener at each of its addresses; the last one added wins.
    func insert(_ listener: ActiveListener) {
        for address in listener.compiled.listener.addresses { byAddress[address.address] = listener }
    }

    /// Takes a listener away from where it still is.
    func remove(_ listener: ActiveListener) {
        for address in listener.compiled.listener.addresses where byAddress[address.address] === listener {
            byAddress[address.address] = nil
        }
    }

    /// The listener of exactly this address, else the one of the wildcard address with its port. An IPv4 address also
    /// finds `::`, where that listens for both families (`ipv4_compat`).
    func find(_ address: Address) -> ActiveListener? {
        if let exact = byAddress[address] { return exact }
        switch address {
        case .ipv4(_, let port):
            if let wildcard = byAddress[.ipv4(0, port: port)] { return wildcard }
            let both = Address.ipv6(high: 0, low: 0, port: port, scope: 0)
            guard let wildcard = byAddress[both],
                wildcard.compiled.listener.addresses.contains(where: { $0.address == both && $0.ipv4Compat })
            else { return nil }
            return wildcard
        case .ipv6(_, _, let port, _):
            return byAddress[.ipv6(high: 0, low: 0, port: port, scope: 0)]
        case .pipe, .internal:
            return nil
        }
    }
}

@available(*, unavailable) extension ListenerSet: Sendable {}
