// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshIO

// What a stream or connection knows, as values. Most of it are the format commands of access logs.
extension CELEvaluator {
    func value(of attribute: CELAttribute) -> CELValue {
        switch attribute {
        case .requestPath: return header(.request, .path)
        case .requestURLPath, .requestQuery: return partOfPath(attribute)
        case .requestHost: return header(.request, .authority)
        case .requestScheme: return header(.request, .scheme)
        case .requestMethod: return header(.request, .method)
        case .requestReferer: return header(.request, named: UnsafeRawBufferPointer(StaticString("referer")))
        case .requestUserAgent: return header(.request, .userAgent)
        case .requestID: return header(.request, .requestID)
        case .requestHeaders: return .headers(.request)
        case .requestTime: return startTime
        case .requestDuration: return duration(.duration)
        case .requestProtocol: return text(.protocol)
        case .requestSize: return requestSize
        case .requestTotalSize: return .int((number(.bytesReceived) ?? 0) &+ headerBytes(.request))
        case .requestHeadersBytes: return .int(headerBytes(.request))
        case .responseCode: return number(.responseCode).flatMap { $0 == 0 ? nil : .int($0) } ?? .error
        case .responseCodeDetails: return text(.responseCodeDetails)
        case .responseFlags: return int(.flags)
        case .responseGRPCStatus: return grpcStatus
        case .responseHeaders: return .headers(.response)
        case .responseTrailers: return .headers(.responseTrailers)
        case .responseSize: return .int(number(.bytesSent) ?? 0)
        case .responseTotalSize: return .int((number(.bytesSent) ?? 0) &+ headerBytes(.response) &+ headerBytes(.responseTrailers))
        case .responseHeadersBytes: return .int(headerBytes(.response))
        case .responseBackendLatency: return duration(.backendLatency)
        case .sourceAddress: return text(.downstreamRemoteAddress)
        case .sourcePort: return number(.downstreamRemotePort).map { .int($0) } ?? .error
        case .destinationAddress: return text(.downstreamLocalAddress)
        case .destinationPort: return number(.downstreamLocalPort).map { .int($0) } ?? .error
        default: return lessCommon(attribute)
        }
    }

    private func lessCommon(_ attribute: CELAttribute) -> CELValue {
        switch attribute {
        case .connectionID: return number(.connectionID).map { .uint(UInt64(clamping: $0)) } ?? .error
        case .connectionIsMutual: return .bool(context.celTLS(.downstream)?.peer != nil)
        case .connectionServerName: return text(.requestedServerName, orEmpty: true)
        case .connectionTermination: return text(.connectionTerminationDetails)
        case .connectionTransportFailure: return text(.downstreamTransportFailureReason)
        case .upstreamAddress: return text(.upstreamHost)
        case .upstreamPort: return port(ofAddress: text(.upstreamHost))
        case .upstreamLocalAddress: return text(.upstreamLocalAddress)
        case .upstreamTransportFailure:
            return context.celNumber(.upstream) == nil ? .error : transportFailure
        case .upstreamAttempts: return .uint(UInt64(clamping: number(.upstreamRequestAttemptCount) ?? 0))
        case .upstreamPoolReadyDuration: return duration(.poolReady)
        case .upstreamEndpointCount: return context.celNumber(.endpoints).map { .uint($0) } ?? .error
        case .clusterName: return text(.upstreamClusterRaw)
        case .routeName: return context.celNumber(.route) == nil ? .error : text(.routeName, orEmpty: true)
        case .virtualHostName: return context.celNumber(.virtualHost) == nil ? .error : text(.virtualHostName, orEmpty: true)
        case .filterChainName: return text(.filterChainName, orEmpty: true)
        case .listenerDirection: return int(.direction)
        case .clusterMetadata: return metadata(.cluster)
        case .routeMetadata: return metadata(.route)
        case .virtualHostMetadata: return metadata(.virtualHost)
        case .upstreamHostMetadata: return metadata(.upstreamHost)
        case .listenerMetadata: return metadata(.listener)
        case .node: return .group(.node)
        case .nodeID: return text(scratch.node.id)
        case .nodeCluster: return text(scratch.node.cluster)
        case .nodeMetadata: return .tree(Unmanaged.passUnretained(scratch.node.metadata), 0)
        default: return certificate(attribute)
        }
    }

    // MARK: TLS

