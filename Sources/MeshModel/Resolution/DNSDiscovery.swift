// SPDX-License-Identifier: Apache-2.0
package import MeshIO

/// Hosts that are given by name. Source: a `Cluster` of type STRICT_DNS or LOGICAL_DNS.
package struct DNSDiscovery: Equatable, Sendable {
    package enum Kind: Sendable {
        /// Every address of every name is a host.
        case strict
        /// One name is the one host, wherever it is at the moment.
        case logical
    }

    package var kind: Kind
    /// Source: `load_assignment`.
    package var localities: [DNSLocality]
    /// Source: `load_assignment.policy.overprovisioning_factor`. Default: 140.
    package var overprovisioningPercent: UInt32 = 140
    /// Source: `dns_lookup_family`. Default: auto.
    package var family = LookupFamily.auto
    package var refresh = DNSRefreshPolicy()
    /// Do not serve before the first answer. Source: `wait_for_warm_on_init`. Default: true.
    package var waitsForWarm = true
    /// Source: `typed_dns_resolver_config`, `dns_resolution_config`, `dns_resolvers`, `use_tcp_for_dns_lookups`, the
    /// bootstrap's `typed_dns_resolver_config`.
    package var resolver = ResolverOptions()

    package init(_ kind: Kind, _ localities: [DNSLocality]) {
        self.kind = kind
        self.localities = localities
    }
}

/// Names of one locality and priority.
package struct DNSLocality: Equatable, Sendable {
    package var locality: Locality
    package var weight: UInt32
    package var priority: UInt32
    package var targets: [DNSTarget]

    package init(locality: Locality = Locality(), weight: UInt32 = 0, priority: UInt32 = 0, targets: [DNSTarget]) {
        self.locality = locality
        self.weight = weight
        self.priority = priority
        self.targets = targets
    }
}

/// A name to look up. Source: `LbEndpoint`.
package struct DNSTarget: Equatable, Sendable {
    package enum Host: Equatable, Sendable {
        case name(String, port: UInt16)
        /// A literal address or a unix socket: nobody has to be asked.
        case address(Address)
    }

    package var host: Host
    /// For `auto_host_rewrite` and `auto_host_sni`. Source: `endpoint.hostname`; default: the name.
    package var hostname: String
    package var weight: UInt32
    package var health: EndpointHealth
    /// Source: `metadata`.
    package var metadata = MetadataTable()

    package init(_ host: Host, hostname: String = "", weight: UInt32 = 1, health: EndpointHealth = .healthy) {
        self.host = host
        if hostname.isEmpty, case .name(let name, _) = host { self.hostname = name } else { self.hostname = hostname }
        self.weight = weight
        self.health = health
    }
}
