// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshIO
import MeshModel
import MeshStats

// The router: the last filter of every chain. It answers from the route (redirect, direct response, no route) or sends the
// request to an endpoint of the route's cluster.
extension ActiveStream {
    /// Finds the route of the head as it is now. Called once before the filters, and again by `clearRouteCache`.
    func selectRoute(_ manager: HTTPConnectionManager) {
        pinRoutes(manager)
        guard let routesReference else {
            match = StreamRoute()
            return
        }
        let random = worker.random.next()
        match = routesReference._withUnsafeGuaranteedRef { $0.match(request.headers, random: random) }
    }

    /// Takes the route table that is current when the stream begins.
    func pinRoutes(_ manager: HTTPConnectionManager) {
        if routesReference == nil, let routes = worker.routes[manager.config.routes] { pin(routes) }
    }

    /// Forgets the route, so that it is matched again by a filter that changed the head.
    package func clearRouteCache() { if let manager { selectRoute(manager) } }

    /// Every filter has let the request pass.
    func routeRequest(_ manager: HTTPConnectionManager, endStream: Bool) {
        guard let routesReference else {
            reply(LocalReply(404, details: "route_configuration_not_found", flags: .noRouteFound))
            return
        }
        routesReference._withUnsafeGuaranteedRef { routeRequest(manager, $0, endStream: endStream) }
    }

    private func routeRequest(_ manager: HTTPConnectionManager, _ routes: ActiveRoutes, endStream: Bool) {
        stats.add(manager.counts.routerRequests)
        if needsTLS {
            stats.add(manager.counts.routerDirectResponses)
            replyWithTLSRedirect()
            return
        }
        guard let route = match.route else {
            stats.add(manager.counts.routerNoRoute)
            reply(.routeNotFound)
            return
        }
        phase.insert(.inRouter)
        switch route.pointee.action {
        case .redirect:
            // Envoy counts a redirect as a direct response.
            stats.add(manager.counts.routerDirectResponses)
            replyWithRedirect(route, routes)
        case .directResponse:
            stats.add(manager.counts.routerDirectResponses)
            replyDirectly(route, routes)
        case .forward: forward(route, routes, manager, endStream: endStream)
        }
    }

    // MARK: Answers from the route

    /// Whether the virtual host wants this request to come again over TLS (`require_tls`).
    private var needsTLS: Bool {
        guard let host = match.virtualHost, host.pointee.tlsRequirement != .none,
            request.headers.value(of: .forwardedProto)?.equals("https") != true
        else { return false }
        return host.pointee.tlsRequirement == .all || !request.headers.contains(.envoyInternal)
    }

    private func replyWithTLSRedirect() {
        let sink = worker.scratch
        sink.removeAll()
        sink.append("https://")
        if let host = request.headers.value(of: .authority) { sink.append(host) }
        if let path = request.headers.value(of: .path) { sink.append(path) }
        reply(LocalReply(301, details: "direct_response"), body: UnsafeRawBufferPointer(start: nil, count: 0)) { response in
            response.headers.append(.location, sink.bytes, from: self.pool)
        }
    }

    private func replyWithRedirect(_ route: UnsafePointer<CompiledRoute>, _ routes: ActiveRoutes) {
        rewritePath(route, routes, keepsOriginal: false)
        let sink = worker.scratch
        sink.removeAll()
        routes.matcher.redirectLocation(route, request.headers, to: sink)
        reply(
            LocalReply(route.pointee.status, details: "direct_response"),
            body: UnsafeRawBufferPointer(start: nil, count: 0)
        ) { response in
            response.headers.append(.location, sink.bytes, from: self.pool)
        }
    }