    private func certificate(_ attribute: CELAttribute) -> CELValue {
        switch attribute {
        case .downstreamTLSVersion: version(.downstream)
        case .downstreamLocalSubject: text(.downstream) { $0.local?.subject ?? [] }
        case .downstreamPeerSubject: text(.downstream) { $0.peer?.subject ?? [] }
        case .downstreamLocalDNSName: text(.downstream) { $0.local?.dnsNames.first }
        case .downstreamPeerDNSName: text(.downstream) { $0.peer?.dnsNames.first }
        case .downstreamLocalURIName: text(.downstream) { $0.local?.uriNames.first }
        case .downstreamPeerURIName: text(.downstream) { $0.peer?.uriNames.first }
        case .downstreamPeerDigest: text(.downstream) { $0.peer?.fingerprintText }
        case .downstreamPeerCertificate: text(.downstream) { $0.peer?.encodedCertificate }
        case .upstreamTLSVersion: version(.upstream)
        case .upstreamLocalSubject: text(.upstream) { $0.local?.subject ?? [] }
        case .upstreamPeerSubject: text(.upstream) { $0.peer?.subject ?? [] }
        case .upstreamLocalDNSName: text(.upstream) { $0.local?.dnsNames.first }
        case .upstreamPeerDNSName: text(.upstream) { $0.peer?.dnsNames.first }
        case .upstreamLocalURIName: text(.upstream) { $0.local?.uriNames.first }
        case .upstreamPeerURIName: text(.upstream) { $0.peer?.uriNames.first }
        case .upstreamPeerDigest: text(.upstream) { $0.peer?.fingerprintText }
        case .upstreamPeerCertificate: text(.upstream) { $0.peer?.encodedCertificate }
        default: .error
        }
    }

    private func version(_ side: ContextSide) -> CELValue {
        context.celTLS(side).map { .string(CELText(UnsafeRawBufferPointer($0.version))) } ?? .error
    }

    private func text(_ side: ContextSide, _ take: (ConnectionTLS) -> [UInt8]?) -> CELValue {
        guard let tls = context.celTLS(side), let bytes = take(tls) else { return .error }
        return bytes.withUnsafeBytes { .string(kept($0)) }
    }

    private func text(_ string: String) -> CELValue {
        let start = scratch.text.count
        scratch.text.append(string: string)
        return .string(CELText(scratch: start, count: scratch.text.count - start))
    }

    // MARK: Commands

    private func text(_ command: FormatCommand, orEmpty: Bool = false) -> CELValue {
        let start = scratch.text.count
        guard context.append(command, argument: UnsafeRawBufferPointer(start: nil, count: 0), to: scratch.text) || orEmpty else {
            return .error
        }
        return .string(CELText(scratch: start, count: scratch.text.count - start))
    }

    private func number(_ command: FormatCommand) -> Int64? {
        let start = scratch.text.count
        guard context.append(command, argument: UnsafeRawBufferPointer(start: nil, count: 0), to: scratch.text) else { return nil }
        let number = DecimalText.parse(scratch.text.bytes(from: start))
        scratch.text.truncate(to: start)
        return number.flatMap { Int64(exactly: $0) }
    }

    private func int(_ number: ContextNumber) -> CELValue {
        context.celNumber(number).flatMap { Int64(exactly: $0) }.map { .int($0) } ?? .error
    }

    private func duration(_ number: ContextNumber) -> CELValue {
        context.celNumber(number).flatMap { Int64(exactly: $0) }.map { .duration($0) } ?? .error
    }

    private var startTime: CELValue {
        guard let time = context.celNumber(.startTime) else { return .error }
        // Envoy's clock counts microseconds.
        return .timestamp(seconds: Int64(time / 1_000_000_000), nanoseconds: Int32(time % 1_000_000_000 / 1000 * 1000))
    }

    private func metadata(_ source: MetadataSource) -> CELValue {
        switch context.celMetadata(source) {
        case .missing: .error
        case .null: .null
        case .tree(let tree): .metadata(tree)
        }
    }

    /// The kernel's reason has its spaces here; in logs they are underscores.
    private var transportFailure: CELValue {
        let value = text(.upstreamTransportFailureReason, orEmpty: true)
        guard case .string(let text) = value, bytes(text).starts(with: UnsafeRawBufferPointer(StaticString("delayed_connect_error:_")))
        else { return value }
        let start = scratch.text.count
        for offset in 0..<text.count {
            let byte = bytes(text)[offset]
            scratch.text.append(byte == UInt8(ascii: "_") ? UInt8(ascii: " ") : byte)
        }
        return .string(CELText(scratch: start, count: text.count))
    }

    /// The number behind the last colon; a socket's path has none.
    private func port(ofAddress address: CELValue) -> CELValue {
        guard case .string(let text) = address else { return .error }
        let bytes = bytes(text)
        guard let colon = bytes.lastIndex(of: UInt8(ascii: ":")), bytes.first != UInt8(ascii: "/"), bytes.first != UInt8(ascii: "@"),
            let port = DecimalText.parse(UnsafeRawBufferPointer(rebasing: bytes[(colon + 1)...]))
        else { return .error }
        return .int(Int64(clamping: port))
    }

    private var requestSize: CELValue {
        guard case .string(let text) = header(.request, .contentLength) else {
            return .int(number(.bytesReceived) ?? 0)
        }
        return DecimalText.parse(bytes(text)).flatMap { Int64(exactly: $0) }.map { .int($0) } ?? .error
    }

