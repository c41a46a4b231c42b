// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshModel
import MeshStats

/// A route table on one worker, with this worker's regexes and scratch. Streams pin this object, whose count no other
/// thread touches, and not the shared table.
final class ActiveRoutes {
    let compiled: CompiledRoutes
    let matcher: RouteMatcher
    /// The compiled table, one step away.
    let table: RouteTable
    /// Stats of the routes that have some, made on their first request.
    private var stats: [UnsafePointer<CompiledRoute>: RouteStats] = [:]

    /// Stats of virtual clusters, by their place in the table; those of `other` by the virtual host's.
    private var virtualClusterStats: [UnsafeRawPointer: RouteStats] = [:]

    init(_ compiled: CompiledRoutes) {
        self.compiled = compiled
        matcher = RouteMatcher(compiled.table)
        table = compiled.table
    }

    /// The stats of a route with a `stat_prefix`, kept by this object.
    func stats(
        of route: UnsafePointer<CompiledRoute>, _ host: UnsafePointer<CompiledVirtualHost>?, _ cluster: WorkerCluster
    ) -> Unmanaged<RouteStats>? {
        if let known = stats[route] { return Unmanaged.passUnretained(known) }
        guard let host else { return nil }
        let (name, prefix) = (table.bytes(host.pointee.name), table.bytes(route.pointee.statPrefix))
        let scope = StatScopeName.virtualHost(String(decoding: name, as: UTF8.self))
            .appending("route.\(String(decoding: prefix, as: UTF8.self)).")
        let made = RouteStats(catalog: cluster.compiled.catalog, scope: scope, pages: cluster.stats)
        stats[route] = made
        return Unmanaged.passUnretained(made)
    }

    /// The stats of the virtual cluster that a request belongs to, kept by this object. The host has virtual clusters.
    func virtualClusterStats(
        of host: UnsafePointer<CompiledVirtualHost>, _ headers: borrowing HeaderBlock, _ cluster: WorkerCluster
    ) -> Unmanaged<RouteStats> {
        let index = matcher.virtualCluster(of: host, headers)
        let place = index < 0 ? UnsafeRawPointer(host) : UnsafeRawPointer(table.virtualCluster(index))
        if let known = virtualClusterStats[place] { return Unmanaged.passUnretained(known) }
        let name = index < 0 ? "other" : String(decoding: table.bytes(table.virtualCluster(index).pointee.name), as: UTF8.self)
        let scope = StatScopeName.virtualHost(String(decoding: table.bytes(host.pointee.name), as: UTF8.self))
            .appending("vcluster.\(name).")
        let made = RouteStats(catalog: cluster.compiled.catalog, scope: scope, pages: cluster.stats, name: index < 0 ? "" : name)
        virtualClusterStats[place] = made
        return Unmanaged.passUnretained(made)
    }

    /// The route of a request.
    func match(_ headers: borrowing HeaderBlock, random: UInt64) -> StreamRoute {
        StreamRoute(matcher.match(headers, random: random), in: table, random: random)
    }
}

/// What matched for one stream. The pointers live as long as the `ActiveRoutes` the stream pins.
struct StreamRoute {
    /// Nil when no domain or no route matched.
    var route: UnsafePointer<CompiledRoute>?
    var virtualHost: UnsafePointer<CompiledVirtualHost>?
    /// The picked target of a weighted route; -1 for none.
    var target = -1
    /// The stream's random number, for fractions and weights.
    var random: UInt64 = 0

    init() {}

    init(_ result: RouteMatchResult, in table: RouteTable, random: UInt64) {
        self.random = random
        if result.virtualHost >= 0 { virtualHost = table.virtualHost(result.virtualHost) }
        if result.isMatch { route = table.route(result.route) }
    }
}