    private func replyDirectly(_ route: UnsafePointer<CompiledRoute>, _ routes: ActiveRoutes) {
        let status = route.pointee.status
        reply(
            LocalReply(status, details: "direct_response"), body: routes.table.bytes(route.pointee.body)
        ) { response in
            // Envoy: a 201 names what was created, which is what was asked for.
            guard status == 201 else { return }
            let sink = self.worker.scratch
            sink.removeAll()
            sink.append(self.request.headers.value(of: .scheme) ?? UnsafeRawBufferPointer("http"))
            sink.append("://")
            if let host = self.request.headers.value(of: .authority) { sink.append(host) }
            if let path = self.request.headers.value(of: .path) { sink.append(path) }
            response.headers.append(.location, sink.bytes, from: self.pool)
        }
    }

    // MARK: Forwarding

    private func forward(
        _ route: UnsafePointer<CompiledRoute>, _ routes: ActiveRoutes, _ manager: HTTPConnectionManager, endStream: Bool
    ) {
        guard let workerCluster = chooseCluster(route, routes) else {
            stats.add(manager.counts.routerNoCluster)
            reply(LocalReply(route.pointee.status, details: "cluster_not_found", flags: .noClusterFound))
            return
        }
        pin(workerCluster)
        if route.pointee.statPrefix.count > 0 {
            routeStats = routes.stats(of: route, match.virtualHost, workerCluster)
        }
        if let host = match.virtualHost, !host.pointee.virtualClusters.isEmpty {
            virtualClusterStats = routes.virtualClusterStats(of: host, request.headers, workerCluster)
        }
        guard let endpoint = pickEndpoint(workerCluster, manager) else {
            reply(.noHealthyUpstream)
            return
        }
        setTimeouts(route, manager)
        endpoint._withUnsafeGuaranteedRef { prepareUpstreamHead(route, routes, $0, manager) }
        if route.pointee.hasRetryPolicy || request.headers.containsAny(of: Self.retryNames) {
            takeRetryPolicy(route, routes, manager)
        }
        phase.insert(.routed)
        info.attempts = 1
        guard let pool = choosePool(of: endpoint, workerCluster, route, routes) else {
            reply(.noHealthyUpstream)
            return
        }
        if endStream { startRouteTimeout() }
        pool._withUnsafeGuaranteedRef { upstream.start($0, isWhole: endStream) }
    }

    /// Nil where the limit on pools is reached, for which Envoy has no words of its own.

    @inline(__always)
    func choosePool(
        of endpoint: Unmanaged<ActiveEndpoint>, _ cluster: WorkerCluster, _ route: UnsafePointer<CompiledRoute>,
        _ routes: ActiveRoutes
    ) -> Unmanaged<ConnectionPool>? {
        let isHigh = route.pointee.isHighPriority
        return endpoint._withUnsafeGuaranteedRef { endpoint in
            endsTunnel(route, routes)
                ? endpoint.tunnelPool(isHighPriority: isHigh) : self.pool(of: endpoint, cluster, isHighPriority: isHigh)
        }
    }

    /// The pool for this request: almost always the one that all share.
    @inline(__always)
    private func pool(
        of endpoint: ActiveEndpoint, _ cluster: WorkerCluster, isHighPriority: Bool
    ) -> Unmanaged<ConnectionPool>? {
        cluster.hasSpecialPools
            ? specialPool(of: endpoint, cluster, isHighPriority) : endpoint.sharedPool(isHighPriority: isHighPriority)
    }

    /// By the protocol of the client, and by the name that the server's certificate is to have.
    private func specialPool(
        of endpoint: ActiveEndpoint, _ cluster: WorkerCluster, _ isHighPriority: Bool
    ) -> Unmanaged<ConnectionPool>? {
        var key = PoolKey()
        key.options = cluster.connectOptions(to: endpoint.address)
        key.isHighPriority = isHighPriority
        key.wireProtocol = cluster.followsDownstream ? request.version == .http2 ? .http2 : .http1 : endpoint.wireProtocol
        guard cluster.usesRequestNames else { return endpoint.pool(key) }
        var name = request.headers.value(of: .authority)
        var header = cluster.compiled.cluster.http.autoSNIHeader
        if !header.isEmpty {
            let index = header.withUTF8 { request.headers.firstIndex(named: UnsafeRawBufferPointer($0)) }
            if index >= 0 { name = request.headers.value(at: index) }
        }
        return endpoint.pool(key, forAuthority: name)
    }