    private func partOfPath(_ attribute: CELAttribute) -> CELValue {
        guard case .string(let text) = header(.request, .path), let base = text.base else { return .error }
        let path = UnsafeRawBufferPointer(start: base, count: text.count)
        let mark = path.firstIndex(of: UInt8(ascii: "?"))
        if attribute == .requestURLPath { return .string(CELText(UnsafeRawBufferPointer(rebasing: path[..<(mark ?? path.count)]))) }
        guard let mark else { return .string(CELText(scratch: scratch.text.count, count: 0)) }
        let query = path[(mark + 1)...]
        return .string(CELText(UnsafeRawBufferPointer(rebasing: query[..<(query.firstIndex(of: UInt8(ascii: "#")) ?? query.endIndex)])))
    }

    // MARK: Headers

    func header(_ step: Step) -> CELValue {
        guard let headers = FormatHeaders(rawValue: UInt8(truncatingIfNeeded: step.c)) else { return .error }
        return header(headers, HeaderToken(rawValue: UInt8(truncatingIfNeeded: step.bits)), literal(step.a, step.b))
    }

    /// By a name in any case.
    func header(_ headers: FormatHeaders, named name: UnsafeRawBufferPointer) -> CELValue {
        if headers == .request, name.equalsIgnoringCase("host") { return header(headers, .authority) }
        // The copy stays where it is while values are joined.
        return withUnsafeTemporaryAllocation(byteCount: max(name.count, 1), alignment: 1) { copy in
            for (index, byte) in name.enumerated() { copy[index] = ASCII.lowercase(byte) }
            let lower = UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(copy)[..<name.count])
            return header(headers, HeaderToken.find(lower), lower)
        }
    }

    private func header(_ headers: FormatHeaders, _ token: HeaderToken) -> CELValue {
        header(headers, token, UnsafeRawBufferPointer(start: nil, count: 0))
    }

    /// The value of a header; those of one that is there more than once with commas between them.
    private func header(_ headers: FormatHeaders, _ token: HeaderToken, _ name: UnsafeRawBufferPointer) -> CELValue {
        // The status of a response is no header here.
        if headers == .response, token == .status { return number(.responseCode) ?? 0 == 0 ? .error : text(.responseCode) }
        var found = CELValue.error
        read(headers) { block in
            let first = token == .none ? block.firstIndex(named: name) : block.firstIndex(of: token)
            guard first >= 0 else { return }
            var next = Self.next(after: first, token, name, block)
            guard next >= 0 else {
                found = .string(CELText(block.value(at: first)))
                return
            }
            let start = scratch.text.count
            scratch.text.append(block.value(at: first))
            while next >= 0 {
                scratch.text.append(",")
                scratch.text.append(block.value(at: next))
                next = Self.next(after: next, token, name, block)
            }
            found = .string(CELText(scratch: start, count: scratch.text.count - start))
        }
        return found
    }

    private static func next(
        after index: Int, _ token: HeaderToken, _ name: UnsafeRawBufferPointer, _ block: borrowing HeaderBlock
    ) -> Int {
        token == .none ? block.firstIndex(named: name, from: index &+ 1) : block.nextIndex(of: token, after: index)
    }

    private func read(_ headers: FormatHeaders, _ use: (borrowing HeaderBlock) -> Void) {
        if scratch.ownHeaders == headers, let own = scratch.ownBlock {
            use(own.pointee)
        } else {
            context.readHeaders(headers, use)
        }
    }

    /// Bytes of names and values, the status of a response among them.
    private func headerBytes(_ headers: FormatHeaders) -> Int64 {
        var size: UInt64 = 0
        read(headers) { size = $0.textSize }
        if addsStatus(headers) { size &+= 10 }
        return Int64(clamping: size)
    }

    /// While a response is being changed, only what its head says.
    private var grpcStatus: CELValue {
        if scratch.ownHeaders == .response {
            guard case .string(let text) = header(.response, .grpcStatus) else { return .error }
            return DecimalText.parse(bytes(text)).flatMap { Int64(exactly: $0) }.map { .int($0) } ?? .error
        }
        return int(.grpcStatus)
    }

    /// A reply of ours has no status among its headers, where Envoy has one.
    private func addsStatus(_ headers: FormatHeaders) -> Bool {
        guard headers == .response, number(.responseCode) ?? 0 != 0 else { return false }
        var isThere = false
        read(headers) { isThere = $0.contains(.status) }
        return !isThere
    }

    /// How many different names there are.
    func headerCount(_ headers: FormatHeaders) -> Int {
        var count = addsStatus(headers) ? 1 : 0
        read(headers) { block in
            for index in 0..<block.fieldCount where block.isLive(index) {
                let (token, name) = (block.token(at: index), block.name(at: index))
                let first = token == .none ? block.firstIndex(named: name) : block.firstIndex(of: token)
                if first == index { count += 1 }
            }
        }
        return count
    }

    /// All names, for the rare expression that prints headers as a whole.
    func headerNames(_ headers: FormatHeaders) -> [[UInt8]] {
        var names: Set<[UInt8]> = []
        read(headers) { block in
            for index in 0..<block.fieldCount where block.isLive(index) { names.insert(Array(block.name(at: index))) }
        }
        if addsStatus(headers) { names.insert(Array(":status".utf8)) }
        return Array(names)
    }
}
