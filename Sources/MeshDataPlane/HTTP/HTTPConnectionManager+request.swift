// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshIO
import MeshModel
import MeshStats

// What happens to a request head between the codec and the filters: checks, normalisation, the headers that every hop
// adds, and the route. After this one head is what routes, filters, logs and the upstream see.
extension HTTPConnectionManager {
    /// Prepares the head of `stream` in place. Returns the reply when the request must not go on.
    func admit(_ stream: ActiveStream) -> LocalReply? {
        if !stream.request.isKeepAlive { stream.phase.insert(.clientCloses) }

        if let refusal = normalizePath(stream) { return refusal }
        normalizeHost(stream)

        // Hop-by-hop fields go before anything reads the head: they speak about this connection only.
        HopByHop.removeFields(from: &stream.request.headers, keepsUpgrade: stream.request.isUpgrade, pool: pool)
        ForwardedHeaders.apply(to: &stream.request, manager: self)
        stream.removeInternalOnlyHeaders(self)
        ForwardedCertificates.apply(to: &stream.request.headers, manager: self)
        if worker.explanations == .trusted, !stream.isTrusted(self) {
            // A stranger's wish must not come true behind the next proxy, which trusts us.
            StaticString("x-apus-explain").withUTF8Buffer {
                stream.request.headers.removeAll(named: UnsafeRawBufferPointer($0))
            }
        }
        addRequestID(stream)
        if config.terminal.addUserAgent { addUserAgent(&stream.request.headers) }
        if config.via.bytes.count > 0 { appendVia(&stream.request.headers) }

        if stream.request.expectsContinue, !config.terminal.proxy100Continue {
            // The client waits for leave to send its body; it is given at once, and the upstream is not bothered with it.
            stream.request.headers.removeAll(.expect)
            sendContinue(stream)
        }
        stream.selectRoute(self)
        return admitUpgrade(stream)
    }

    // MARK: Path and host

    private func normalizePath(_ stream: ActiveStream) -> LocalReply? {
        guard stream.request.method != .connect else { return nil }
        guard let path = stream.request.headers.value(of: .path), path.count > 0 else { return nil }
        if path[0] != UInt8(ascii: "/") {
            // `*` is for OPTIONS alone and the codec has seen to that; a proxy cannot route it.
            stats.add(counts.requestsNonRelativePath)
            return .absolutePathRejected
        }
        // HTTP/1's codec has looked for a fragment; in HTTP/2 it is well-formed and refused here.
        if isMultiplexed, path.contains(UInt8(ascii: "#")) { return refusePath() }
        guard !PathNormalizer.isNormal(path) else { return nil }
        let sink = worker.scratch
        sink.removeAll()
        var outcome = PathNormalizer.Outcome.unchanged
        sink.append(room: PathNormalizer.outputBound(path.count)) { output in
            outcome = PathNormalizer.normalize(path, config.pathNormalization, into: output)
            switch outcome {
            case .changed(let length), .redirect(let length): return length
            case .unchanged, .rejected: return 0
            }
        }
        switch outcome {
        case .unchanged: return nil
        case .changed:
            stream.request.headers.replace(.path, sink.bytes, from: pool)
            return nil
        case .rejected: return refusePath()
        case .redirect:
            stats.add(counts.requestsRedirectedWithNormalizedPath)
            stream.request.headers.replace(.path, sink.bytes, from: pool)
            stream.reply(
                LocalReply(307, details: "path_normalization_failed"), body: UnsafeRawBufferPointer(start: nil, count: 0)
            ) { response in
                if let path = stream.request.headers.value(of: .path) {
                    response.headers.append(.location, path, from: self.pool)
                }
            }
            return nil
        }
    }

    private func refusePath() -> LocalReply {
        stats.add(counts.requestsFailedPathNormalization)
        return .pathNormalizationFailed
    }

    private func normalizeHost(_ stream: ActiveStream) {
        let options = config.terminal.host
        guard options.portStripping != .none || options.stripTrailingDot else { return }
        let index = stream.request.headers.firstIndex(of: .authority)
        guard index >= 0 else { return }
        let host = stream.request.headers.value(at: index)
        var end = HostText.portStart(host) ?? host.count
        let port = end < host.count ? HostText.port(host, from: end) : nil
        var keepsPort = port != nil
        if let port {
            switch options.portStripping {
            case .none: break
            case .any: keepsPort = false
            case .matching: if port == transport.localAddress.port { keepsPort = false }
            }
        }
        if options.stripTrailingDot, end > 1, host[end - 1] == UInt8(ascii: ".") {
            if keepsPort {
                let sink = worker.scratch
                sink.removeAll()
                sink.append(UnsafeRawBufferPointer(rebasing: host[..<(end - 1)]))
                sink.append(UnsafeRawBufferPointer(rebasing: host[end...]))
                stream.request.headers.replace(.authority, sink.bytes, from: pool)
                return
            }
            end -= 1
        } else if keepsPort {
            return
        }
        if end < host.count { stream.request.headers.trimValue(at: index, to: 0..<end) }
    }

    // MARK: Request ID and via

