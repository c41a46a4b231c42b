// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshIO
import MeshModel
import MeshStats

/// What an access log of a connection knows: that of a TCP proxy, or of the listener.
///
/// Made when the connection ends, so it costs nothing where nothing is logged.
final class ConnectionLogRecord: FormatContext {
    private let loop: EventLoop
    private let start: MonotonicInstant
    private let facts: ConnectionFacts
    var flags: ResponseFlags = []
    var details: StaticString?
    var receivedBytes: UInt64 = 0
    var sentBytes: UInt64 = 0
    var chainName = ""
    /// Nil until a cluster was found.
    var cluster: CompiledCluster?
    var upstreamAddress: Address?
    var upstreamLocalAddress: Address?
    var upstreamReceivedBytes: UInt64 = 0
    var upstreamSentBytes: UInt64 = 0
    var attempts: UInt32 = 0
    /// Why the client's TLS session failed, and that to the upstream (`TLSReason`); 0 when it did not.
    var transportFailure: Int32 = 0
    var upstreamFailure: Int32 = 0
    var upstreamTLS: ConnectionTLS?

    /// - Parameter start: when the connection was accepted.
    init(loop: EventLoop, start: MonotonicInstant, facts: ConnectionFacts) {
        self.loop = loop
        self.start = start
        self.facts = facts
    }

    /// There are no headers on a connection.
    func headerValue(
        _ headers: FormatHeaders, token: HeaderToken, name: UnsafeRawBufferPointer
    ) -> UnsafeRawBufferPointer? { nil }

    func append(_ command: FormatCommand, argument: UnsafeRawBufferPointer, to sink: ByteSink) -> Bool {
        switch command {
        case .startTime:
            let lived = min(loop.now.nanoseconds(since: start), loop.wallClock)
            return FormatValues.appendTime(loop.wallClock - lived, format: argument, to: sink)
        case .emitTime: return FormatValues.appendTime(loop.wallClock, format: argument, to: sink)
        case .duration: return FormatValues.append(from: start, to: loop.now, to: sink)
        // Envoy prints 0 where there never was a response.
        case .responseCode: return FormatValues.appendNumber(0, to: sink)
        case .responseCodeDetails:
            guard let details else { return false }
            sink.append(details)
            return true
        case .responseFlags: return FormatValues.append(flags, to: sink)
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

    private func appendUpstream(_ command: FormatCommand, to sink: ByteSink) -> Bool {
        switch command {
        case .upstreamWireBytesReceived: return FormatValues.appendNumber(upstreamReceivedBytes, to: sink)
        case .upstreamWireBytesSent: return FormatValues.appendNumber(upstreamSentBytes, to: sink)
        case .upstreamCluster: return FormatValues.appendText(cluster?.cluster.statName ?? "", to: sink)
        case .upstreamClusterRaw: return FormatValues.appendText(cluster?.cluster.name ?? "", to: sink)
        case .upstreamHost, .upstreamRemoteAddress:
            return FormatValues.append(upstreamAddress, includingPort: true, to: sink)
        case .upstreamRemoteAddressWithoutPort:
            return FormatValues.append(upstreamAddress, includingPort: false, to: sink)
        case .upstreamRemotePort: return FormatValues.appendPort(upstreamAddress, to: sink)
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