    func pickEndpoint(_ cluster: WorkerCluster, _ manager: HTTPConnectionManager) -> Unmanaged<ActiveEndpoint>? {
        if cluster.isBalanced { return cluster.pickEndpoint() }
        let restored = manager.facts.isLocalAddressRestored ? manager.facts.localAddress : nil
        return cluster.endpoint(at: originalDestination(cluster) ?? restored)
    }

    /// Whether a CONNECT is answered here and its bytes go to the upstream bare (`connect_config`).
    private func endsTunnel(_ route: UnsafePointer<CompiledRoute>, _ routes: ActiveRoutes) -> Bool {
        guard request.method == .connect else { return false }
        let table = routes.table
        for index in 0..<route.pointee.upgrades.count {
            let upgrade = table.upgrade(route, Int(index))
            if upgrade.terminatesConnect, table.bytes(upgrade.name).equalsIgnoringCase("connect") { return true }
        }
        return false
    }

    private func chooseCluster(_ route: UnsafePointer<CompiledRoute>, _ routes: ActiveRoutes) -> WorkerCluster? {
        let table = routes.table
        if route.pointee.cluster >= 0 {
            return worker.clusters.cluster(routes.compiled.clusters[Int(route.pointee.cluster)])
        }
        var header = route.pointee.clusterHeader
        if !route.pointee.weighted.isEmpty {
            match.target = table.pickTarget(route, random: weightedRandom(route, table))
            let target = table.target(route, match.target)
            if target.pointee.cluster >= 0 {
                return worker.clusters.cluster(routes.compiled.clusters[Int(target.pointee.cluster)])
            }
            header = target.pointee.clusterHeader
        }
        guard let name = request.headers.value(header.token, table.bytes(header.text)), name.count > 0 else { return nil }
        return worker.clusters.cluster(named: name)
    }

    /// The random value of a weighted pick, or the number a request header gives for it.
    private func weightedRandom(_ route: UnsafePointer<CompiledRoute>, _ table: RouteTable) -> UInt64 {
        let header = route.pointee.weightHeader
        guard !header.text.isEmpty || header.token != .none else { return match.random }
        guard let text = request.headers.value(header.token, table.bytes(header.text)),
            let number = DecimalText.parse(text)
        else { return match.random }
        return number
    }

    private func setTimeouts(_ route: UnsafePointer<CompiledRoute>, _ manager: HTTPConnectionManager) {
        routeTimeout = UInt64(max(0, route.pointee.timeoutMilliseconds)) &* 1_000_000
        let isGRPCTimed = isGRPC && route.pointee.grpcTimeoutMaxMilliseconds >= 0 && !route.pointee.limitsDuration
        if isGRPCTimed { takeGRPCRouteTimeout(route) }
        // A client the mesh trusts may ask for another timeout; from any other the header was removed on the way in.
        if let text = request.headers.value(of: .envoyUpstreamTimeout) {
            if let milliseconds = DecimalText.parse(text), milliseconds < 1 << 40 { routeTimeout = milliseconds &* 1_000_000 }
            request.headers.removeAll(.envoyUpstreamTimeout)
        }
        takeTryTimeouts(route)
        tellTimeouts(route, manager, elapsed: 0)
        if route.pointee.idleTimeoutMilliseconds >= 0 {
            setIdleTimeout(UInt64(route.pointee.idleTimeoutMilliseconds) &* 1_000_000)
        }
        if route.pointee.limitsDuration { limitDuration(route, manager) }
    }

