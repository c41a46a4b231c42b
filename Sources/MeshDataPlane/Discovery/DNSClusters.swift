// SPDX-License-Identifier: Apache-2.0
package import MeshIO
package import MeshModel
import MeshStats

/// Keeps the hosts of the clusters that are given by name up to date, on the control thread.
///
/// A failed lookup changes nothing: the last good addresses stay in force.
package final class DNSClusters {
    private let loop: EventLoop
    private let compiler: ConfigCompiler
    private let makeResolver: (ResolverOptions) -> any Resolver
    private var resolvers: [ResolverOptions: any Resolver] = [:]
    private var clusters: [String: DNSCluster] = [:]
    private var random: RandomStream
    /// Called when a cluster's hosts changed, after they were put in force.
    private let onChange: (String, EndpointSet) -> Void
    /// Called when the last of the clusters that traffic waits for had its first answer.
    private let onWarm: () -> Void
    private var isStopped = false
    /// Clusters are being started, some of which are answered at once; how many warm is known after it.
    private var isFollowing = false

    /// - Parameters:
    ///   - makeResolver: called once for each set of options.
    ///   - seed: of the jitter and the back-off.
    package init(
        loop: EventLoop, compiler: ConfigCompiler, seed: UInt64,
        makeResolver: @escaping (ResolverOptions) -> any Resolver,
        onChange: @escaping (String, EndpointSet) -> Void, onWarm: @escaping () -> Void
    ) {
        self.loop = loop
        self.compiler = compiler
        self.makeResolver = makeResolver
        self.onChange = onChange
        self.onWarm = onWarm
        random = RandomStream(seed: seed)
    }

    /// Clusters whose first answer traffic waits for.
    package var warmingCount: Int { clusters.values.count { $0.isWarming } }

    /// Follows exactly the clusters that are in force. Call after each change of clusters; whether any is warming is to be
    /// asked afterwards, and `onWarm` is called later only.
    package func follow() {
        guard !isStopped else { return }
        isFollowing = true
        defer { isFollowing = false }
        for (name, cluster) in clusters where compiler.clusters[name]?.cluster != cluster.compiled.cluster {
            cluster.stop()
            clusters[name] = nil
        }
        for (name, compiled) in compiler.clusters where clusters[name] == nil {
            guard case .dns(let discovery) = compiled.cluster.discovery else { continue }
            let cluster = DNSCluster(compiled: compiled, discovery: discovery, owner: self, loop: loop)
            clusters[name] = cluster
            cluster.start()
        }
    }

    /// Ends every lookup.
    package func stop() {
        isStopped = true
        for cluster in clusters.values { cluster.stop() }
        clusters = [:]
        for resolver in resolvers.values { resolver.stop() }
        resolvers = [:]
    }

    // MARK: What clusters need

    func resolver(_ options: ResolverOptions) -> any Resolver {
        if let known = resolvers[options] { return known }
        let made = makeResolver(options)
        resolvers[options] = made
        return made
    }

    func randomNumber() -> UInt64 { random.next() }

    func count(_ counter: KeyPath<ClusterUpdateStats, CounterID>, of cluster: CompiledCluster) {
        compiler.pages.add(cluster.updateStats[keyPath: counter])
    }

    func changed(_ cluster: CompiledCluster, _ set: EndpointSet) {
        compiler.setEndpoints(of: cluster.cluster.name, set)
        onChange(cluster.cluster.name, set)
    }

    func becameWarm() { if !isFollowing, warmingCount == 0 { onWarm() } }
}

/// One cluster that is given by name: a timer and at most one lookup for each of its names.
final class DNSCluster {
    let compiled: CompiledCluster
    private let discovery: DNSDiscovery
    private unowned let owner: DNSClusters
    private let loop: EventLoop
    private var hosts: DNSHosts
    private var refresh: DNSRefresh
    private var lookups: [DNSLookup] = []
    /// Whether traffic waits for the first answer of any of its names.
    private(set) var isWarming: Bool
    private var isStopped = false

    init(compiled: CompiledCluster, discovery: DNSDiscovery, owner: DNSClusters, loop: EventLoop) {
        self.compiled = compiled
        self.discovery = discovery
        self.owner = owner
        self.loop = loop
        hosts = DNSHosts(discovery)
        refresh = DNSRefresh(discovery.refresh)
        isWarming = discovery.waitsForWarm && !hosts.targets.isEmpty
    }

    func start() {
        lookups = hosts.targets.enumerated().map { DNSLookup(cluster: self, index: $0, target: $1, loop: loop) }
        for lookup in lookups { lookup.start() }
    }

    func stop() {
        isStopped = true
        for lookup in lookups { lookup.stop() }
        lookups = []
    }

    func ask(_ target: DNSTarget, then: @escaping (LookupAnswer) -> Void) {
        owner.count(\.attempts, of: compiled)
        switch target.host {
        case .address(let address): then(.addresses([ResolvedAddress(address, timeToLive: 0)]))
        case .name(let name, _): owner.resolver(discovery.resolver).resolve(name, discovery.family, then: then)
        }
    }

    /// A name has its answer. Returns after how many milliseconds it is asked for again; nil for never.
    func answered(_ index: Int, _ answer: LookupAnswer) -> UInt64? {
        guard !isStopped else { return nil }
        let wait: UInt64
        if case .addresses(let found) = answer {
            wait = take(index, found)
        } else {
            wait = fail()
        }
        if isWarming {
            isWarming = false
            owner.becameWarm()
        }
        return wait
    }

    private func take(_ index: Int, _ found: [ResolvedAddress]) -> UInt64 {
        let outcome = hosts.answered(index, found.map(\.address))
        guard outcome != .refused else { return fail() }
        owner.count(\.successes, of: compiled)
        if outcome == .changed { owner.changed(compiled, hosts.endpoints) } else { owner.count(\.unchanged, of: compiled) }
        let shortest = discovery.kind == .logical ? found.first?.timeToLive : found.map(\.timeToLive).min()
        return refresh.answered(timeToLive: shortest, random: owner.randomNumber())
    }

    private func fail() -> UInt64 {
        owner.count(\.failures, of: compiled)
        return refresh.failed(random: owner.randomNumber())
    }
}

/// The repeated lookup of one name.
private final class DNSLookup: TimerTarget {
    private unowned let cluster: DNSCluster
    private let index: Int
    private let target: DNSTarget
    private let loop: EventLoop
    private var timer = TimerID.none

    init(cluster: DNSCluster, index: Int, target: DNSTarget, loop: EventLoop) {
        self.cluster = cluster
        self.index = index
        self.target = target
        self.loop = loop
        timer = loop.timers.make(target: self)
    }

    func start() {
        cluster.ask(target) { [weak self] answer in self?.answered(answer) }
    }

    private func answered(_ answer: LookupAnswer) {
        guard !timer.isNone, let wait = cluster.answered(index, answer), !timer.isNone else { return }
        loop.timers.arm(timer, at: loop.now.advanced(byMilliseconds: wait))
    }

    func onTimer(_ tag: UInt32) { start() }

    func stop() {
        if !timer.isNone { loop.timers.free(&timer) }
    }
}
