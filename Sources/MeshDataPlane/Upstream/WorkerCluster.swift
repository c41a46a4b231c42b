// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshHTTP2
import MeshIO
import MeshModel
import MeshStats

/// A cluster in use on one worker: its endpoints, their pools, and the state of its balancer.
///
/// Its pools and endpoints refer to it and it to them: it ends the circle when it was drained and nothing is in use.
final class WorkerCluster: TimerTarget {
    let compiled: CompiledCluster
    /// What new connections are secured with: the context is replaced when its files change. Nil for a plain cluster.
    private(set) var secured: CompiledUpstreamTLS?
    let loop: EventLoop
    let stats: StatPages
    let tls: WorkerTLS
    private let ownedResponses: ResponseStats
    /// Responses in whose place another attempt was made. Scope `cluster.<name>.retry.`.
    let replaced: ResponseStats
    /// Where responses are counted; lives as long as the cluster.
    let responses: Unmanaged<ResponseStats>
    /// Whether the TLS of a connection depends on the request (`auto_sni`, `auto_san_validation`).
    let usesRequestNames: Bool
    let http2Memory: HTTP2Memory
    /// What connections speak where nothing else decides.
    let wireProtocol: PoolKey.WireProtocol
    let followsDownstream: Bool
    /// HTTP/2 where the upstream chooses it, else HTTP/1 (`auto_config`).
    let choosesByALPN: Bool
    /// Whether a request uses another pool than the one all share.
    let hasSpecialPools: Bool
    let responseLimits: HTTP1Limits
    let responseOptions: HTTP1ClientOptions

    private var endpoints: ContiguousArray<ActiveEndpoint> = []
    /// Endpoints to choose from, whatever their health.
    var hostCount: Int { endpoints.count }
    /// Endpoints that were removed and still have connections or requests.
    private var leaving: ContiguousArray<ActiveEndpoint> = []
    private var isDraining = false
    /// Called when the cluster was drained and has nothing left.
    var onDrained: (() -> Void)?
    /// The same ones as `endpoints`, to be read without counting.
    private var references: UnsafeMutablePointer<Unmanaged<ActiveEndpoint>>?
    /// Whether endpoints are chosen here; those of an ORIGINAL_DST cluster are named by the connection or the request.
    let isBalanced: Bool
    /// Nil while there are no endpoints to choose from.
    private var balancer: LoadBalancer?
    /// What the balancers are made of.
    private var endpointSet = EndpointSet()
    /// Those that leave priorities out (as bits), for retries; made when one is first wanted.
    private var rerouted: [(excluded: UInt64, balancer: LoadBalancer)] = []
    /// The same one, to be asked without counting.
    private var chooser: Unmanaged<LoadBalancer>?
    /// Requests in flight by endpoint, where the balancer reads them.
    private var activeRequests: UnsafeMutablePointer<UInt32>
    private let seed: UInt64
    /// Endpoints of an ORIGINAL_DST cluster by address; forgotten after `cleanup_interval` without use.
    private var originalDestinations: [Address: ActiveEndpoint] = [:]
    private var cleanupTimer = TimerID.none

