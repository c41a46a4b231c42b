// SPDX-License-Identifier: Apache-2.0

/// Which families of addresses are wanted of a name. Source: `Cluster.DnsLookupFamily`.
package enum LookupFamily: UInt8, Sendable {
    /// IPv6, or IPv4 where there is no IPv6.
    case auto
    case ipv4Only
    case ipv6Only
    /// IPv4, or IPv6 where there is no IPv4.
    case ipv4Preferred
    case all
}

/// An address of a name.
package struct ResolvedAddress: Hashable, Sendable {
    /// Its port is 0.
    package var address: Address
    /// How long it holds; 0 where nothing is said. - Unit: seconds.
    package var timeToLive: UInt32

    package init(_ address: Address, timeToLive: UInt32) {
        self.address = address
        self.timeToLive = timeToLive
    }
}

/// What came of a lookup.
package enum LookupAnswer: Equatable, Sendable {
    /// The addresses, in the order of the answer; none when the name does not exist or has none of the family.
    case addresses([ResolvedAddress])
    /// Nobody answered, or not with an answer.
    case failed
}

/// What happens inside a resolver, for whoever counts it.
package enum ResolverEvent: Equatable, Sendable {
    /// A question for one family was asked.
    case asked
    /// It was answered, or given up.
    case ended
    /// There is no such name, or it has no address of the family.
    case notFound
    /// So many servers did not answer in time.
    case timedOut(Int)
    /// It failed in another way.
    case failed
    /// The resolver was made anew, because no server was there.
    case madeAnew
}

/// How names are looked up. Source: `CaresDnsResolverConfig`, `DnsResolutionConfig`.
package struct ResolverOptions: Hashable, Sendable {
    /// Servers with their ports; empty for those of /etc/resolv.conf.
    package var servers: [Address] = []
    /// Source: `use_tcp_for_dns_lookups`. Default: false.
    package var usesTCP = false
    /// Look a name up as it is and not below the search domains too. Source: `no_default_search_domain`. Default: false.
    package var ignoresSearchDomains = false
    /// How long one server has for its answer. Source: `query_timeout_seconds`. Default: 5 s.
    package var queryTimeoutSeconds: UInt32 = 5
    /// How often each server is asked. Source: `query_tries`. Default: 4.
    package var queryTries: UInt32 = 4
    /// Ask the servers in turn. Source: `rotate_nameservers`. Default: false.
    package var rotatesServers = false

    package init() {}
}

/// Looks up names for one loop. Names in the hosts file and `localhost` are answered without a server.
package protocol Resolver: AnyObject {
    /// Looks `name` up. `then` is called once, on the loop, never before this returns, and not at all after `stop`.
    func resolve(_ name: String, _ family: LookupFamily, then: @escaping (LookupAnswer) -> Void)
    /// Forgets every question.
    func stop()
}
