// SPDX-License-Identifier: Apache-2.0
package import MeshIO

/// The hosts of one cluster of names, as far as they are known.
package struct DNSHosts: Equatable, Sendable {
    private let discovery: DNSDiscovery
    /// What each target is found at, in order of the configuration.
    private var found: [[Address]]

    /// What an answer did.
    package enum Outcome: Equatable, Sendable {
        /// There are other hosts now.
        case changed
        /// The answer says what was known.
        case unchanged
        /// The answer counts as none (LOGICAL_DNS without an address): what was known stays.
        case refused
    }

    package init(_ discovery: DNSDiscovery) {
        self.discovery = discovery
        found = discovery.localities.flatMap(\.targets).map { _ in [] }
    }

    /// The targets, numbered in this order.
    package var targets: [DNSTarget] { discovery.localities.flatMap(\.targets) }

    /// Target `index` is at `addresses`, whose ports do not matter.
    package mutating func answered(_ index: Int, _ addresses: [Address]) -> Outcome {
        guard found.indices.contains(index) else { return .refused }
        if discovery.kind == .logical, addresses.isEmpty { return .refused }
        var known: Set<Address> = []
        var list: [Address] = []
        for address in addresses where known.insert(address).inserted { list.append(address) }
        // The order of a round-robin answer changes with each: the hosts are the same. For a logical host it decides.
        let isSame = discovery.kind == .logical ? found[index] == list : Set(found[index]) == known
        if isSame { return .unchanged }
        // Hosts that stay keep their order, so that nothing that counts by it jumps.
        if discovery.kind == .strict {
            list = found[index].filter { known.contains($0) } + list.filter { !found[index].contains($0) }
        }
        found[index] = list
        return .changed
    }

    /// The hosts as a worker uses them.
    package var endpoints: EndpointSet {
        var index = 0
        var localities: [LocalityEndpoints] = []
        for group in discovery.localities {
            var endpoints: [Endpoint] = []
            for target in group.targets {
                endpoints += hosts(of: target, at: found[index])
                index += 1
            }
            localities.append(
                LocalityEndpoints(
                    locality: group.locality, weight: group.weight,
                    // A logical cluster has one host, whose priority says nothing.
                    priority: discovery.kind == .logical ? 0 : group.priority, endpoints: endpoints))
        }
        var set = EndpointSet(localities)
        set.overprovisioningPercent = discovery.overprovisioningPercent
        return set
    }

    private func hosts(of target: DNSTarget, at addresses: [Address]) -> [Endpoint] {
        let places = addresses.map { address in
            if case .name(_, let port) = target.host { return address.withPort(port) }
            return address
        }
        func endpoint(_ address: Address) -> Endpoint {
            var host = Endpoint(address, hostname: target.hostname, weight: target.weight, health: target.health)
            host.metadata = target.metadata
            return host
        }
        guard discovery.kind == .logical else { return places.map(endpoint) }
        guard let first = places.first else { return [] }
        var logical = endpoint(first)
        logical.isLogical = true
        logical.additionalAddresses = Array(places.dropFirst())
        return [logical]
    }
}
