// SPDX-License-Identifier: Apache-2.0
import MeshStats

/// Responses of a cluster, or of a route with a `stat_prefix`, on one worker: by status, by class, all of them, and how long
/// they took. Scope `cluster.<name>.` or `vhost.<virtual host>.route.<stat_prefix>.`.
///
/// A response raises one row, `external.upstream_rq_200` of a cluster, which counts for `upstream_rq_2xx` and the others when
/// someone reads them. Rows are declared as their status is first met, as in Envoy.
final class ResponseStats {
    private let catalog: StatCatalog
    private let scope: StatScopeName
    private let pages: StatPages
    /// Clusters tell requests from inside (`x-envoy-internal`) from others.
    private let tellsOrigin: Bool
    /// Few: the first one is almost always the one.
    private var rows: ContiguousArray<(key: UInt32, row: CounterID)> = []
    private var internalTime: HistogramID?
    private var externalTime: HistogramID?

    init(catalog: StatCatalog, scope: StatScopeName, pages: StatPages, tellsOrigin: Bool) {
        self.catalog = catalog
        self.scope = scope
        self.pages = pages
        self.tellsOrigin = tellsOrigin
    }

    /// A response, or a reply in place of one.
    func count(_ status: UInt16, isInternal: Bool) {
        let key = UInt32(status) | (isInternal && tellsOrigin ? ResponseStats.internalBit : 0)
        for index in rows.indices where rows[index].key == key {
            pages.add(rows[index].row)
            return
        }
        pages.add(add(key))
    }

    /// A whole response came.
    func record(milliseconds: UInt64, isInternal: Bool) {
        let isInternal = isInternal && tellsOrigin
        pages.record((isInternal ? internalTime : externalTime) ?? addTime(isInternal), milliseconds)
    }

    private static let internalBit: UInt32 = 1 << 16

    @inline(never)
    private func add(_ key: UInt32) -> CounterID {
        let status = key & (ResponseStats.internalBit - 1)
        let origin = origin(isInternal: key & ResponseStats.internalBit != 0)
        var others = ["upstream_rq_completed"]
        if (100..<600).contains(status) { others.append("upstream_rq_\(status / 100)xx") }
        if !origin.isEmpty {
            others += others.map { origin + $0 }
            others.append("upstream_rq_\(status)")
        }
        let row = catalog.counter(
            "\(origin)upstream_rq_\(status)", in: scope, countingFor: others, "Responses with this status.")
        rows.append((key, row))
        return row
    }

    @inline(never)
    private func addTime(_ isInternal: Bool) -> HistogramID {
        let origin = origin(isInternal: isInternal)
        let id = catalog.histogram(
            "\(origin)upstream_rq_time", unit: .milliseconds, in: scope,
            countingFor: origin.isEmpty ? [] : ["upstream_rq_time"], "Request sent to response complete.")
        if isInternal { internalTime = id } else { externalTime = id }
        return id
    }

    private func origin(isInternal: Bool) -> String { tellsOrigin ? (isInternal ? "internal." : "external.") : "" }
}

@available(*, unavailable) extension ResponseStats: Sendable {}