    private func addRequestID(_ stream: ActiveStream) {
        let options = config.terminal.requestID
        guard options.generate else { return }
        // An edge does not take a stranger's word for the ID of a request, unless told to.
        let isForced = config.terminal.useRemoteAddress && !options.preserveExternal
            && !stream.request.headers.contains(.envoyInternal)
        if stream.request.headers.contains(.requestID), !isForced { return }
        withUnsafeTemporaryAllocation(byteCount: 36, alignment: 1) { buffer in
            UUIDText.write(worker.random.next(), worker.random.next(), to: buffer)
            stream.request.headers.replace(.requestID, UnsafeRawBufferPointer(buffer), from: pool)
        }
    }

    /// Names this proxy to the upstream (`add_user_agent`).
    private func addUserAgent(_ headers: inout HeaderBlock) {
        let cluster = config.nodeCluster.bytes
        guard cluster.count > 0 else { return }
        headers.replace(.envoyDownstreamServiceCluster, cluster, from: pool)
        if headers.value(of: .userAgent)?.isEmpty ?? true { headers.replace(.userAgent, cluster, from: pool) }
        if config.nodeID.bytes.count > 0 { headers.replace(.envoyDownstreamServiceNode, config.nodeID.bytes, from: pool) }
    }

    func appendVia(_ headers: inout HeaderBlock) {
        guard let existing = headers.value(of: .via) else {
            headers.append(.via, config.via.bytes, from: pool)
            return
        }
        let sink = worker.scratch
        sink.removeAll()
        sink.append(existing)
        sink.append(", ")
        sink.append(config.via.bytes)
        headers.replace(.via, sink.bytes, from: pool)
    }

    // MARK: Upgrades

    /// An upgrade needs to be allowed by the manager and its route.
    private func admitUpgrade(_ stream: ActiveStream) -> LocalReply? {
        let isConnect = stream.request.method == .connect
        guard isConnect || stream.request.isUpgrade else { return nil }
        let name = isConnect ? UnsafeRawBufferPointer("CONNECT") : stream.request.headers.value(of: .upgrade)
        guard let name else { return nil }
        var isAllowed = UpgradePolicy.allows(name, config.terminal.upgrades)
        if let route = stream.match.route, let table = stream.routes?.compiled.table {
            for index in 0..<route.pointee.upgrades.count {
                let ofRoute = table.upgrade(route, Int(index))
                if table.bytes(ofRoute.name).equalsIgnoringCase(name) { isAllowed = ofRoute.isEnabled }
            }
        }
        // A CONNECT that no route is for is answered as any request without a route.
        if isConnect, stream.match.route == nil { return nil }
        guard isAllowed else {
            stats.add(counts.wsOnNonWSRoute)
            return .upgradeNotAllowed
        }
        stream.phase.insert(.upgradeRequested)
        return nil
    }

    // MARK: Response heads

    /// The last changes to a response head, whoever made it.
    func finishResponseHead(_ stream: ActiveStream) {
        HopByHop.removeFields(from: &stream.response.headers, keepsUpgrade: stream.isTunnel, pool: pool)
        switch config.terminal.serverHeaderTransformation {
        case .overwrite: stream.response.headers.replace(.server, config.serverName.bytes, from: pool)
        case .appendIfAbsent:
            if !stream.response.headers.contains(.server) {
                stream.response.headers.append(.server, config.serverName.bytes, from: pool)
            }
        case .passThrough: break
        }
        if !stream.response.headers.contains(.date) {
            stream.response.headers.append(.date, worker.dates.text(at: worker.loop.wallClock), from: pool)
        }
        if config.terminal.requestID.alwaysSetInResponse || stream.request.headers.contains(.envoyForceTrace), !stream.response.headers.contains(.requestID),
            let id = stream.request.headers.value(of: .requestID)
        {
            stream.response.headers.append(.requestID, id, from: pool)
        }
        if config.via.bytes.count > 0 { appendVia(&stream.response.headers) }
    }
}

/// Which upgrades are allowed (`upgrade_configs`).
enum UpgradePolicy {
    static func allows(_ name: UnsafeRawBufferPointer, _ options: [UpgradeOption]) -> Bool {
        for option in options {
            var text = option.name
            let isSame = text.withUTF8 { UnsafeRawBufferPointer($0).equalsIgnoringCase(name) }
            if isSame { return option.enabled }
        }
        return false
    }
}

/// Reading the port of a `host[:port]`.
enum HostText {
    /// Where `:port` begins; nil without a port. Colons inside brackets belong to an IPv6 address.
    static func portStart(_ host: UnsafeRawBufferPointer) -> Int? {
        var index = host.count - 1
        while index >= 0 {
            let byte = host[index]
            if byte == UInt8(ascii: ":") {
                // A bare IPv6 address has more colons and no brackets.
                if host[0] != UInt8(ascii: "["), host[..<index].contains(UInt8(ascii: ":")) { return nil }
                return index
            }
            if byte == UInt8(ascii: "]") { return nil }
            index -= 1
        }
        return nil
    }

    /// The number behind the colon at `start`.
    static func port(_ host: UnsafeRawBufferPointer, from start: Int) -> UInt16? {
        guard start + 1 < host.count else { return nil }
        return DecimalText.parse(UnsafeRawBufferPointer(rebasing: host[(start + 1)...])).flatMap(UInt16.init(exactly:))
    }
}
