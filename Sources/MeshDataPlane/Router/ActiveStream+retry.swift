// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshIO
import MeshModel
import MeshStats

/// What became of a failed attempt.
enum RetryOutcome {
    /// Another one follows; the caller ends this one and keeps the request.
    case retried
    /// Another one would be made, but may not be.
    case exhausted
    /// Nobody asked for another one.
    case unwanted
}

// Making a request again: who asks for it, what decides, and the next attempt.
extension ActiveStream {
    /// Headers by which a client the mesh trusts asks for retries.
    static var retryNames: HeaderTokenSet {
        HeaderTokenSet(
            .envoyRetryOn, .envoyRetryGRPCOn, .envoyMaxRetries, .envoyRetriableStatusCodes, .envoyRetriableHeaderNames)
    }

    /// The request is about to leave on a route with a policy, or asks for retries by headers, which end here.
    func takeRetryPolicy(
        _ route: UnsafePointer<CompiledRoute>, _ routes: ActiveRoutes, _ manager: HTTPConnectionManager
    ) {
        let policy = routes.table.retryPolicy(route)
        var conditions = policy?.pointee.conditions ?? []
        var retries = policy?.pointee.retries ?? 1
        let asks = request.headers.containsAny(of: Self.retryNames)
        if asks { conditions.formUnion(askedConditions) }
        if let policy, !routes.matcher.allowsRetries(policy, request.headers) { conditions = [] }
        if asks { takeRetryHeaders(conditions, &retries) }
        guard !conditions.isEmpty else { return }
        retry.isUsed = true
        retry.isEnabled = true
        retry.isHighPriority = route.pointee.isHighPriority
        retry.details.pointee.policy = policy
        retry.details.pointee.priorities = PreviousPriorities(updateFrequency: policy?.pointee.priorityUpdateFrequency ?? 0)
        retry.details.pointee.state = RetryState(
            conditions: conditions, retries: retries, backoff: policy?.pointee.backoff ?? Backoff(base: 25, max: 250))
        retry.details.pointee.bodyLimit = bodyLimit(route, manager)
    }

    private var askedConditions: RetryConditions {
        var conditions: RetryConditions = []
        if let names = request.headers.value(of: .envoyRetryOn) {
            conditions.formUnion(RetryConditions(names: names, grpc: false))
        }
        if let names = request.headers.value(of: .envoyRetryGRPCOn) {
            conditions.formUnion(RetryConditions(names: names, http: false))
        }
        return conditions
    }

    private func takeRetryHeaders(_ conditions: RetryConditions, _ retries: inout UInt32) {
        if let text = request.headers.value(of: .envoyMaxRetries), let number = DecimalText.parse(text.trimmed) {
            retries = UInt32(clamping: number)
        }
        if conditions.contains(.statusCodes), let codes = request.headers.value(of: .envoyRetriableStatusCodes) {
            retry.isUsed = true
            RetryConditions.forEachNumber(in: codes) { self.retry.details.pointee.askedStatusCodes.append($0) }
        }
        if conditions.contains(.headers), let names = request.headers.value(of: .envoyRetriableHeaderNames) {
            retry.isUsed = true
            retry.details.pointee.askedHeaderNames = ContiguousArray(names.map { ASCII.lowercase($0) })
        }
        request.headers.removeAll(.envoyRetryOn)
        request.headers.removeAll(.envoyRetryGRPCOn)
        request.headers.removeAll(.envoyMaxRetries)
        request.headers.removeAll(.envoyRetriableStatusCodes)
        request.headers.removeAll(.envoyRetriableHeaderNames)
    }

    private func bodyLimit(_ route: UnsafePointer<CompiledRoute>, _ manager: HTTPConnectionManager) -> Int {
        let inherited = manager.chain.bufferLimit > 0 ? manager.chain.bufferLimit : .max
        let own = route.pointee.requestBufferLimit
        if own < 0 { return inherited }
        return route.pointee.requestBufferLimitIsBounded ? min(Int(own), inherited) : Int(own)
    }

    // MARK: Decisions