    init(
        compiled: CompiledCluster, loop: EventLoop, stats: StatPages, http2Memory: HTTP2Memory, tls: WorkerTLS,
        endpoints: EndpointSet?, seed: UInt64
    ) {
        self.compiled = compiled
        secured = compiled.tls
        self.loop = loop
        self.stats = stats
        self.tls = tls
        ownedResponses = ResponseStats(
            catalog: compiled.catalog, scope: .cluster(compiled.cluster.statName), pages: stats, tellsOrigin: true)
        responses = Unmanaged.passUnretained(ownedResponses)
        replaced = ResponseStats(
            catalog: compiled.catalog, scope: StatScopeName.cluster(compiled.cluster.statName).appending("retry."),
            pages: stats, tellsOrigin: false)
        let http = compiled.cluster.http
        usesRequestNames = compiled.tls != nil && (http.autoSNI || http.autoSANValidation)
        self.http2Memory = http2Memory
        followsDownstream = http.protocolSelection == .downstream
        hasSpecialPools = usesRequestNames || followsDownstream
        choosesByALPN = http.protocolSelection == .auto
        wireProtocol = http.protocolSelection == .http2 || choosesByALPN ? .http2 : .http1
        var limits = HTTP1Limits()
        limits.maxFields = Int(compiled.cluster.http.maxResponseHeadersCount)
        responseLimits = limits
        var options = HTTP1ClientOptions()
        options.enableTrailers = compiled.cluster.http.http1.enableTrailers
        options.allowsChunkedLength = compiled.cluster.http.http1.allowChunkedLength
        options.keepsNameCase = compiled.cluster.http.http1.keyFormat == .preserve
        responseOptions = options
        self.seed = seed
        isBalanced = compiled.cluster.discovery.isBalanced
        activeRequests = .allocate(capacity: 1)
        if let endpoints { set(endpoints) }
        if !isBalanced { cleanupTimer = loop.timers.make(target: self) }
    }

    deinit {
        activeRequests.deallocate()
        references?.deallocate()
    }

    // MARK: Changes

    /// The same cluster with another TLS context: new connections use it, and nothing else changes.
    func renew(_ compiled: CompiledCluster) { secured = compiled.tls }

    /// Puts another endpoint set in force. Endpoints of both sets stay as they are with their connections; those that are
    /// gone end theirs when the requests on them are over.
    func set(_ set: EndpointSet) {
        guard isBalanced, !isDraining else { return }
        let members = set.allEndpoints
        let diff = EndpointDiff(from: endpoints.map(\.endpoint), to: members)
        let counts = UnsafeMutablePointer<UInt32>.allocate(capacity: max(members.count, 1))
        let places = UnsafeMutablePointer<Unmanaged<ActiveEndpoint>>.allocate(capacity: max(members.count, 1))
        var current: ContiguousArray<ActiveEndpoint> = []
        current.reserveCapacity(members.count)
        let priorities = set.localities.flatMap { locality in locality.endpoints.map { _ in locality.priority } }
        for (index, member) in members.enumerated() {
            let origin = diff.origins[index]
            let endpoint = origin >= 0 ? endpoints[origin] : ActiveEndpoint(endpoint: member, cluster: self)
            endpoint.join(as: member, countingAt: counts + index)
            endpoint.priority = priorities[index]
            current.append(endpoint)
            (places + index).initialize(to: Unmanaged.passUnretained(endpoint))
        }
        let gone = diff.removed.map { endpoints[$0] }
        leaving += gone
        endpoints = current
        // Draining may call out, and finds the new set then.
        let (oldCounts, oldPlaces) = (activeRequests, references)
        activeRequests = counts
        references = places
        balancer = LoadBalancer(
            compiled.cluster.balancing, set, panicThresholdPercent: compiled.cluster.panicThresholdPercent, seed: seed,
            after: balancer)
        chooser = balancer.map { Unmanaged.passUnretained($0) }
        endpointSet = set
        rerouted.removeAll()
        for endpoint in gone {
            endpoint.leave()
            endpoint.poolDrained()
        }
        oldCounts.deallocate()
        oldPlaces?.deallocate()
    }

    /// An endpoint that was removed, or all of whose cluster are, has nothing left.
    func endpointDrained(_ endpoint: ActiveEndpoint) {
        leaving.removeAll { $0 === endpoint }
        endpoint.forgetPools()
        loop.keepUntilEndOfTurn(endpoint)
        if isDraining { endIfUnused() }
    }

    // MARK: Choosing

    /// Chooses an endpoint; nil when none is healthy. It lives until the end of the turn at least.
    func pickEndpoint() -> Unmanaged<ActiveEndpoint>? {
        let index = chooser?._withUnsafeGuaranteedRef { $0.pick(active: activeRequests) } ?? -1
        guard index >= 0, index < endpoints.count, let references else {
            stats.add(compiled.stats.connectionsNoneHealthy)
            return nil
        }
        return references[index]
    }