    /// The timeouts of each attempt, which mean nothing beside a shorter one of the whole.
    private func takeTryTimeouts(_ route: UnsafePointer<CompiledRoute>) {
        let asks = request.headers.contains(.envoyUpstreamTimeoutPerTry)
        guard route.pointee.hasRetryPolicy || asks, let routesReference else { return }
        var (whole, idle): (UInt64, UInt64) = (0, 0)
        if let policy = routesReference._withUnsafeGuaranteedRef({ $0.table.retryPolicy(route) }) {
            whole = UInt64(max(0, policy.pointee.perTryTimeoutMilliseconds)) &* 1_000_000
            idle = UInt64(max(0, policy.pointee.perTryIdleTimeoutMilliseconds)) &* 1_000_000
        }
        if asks, let text = request.headers.value(of: .envoyUpstreamTimeoutPerTry) {
            if let milliseconds = DecimalText.parse(text.trimmed), milliseconds < 1 << 40 { whole = milliseconds &* 1_000_000 }
            request.headers.removeAll(.envoyUpstreamTimeoutPerTry)
        }
        if routeTimeout > 0, whole >= routeTimeout { whole = 0 }
        guard whole > 0 || idle > 0 else { return }
        retry.isUsed = true
        retry.perTryTimeout = whole
        retry.perTryIdleTimeout = idle
    }

    /// Tells the upstream how long this attempt may take.
    ///
    /// - Parameter elapsed: nanoseconds of the route's timeout that are gone.
    func tellTimeouts(_ route: UnsafePointer<CompiledRoute>, _ manager: HTTPConnectionManager, elapsed: UInt64) {
        var expected = retry.perTryTimeout == 0 ? routeTimeout : retry.perTryTimeout
        guard expected > 0 else { return }
        if routeTimeout > 0 {
            // 0 would be none at all; the timer that is due will see to it.
            expected = elapsed >= routeTimeout ? 1_000_000 : min(expected, routeTimeout - elapsed)
        }
        // Whole milliseconds of what is gone were taken off, as in Envoy.
        let milliseconds = max(1, (expected &+ 999_999) / 1_000_000)
        if !manager.config.router.suppressEnvoyHeaders { setNumber(.envoyExpectedTimeout, milliseconds) }
        if isGRPC, route.pointee.grpcTimeoutMaxMilliseconds >= 0, !route.pointee.limitsDuration {
            setGRPCTimeout(milliseconds)
        }
    }

    /// The last changes to the request head before it leaves.
    private func prepareUpstreamHead(
        _ route: UnsafePointer<CompiledRoute>, _ routes: ActiveRoutes, _ endpoint: ActiveEndpoint,
        _ manager: HTTPConnectionManager
    ) {
        let addsEnvoyHeaders = !manager.config.router.suppressEnvoyHeaders
        if match.virtualHost?.pointee.includesAttemptCount ?? false { setNumber(.envoyAttemptCount, 1) }
        routes.matcher.applyRequestOperations(
            route, target: match.target, to: &request.headers, from: pool, context: self)
        rewriteHost(route, routes, endpoint, keepsOriginal: addsEnvoyHeaders)
        rewritePath(route, routes, keepsOriginal: addsEnvoyHeaders)
    }

    func setNumber(_ token: HeaderToken, _ value: UInt64) {
        request.headers.replace(token, decimal: value, from: pool)
    }

    func rewriteHost(
        _ route: UnsafePointer<CompiledRoute>, _ routes: ActiveRoutes, _ endpoint: ActiveEndpoint, keepsOriginal: Bool
    ) {
        guard route.pointee.hostRewrite != .none || match.target >= 0 else { return }
        let sink = worker.scratch
        sink.removeAll()
        if !routes.matcher.rewriteHost(route, target: match.target, request.headers, to: sink) {
            guard route.pointee.hostRewrite == .automatic, !endpoint.endpoint.hostname.isEmpty else { return }
            sink.append(string: endpoint.endpoint.hostname)
        }
        // A weighted cluster's own literal goes in without a trace of the old host, as in Envoy.
        if match.target >= 0, routes.table.target(route, match.target).pointee.rewritesHost {
            request.headers.replace(.authority, sink.bytes, from: pool)
            return
        }
        if route.pointee.appendsXForwardedHost, let host = request.headers.value(of: .authority) {
            appendForwardedHost(host)
        }
        if keepsOriginal, let host = request.headers.value(of: .authority), !host.hasSameBytes(as: sink.bytes) {
            request.headers.replace(.envoyOriginalHost, host, from: pool)
        }
        request.headers.replace(.authority, sink.bytes, from: pool)
    }

