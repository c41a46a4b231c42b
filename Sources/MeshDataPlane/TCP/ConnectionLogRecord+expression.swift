// SPDX-License-Identifier: Apache-2.0
import MeshIO
import MeshModel

/// A connection as what expressions read. There are no headers and no response.
extension ConnectionLogRecord {
    func celNumber(_ number: ContextNumber) -> UInt64? {
        switch number {
        case .startTime: loop.wallClock - min(loop.now.nanoseconds(since: start), loop.wallClock)
        case .duration: type == .tcpConnectionEnd || type == .notSet ? loop.now.nanoseconds(since: start) : nil
        case .flags: flags.rawValue
        case .direction: listener.listener.trafficDirection.number
        case .upstream: cluster == nil ? nil : 1
        case .endpoints: cluster == nil ? nil : UInt64(hostCount)
        case .backendLatency, .poolReady, .grpcStatus, .route, .virtualHost: nil
        }
    }

    func celTLS(_ side: ContextSide) -> ConnectionTLS? {
        switch side {
        case .downstream: facts.tls
        case .upstream: upstreamTLS
        }
    }

    func celMetadata(_ source: MetadataSource) -> ContextMetadata {
        switch source {
        case .cluster: ContextMetadata(cluster?.cluster.metadata)
        case .upstreamHost: ContextMetadata(upstreamHost: upstreamHost, isThere: upstreamAddress != nil)
        case .listener: ContextMetadata(listener.listener.metadata)
        case .listenerFilterChain: ContextMetadata(chainMetadata)
        case .route, .virtualHost: .missing
        case .dynamic: .tree(Unmanaged.passUnretained(MetadataTree.empty))
        }
    }
}
