// SPDX-License-Identifier: Apache-2.0
import CProcess
import MeshProto

extension AdminEndpoints {
    /// `/config_dump`: the configuration as it was read, fields that are not honoured included.
    ///
    /// The schema of the API is loaded for the one answer and given back, because it is larger than the rest of an idle proxy.
    func configDump(_ request: LocalRequest) -> LocalResponse {
        let view = context.view.current
        let matches: ((String) -> Bool)?
        switch nameFilter(request.parameter("name_regex")) {
        case .failure(let refusal): return refusal.response
        case .success(let predicate): matches = predicate
        }
        let dump = ConfigDump(bootstrap: view.bootstrapWire, loadedAt: view.loadedAt, matches: matches ?? { _ in true })
        let wire: [UInt8]
        if let resource = request.parameter("resource") {
            guard let only = dump.resource(resource) else {
                return LocalResponse(404, "\(resource) not found in config dump")
            }
            wire = only
        } else {
            wire = dump.all()
        }
        defer { apus_trim_heap() }
        do throws(ConfigError) {
            let text = try Transcoder().json(fromWire: wire, type: "envoy.admin.v3.ConfigDump")
            return LocalResponse(text.hasSuffix("\n") ? text : text + "\n", contentType: LocalResponse.json)
        } catch {
            return LocalResponse(500, "\(error)")
        }
    }
}

/// Puts `envoy.admin.v3.ConfigDump` together in wire form, without decoding what it is made of.
struct ConfigDump {
    let bootstrap: [UInt8]
    /// - Unit: nanoseconds since 1970.
    let loadedAt: UInt64
    let matches: (String) -> Bool

    private static let prefix = "type.googleapis.com/envoy.admin.v3."

    /// Every section, in Envoy's order.
    func all() -> [UInt8] {
        var bootstrapDump = WireBytes()
        bootstrapDump.append(1, bootstrap)
        bootstrapDump.append(2, timestamp)
        var clusters = WireBytes()
        for cluster in staticClusters { clusters.append(2, cluster) }
        var listeners = WireBytes()
        for listener in staticListeners { listeners.append(2, listener) }
        var routes = WireBytes()
        for route in staticRoutes { routes.append(2, route) }
        var dump = WireBytes()
        dump.append(1, any("BootstrapConfigDump", bootstrapDump.bytes))
        dump.append(1, any("ClustersConfigDump", clusters.bytes))
        dump.append(1, any("ListenersConfigDump", listeners.bytes))
        dump.append(1, any("ScopedRoutesConfigDump", []))
        dump.append(1, any("RoutesConfigDump", routes.bytes))
        dump.append(1, any("SecretsConfigDump", []))
        return dump.bytes
    }

    /// One repeated field of the sections (`resource=static_clusters`); nil for an unknown name.
    func resource(_ name: String) -> [UInt8]? {
        let (type, elements): (String, [[UInt8]])
        switch name {
        case "bootstrap":
            var dump = WireBytes()
            dump.append(1, any("BootstrapConfigDump", bootstrap))
            return dump.bytes
        case "static_clusters": (type, elements) = ("ClustersConfigDump.StaticCluster", staticClusters)
        case "static_listeners": (type, elements) = ("ListenersConfigDump.StaticListener", staticListeners)
        case "static_route_configs": (type, elements) = ("RoutesConfigDump.StaticRouteConfig", staticRoutes)
        case "dynamic_active_clusters", "dynamic_warming_clusters", "dynamic_listeners", "dynamic_route_configs",
            "static_secrets", "dynamic_active_secrets", "dynamic_warming_secrets":
            (type, elements) = ("", [])
        default: return nil
        }
        var dump = WireBytes()
        for element in elements { dump.append(1, any(type, element)) }
        return dump.bytes
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

    /// `{1: Any(type, message), 2: last_updated}`, the shape all static entries share.
    private func stamped(_ type: String, _ message: ArraySlice<UInt8>) -> [UInt8] {
        var content = WireBytes()
        content.append(1, Array(("type.googleapis.com/" + type).utf8))
        content.append(2, message)
        var entry = WireBytes()
        entry.append(1, content.bytes)
        entry.append(2, timestamp)
        return entry.bytes
    }

    private func any(_ type: String, _ message: [UInt8]) -> [UInt8] {
        var content = WireBytes()
        content.append(1, Array((ConfigDump.prefix + type).utf8))
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

/// Protobuf's wire format, as much of it as taking messages apart and putting them together needs.
struct WireBytes {
    private(set) var bytes: [UInt8] = []

    mutating func append(_ field: Int, _ content: some Collection<UInt8>) {
        appendVarint(UInt64(field) << 3 | 2)
        appendVarint(UInt64(content.count))
        bytes += content
    }

    mutating func append(varint value: UInt64, field: Int) {
        guard value != 0 else { return }
        appendVarint(UInt64(field) << 3)
        appendVarint(value)
    }

    private mutating func appendVarint(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(truncatingIfNeeded: rest))
    }

    /// The contents of every length-delimited field of that number; what follows malformed bytes is left out.
    static func fields(_ message: ArraySlice<UInt8>, _ number: Int) -> [ArraySlice<UInt8>] {
        var found: [ArraySlice<UInt8>] = []
        var index = message.startIndex
        func varint() -> UInt64? {
            var value: UInt64 = 0
            var shift: UInt64 = 0
            while index < message.endIndex, shift < 64 {
                let byte = message[index]
                index += 1
                value |= UInt64(byte & 0x7F) << shift
                if byte < 0x80 { return value }
                shift += 7
            }
            return nil
        }
        while index < message.endIndex {
            guard let tag = varint() else { break }
            switch tag & 7 {
            case 0: guard varint() != nil else { return found }
            case 1: index += 8
            case 5: index += 4
            case 2:
                guard let length = varint(), length <= UInt64(message.endIndex - index) else { return found }
                let end = index + Int(length)
                if tag >> 3 == UInt64(number) { found.append(message[index..<end]) }
                index = end
            default: return found
            }
            if index > message.endIndex { return found }
        }
        return found
    }
}