    /// A response head arrived. With true another attempt is made, and the response is to be dropped.
    func retriesAfterHead(on endpoint: Unmanaged<ActiveEndpoint>?) -> Bool {
        guard canRetry, let routesReference else { return false }
        let status = response.status
        let outcome = routesReference._withUnsafeGuaranteedRef { routes in
            let (isWanted, isImmediate) = wantsRetry(routes.matcher)
            var wait: UInt64?
            if isWanted, let policy = retry.details.pointee.policy {
                wait = routes.matcher.askedWait(policy, response.headers, wallClock: loop.wallClock / 1_000_000_000)
            }
            return attemptEnded(isWanted: isWanted, isImmediate: isImmediate, askedWait: wait, on: endpoint)
        }
        guard outcome == .retried else { return false }
        clusterReference?._withUnsafeGuaranteedRef { $0.replaced.count(status, isInternal: false) }
        response.reset()
        responseTrailers.reset()
        return true
    }

    /// An attempt ended without a response.
    ///
    /// - Parameter wasSent: a byte of the request may have reached the upstream.
    func retriesAfter(
        _ reset: AttemptReset, wasSent: Bool, on endpoint: Unmanaged<ActiveEndpoint>?
    ) -> RetryOutcome {
        guard canRetry else { return .unwanted }
        let isWanted = retry.details.pointee.state.conditions.cover(reset, wasSent: wasSent)
        let outcome = attemptEnded(isWanted: isWanted, isImmediate: false, askedWait: nil, on: endpoint)
        if outcome == .retried {
            response.reset()
            responseTrailers.reset()
        }
        return outcome
    }

    private var canRetry: Bool {
        retry.isEnabled && phase.isDisjoint(with: [.responseStarted, .responsePaused, .finished, .tunnel])
    }

    /// Whether the response meets a condition, and whether the next attempt is made without waiting.
    private func wantsRetry(_ matcher: RouteMatcher) -> (isWanted: Bool, isImmediate: Bool) {
        let conditions = retry.details.pointee.state.conditions
        var isImmediate = false
        var isWanted = conditions.cover(status: response.status)
        if !isWanted, conditions.contains(.statusCodes), isRetriableStatus(matcher) {
            isWanted = true
            // Too early: what the client sent early itself cannot be sent later by us.
            if response.status == 425 {
                isImmediate = request.headers.firstIndex(named: UnsafeRawBufferPointer("early-data")) < 0
                isWanted = isImmediate
            }
        }
        if !isWanted, conditions.contains(.headers) {
            isWanted = retry.details.pointee.policy.map { matcher.isRetriable($0, response.headers) } ?? false
                || retry.hasAskedHeader(response.headers)
        }
        if !isWanted, !conditions.isDisjoint(with: .grpc), let value = response.headers.value(of: .grpcStatus) {
            isWanted = conditions.cover(grpcStatus: value)
        }
        // The answer of another proxy, which limits the rate: only its own condition covers that.
        if isWanted || conditions.contains(.rateLimited),
            response.headers.firstIndex(named: UnsafeRawBufferPointer("x-envoy-ratelimited")) >= 0
        {
            return (conditions.contains(.rateLimited), false)
        }
        return (isWanted, isImmediate)
    }

    private func isRetriableStatus(_ matcher: RouteMatcher) -> Bool {
        if let policy = retry.details.pointee.policy, matcher.isRetriable(policy, status: response.status) { return true }
        return !retry.details.pointee.askedStatusCodes.isEmpty && retry.details.pointee.askedStatusCodes.contains(UInt64(response.status))
    }

