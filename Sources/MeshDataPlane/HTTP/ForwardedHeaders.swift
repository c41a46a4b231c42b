// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshIO
import MeshModel
import MeshStats

/// Who the client is, and the headers that say so: `x-forwarded-for`, `x-forwarded-proto`, `x-envoy-internal`,
/// `x-envoy-external-address`; and the removal of `x-envoy-*` headers that only a trusted hop may set.
enum ForwardedHeaders {
    static func apply(to request: inout RequestHead, manager: HTTPConnectionManager) {
        // What a sidecar usually sees: nobody has said where the request comes from, and so it is not known to be internal.
        if manager.isTrustedHop, !request.headers.contains(.forwardedFor) {
            if !request.headers.contains(.forwardedProto) {
                request.headers.appendPlainProto(from: manager.pool)
            }
            markOrigin(&request.headers, isInternal: false, isEdge: false, from: manager.pool)
            return
        }
        let terminal = manager.config.terminal
        let worker = manager.worker
        let pool = worker.loop.pool
        let peer = manager.facts.remoteAddress
        var client = peer
        var hasSingleForwarded = terminal.useRemoteAddress && !request.headers.contains(.forwardedFor)

        if terminal.useRemoteAddress {
            if terminal.xffTrustedHops > 0 {
                client = ForwardedFor.address(
                    request.headers.value(of: .forwardedFor), hopsFromEnd: Int(terminal.xffTrustedHops) - 1)?.address ?? peer
            }
            // A peer on this machine says nothing to the next hop: this machine's own address stands for it.
            if !terminal.skipXFFAppend { append(peer.isLocalhost ? worker.hostAddress : peer, to: &request, worker: worker) }
            if terminal.xffTrustedHops == 0 || !request.headers.contains(.forwardedProto) {
                setProtocol(&request, isSecure: manager.facts.tls != nil, from: pool)
            }
        } else if let found = ForwardedFor.address(
            request.headers.value(of: .forwardedFor), hopsFromEnd: Int(terminal.xffTrustedHops))
        {
            client = found.address
            hasSingleForwarded = found.isOnly
        }
        if manager.facts.tls != nil {
            finishSecure(&request, from: pool)
        } else if !request.headers.contains(.forwardedProto) {
            request.headers.append(.forwardedProto, "http", from: pool)
        }
        if terminal.appendXForwardedPort, !request.headers.contains(.forwardedPort),
            let port = manager.transport.localAddress.port
        {
            request.headers.replace(.forwardedPort, decimal: UInt64(port), from: pool)
        }

        let isInternal = hasSingleForwarded && terminal.internalRanges.contains { $0.contains(client) }
        let isEdge = terminal.useRemoteAddress && !isInternal
        markOrigin(&request.headers, isInternal: isInternal, isEdge: isEdge, from: pool)
        if isEdge {
            withAddressText(client) { request.headers.replace(.envoyExternalAddress, $0, from: pool) }
        }
    }

    /// Says that a request comes from inside the mesh, or takes away what only such a one may carry.
    private static func markOrigin(_ headers: inout HeaderBlock, isInternal: Bool, isEdge: Bool, from pool: SlabPool) {
        if isInternal {
            headers.replace(.envoyInternal, UnsafeRawBufferPointer("true"), from: pool)
        } else {
            headers.removeAll(.envoyInternal)
            if isEdge { removeEdgeHeaders(&headers) }
            removeInternalHeaders(&headers)
        }
    }

    /// Two constants: a choice between them would be taken apart at every use.
    @inline(__always)
    private static func setProtocol(_ request: inout RequestHead, isSecure: Bool, from pool: SlabPool) {
        if isSecure {
            request.headers.replace(.forwardedProto, UnsafeRawBufferPointer("https"), from: pool)
        } else {
            request.headers.replace(.forwardedProto, UnsafeRawBufferPointer("http"), from: pool)
        }
    }

    /// The protocol and the scheme of a request on a TLS connection.
    ///
    /// HTTP/1 has no scheme of its own on the wire, and the codec took it for `http`: it is what x-forwarded-proto says,
    /// which a trusted hop may have set, else that of the connection.
    @inline(never) private static func finishSecure(_ request: inout RequestHead, from pool: SlabPool) {
        if !request.headers.contains(.forwardedProto) { request.headers.append(.forwardedProto, "https", from: pool) }
        guard request.version != .http2, !request.isAbsoluteForm else { return }
        let isPlain = request.headers.value(of: .forwardedProto)?.equalsIgnoringCase("http") ?? false
        if !isPlain { request.headers.replace(.scheme, UnsafeRawBufferPointer("https"), from: pool) }
    }

