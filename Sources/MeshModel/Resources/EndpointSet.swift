// SPDX-License-Identifier: Apache-2.0
package import MeshIO

/// One upstream host. Source: `envoy.config.endpoint.v3.LbEndpoint`.
package struct Endpoint: Hashable, Sendable {
    package var address: Address
    /// For `auto_host_rewrite`. Source: `endpoint.hostname`. Default: empty.
    package var hostname: String
    /// 1 or more. Source: `load_balancing_weight`. Default: 1.
    package var weight: UInt32
    package var health: EndpointHealth
    /// More addresses of the same host, tried when the first does not answer soon. Source: `additional_addresses`; for
    /// LOGICAL_DNS the other records of the name.
    package var additionalAddresses: [Address] = []
    /// The host is the name and not the address (LOGICAL_DNS): when the address changes, connections stay.
    package var isLogical = false
    /// Source: `metadata`.
    package var metadata = MetadataTable() {
        didSet { isCanary = metadata.isTrue("envoy.lb:canary") }
    }
    /// Source: `metadata.filter_metadata` of `envoy.lb`, `canary`. Default: false.
    package private(set) var isCanary = false

    package init(_ address: Address, hostname: String = "", weight: UInt32 = 1, health: EndpointHealth = .healthy) {
        self.address = address
        self.hostname = hostname
        self.weight = weight
        self.health = health
    }

    /// What makes an entry of a new set the same host as one of the old set.
    package var identity: Identity {
        isLogical
            ? Identity(addresses: [], hostname: hostname)
            : Identity(addresses: [address] + additionalAddresses, hostname: hostname)
    }

    /// Weight and health may change under it.
    package struct Identity: Hashable, Sendable {
        let addresses: [Address]
        let hostname: String
    }
}

/// What the configuration says about a host. Source: `envoy.config.core.v3.HealthStatus`.
package enum EndpointHealth: UInt8, Sendable {
    /// `HEALTHY` and `UNKNOWN`.
    case healthy
    /// Used when healthy hosts do not suffice.
    case degraded
    /// `UNHEALTHY` and `TIMEOUT`.
    case unhealthy
    /// `DRAINING`: gets no traffic, and its priority is worth as much as if it were not there.
    case draining
}

/// Source: `envoy.config.core.v3.Locality`.
package struct Locality: Hashable, Sendable {
    package var region = ""
    package var zone = ""
    package var subZone = ""

    package init(region: String = "", zone: String = "", subZone: String = "") {
        self.region = region
        self.zone = zone
        self.subZone = subZone
    }
}

/// Hosts of one locality and priority. Source: `envoy.config.endpoint.v3.LocalityLbEndpoints`.
package struct LocalityEndpoints: Equatable, Sendable {
    package var locality: Locality
    /// Source: `load_balancing_weight`. Default: 0 (none).
    package var weight: UInt32
    /// 0 is tried first.
    package var priority: UInt32
    package var endpoints: [Endpoint]

    package init(locality: Locality = Locality(), weight: UInt32 = 0, priority: UInt32 = 0, endpoints: [Endpoint]) {
        self.locality = locality
        self.weight = weight
        self.priority = priority
        self.endpoints = endpoints
    }
}

/// All hosts of a cluster; replaced whole. Source: `envoy.config.endpoint.v3.ClusterLoadAssignment`.
package struct EndpointSet: Equatable, Sendable {
    /// In order of the configuration; `endpoints(at:)` numbers their hosts through.
    package var localities: [LocalityEndpoints]
    /// In percent: a priority keeps all traffic until its healthy share times this falls under 100.
    /// Source: `policy.overprovisioning_factor`. Default: 140.
    package var overprovisioningPercent: UInt32 = 140

    package init(_ localities: [LocalityEndpoints] = []) { self.localities = localities }
    /// One locality of priority 0.
    package init(endpoints: [Endpoint]) { self.init([LocalityEndpoints(endpoints: endpoints)]) }

    /// Every host, in order; `LoadBalancer` speaks of them by index into this list.
    package var allEndpoints: [Endpoint] { localities.flatMap(\.endpoints) }
}
