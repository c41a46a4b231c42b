// SPDX-License-Identifier: Apache-2.0
package import MeshHTTP
import MeshIO
package import MeshModel
import MeshStats

/// A stream as what format strings of logs and header values are evaluated against.
extension ActiveStream: FormatContext {
    package func headerValue(
        _ headers: FormatHeaders, token: HeaderToken, name: UnsafeRawBufferPointer
    ) -> UnsafeRawBufferPointer? {
        switch headers {
        case .request:
            // A log of a request that never had a usable head shows none of it.
            request.headers.value(token, name)
        case .response: response.headers.value(token, name)
        case .responseTrailers: responseTrailers.value(token, name)
        }
    }

    package func append(_ command: FormatCommand, argument: UnsafeRawBufferPointer, to sink: ByteSink) -> Bool {
        let now = worker.loop.now
        switch command {
        case .startTime: return FormatValues.appendTime(info.startWallClock, format: argument, to: sink)
        case .emitTime: return FormatValues.appendTime(worker.loop.wallClock, format: argument, to: sink)
        case .protocol:
            guard let version = info.version else { return false }
            sink.append(version.text)
            return true
        case .upstreamProtocol:
            guard let version = info.upstreamVersion else { return false }
            sink.append(version.text)
            return true
        case .responseCode: return FormatValues.appendNumber(UInt64(info.status), to: sink)
        case .responseCodeDetails: return appendDetails(to: sink)
        case .upstreamTransportFailureReason: return FormatValues.appendConnectFailure(info.connectErrno, to: sink)
        case .responseFlagsLong: return FormatValues.appendLong(info.flags, to: sink)
        case .connectionTerminationDetails: return append(info.connectionDetails, to: sink)
        case .responseFlags: return FormatValues.append(info.flags, to: sink)
        case .bytesReceived: return FormatValues.appendNumber(info.receivedBodyBytes, to: sink)
        case .bytesSent: return FormatValues.appendNumber(info.sentBodyBytes, to: sink)
        case .duration: return FormatValues.append(from: info.start, to: now, to: sink)
        case .requestDuration: return FormatValues.append(from: info.start, to: info.requestEnd, to: sink)
        case .requestTxDuration: return FormatValues.append(from: info.start, to: info.upstreamHeadSent, to: sink)
        case .responseDuration: return FormatValues.append(from: info.start, to: info.upstreamFirstByte, to: sink)
        case .responseTxDuration:
            guard let first = info.upstreamFirstByte else { return false }
            return FormatValues.append(from: first, to: now, to: sink)
        case .upstreamHost, .upstreamRemoteAddress:
            return FormatValues.append(info.upstreamAddress, includingPort: true, to: sink)
        case .upstreamRemoteAddressWithoutPort:
            return FormatValues.append(info.upstreamAddress, includingPort: false, to: sink)
        case .upstreamRemotePort: return FormatValues.appendPort(info.upstreamAddress, to: sink)
        case .upstreamLocalAddress:
            return FormatValues.append(info.upstreamLocalAddress, includingPort: true, to: sink)
        case .upstreamLocalAddressWithoutPort:
            return FormatValues.append(info.upstreamLocalAddress, includingPort: false, to: sink)
        case .upstreamLocalPort: return FormatValues.appendPort(info.upstreamLocalAddress, to: sink)
        case .upstreamCluster:
            guard let cluster else { return false }
            return FormatValues.appendText(cluster.cluster.statName, to: sink)
        case .upstreamClusterRaw:
            guard let cluster else { return false }
            sink.append(cluster.name.bytes)
            return true
        case .upstreamRequestAttemptCount: return FormatValues.appendNumber(UInt64(info.attempts), to: sink)
        case .grpcStatus, .grpcStatusNumber:
            guard let form = GRPCStatusForm(command, argument: argument) else { return false }
            return appendGRPCStatus(form, field: response.headers.value(of: .grpcStatus), to: sink)
        case .routeName: return appendName(match.route?.pointee.name, to: sink)
        case .virtualHostName: return appendName(match.virtualHost?.pointee.name, to: sink)
        case .filterChainName: return FormatValues.appendText(manager?.chain.name ?? "", to: sink)
        case .streamID:
            guard let id = request.headers.value(of: .requestID) else { return false }
            sink.append(id)
            return true
        default:
            let upstream = info.upstreamTLS
            if let written = FormatValues.append(command, upstream: upstream, to: sink) { return written }
            if let written = FormatValues.appendValidity(
                command, downstream: manager?.facts.tls, upstream: upstream, format: argument, to: sink)
            {
                return written
            }
            guard let manager else { return false }
            return FormatValues.append(command, facts: manager.facts, to: sink) ?? false
        }
    }

    private func appendName(_ range: TableRange?, to sink: ByteSink) -> Bool {
        guard let range, !range.isEmpty, let routes else { return false }
        sink.append(routes.compiled.table.bytes(range))
        return true
    }

    /// `%RESPONSE_CODE_DETAILS%`; for a connection that could not be made with the kernel's reason, as Envoy writes it.
    private func appendDetails(to sink: ByteSink) -> Bool {
        guard let details = info.details, details.utf8CodeUnitCount > 0 else { return false }
        guard info.connectErrno != 0, info.connectErrno != TLSReason.peerLeft, info.flags.contains(.upstreamConnectionFailure) else {
            sink.append(details)
            return true
        }
        let text = UnsafeRawBufferPointer(details)
        sink.append(UnsafeRawBufferPointer(rebasing: text.dropLast()))
        sink.append("|")
        _ = FormatValues.appendConnectFailure(info.connectErrno, to: sink)
        sink.append("}")
        return true
    }

    private func append(_ text: StaticString?, to sink: ByteSink) -> Bool {
        guard let text, text.utf8CodeUnitCount > 0 else { return false }
        sink.append(text)
        return true
    }
}

extension HeaderBlock {
    /// The first value by token, or by name where the name has none.
    func value(_ token: HeaderToken, _ name: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer? {
        if token != .none { return value(of: token) }
        let index = firstIndex(named: name)
        return index < 0 ? nil : value(at: index)
    }
}