    private func appendForwardedHost(_ host: UnsafeRawBufferPointer) {
        guard let existing = request.headers.value(of: .forwardedHost) else {
            // `host` lies in this very block, whose memory may move: copy it out first.
            let copy = ByteSink(capacity: host.count)
            copy.append(host)
            request.headers.append(.forwardedHost, copy.bytes, from: pool)
            return
        }
        let list = ByteSink(capacity: existing.count + host.count + 1)
        list.append(existing)
        list.append(",")
        list.append(host)
        request.headers.replace(.forwardedHost, list.bytes, from: pool)
    }

    private func rewritePath(_ route: UnsafePointer<CompiledRoute>, _ routes: ActiveRoutes, keepsOriginal: Bool) {
        guard routes.matcher.rewritesPath(route), let path = request.headers.value(of: .path) else { return }
        let sink = worker.scratch
        sink.removeAll()
        if keepsOriginal {
            sink.append(path)
            request.headers.replace(.envoyOriginalPath, sink.bytes, from: pool)
            sink.removeAll()
        }
        guard let path = request.headers.value(of: .path), routes.matcher.rewritePath(route, path, to: sink) else { return }
        request.headers.replace(.path, sink.bytes, from: pool)
    }

    /// Where an ORIGINAL_DST cluster with `use_http_header` connects to.
    private func originalDestination(_ cluster: WorkerCluster) -> Address? {
        guard case .originalDestination(let options) = cluster.compiled.cluster.discovery, options.useHTTPHeader else { return nil }
        var name = options.headerName
        let index = name.withUTF8 { request.headers.firstIndex(named: UnsafeRawBufferPointer($0)) }
        guard index >= 0 else { return nil }
        let text = request.headers.value(at: index)
        guard let colon = HostText.portStart(text), let port = HostText.port(text, from: colon) else { return nil }
        var host = UnsafeRawBufferPointer(rebasing: text[..<colon])
        if host.first == UInt8(ascii: "["), host.last == UInt8(ascii: "]") {
            host = UnsafeRawBufferPointer(rebasing: host.dropFirst().dropLast())
        }
        return Address(ipText: host)?.withPort(port)
    }

    // MARK: Response

    /// What the route adds to a reply of the router's own.
    ///
    /// - Parameter status: the reply's, which a gRPC client is told in other words.
    func finishRouterReply(status: UInt16) {
        guard let routes, let route = match.route else { return }
        // A reply in place of an upstream's answer counts as that cluster's, as in Envoy.
        if route.pointee.action == .forward { countResponse(status) }
        routes.matcher.applyResponseOperations(
            route, target: match.target, to: &response.headers, from: pool, context: self)
        addAttemptCount()
    }

    private func addAttemptCount() {
        guard match.virtualHost?.pointee.includesAttemptCountInResponse ?? false, info.attempts > 0 else { return }
        response.headers.replace(.envoyAttemptCount, decimal: UInt64(info.attempts), from: pool)
    }

    /// Header operations of the route, and what Envoy's router adds to an upstream's response.
    func addUpstreamHeaders(_ manager: HTTPConnectionManager) {
        guard let routesReference, let route = match.route else { return }
        // Counted from the end of the request: an answer that came before it carries none.
        if !manager.config.router.suppressEnvoyHeaders, let sent = info.requestEnd {
            let took = loop.now.nanoseconds(since: sent) / 1_000_000
            response.headers.replace(.envoyUpstreamServiceTime, decimal: took, from: pool)
        }
        routesReference._withUnsafeGuaranteedRef {
            $0.matcher.applyResponseOperations(
                route, target: match.target, to: &response.headers, from: pool, context: self)
        }
        addAttemptCount()
    }
}
