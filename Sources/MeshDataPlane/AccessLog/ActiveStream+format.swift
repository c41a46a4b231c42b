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
        let now = loop.now
        switch command {
        case .startTime, .startTimeLocal:
            return FormatValues.appendTime(
                info.startWallClock, format: argument, isLocal: command == .startTimeLocal, to: sink)
        case .emitTime, .emitTimeLocal:
            return FormatValues.appendTime(
                loop.wallClock, format: argument, isLocal: command == .emitTimeLocal, to: sink)
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
        case .upstreamHost: return FormatValues.append(info.upstreamAddress, includingPort: true, to: sink)
        case .upstreamRemoteAddress: return FormatValues.append(upstreamPeer, includingPort: true, to: sink)
        case .upstreamRemoteAddressWithoutPort: return FormatValues.append(upstreamPeer, includingPort: false, to: sink)
        case .upstreamRemotePort: return FormatValues.appendPort(upstreamPeer, to: sink)
        case .upstreamLocalAddress:
            return FormatValues.append(info.upstreamLocalAddress, includingPort: true, to: sink)
        case .upstreamLocalAddressWithoutPort:
            return FormatValues.append(info.upstreamLocalAddress, includingPort: false, to: sink)
        case .upstreamLocalPort: return FormatValues.appendPort(info.upstreamLocalAddress, to: sink)
        // What Istio's format asks for goes through no counted reference.
        case .downstreamLocalAddress:
            return managerReference?._withUnsafeGuaranteedRef {
                FormatValues.append($0.facts.localAddress, includingPort: true, to: sink)
            } ?? false
        case .downstreamRemoteAddress:
            return managerReference?._withUnsafeGuaranteedRef {
                FormatValues.append($0.facts.remoteAddress, includingPort: true, to: sink)
            } ?? false
        case .requestedServerName where argument.isEmpty:
            return managerReference?._withUnsafeGuaranteedRef { FormatValues.appendText($0.facts.serverName, to: sink) } ?? false
        case .upstreamCluster:
            guard let cluster = cluster ?? clusterOfRoute else { return false }
            return FormatValues.appendText(cluster.cluster.statName, to: sink)
        case .upstreamClusterRaw:
            if let clusterReference {
                clusterReference._withUnsafeGuaranteedRef { sink.append($0.compiled.name.bytes) }
                return true
            }
            guard let cluster = clusterOfRoute else { return false }
            sink.append(cluster.name.bytes)
            return true
        case .upstreamRequestAttemptCount: return FormatValues.appendNumber(UInt64(info.attempts), to: sink)
        case .grpcStatus, .grpcStatusNumber:
            guard let form = GRPCStatusForm(command, argument: argument) else { return false }
            return appendGRPCStatus(form, field: response.headers.value(of: .grpcStatus), to: sink)
        case .routeName: return appendName(match.route?.pointee.name, to: sink)
        case .virtualHostName: return appendName(match.virtualHost?.pointee.name, to: sink)
        case .filterChainName: return FormatValues.appendText(manager?.chain.name ?? "", to: sink)
        default: return appendRare(command, argument, to: sink)
        }
    }

    /// What few formats ask for.
    private func appendRare(_ command: FormatCommand, _ argument: UnsafeRawBufferPointer, to sink: ByteSink) -> Bool {
        switch command {
        case .streamID:
            guard let id = request.headers.value(of: .requestID) else { return false }
            sink.append(id)
            return true
        case .uniqueID:
            sink.append(room: 36) {
                UUIDText.write(worker.random.next(), worker.random.next(), to: $0)
                return 36
            }
            return true
        case .accessLogType:
            sink.append(info.logType.name)
            return true
        case .virtualClusterName:
            return virtualClusterStats?._withUnsafeGuaranteedRef { FormatValues.appendText($0.name, to: sink) } ?? false
        case .connectionID: return FormatValues.appendNumber(manager?.account.number ?? 0, to: sink)
        case .upstreamConnectionID: return FormatValues.appendNumber(info.upstreamConnectionID, to: sink)
        case .listenerName: return FormatValues.appendText(manager?.listener.compiled.listener.name ?? "", to: sink)
        case .upstreamHostName, .upstreamHostNameWithoutPort:
            return appendHostName(withPort: command == .upstreamHostName, to: sink)
        case .upstreamRemoteEndpointID: return upstreamPeer != nil
        case .upstreamHostsAttempted: return FormatValues.append(upstreamPeer, includingPort: true, to: sink)
        case .upstreamHostsAttemptedWithoutPort: return FormatValues.append(upstreamPeer, includingPort: false, to: sink)
        case .upstreamHostNamesAttempted, .upstreamHostNamesAttemptedWithoutPort:
            return upstreamPeer != nil && appendHostName(withPort: command == .upstreamHostNamesAttempted, to: sink)
        case .upstreamConnectionIDsAttempted:
            return info.upstreamConnectionID > 0 && FormatValues.appendNumber(info.upstreamConnectionID, to: sink)
        case .requestHeadersBytes: return FormatValues.appendNumber(request.headers.textSize, to: sink)
        case .responseHeadersBytes:
            // The status is one of Envoy's headers; a reply of ours has none.
            let status: UInt64 = info.status > 0 && !response.headers.contains(.status) ? 10 : 0
            return FormatValues.appendNumber(response.headers.textSize &+ status, to: sink)
        case .responseTrailersBytes: return FormatValues.appendNumber(responseTrailers.textSize, to: sink)
        // Frames of HTTP/2 are not told apart by stream yet: no number is better than a wrong one.
        case .downstreamWireBytesReceived, .downstreamWireBytesSent:
            guard let manager, !manager.isMultiplexed else { return false }
            let bytes = wireBytes(manager.transport)
            return FormatValues.appendNumber(command == .downstreamWireBytesSent ? bytes.sent : bytes.received, to: sink)
        case .upstreamWireBytesReceived where info.upstreamVersion != .http2:
            return FormatValues.appendNumber(info.upstreamWireReceived, to: sink)
        case .upstreamWireBytesSent where info.upstreamVersion != .http2:
            return FormatValues.appendNumber(info.upstreamWireSent, to: sink)
        case .upstreamWireBytesReceived, .upstreamWireBytesSent: return false
        case .downstreamHeaderBytesReceived, .downstreamHeaderBytesSent, .downstreamDecompressedHeaderBytesReceived,
            .downstreamDecompressedHeaderBytesSent:
            guard info.countsHeads, let manager, !manager.isMultiplexed else { return false }
            return FormatValues.append(command, info.heads, to: sink)
        case .upstreamHeaderBytesReceived, .upstreamHeaderBytesSent, .upstreamDecompressedHeaderBytesReceived,
            .upstreamDecompressedHeaderBytesSent:
            guard info.countsHeads, info.upstreamVersion != .http2 else { return false }
            return FormatValues.append(command, info.heads, to: sink)
        case .upstreamConnectionPoolReadyDuration:
            guard info.upstreamAsked.nanoseconds > 0 else { return false }
            return FormatValues.append(from: info.upstreamAsked, to: info.upstreamHeadSent ?? loop.now, to: sink)
        case .commonDuration:
            guard let span = DurationSpan(argument) else { return false }
            return FormatValues.append(span, start: time(of: span.start), end: time(of: span.end), to: sink)
        case .path:
            guard let form = PathForm(argument) else { return false }
            return append(form, to: sink)
        case .queryParameter, .queryParameters: return appendQuery(command, argument, to: sink)
        case .metadata, .clusterMetadata, .upstreamMetadata:
            return appendMetadata(command, argument: argument, quotes: false, to: sink)
        case .requestedServerName where !argument.isEmpty: return appendServerName(argument, to: sink)
        case .localReplyBody:
            sink.append(UnsafeRawBufferPointer(start: localReplyBody?.baseAddress, count: localReplyBody?.count ?? 0))
            return true
        case .reason: return ReplyReason.append(self, to: sink)
        case .explanation: return ReplyReason.appendExplanation(self, to: sink)
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

    /// `%METADATA%`, and the older commands for two of its sources.
    package func appendMetadata(
        _ command: FormatCommand, argument: UnsafeRawBufferPointer, quotes: Bool, to sink: ByteSink
    ) -> Bool {
        guard let (source, path) = MetadataSource.of(command, argument) else { return false }
        switch source {
        case .route: return append(metadata: match.route?.pointee.metadata, path, quotes: quotes, to: sink)
        case .virtualHost: return append(metadata: match.virtualHost?.pointee.metadata, path, quotes: quotes, to: sink)
        case .cluster: return cluster?.cluster.metadata.append(path, quotes: quotes, to: sink) ?? false
        case .upstreamHost: return info.upstreamHostFacts?.metadata.append(path, quotes: quotes, to: sink) ?? false
        case .listener:
            return manager?.listener.compiled.listener.metadata.append(path, quotes: quotes, to: sink) ?? false
        case .listenerFilterChain: return manager?.chain.metadata.append(path, quotes: quotes, to: sink) ?? false
        case .dynamic: return false
        }
    }

    private func append(metadata index: Int32?, _ path: UnsafeRawBufferPointer, quotes: Bool, to sink: ByteSink) -> Bool {
        guard let index, index >= 0, let routes else { return false }
        return routes.compiled.table.metadata[Int(index)].append(path, quotes: quotes, to: sink)
    }

    /// The cluster that the route names, before the router has looked.
    var clusterOfRoute: CompiledCluster? {
        guard let route = match.route, route.pointee.action == .forward, route.pointee.cluster >= 0, let routes else { return nil }
        return worker.clusters.cluster(routes.compiled.clusters[Int(route.pointee.cluster)])?.compiled
    }

    /// The other end of the upstream connection, where there was one.
    private var upstreamPeer: Address? { info.upstreamLocalAddress == nil ? nil : info.upstreamAddress }

    /// Bytes of the stream on the wire of an HTTP/1 connection.
    private func wireBytes(_ transport: ByteStream) -> (received: UInt64, sent: UInt64) {
        (
            transport.receivedBytes &- UInt64(transport.input.count) &- info.wireReceivedBefore,
            transport.sentBytes &+ UInt64(transport.output.byteCount) &- info.wireSentBefore
        )
    }

    private func time(of point: TimePoint) -> MonotonicInstant? {
        switch point {
        case .downstreamReceiveBegin, .downstreamReceiveHeadEnd: info.start
        case .downstreamReceiveEnd: info.requestEnd
        case .downstreamSendBegin: info.downstreamSendBegin
        case .downstreamSendEnd: phase.contains(.responseEnded) ? loop.now : nil
        case .downstreamConnectBegin, .downstreamConnectEnd: manager?.account.start
        case .upstreamConnectBegin: info.upstreamConnectBegin
        case .upstreamConnectEnd: info.upstreamConnectEnd
        case .upstreamHandshakeEnd: info.upstreamTLS == nil ? nil : info.upstreamConnectEnd
        case .upstreamSendBegin: info.upstreamHeadSent
        case .upstreamSendEnd: info.upstreamHeadSent == nil ? nil : info.requestEnd
        case .upstreamReceiveBegin, .upstreamReceiveBodyBegin: info.upstreamFirstByte
        case .upstreamReceiveEnd: info.upstreamLastByte
        case .downstreamHandshakeBegin, .downstreamHandshakeEnd, .unknown: nil
        }
    }

    private func append(_ form: PathForm, to sink: ByteSink) -> Bool {
        let (original, current) = (request.headers.value(of: .envoyOriginalPath), request.headers.value(of: .path))
        let value: UnsafeRawBufferPointer? =
            switch form.source {
            case .original: original
            case .current: current
            case .originalOrCurrent: original ?? current
            }
        guard let value else { return false }
        sink.append(form.keepsQuery ? value : UnsafeRawBufferPointer(rebasing: value[..<PathText.lengthWithoutQuery(value)]))
        return true
    }

    private func appendQuery(_ command: FormatCommand, _ argument: UnsafeRawBufferPointer, to sink: ByteSink) -> Bool {
        guard let path = request.headers.value(of: .path) else { return false }
        let start = PathText.lengthWithoutQuery(path)
        guard start < path.count, path[start] == UInt8(ascii: "?") else { return false }
        let query = UnsafeRawBufferPointer(rebasing: path[(start + 1)...])
        if command == .queryParameter { return QueryText.appendValue(of: argument, in: query, to: sink) }
        if argument.equals("DECODED") {
            QueryText.appendDecoded(query, to: sink)
        } else {
            sink.append(query)
        }
        return true
    }

    /// `%REQUESTED_SERVER_NAME(SNI_FIRST|SNI_ONLY|HOST_FIRST|HOST_ONLY…)%`.
    private func appendServerName(_ argument: UnsafeRawBufferPointer, to sink: ByteSink) -> Bool {
        let (order, _) = FormatArguments.cut(argument)
        let host = request.headers.value(of: .authority)
        let name = manager?.facts.serverName ?? ""
        if order.equals("HOST_FIRST") || order.equals("HOST_ONLY"), let host {
            sink.append(host)
            return true
        }
        if !order.equals("HOST_ONLY"), FormatValues.appendText(name, to: sink) { return true }
        guard order.equals("SNI_FIRST"), let host else { return false }
        sink.append(host)
        return true
    }

    /// The endpoint's name, or its address where it has none.
    private func appendHostName(withPort: Bool, to sink: ByteSink) -> Bool {
        guard let facts = info.upstreamHostFacts, facts.name.bytes.count > 0 else {
            return FormatValues.append(info.upstreamAddress, includingPort: withPort, to: sink)
        }
        let name = facts.name.bytes
        let end = withPort ? name.count : HostText.portStart(name) ?? name.count
        sink.append(UnsafeRawBufferPointer(rebasing: name[..<end]))
        return true
    }

    private func appendName(_ range: TableRange?, to sink: ByteSink) -> Bool {
        guard let range, !range.isEmpty, let routesReference else { return false }
        routesReference._withUnsafeGuaranteedRef { sink.append($0.compiled.table.bytes(range)) }
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
