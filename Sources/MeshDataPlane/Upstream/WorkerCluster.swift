// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshHTTP2
import MeshIO
import MeshModel
import MeshStats

/// A cluster in use on one worker: its endpoints, their pools, and the state of its balancer.
final class WorkerCluster: TimerTarget {
    let compiled: CompiledCluster
    let loop: EventLoop
    let stats: StatPages
    let tls: WorkerTLS
    var usage = ClusterUsage()
    private let ownedResponses: ResponseStats
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
    /// The same ones, to be read without counting.
    private var references: UnsafeMutablePointer<Unmanaged<ActiveEndpoint>>?
    /// Nil for an ORIGINAL_DST cluster, which has nothing to choose from.
    private let balancer: LoadBalancer?
    /// Requests in flight by endpoint, where the balancer reads them.
    private let activeRequests: UnsafeMutablePointer<UInt32>
    /// Endpoints of an ORIGINAL_DST cluster by address; forgotten after `cleanup_interval` without use.
    private var originalDestinations: [Address: ActiveEndpoint] = [:]
    private var cleanupTimer = TimerID.none

    init(
        compiled: CompiledCluster, loop: EventLoop, stats: StatPages, http2Memory: HTTP2Memory, tls: WorkerTLS,
        seed: UInt64
    ) {
        self.compiled = compiled
        self.loop = loop
        self.stats = stats
        self.tls = tls
        ownedResponses = ResponseStats(
            catalog: compiled.catalog, scope: .cluster(compiled.cluster.statName), pages: stats, tellsOrigin: true)
        responses = Unmanaged.passUnretained(ownedResponses)
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
        guard case .static(let set) = compiled.cluster.discovery else {
            balancer = nil
            activeRequests = .allocate(capacity: 1)
            cleanupTimer = loop.timers.make(target: self)
            return
        }
        let members = set.allEndpoints
        balancer = LoadBalancer(
            compiled.cluster.balancing, set, panicThresholdPercent: compiled.cluster.panicThresholdPercent, seed: seed)
        activeRequests = .allocate(capacity: max(members.count, 1))
        activeRequests.initialize(repeating: 0, count: max(members.count, 1))
        endpoints = ContiguousArray(
            members.enumerated().map { index, endpoint in
                ActiveEndpoint(endpoint: endpoint, cluster: self, activeRequests: activeRequests + index)
            })
        let references = UnsafeMutablePointer<Unmanaged<ActiveEndpoint>>.allocate(capacity: max(members.count, 1))
        for (index, endpoint) in endpoints.enumerated() {
            (references + index).initialize(to: Unmanaged.passUnretained(endpoint))
        }
        self.references = references
    }

    deinit {
        activeRequests.deallocate()
        references?.deallocate()
    }

    /// Whether endpoints are chosen here; those of an ORIGINAL_DST cluster are named by the connection or the request.
    var isBalanced: Bool { balancer != nil }

    /// Chooses an endpoint; nil when none is healthy. It lives as long as the cluster.
    func pickEndpoint() -> Unmanaged<ActiveEndpoint>? {
        let index = balancer?.pick(active: activeRequests) ?? -1
        guard index >= 0, index < endpoints.count, let references else {
            stats.add(compiled.stats.connectionsNoneHealthy)
            return nil
        }
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
        let endpoint = ActiveEndpoint(endpoint: Endpoint(address), cluster: self, activeRequests: nil)
        originalDestinations[address] = endpoint
        if !loop.timers.isArmed(cleanupTimer) { armCleanup() }
        return endpoint
    }

    private func armCleanup() {
        loop.timers.arm(
            cleanupTimer, at: loop.now.advanced(byNanoseconds: compiled.cluster.cleanupInterval.nanoseconds))
    }

    func onTimer(_ tag: UInt32) {
        for (address, endpoint) in originalDestinations where endpoint.isUnused { originalDestinations[address] = nil }
        if !originalDestinations.isEmpty { armCleanup() }
    }

    /// Options of a new connection to `endpoint`.
    var connectOptions: ConnectOptions { compiled.cluster.connectOptions }

    /// The cluster was replaced or removed: idle connections end now, the others with their request.
    func drain() {
        for endpoint in endpoints { endpoint.drain() }
        for endpoint in originalDestinations.values { endpoint.drain() }
        loop.timers.free(&cleanupTimer)
    }

    func closeAll() {
        for endpoint in endpoints { endpoint.closeAll() }
        for endpoint in originalDestinations.values { endpoint.closeAll() }
        loop.timers.free(&cleanupTimer)
    }
}