    /// Chooses an endpoint of a priority that is not in `excluded` (bits, the last for all from 63 up); nil when none of
    /// those is healthy.
    func pickEndpoint(excluding excluded: UInt64) -> Unmanaged<ActiveEndpoint>? {
        let chooser: LoadBalancer
        if let known = rerouted.first(where: { $0.excluded == excluded }) {
            chooser = known.balancer
        } else {
            // Hosts that are left out count as unhealthy, so their share goes where it would go if they failed.
            var health: [EndpointHealth] = []
            for locality in endpointSet.localities {
                let isLeftOut = excluded & (1 << UInt64(min(locality.priority, 63))) != 0
                health += locality.endpoints.map { isLeftOut ? .unhealthy : $0.health }
            }
            chooser = LoadBalancer(
                compiled.cluster.balancing, endpointSet, health: health, panicThresholdPercent: 0, seed: seed)
            rerouted.append((excluded, chooser))
        }
        let index = chooser.pick(active: activeRequests)
        guard index >= 0, index < endpoints.count, let references else { return nil }
        return references[index]
    }

    /// The endpoint of an ORIGINAL_DST cluster at `original`, the restored local address of the downstream connection or what
    /// a header says. Nil where there is no usable address. It lives until it has been without use for a while.
    func endpoint(at original: Address?) -> Unmanaged<ActiveEndpoint>? {
        guard case .originalDestination(let options) = compiled.cluster.discovery, var address = original, address.isIP else {
            stats.add(compiled.stats.connectionsNoneHealthy)
            return nil
        }
        if let port = options.portOverride { address = address.withPort(port) }
        return Unmanaged.passUnretained(originalDestination(address))
    }

    private func originalDestination(_ address: Address) -> ActiveEndpoint {
        if let known = originalDestinations[address] { return known }
        let endpoint = ActiveEndpoint(endpoint: Endpoint(address), cluster: self)
        originalDestinations[address] = endpoint
        if !loop.timers.isArmed(cleanupTimer) { armCleanup() }
        return endpoint
    }

    private func armCleanup() {
        loop.timers.arm(
            cleanupTimer, at: loop.now.advanced(byNanoseconds: compiled.cluster.cleanupInterval.nanoseconds))
    }

    func onTimer(_ tag: UInt32) {
        for (address, endpoint) in originalDestinations where endpoint.isUnused {
            originalDestinations[address] = nil
            endpoint.forgetPools()
        }
        if !originalDestinations.isEmpty { armCleanup() }
    }

    /// Options of a new connection to `address`.
    func connectOptions(to address: Address) -> ConnectOptions {
        var options = compiled.cluster.connectOptions
        guard address.isIP else { return options }
        options.bindAddress = compiled.cluster.bindAddress(for: address)
        return options
    }

    // MARK: Ending

    /// See `ConnectionPool.settle`.
    func settle() { for endpoint in allEndpoints { endpoint.settle() } }

    /// See `ConnectionPool.trim`.
    func trim() -> Int { allEndpoints.reduce(0) { $0 + $1.trim() } }

    /// The cluster was replaced or removed: idle connections end now, the others with their request.
    func drain() {
        isDraining = true
        for endpoint in allEndpoints { endpoint.drain() }
        loop.timers.free(&cleanupTimer)
        endIfUnused()
    }

    private var allEndpoints: [ActiveEndpoint] { Array(endpoints) + leaving + originalDestinations.values }

    private func endIfUnused() {
        let all = allEndpoints
        guard all.allSatisfy({ $0.isUnused }) else { return }
        for endpoint in all { endpoint.forgetPools() }
        let report = onDrained
        onDrained = nil
        report?()
    }

    func closeAll() {
        for endpoint in allEndpoints { endpoint.closeAll() }
        loop.timers.free(&cleanupTimer)
    }
}
