// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshStats

extension ActiveStream {
    /// Counts in the stats of the route and of the virtual cluster, where there are any.
    @inline(__always) func forRouteStats(_ count: (RouteStats) -> Void) {
        routeStats?._withUnsafeGuaranteedRef(count)
        virtualClusterStats?._withUnsafeGuaranteedRef(count)
    }

    /// Counts a response for the cluster, and for the route and the virtual cluster where they have stats of their own.
    func countResponse(_ status: UInt16) {
        let isInternal = request.headers.contains(.envoyInternal)
        if isInternal { phase.insert(.internalRequest) }
        clusterReference?._withUnsafeGuaranteedRef { cluster in
            cluster.responses._withUnsafeGuaranteedRef { $0.count(status, isInternal: isInternal) }
        }
        forRouteStats { $0.responses.count(status, isInternal: false) }
    }

    /// An upstream's response is whole.
    func countResponseTime(milliseconds: UInt64) {
        let isInternal = phase.contains(.internalRequest)
        clusterReference?._withUnsafeGuaranteedRef { cluster in
            cluster.responses._withUnsafeGuaranteedRef { $0.record(milliseconds: milliseconds, isInternal: isInternal) }
        }
        forRouteStats { $0.responses.record(milliseconds: milliseconds, isInternal: false) }
    }
}
