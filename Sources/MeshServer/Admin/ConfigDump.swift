// SPDX-License-Identifier: Apache-2.0
import MeshProto

/// Puts `envoy.admin.v3.ConfigDump` together in wire form, without decoding what it is made of.
struct ConfigDump {
    let bootstrap: [UInt8]
    /// - Unit: nanoseconds since 1970.
    let loadedAt: UInt64
    /// `EndpointsConfigDump` in wire form where it is asked for (`include_eds`).
    let endpoints: [UInt8]?
    let matches: (String) -> Bool

    private static let package = "envoy.admin.v3."
    private static let prefix = "type.googleapis.com/"

    /// Why a part cannot be shown, in Envoy's words.
    enum Failure: Error {
        case notFound(String)
        case notRepeated(String)
        case badMask(FieldMask)
        case maskWithoutEffect(String)
    }

    /// The sections in Envoy's order, by the names of their messages.
    private var sections: [(type: String, wire: [UInt8])] {
        var bootstrapDump = WireBytes()
        bootstrapDump.append(1, bootstrap)
        bootstrapDump.append(2, timestamp)
        func repeated(_ field: Int, _ entries: [[UInt8]]) -> [UInt8] {
            var dump = WireBytes()
            for entry in entries { dump.append(field, entry) }
            return dump.bytes
        }
        var sections = [("BootstrapConfigDump", bootstrapDump.bytes), ("ClustersConfigDump", repeated(2, staticClusters))]
        if let endpoints { sections.append(("EndpointsConfigDump", endpoints)) }
        sections.append(("ListenersConfigDump", repeated(2, staticListeners)))
        sections.append(("ScopedRoutesConfigDump", []))
        sections.append(("RoutesConfigDump", repeated(2, staticRoutes)))
        sections.append(("SecretsConfigDump", repeated(1, staticSecrets)))
        return sections.map { (ConfigDump.package + $0.0, $0.1) }
    }

    /// Every section, or of those that have the fields of the mask, these.
    func all(_ schema: Schema, mask: String?) throws(Failure) -> [UInt8] {
        var dump = WireBytes()
        let fields = mask.map { FieldMask($0) }
        for (type, wire) in sections {
            if let fields {
                guard fields.isValid(for: type, schema) else { continue }
                dump.append(1, any(type, fields.trimmed(wire[...], type: type, schema)))
            } else {
                dump.append(1, any(type, wire))
            }
        }
        if let mask, dump.bytes.isEmpty { throw .maskWithoutEffect(mask) }
        return dump.bytes
    }

    /// The elements of one repeated field (`resource=static_clusters`) of the first section that has it.
    func resource(_ name: String, _ schema: Schema, mask: String?) throws(Failure) -> [UInt8] {
        for (type, wire) in sections {
            guard let field = schema.message(type)?.field(named: name), field.name == name else { continue }
            guard field.isRepeated, case .message(let element) = field.type else { throw .notRepeated(name) }
            var dump = WireBytes()
            for message in WireBytes.fields(wire[...], field.number) {
                guard let mask else {
                    dump.append(1, any(element, message))
                    continue
                }
                let fields = FieldMask(mask)
                guard let trimmed = trimmed(message, type: element, by: fields, schema) else { throw .badMask(fields) }
                dump.append(1, any(element, trimmed))
            }
            return dump.bytes
        }
        throw .notFound(name)
    }

    /// An element with the mask reaching into the resource it carries as an `Any`; nil where the mask does not fit.
    private func trimmed(
        _ message: ArraySlice<UInt8>, type: String, by mask: FieldMask, _ schema: Schema
    ) -> [UInt8]? {
        let carrier = schema.message(type)?.fields.first { field in
            guard !field.isRepeated, case .message("google.protobuf.Any") = field.type else { return false }
            return mask.paths.contains { $0 == field.name || $0.hasPrefix(field.name + ".") }
        }
        guard let carrier else { return mask.isValid(for: type, schema) ? mask.trimmed(message, type: type, schema) : nil }
        let (outer, inner) = mask.split(atAny: carrier.name)
        guard outer.isValid(for: type, schema) else { return nil }
        var output = WireBytes()
        var fits = true
        WireBytes.forEach(in: outer.trimmed(message, type: type, schema)[...]) { number, record, content in
            guard number == carrier.number, let content, let inner,
                let url = WireBytes.fields(content, 1).last, let value = WireBytes.fields(content, 2).last
            else { return output.append(record: record) }
            let innerType = TypeURL.messageName(String(decoding: url, as: UTF8.self))
            guard inner.isValid(for: innerType, schema) else { return fits = false }
            output.append(number, any(innerType, inner.trimmed(value, type: innerType, schema)))
        }
        return fits ? output.bytes : nil
    }

