// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshIO
import MeshModel
import MeshStats

/// What an access log of a connection knows: that of a TCP proxy, or of the listener.
///
/// Made when the connection ends, so it costs nothing where nothing is logged.
final class ConnectionLogRecord: AccessLogSubject {
    let loop: EventLoop
    let start: MonotonicInstant
    let celScratch: CELScratch
    private let number: UInt64
    let facts: ConnectionFacts
    let listener: CompiledListener
    var type = AccessLogType.notSet
    var flags: ResponseFlags = []
    var details: StaticString?
    var receivedBytes: UInt64 = 0
    var sentBytes: UInt64 = 0
    var chainName = ""
    /// Nil until a cluster was found.
    var cluster: CompiledCluster?
    /// Hosts of the cluster.
    var hostCount = 0
    var upstreamAddress: Address?
    var upstreamLocalAddress: Address?
    var upstreamReceivedBytes: UInt64 = 0
    var upstreamSentBytes: UInt64 = 0
    var attempts: UInt32 = 0
    /// Why the client's TLS session failed, and that to the upstream (`TLSReason`); 0 when it did not.
    var transportFailure: Int32 = 0
    var upstreamFailure: Int32 = 0
    var upstreamTLS: ConnectionTLS?

    /// Ended by the idle timeout.
    var idled = false
    var chainMetadata = MetadataTable()
    var upstreamHost: HostFacts?
    var upstreamNumber: UInt64 = 0
    /// A random number for what a TCP proxy serves.
    var streamID: (high: UInt64, low: UInt64)?

    init(_ account: ConnectionAccount, facts: ConnectionFacts) {
        loop = account.listener.worker.loop
        celScratch = account.listener.worker.expressions
        start = account.start
        number = account.number
        listener = account.listener.compiled
        self.facts = facts
    }

    /// There are no headers on a connection.
    func headerValue(
        _ headers: FormatHeaders, token: HeaderToken, name: UnsafeRawBufferPointer
    ) -> UnsafeRawBufferPointer? { nil }

    func append(_ command: FormatCommand, argument: UnsafeRawBufferPointer, to sink: ByteSink) -> Bool {
        switch command {
        case .startTime, .startTimeLocal:
            let lived = min(loop.now.nanoseconds(since: start), loop.wallClock)
            return FormatValues.appendTime(
                loop.wallClock - lived, format: argument, isLocal: command == .startTimeLocal, to: sink)
        case .emitTime, .emitTimeLocal:
            return FormatValues.appendTime(loop.wallClock, format: argument, isLocal: command == .emitTimeLocal, to: sink)
        case .duration: return FormatValues.append(from: start, to: loop.now, to: sink)
        // Envoy prints 0 where there never was a response.
        case .responseCode: return FormatValues.appendNumber(0, to: sink)
        case .responseCodeDetails:
            guard let details else { return false }
            sink.append(details)
            return true
        case .responseFlags: return FormatValues.append(flags, first: [], to: sink)
        case .responseFlagsLong: return FormatValues.appendLong(flags, first: [], to: sink)
        case .accessLogType:
            sink.append(type.name)
            return true
        case .connectionID: return FormatValues.appendNumber(number, to: sink)
        case .upstreamConnectionID: return FormatValues.appendNumber(upstreamNumber, to: sink)
        case .listenerName: return FormatValues.appendText(listener.listener.name, to: sink)
        case .requestHeadersBytes, .responseHeadersBytes, .responseTrailersBytes, .downstreamHeaderBytesSent,
            .downstreamHeaderBytesReceived, .upstreamHeaderBytesSent, .upstreamHeaderBytesReceived,
            .downstreamDecompressedHeaderBytesSent, .downstreamDecompressedHeaderBytesReceived,
            .upstreamDecompressedHeaderBytesSent, .upstreamDecompressedHeaderBytesReceived:
            return FormatValues.appendNumber(0, to: sink)
        case .localReplyBody: return true
        case .commonDuration:
            guard let span = DurationSpan(argument) else { return false }
            return FormatValues.append(span, start: time(of: span.start), end: time(of: span.end), to: sink)
        case .metadata, .clusterMetadata, .upstreamMetadata:
            return appendMetadata(command, argument: argument, quotes: false, to: sink)
        case .reason: return ReplyReason.append(self, to: sink)
        case .explanation: return ReplyReason.appendExplanation(self, to: sink)
        case .bytesReceived, .downstreamWireBytesReceived: return FormatValues.appendNumber(receivedBytes, to: sink)
        case .bytesSent, .downstreamWireBytesSent: return FormatValues.appendNumber(sentBytes, to: sink)
        case .upstreamRequestAttemptCount: return FormatValues.appendNumber(UInt64(attempts), to: sink)
        case .downstreamTransportFailureReason: return TLSReason.append(transportFailure, to: sink)
        case .upstreamTransportFailureReason: return TLSReason.append(upstreamFailure, to: sink)
        case .filterChainName: return FormatValues.appendText(chainName, to: sink)
        default:
            return FormatValues.appendValidity(
                command, downstream: facts.tls, upstream: upstreamTLS, format: argument, to: sink)
                ?? appendUpstream(command, to: sink)
        }
    }

