// SPDX-License-Identifier: Apache-2.0
import MeshHTTP

extension RouteTableBuilder {
    /// Compiles one route of the virtual host that is being added.
    mutating func compile(_ route: Route, at path: String) throws(ResourceError) -> CompiledRoute {
        var compiled = CompiledRoute()
        compiled.virtualHost = Int32(virtualHosts.count)
        compiled.name = add(route.name)
        compiled.metadata = add(route.metadata)
        compiled.decoratorOperation = add(route.decoratorOperation)
        compiled.decoratorPropagates = route.decoratorPropagates
        compiled.statPrefix = add(route.statPrefix)
        (compiled.requestOperations, compiled.responseOperations) = add(route.headers)
        try compile(route.match, into: &compiled, at: path + ".match")
        switch route.action {
        case .forward(let action): try compile(action, into: &compiled, at: path + ".route")
        case .redirect(let redirect): try compile(redirect, into: &compiled, at: path + ".redirect")
        case .directResponse(let response):
            compiled.action = .directResponse
            compiled.status = response.status
            compiled.body = add(response.body)
        }
        return compiled
    }

    // MARK: Condition

    private mutating func compile(_ match: RouteMatch, into route: inout CompiledRoute, at path: String)
        throws(ResourceError)
    {
        func bytes(_ text: String) -> [UInt8] { match.caseSensitive ? Array(text.utf8) : Self.lowercase(text) }
        switch match.path {
        case .prefix(let text):
            route.pathKind = .prefix
            route.pathText = add(bytes(text))
        case .exact(let text):
            route.pathKind = .exact
            route.pathText = add(bytes(text))
        case .separatedPrefix(let text):
            route.pathKind = .separatedPrefix
            route.pathText = add(bytes(text))
        case .regex(let pattern):
            route.pathKind = .regex
            route.regex = try addRegex(pattern, at: path + ".safe_regex.regex")
        case .connect:
            route.pathKind = .connect
        }
        if let fraction = match.fraction {
            route.fractionNumerator = fraction.numerator
            route.fractionDenominator = max(fraction.denominator, 1)
            if let runtime, !match.fractionRuntimeKey.isEmpty {
                route.fractionRuntime = Int32(runtimeValues.count)
                runtimeValues.append(runtime.value(of: match.fractionRuntimeKey))
            }
        }
        route.headers = TableRange(start: headerMatchers.count, count: match.headers.count)
        var compiledHeaders: [CompiledHeaderMatcher] = []
        for (index, matcher) in match.headers.enumerated() {
            compiledHeaders.append(try compile(matcher, at: "\(path).headers[\(index)]"))
        }
        headerMatchers.append(contentsOf: compiledHeaders)
        route.queries = TableRange(start: queryMatchers.count, count: match.queryParameters.count)
        for (index, matcher) in match.queryParameters.enumerated() {
            var compiled = CompiledQueryMatcher()
            compiled.name = add(matcher.name)
            switch matcher.condition {
            case .present(let present): compiled.shallBePresent = present
            case .string(let string):
                compiled.isPresenceOnly = false
                compiled.string = try compile(string, at: "\(path).query_parameters[\(index)].string_match")
            }
            queryMatchers.append(compiled)
        }
    }

    private mutating func compile(_ matcher: HeaderMatcher, at path: String) throws(ResourceError)
        -> CompiledHeaderMatcher
    {
        var compiled = CompiledHeaderMatcher()
        compiled.name = addName(matcher.name)
        compiled.invert = matcher.invert
        compiled.treatMissingAsEmpty = matcher.treatMissingAsEmpty
        switch matcher.condition {
        case .present(let present):
            compiled.kind = .present
            compiled.shallBePresent = present
        case .string(let string):
            compiled.kind = .string
            compiled.string = try compile(string, at: path + ".string_match")
        case .range(let start, let end):
            compiled.kind = .range
            compiled.low = start
            compiled.high = end
        }
        return compiled
    }

    private mutating func compile(_ matcher: StringMatcher, at path: String) throws(ResourceError)
        -> CompiledStringMatcher
    {
        var compiled = CompiledStringMatcher()
        func bytes(_ text: String) -> [UInt8] { matcher.ignoreCase ? Self.lowercase(text) : Array(text.utf8) }
        compiled.ignoreCase = matcher.ignoreCase
        switch matcher.pattern {
        case .exact(let text):
            compiled.kind = .exact
            compiled.text = add(bytes(text))
        case .prefix(let text):
            compiled.kind = .prefix
            compiled.text = add(bytes(text))
        case .suffix(let text):
            compiled.kind = .suffix
            compiled.text = add(bytes(text))
        case .contains(let text):
            compiled.kind = .contains
            compiled.text = add(bytes(text))
        case .regex(let pattern):
            compiled.kind = .regex
            compiled.regex = try addRegex(pattern, at: path + ".safe_regex.regex")
        }
        return compiled
    }

    // MARK: Actions