    private func attemptEnded(
        isWanted: Bool, isImmediate: Bool, askedWait: UInt64?, on endpoint: Unmanaged<ActiveEndpoint>?
    ) -> RetryOutcome {
        guard let clusterReference else { return .unwanted }
        return clusterReference._withUnsafeGuaranteedRef { cluster in
            let counts = cluster.compiled.stats.retry
            let isHigh = retry.isHighPriority
            if retry.details.pointee.state.isCounted { cluster.retryEnded(isHighPriority: isHigh) }
            let verdict = retry.details.pointee.state.attemptEnded(
                isWanted: isWanted, isImmediate: isImmediate, askedWait: askedWait,
                hasRoom: !isWanted || cluster.hasRetryRoom(isHighPriority: isHigh),
                random: isWanted ? worker.random.next() : 0)
            if retry.details.pointee.state.isCounted { cluster.retryStarted(isHighPriority: isHigh) }
            var wait: UInt64 = 0
            switch verdict {
            case .accept(let endsRetry):
                if endsRetry {
                    stats.add(counts.succeeded)
                    forRouteStats { $0.retrySucceeded() }
                }
                return .unwanted
            case .limitExceeded:
                stats.add(counts.limitExceeded)
                forRouteStats { $0.retriesUsedUp() }
                info.flags.insert(.upstreamRetryLimitExceeded)
                return .exhausted
            case .overflow:
                stats.add(counts.overflow)
                forRouteStats { $0.retryOverflowed() }
                info.flags.insert(.upstreamOverflow)
                return .exhausted
            case .retryNow: break
            case .retry(let milliseconds, let isAskedFor):
                stats.add(isAskedFor ? counts.backoffRateLimited : counts.backoffExponential)
                wait = milliseconds
            }
            stats.add(counts.retries)
            forRouteStats { $0.retried() }
            if let endpoint {
                endpoint._withUnsafeGuaranteedRef { $0.failedRequests &+= 1 }
                retry.details.pointee.failed.add(endpoint)
                retry.details.pointee.priorities.attemptFailed(priority: endpoint._withUnsafeGuaranteedRef { $0.priority })
            }
            retry.isWaiting = true
            retry.followsTimeout = false
            armRetryTimer(milliseconds: wait)
            return .retried
        }
    }

    /// No other attempt follows: a response begins, or the stream is over.
    func endRetries() {
        guard retry.isEnabled else { return }
        retry.isEnabled = false
        retry.isWaiting = false
        cancelRetryTimer()
        guard retry.details.pointee.state.end(), let clusterReference else { return }
        clusterReference._withUnsafeGuaranteedRef { $0.retryEnded(isHighPriority: retry.isHighPriority) }
    }

    /// The body is more than what is kept of it. Returns false where the stream was ended over that.
    func bodyOutgrewRetries() -> Bool {
        guard retry.isEnabled else { return true }
        if let cluster { stats.add(cluster.stats.retry.abandoned) }
        let hasAttempt = !retry.isWaiting
        endRetries()
        if !hasAttempt { reply(.retryBodyTooLarge) }
        return hasAttempt
    }

    // MARK: The next attempt

    /// The wait is over.
    func startRetry(_ manager: HTTPConnectionManager) {
        guard retry.isWaiting, let routesReference, let route = match.route, let clusterReference else { return }
        retry.isWaiting = false
        retry.isRetry = true
        info.attempts &+= 1
        info.forgetAttempt()
        routesReference._withUnsafeGuaranteedRef { routes in
            clusterReference._withUnsafeGuaranteedRef { startRetry(route, routes, $0, manager) }
        }
    }

    private func startRetry(
        _ route: UnsafePointer<CompiledRoute>, _ routes: ActiveRoutes, _ cluster: WorkerCluster,
        _ manager: HTTPConnectionManager
    ) {
        guard let endpoint = pickRetryEndpoint(cluster, manager) else {
            reply(.noHealthyUpstream)
            return
        }
        endpoint._withUnsafeGuaranteedRef { prepareRetryHead(route, routes, $0, manager) }
        guard let pool = choosePool(of: endpoint, cluster, route, routes) else {
            reply(.noHealthyUpstream)
            return
        }
        pool._withUnsafeGuaranteedRef { upstream.startAgain($0) }
    }

    private func pickRetryEndpoint(
        _ cluster: WorkerCluster, _ manager: HTTPConnectionManager
    ) -> Unmanaged<ActiveEndpoint>? {
        guard cluster.isBalanced, let policy = retry.details.pointee.policy else { return pickEndpoint(cluster, manager) }
        let excluded = retry.details.pointee.priorities.next()
        if excluded != 0 {
            if let found = cluster.pickEndpoint(policy, avoiding: retry.details.pointee.failed, excluding: excluded) { return found }
            retry.details.pointee.priorities.startOver()
        }
        return cluster.pickEndpoint(policy, avoiding: retry.details.pointee.failed, excluding: 0)
    }

