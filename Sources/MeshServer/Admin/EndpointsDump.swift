// SPDX-License-Identifier: Apache-2.0
import MeshIO
import MeshModel

/// `envoy.admin.v3.EndpointsConfigDump` in wire form: the hosts of clusters as they are now.
enum EndpointsDump {
    static func wire(_ view: AdminView, matches: (String) -> Bool) -> [UInt8] {
        var dump = WireBytes()
        for cluster in view.clusters.filter({ matches($0.name) }).sorted(by: { $0.name < $1.name }) {
            var any = WireBytes()
            any.append(1, text: "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment")
            any.append(2, assignment(of: cluster.name, view.endpoints(of: cluster) ?? EndpointSet()))
            var entry = WireBytes()
            entry.append(1, any.bytes)
            // static_endpoint_configs
            dump.append(2, entry.bytes)
        }
        return dump.bytes
    }

    /// `envoy.config.endpoint.v3.ClusterLoadAssignment`.
    private static func assignment(of cluster: String, _ set: EndpointSet) -> [UInt8] {
        var message = WireBytes()
        message.append(1, text: cluster)
        for group in set.localities where !group.endpoints.isEmpty {
            var locality = WireBytes()
            locality.append(1, text: group.locality.region)
            locality.append(2, text: group.locality.zone)
            locality.append(3, text: group.locality.subZone)
            var endpoints = WireBytes()
            endpoints.append(1, locality.bytes)
            for endpoint in group.endpoints { endpoints.append(2, wire(endpoint)) }
            endpoints.append(3, wrapped(group.weight))
            endpoints.append(varint: UInt64(group.priority), field: 5)
            message.append(2, endpoints.bytes)
        }
        var policy = WireBytes()
        policy.append(3, wrapped(set.overprovisioningPercent))
        message.append(4, policy.bytes)
        return message.bytes
    }

    /// `envoy.config.endpoint.v3.LbEndpoint`.
    private static func wire(_ endpoint: Endpoint) -> [UInt8] {
        var inner = WireBytes()
        inner.append(1, wire(endpoint.address))
        inner.append(2, [])
        inner.append(3, text: endpoint.hostname)
        var message = WireBytes()
        message.append(1, inner.bytes)
        let health: UInt64 = switch endpoint.health {
        case .healthy: 1
        case .unhealthy, .draining: 2
        case .degraded: 5
        }
        message.append(varint: health, field: 2)
        message.append(4, wrapped(endpoint.weight))
        return message.bytes
    }

    /// `envoy.config.core.v3.Address`.
    private static func wire(_ address: Address) -> [UInt8] {
        var inner = WireBytes()
        var message = WireBytes()
        switch address {
        case .ipv4, .ipv6:
            inner.append(2, text: address.hostText)
            inner.append(varint: UInt64(address.port ?? 0), field: 3)
            message.append(1, inner.bytes)
        case .pipe(let path):
            inner.append(1, text: path)
            message.append(2, inner.bytes)
        case .internal(let name):
            inner.append(1, text: name)
            message.append(3, inner.bytes)
        }
        return message.bytes
    }

    /// `google.protobuf.UInt32Value`, which says that the value is there even when it is 0.
    private static func wrapped(_ value: UInt32) -> [UInt8] {
        var message = WireBytes()
        message.append(varint: UInt64(value), field: 1)
        return message.bytes
    }
}