    private mutating func compile(_ action: RouteAction, into route: inout CompiledRoute, at path: String)
        throws(ResourceError)
    {
        route.action = .forward
        route.status = action.clusterNotFoundStatus
        switch action.target {
        case .cluster(let name): route.cluster = addCluster(name)
        case .clusterHeader(let name): route.clusterHeader = addName(name)
        case .weighted(let weighted): add(weighted, to: &route)
        }
        route.appendsXForwardedHost = action.appendXForwardedHost
        let duration = action.maxStreamDuration
        route.limitsDuration = duration.isPresent
        // Envoy takes one of the two bounds: this one counts only where the other is not configured.
        route.timeoutMilliseconds = duration.isPresent ? 0 : action.timeout?.roundedUpMilliseconds ?? 0
        route.idleTimeoutMilliseconds = action.idleTimeout.milliseconds
        route.maxStreamDurationMilliseconds = duration.limit.milliseconds
        let grpcLimit = duration.isPresent ? duration.grpcTimeoutHeaderMax : duration.maxGRPCTimeout
        route.grpcTimeoutMaxMilliseconds = grpcLimit?.roundedUpMilliseconds ?? -1
        route.grpcTimeoutOffsetMilliseconds = duration.grpcTimeoutHeaderOffset?.roundedUpMilliseconds ?? 0
        route.isHighPriority = action.priority == .high
        switch action.pathRewrite {
        case .none: break
        case .prefix(let text):
            route.pathRewrite = .prefix
            route.rewriteText = add(text)
        case .regex(let rewrite):
            route.pathRewrite = .regex
            (route.rewriteRegex, route.rewriteText) = try addRewrite(rewrite, at: path + ".regex_rewrite")
        }
        switch action.hostRewrite {
        case .none: break
        case .literal(let host):
            route.hostRewrite = .literal
            route.hostText = add(host)
        case .automatic: route.hostRewrite = .automatic
        case .header(let name):
            route.hostRewrite = .header
            route.hostHeader = addName(name)
        case .pathRegex(let rewrite):
            route.hostRewrite = .pathRegex
            (route.hostRegex, route.hostText) = try addRewrite(rewrite, at: path + ".host_rewrite_path_regex")
        }
        route.upgrades = TableRange(start: upgrades.count, count: action.upgrades.count)
        for upgrade in action.upgrades {
            let name = add(Self.lowercase(upgrade.name))
            upgrades.append(
                CompiledUpgrade(
                    name: name, isEnabled: upgrade.enabled, terminatesConnect: upgrade.terminatesConnect,
                    allowsPost: upgrade.allowPost))
        }
    }

    private mutating func add(_ weighted: WeightedClusters, to route: inout CompiledRoute) {
        route.weighted = TableRange(start: targets.count, count: weighted.clusters.count)
        route.weightHeader = addName(weighted.randomHeader)
        var compiled: [CompiledTarget] = []
        for entry in weighted.clusters {
            var target = CompiledTarget()
            target.cluster = addCluster(entry.cluster)
            target.clusterHeader = addName(entry.clusterHeader)
            route.totalWeight += UInt64(entry.weight)
            target.upperBound = route.totalWeight
            target.weight = entry.weight
            if let runtime, !weighted.runtimeKeyPrefix.isEmpty {
                route.asksRuntimeForWeights = true
                target.runtime = Int32(runtimeValues.count)
                runtimeValues.append(runtime.value(of: "\(weighted.runtimeKeyPrefix).\(entry.cluster)"))
            }
            target.rewritesHost = entry.hostRewrite != nil
            target.host = add(entry.hostRewrite ?? "")
            (target.requestOperations, target.responseOperations) = add(entry.headers)
            compiled.append(target)
        }
        targets.append(contentsOf: compiled)
    }

    private mutating func compile(_ action: RedirectAction, into route: inout CompiledRoute, at path: String)
        throws(ResourceError)
    {
        route.action = .redirect
        route.status = action.status
        var redirect = CompiledRedirect()
        switch action.scheme {
        case .keep: break
        case .https: redirect.scheme = add("https")
        case .literal(let scheme): redirect.scheme = add(scheme)
        }
        redirect.host = add(action.host)
        redirect.port = action.port == 0 ? TableRange() : add(":\(action.port)")
        redirect.stripsQuery = action.stripQuery
        switch action.path {
        case .keep: break
        case .literal(let text):
            redirect.replacesPath = !text.isEmpty
            redirect.path = add(text)
            redirect.pathHasQuery = text.utf8.contains(UInt8(ascii: "?"))
        case .prefix(let text):
            route.pathRewrite = .prefix
            route.rewriteText = add(text)
        case .regex(let rewrite):
            route.pathRewrite = .regex
            (route.rewriteRegex, route.rewriteText) = try addRewrite(rewrite, at: path + ".regex_rewrite")
        }
        route.redirect = Int32(redirects.count)
        redirects.append(redirect)
    }
}

extension TimeoutOverride {
    /// -1 to inherit, 0 disabled.
    var milliseconds: Int64 {
        switch self {
        case .inherit: -1
        case .disabled: 0
        case .after(let duration): duration.roundedUpMilliseconds
        }
    }
}

extension Duration {
    /// Whole milliseconds, rounded up, so that a short timeout does not become none; negative ones become 0.
    package var roundedUpMilliseconds: Int64 {
        let (seconds, attoseconds) = components
        guard seconds >= 0, attoseconds >= 0 else { return 0 }
        let (product, overflow) = seconds.multipliedReportingOverflow(by: 1000)
        let (sum, carry) = product.addingReportingOverflow((attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000)
        return overflow || carry ? .max : sum
    }
}
