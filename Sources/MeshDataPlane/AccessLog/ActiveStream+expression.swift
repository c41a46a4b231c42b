// SPDX-License-Identifier: Apache-2.0
package import MeshHTTP
import MeshIO
package import MeshModel

/// A stream as what expressions read.
extension ActiveStream {
    package var celScratch: CELScratch { worker.expressions }

    package func celNumber(_ number: ContextNumber) -> UInt64? {
        switch number {
        case .startTime: return info.startWallClock
        case .duration: return info.logType == .downstreamEnd ? loop.now.nanoseconds(since: info.start) : nil
        case .backendLatency:
            guard let sent = info.upstreamHeadSent, let last = info.upstreamLastByte else { return nil }
            return last.nanoseconds(since: sent)
        case .poolReady:
            guard info.upstreamAsked.nanoseconds > 0, let ready = info.upstreamHeadSent else { return nil }
            return ready.nanoseconds(since: info.upstreamAsked)
        case .flags: return info.flags.rawValue
        case .grpcStatus:
            let status = logGRPCStatus
            return info.status == 0 || status == .max ? nil : UInt64(status)
        case .endpoints: return clusterReference.map { $0._withUnsafeGuaranteedRef { UInt64($0.hostCount) } }
        case .direction: return manager.map { $0.listener.compiled.listener.trafficDirection.number }
        case .route: return match.route == nil ? nil : 1
        case .virtualHost: return match.virtualHost == nil ? nil : 1
        case .upstream: return cluster == nil && clusterOfRoute == nil ? nil : 1
        }
    }

    package func celTLS(_ side: ContextSide) -> ConnectionTLS? {
        switch side {
        case .downstream: manager?.facts.tls
        case .upstream: info.upstreamTLS
        }
    }

    package func celMetadata(_ source: MetadataSource) -> ContextMetadata {
        switch source {
        case .route: ContextMetadata(of: match.route?.pointee.metadata, in: routes?.compiled.table)
        case .virtualHost: ContextMetadata(of: match.virtualHost?.pointee.metadata, in: routes?.compiled.table)
        case .cluster: ContextMetadata(cluster?.cluster.metadata ?? clusterOfRoute?.cluster.metadata)
        case .upstreamHost: ContextMetadata(upstreamHost: info.upstreamHostFacts, isThere: info.upstreamAddress != nil)
        case .listener: ContextMetadata(manager?.listener.compiled.listener.metadata)
        case .listenerFilterChain: ContextMetadata(manager?.chain.metadata)
        case .dynamic: .tree(Unmanaged.passUnretained(MetadataTree.empty))
        }
    }

    package func readHeaders(_ headers: FormatHeaders, _ use: (borrowing HeaderBlock) -> Void) {
        switch headers {
        case .request: use(request.headers)
        case .response: use(response.headers)
        case .responseTrailers: use(responseTrailers)
        }
    }
}

extension ContextMetadata {
    init(_ table: MetadataTable?) { self = table.map { .tree(Unmanaged.passUnretained($0.tree)) } ?? .missing }

    /// - Parameter index: in the metadata of the table; negative for a route without any, nil for no route.
    init(of index: Int32?, in table: RouteTable?) {
        guard let index, let table else {
            self = .missing
            return
        }
        self = .tree(Unmanaged.passUnretained(index >= 0 ? table.metadata[Int(index)].tree : MetadataTree.empty))
    }

    /// A host without metadata has Envoy's null.
    init(upstreamHost facts: HostFacts?, isThere: Bool) {
        guard let facts, !facts.metadata.isEmpty else {
            self = isThere ? .null : .missing
            return
        }
        self = .tree(Unmanaged.passUnretained(facts.metadata.tree))
    }
}

extension TrafficDirection {
    /// As in the API.
    var number: UInt64 {
        switch self {
        case .unspecified: 0
        case .inbound: 1
        case .outbound: 2
        }
    }
}