    private static func append(_ address: Address, to request: inout RequestHead, worker: Worker) {
        let pool = worker.loop.pool
        guard address.isIP else { return }
        guard request.headers.contains(.forwardedFor) else {
            withAddressText(address) { _ = request.headers.append(.forwardedFor, $0, from: pool) }
            return
        }
        let sink = worker.scratch
        sink.removeAll()
        // Several fields become one list, in order (RFC 9110 §5.3), joined as Envoy joins them.
        var index = request.headers.firstIndex(of: .forwardedFor)
        while index >= 0 {
            if sink.count > 0 { sink.append(",") }
            sink.append(request.headers.value(at: index))
            index = request.headers.nextIndex(of: .forwardedFor, after: index)
        }
        sink.append(",")
        withAddressText(address) { sink.append($0) }
        request.headers.replace(.forwardedFor, sink.bytes, from: pool)
    }

    /// Headers that a client outside the mesh must not set.
    private static func removeEdgeHeaders(_ headers: inout HeaderBlock) {
        guard headers.containsAny(of: edgeNames) else { return }
        headers.removeAll(.envoyDecoratorOperation)
        headers.removeAll(.envoyDownstreamServiceCluster)
        headers.removeAll(.envoyDownstreamServiceNode)
    }

    private static var edgeNames: HeaderTokenSet {
        HeaderTokenSet(.envoyDecoratorOperation, .envoyDownstreamServiceCluster, .envoyDownstreamServiceNode)
    }
    private static var internalNames: HeaderTokenSet {
        HeaderTokenSet(
            .envoyRetryOn, .envoyMaxRetries, .envoyUpstreamTimeout, .envoyUpstreamTimeoutPerTry, .envoyExpectedTimeout,
            .envoyForceTrace, .envoyOriginalPath, .envoyIPTags, .envoyRetryGRPCOn, .envoyRetriableStatusCodes,
            .envoyRetriableHeaderNames)
    }

    private static func removeInternalHeaders(_ headers: inout HeaderBlock) {
        if headers.containsAny(of: internalNames) {
            headers.removeAll(.envoyRetryOn)
            headers.removeAll(.envoyMaxRetries)
            headers.removeAll(.envoyUpstreamTimeout)
            headers.removeAll(.envoyUpstreamTimeoutPerTry)
            headers.removeAll(.envoyExpectedTimeout)
            headers.removeAll(.envoyForceTrace)
            headers.removeAll(.envoyOriginalPath)
            headers.removeAll(.envoyIPTags)
            headers.removeAll(.envoyRetryGRPCOn)
            headers.removeAll(.envoyRetriableStatusCodes)
            headers.removeAll(.envoyRetriableHeaderNames)
        }
        // The rest have no token; one pass finds them all, and on almost every request finds none.
        guard headers.mayHaveUnknownNames else { return }
        var index = 0
        while index < headers.fieldCount {
            if headers.token(at: index) == .none, headers.isLive(index) {
                let name = headers.name(at: index)
                if name.count > 16, name.starts(with: UnsafeRawBufferPointer("x-envoy-")),
                    rareInternalNames.contains(where: { name.equals($0) })
                {
                    headers.remove(at: index)
                }
            }
            index += 1
        }
    }

    /// Internal headers too rare to have a token; looked for only where a header without a token starts with `x-envoy-`.
    private static let rareInternalNames: [StaticString] = [
        "x-envoy-upstream-alt-stat-name", "x-envoy-upstream-rq-timeout-alt-response", "x-envoy-original-url",
        "x-envoy-hedge-on-per-try-timeout",
    ]

    private static func withAddressText(_ address: Address, _ body: (UnsafeRawBufferPointer) -> Void) {
        withUnsafeTemporaryAllocation(byteCount: Address.maxTextLength, alignment: 1) { buffer in
            let count = address.write(to: buffer, includingPort: false)
            body(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(buffer)[..<count]))
        }
    }
}

extension ActiveStream {
    /// Takes away what the route configuration allows requests of the mesh alone (`internal_only_headers`).
    func removeInternalOnlyHeaders(_ manager: HTTPConnectionManager) {
        pinRoutes(manager)
        guard let routesReference, !request.headers.contains(.envoyInternal) else { return }
        routesReference._withUnsafeGuaranteedRef {
            guard !$0.table.internalOnlyHeaders.isEmpty else { return }
            $0.matcher.removeInternalOnlyHeaders(from: &request.headers)
        }
    }
}

/// Reading `x-forwarded-for`.
enum ForwardedFor {
    /// The address `hopsFromEnd` entries before the last, and whether the list has only that one. Nil when there is no
    /// such entry or it is no IP address.
    static func address(_ list: UnsafeRawBufferPointer?, hopsFromEnd: Int) -> (address: Address, isOnly: Bool)? {
        guard let list, hopsFromEnd >= 0 else { return nil }
        var end = list.count
        var remaining = hopsFromEnd
        while true {
            var start = end
            while start > 0, list[start - 1] != UInt8(ascii: ",") { start -= 1 }
            if remaining == 0 {
                let text = UnsafeRawBufferPointer(rebasing: list[start..<end]).trimmed
                guard let address = Address(ipText: text) else { return nil }
                return (address, start == 0 && end == list.count)
            }
            if start == 0 { return nil }
            remaining -= 1
            end = start - 1
        }
    }
}
