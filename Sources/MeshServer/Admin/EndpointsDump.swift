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
        if !endpoint.metadata.isEmpty { message.append(3, wire(endpoint.metadata)) }
        message.append(4, wrapped(endpoint.weight))
        return message.bytes
    }

    /// `envoy.config.core.v3.Metadata`. What is typed in it was not kept.
    private static func wire(_ metadata: MetadataTable) -> [UInt8] {
        guard case .object(let namespaces) = metadata.tree.value() else { return [] }
        var message = WireBytes()
        for (name, value) in namespaces.sorted(by: { $0.key < $1.key }) {
            guard case .object(let fields) = value else { continue }
            // filter_metadata, a map.
            var entry = WireBytes()
            entry.append(1, text: name)
            entry.append(2, structure(fields))
            message.append(1, entry.bytes)
        }
        return message.bytes
    }

    /// `google.protobuf.Struct`.
    private static func structure(_ fields: [String: MetadataValue]) -> [UInt8] {
        var message = WireBytes()
        for (key, value) in fields.sorted(by: { $0.key < $1.key }) {
            var entry = WireBytes()
            entry.append(1, text: key)
            entry.append(2, wire(value))
            message.append(1, entry.bytes)
        }
        return message.bytes
    }

    /// `google.protobuf.Value`.
    private static func wire(_ value: MetadataValue) -> [UInt8] {
        var message = WireBytes()
        switch value {
        case .null: message.append(choice: 0, field: 1)
        case .number(let number): message.append(double: number, field: 2)
        case .string(let text): message.append(3, text.utf8)
        case .bool(let flag): message.append(choice: flag ? 1 : 0, field: 4)
        case .object(let fields): message.append(5, structure(fields))
        case .list(let values):
            var list = WireBytes()
            for inner in values { list.append(1, wire(inner)) }
            message.append(6, list.bytes)
        }
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