    private func prepareRetryHead(
        _ route: UnsafePointer<CompiledRoute>, _ routes: ActiveRoutes, _ endpoint: ActiveEndpoint,
        _ manager: HTTPConnectionManager
    ) {
        if let host = match.virtualHost {
            if host.pointee.includesAttemptCount { setNumber(.envoyAttemptCount, UInt64(info.attempts)) }
            if host.pointee.includesIsTimeoutRetry {
                let word: StaticString = retry.followsTimeout ? "true" : "false"
                request.headers.replace(.envoyIsTimeoutRetry, UnsafeRawBufferPointer(word), from: pool)
            }
        }
        let elapsed = info.requestEnd.map { loop.now.nanoseconds(since: $0) } ?? 0
        tellTimeouts(route, manager, elapsed: elapsed)
        if route.pointee.hostRewrite == .automatic {
            rewriteHost(route, routes, endpoint, keepsOriginal: !manager.config.router.suppressEnvoyHeaders)
        }
    }

    // MARK: Timeouts of an attempt

    /// The attempt has a connection and the request is whole: its timeouts begin.
    func startTryTimeouts() {
        guard retry.isUsed else { return }
        if retry.perTryTimeout > 0 { armTryTimer(nanoseconds: retry.perTryTimeout) }
        if retry.perTryIdleTimeout > 0 { armTryIdleTimer(nanoseconds: retry.perTryIdleTimeout) }
    }

    /// A part of the response arrived.
    @inline(__always) func touchTry() {
        if retry.perTryIdleTimeout > 0 { armTryIdleTimer(nanoseconds: retry.perTryIdleTimeout) }
    }

    /// - Parameter isIdle: nothing of the response arrived for a while; else its head did not come in time.
    func tryTimedOut(isIdle: Bool) {
        let hasResponse = !phase.isDisjoint(with: [.responseStarted, .responsePaused, .tunnel])
        // A response that has begun has the route's timeout.
        if hasResponse, !isIdle { return }
        cancelTryTimers()
        if let counts = cluster?.stats.retry { stats.add(isIdle ? counts.perTryIdleTimeout : counts.perTryTimeout) }
        if !hasResponse {
            let endpoint = upstream.endpoint
            upstream.countTimeout()
            upstream.giveUp()
            if retriesAfter(.other, wasSent: true, on: endpoint) == .retried {
                retry.followsTimeout = true
                return
            }
        }
        fail(with: isIdle ? .perTryIdleTimeout : .perTryTimeout)
    }

    // MARK: Replies

    /// The last attempt failed. As in Envoy the text says that there was another one before.
    func replyAfterRetries(_ failure: UpstreamFailure, prepare: (inout ResponseHead) -> Void) {
        let start: StaticString =
            "upstream connect error or disconnect/reset before headers. retried and the latest reset reason: "
        let reason = failure.reason
        withUnsafeTemporaryAllocation(byteCount: start.utf8CodeUnitCount + reason.utf8CodeUnitCount, alignment: 1) { text in
            text.baseAddress?.copyMemory(from: start.utf8Start, byteCount: start.utf8CodeUnitCount)
            (text.baseAddress.map { $0 + start.utf8CodeUnitCount })?.copyMemory(
                from: reason.utf8Start, byteCount: reason.utf8CodeUnitCount)
            reply(failure.reply, body: UnsafeRawBufferPointer(text), prepare: prepare)
        }
    }
}

extension UpstreamFailure {
    /// What retries tell apart.
    var attemptReset: AttemptReset {
        switch self {
        case .connectFailure: .connectFailure
        case .overflow: .overflow
        case .remoteRefused: .refused
        default: .other
        }
    }
}

extension RetryConditions {
    /// Calls `body` with each number of a list with commas.
    static func forEachNumber(in list: UnsafeRawBufferPointer, _ body: (UInt64) -> Void) {
        var start = 0
        while start < list.count {
            var end = start
            while end < list.count, list[end] != UInt8(ascii: ",") { end += 1 }
            if let number = DecimalText.parse(UnsafeRawBufferPointer(rebasing: list[start..<end]).trimmed) { body(number) }
            start = end + 1
        }
    }
}