    func appendMetadata(
        _ command: FormatCommand, argument: UnsafeRawBufferPointer, quotes: Bool, to sink: ByteSink
    ) -> Bool {
        guard let (source, path) = MetadataSource.of(command, argument) else { return false }
        switch source {
        case .cluster: return cluster?.cluster.metadata.append(path, quotes: quotes, to: sink) ?? false
        case .upstreamHost: return upstreamHost?.metadata.append(path, quotes: quotes, to: sink) ?? false
        case .listener: return listener.listener.metadata.append(path, quotes: quotes, to: sink)
        case .listenerFilterChain: return chainMetadata.append(path, quotes: quotes, to: sink)
        case .route, .virtualHost, .dynamic: return false
        }
    }

    private func time(of point: TimePoint) -> MonotonicInstant? {
        switch point {
        case .downstreamConnectBegin, .downstreamReceiveBegin: start
        case .downstreamConnectEnd: type == .tcpConnectionEnd ? loop.now : nil
        default: nil
        }
    }

    // MARK: Filters

    var logStatus: UInt16 { 0 }
    var logMilliseconds: UInt64 { loop.now.nanoseconds(since: start) / 1_000_000 }
    var logFlags: UInt64 { flags.rawValue }
    var logType: AccessLogType { type }
    var logGRPCStatus: UInt32 { UInt32(GRPCStatus.unknown.rawValue) }
    var isTraced: Bool { false }
    var stableRandom: UInt64? { nil }

    /// There are no headers: as with any request that has none of that name.
    func meets(_ predicate: HeaderPredicate) -> Bool {
        predicate.holds(HeaderBlock()) { _ in false }
    }

    /// The other end of the upstream connection, where there was one.
    private var upstreamPeer: Address? { upstreamLocalAddress == nil ? nil : upstreamAddress }

    /// The endpoint's name, or its address where it has none.
    private func appendHostName(withPort: Bool, to sink: ByteSink) -> Bool {
        guard let upstreamHost, upstreamHost.name.bytes.count > 0 else {
            return FormatValues.append(upstreamAddress, includingPort: withPort, to: sink)
        }
        sink.append(upstreamHost.name.bytes)
        return true
    }

    private func appendUpstream(_ command: FormatCommand, to sink: ByteSink) -> Bool {
        switch command {
        case .upstreamWireBytesReceived: return FormatValues.appendNumber(upstreamReceivedBytes, to: sink)
        case .upstreamWireBytesSent: return FormatValues.appendNumber(upstreamSentBytes, to: sink)
        case .upstreamCluster: return FormatValues.appendText(cluster?.cluster.statName ?? "", to: sink)
        case .upstreamClusterRaw: return FormatValues.appendText(cluster?.cluster.name ?? "", to: sink)
        case .upstreamHostName, .upstreamHostNameWithoutPort: return appendHostName(withPort: command == .upstreamHostName, to: sink)
        case .upstreamHostNamesAttempted, .upstreamHostNamesAttemptedWithoutPort:
            return appendHostName(withPort: command == .upstreamHostNamesAttempted, to: sink)
        // Unlike a request's, as in Envoy: a host that took no connection is among them.
        case .upstreamHostsAttempted: return FormatValues.append(upstreamAddress, includingPort: true, to: sink)
        case .upstreamHostsAttemptedWithoutPort: return FormatValues.append(upstreamAddress, includingPort: false, to: sink)
        case .upstreamConnectionIDsAttempted: return upstreamNumber > 0 && FormatValues.appendNumber(upstreamNumber, to: sink)
        case .streamID:
            guard let streamID else { return false }
            sink.append(room: 36) {
                UUIDText.write(streamID.high, streamID.low, to: $0)
                return 36
            }
            return true
        case .upstreamRemoteEndpointID: return upstreamPeer != nil
        case .upstreamHost: return FormatValues.append(upstreamAddress, includingPort: true, to: sink)
        case .upstreamRemoteAddress: return FormatValues.append(upstreamPeer, includingPort: true, to: sink)
        case .upstreamRemoteAddressWithoutPort: return FormatValues.append(upstreamPeer, includingPort: false, to: sink)
        case .upstreamRemotePort: return FormatValues.appendPort(upstreamPeer, to: sink)
        case .upstreamLocalAddress: return FormatValues.append(upstreamLocalAddress, includingPort: true, to: sink)
        case .upstreamLocalAddressWithoutPort:
            return FormatValues.append(upstreamLocalAddress, includingPort: false, to: sink)
        case .upstreamLocalPort: return FormatValues.appendPort(upstreamLocalAddress, to: sink)
        default:
            return FormatValues.append(command, upstream: upstreamTLS, to: sink)
                ?? FormatValues.append(command, facts: facts, to: sink) ?? false
        }
    }
}

@available(*, unavailable) extension ConnectionLogRecord: Sendable {}