    // MARK: Elements

    private var staticResources: [ArraySlice<UInt8>] { WireBytes.fields(bootstrap[...], 2) }

    /// `ClustersConfigDump.StaticCluster` of each cluster.
    private var staticClusters: [[UInt8]] {
        staticResources.flatMap { WireBytes.fields($0, 2) }.filter { isWanted($0, nameField: 1) }
            .map { stamped("envoy.config.cluster.v3.Cluster", $0) }
    }

    /// `ListenersConfigDump.StaticListener` of each listener.
    private var staticListeners: [[UInt8]] {
        staticResources.flatMap { WireBytes.fields($0, 1) }.filter { isWanted($0, nameField: 1) }
            .map { stamped("envoy.config.listener.v3.Listener", $0) }
    }

    /// `SecretsConfigDump.StaticSecret` of each secret.
    private var staticSecrets: [[UInt8]] {
        staticResources.flatMap { WireBytes.fields($0, 3) }.filter { isWanted($0, nameField: 1) }.map { secret in
            var entry = WireBytes()
            for name in WireBytes.fields(secret, 1) { entry.append(1, name) }
            entry.append(2, timestamp)
            entry.append(3, any("envoy.extensions.transport_sockets.tls.v3.Secret", secret))
            return entry.bytes
        }
    }

    /// `RoutesConfigDump.StaticRouteConfig` of each route configuration inside a connection manager.
    private var staticRoutes: [[UInt8]] {
        let manager = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
        var found: [[UInt8]] = []
        for listener in staticResources.flatMap({ WireBytes.fields($0, 1) }) {
            // Listener.filter_chains = 3 and default_filter_chain = 25; FilterChain.filters = 3; Filter.typed_config = 4.
            let chains = WireBytes.fields(listener, 3) + WireBytes.fields(listener, 25)
            for config in chains.flatMap({ WireBytes.fields($0, 3) }).flatMap({ WireBytes.fields($0, 4) }) {
                guard let url = WireBytes.fields(config, 1).last, String(decoding: url, as: UTF8.self).hasSuffix("/" + manager)
                else { continue }
                // Any.value = 2; HttpConnectionManager.route_config = 4.
                for route in WireBytes.fields(config, 2).flatMap({ WireBytes.fields($0, 4) }) where isWanted(route, nameField: 1) {
                    found.append(stamped("envoy.config.route.v3.RouteConfiguration", route))
                }
            }
        }
        return found
    }

    private func isWanted(_ message: ArraySlice<UInt8>, nameField: Int) -> Bool {
        matches(WireBytes.fields(message, nameField).last.map { String(decoding: $0, as: UTF8.self) } ?? "")
    }

    /// `{1: Any(type, message), 2: last_updated}`, the shape most static entries share.
    private func stamped(_ type: String, _ message: ArraySlice<UInt8>) -> [UInt8] {
        var entry = WireBytes()
        entry.append(1, any(type, message))
        entry.append(2, timestamp)
        return entry.bytes
    }

    private func any(_ type: String, _ message: some Collection<UInt8>) -> [UInt8] {
        var content = WireBytes()
        content.append(1, text: ConfigDump.prefix + type)
        content.append(2, message)
        return content.bytes
    }

    /// `google.protobuf.Timestamp`, to the millisecond as Envoy prints it.
    private var timestamp: [UInt8] {
        var content = WireBytes()
        content.append(varint: loadedAt / 1_000_000_000, field: 1)
        content.append(varint: loadedAt % 1_000_000_000 / 1_000_000 * 1_000_000, field: 2)
        return content.bytes
    }
}
