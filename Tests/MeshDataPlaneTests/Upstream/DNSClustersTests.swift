// SPDX-License-Identifier: Apache-2.0
import MeshIO
import MeshModel
import MeshTestKit
import Testing

@testable import MeshDataPlane

/// Answers when the test says so.
private final class ScriptedResolver: Resolver {
    private(set) var asked: [(name: String, family: LookupFamily)] = []
    private var waiting: [(name: String, then: (LookupAnswer) -> Void)] = []
    private(set) var isStopped = false

    func resolve(_ name: String, _ family: LookupFamily, then: @escaping (LookupAnswer) -> Void) {
        asked.append((name, family))
        waiting.append((name, then))
    }

    func stop() { isStopped = true }

    func answer(_ name: String, _ answer: LookupAnswer) {
        guard let index = waiting.firstIndex(where: { $0.name == name }) else {
            Issue.record("nobody asked for \(name)")
            return
        }
        waiting.remove(at: index).then(answer)
    }

    func answer(_ name: String, _ addresses: String..., timeToLive: UInt32 = 0) {
        answer(name, .addresses(addresses.compactMap { Address(ip: $0, port: 0) }.map { ResolvedAddress($0, timeToLive: timeToLive) }))
    }
}

final class DNSClustersTests {
    private let rig = DataPlaneRig(unconfiguredWithGlobalLimit: nil)
    private let resolver = ScriptedResolver()
    private var options: [ResolverOptions] = []
    private var changes: [String] = []
    private var warmings = 0
    private lazy var clusters: DNSClusters? = rig.compiler.map { compiler in
        DNSClusters(
            loop: rig.loop, compiler: compiler, seed: 1,
            makeResolver: { [unowned self] in
                options.append($0)
                return resolver
            },
            onChange: { [unowned self] name, _ in changes.append(name) }, onWarm: { [unowned self] in warmings += 1 })
    }

    private func follow(_ discovery: DNSDiscovery, named name: String = "c") {
        rig.apply(clusters: [Cluster(name: name, discovery: .dns(discovery))])
        clusters?.follow()
    }

    private func discovery(_ kind: DNSDiscovery.Kind = .strict, _ names: String..., change: (inout DNSDiscovery) -> Void = { _ in })
        -> DNSDiscovery
    {
        var discovery = DNSDiscovery(kind, [DNSLocality(targets: names.map { DNSTarget(.name($0, port: 80)) })])
        discovery.refresh.rate = .seconds(60)
        change(&discovery)
        return discovery
    }

    private var hosts: [String] {
        guard let id = rig.compiler?.clusterID("c"), let cluster = rig.worker.clusters.cluster(id) else { return [] }
        var found: Set<String> = []
        for _ in 0..<16 { if let host = cluster.pickEndpoint() { found.insert(host.takeUnretainedValue().address.description) } }
        return found.sorted()
    }

    private func stat(_ name: String) -> Int64 { rig.stat("cluster.c." + name) }

    @Test func anAnswerReachesTheWorkers() {
        follow(discovery(.strict, "a.test"))
        #expect(hosts.isEmpty && clusters?.warmingCount == 1 && warmings == 0)
        resolver.answer("a.test", "10.0.0.1", "10.0.0.2")
        rig.loop.turn()
        #expect(hosts == ["10.0.0.1:80", "10.0.0.2:80"])
        #expect(clusters?.warmingCount == 0 && warmings == 1 && changes == ["c"])
        #expect(stat("update_attempt") == 1 && stat("update_success") == 1 && stat("membership_total") == 2)
    }

    @Test func theNextLookupComesAfterTheRate() {
        follow(discovery(.strict, "a.test"))
        resolver.answer("a.test", "10.0.0.1")
        rig.loop.advance(byMilliseconds: 59_990)
        #expect(resolver.asked.count == 1)
        rig.loop.advance(byMilliseconds: 20)
        #expect(resolver.asked.count == 2)
        resolver.answer("a.test", "10.0.0.1")
        #expect(stat("update_no_rebuild") == 1 && stat("membership_change") == 1)
    }

    @Test func aFailureKeepsTheHostsAndBacksOff() {
        follow(discovery(.strict, "a.test") { $0.refresh.failureBackoff = .init(base: .seconds(1), longest: .seconds(2)) })
        resolver.answer("a.test", "10.0.0.1")
        rig.loop.advance(byMilliseconds: 60_010)
        resolver.answer("a.test", .failed)
        #expect(hosts == ["10.0.0.1:80"] && stat("update_failure") == 1)
        rig.loop.advance(byMilliseconds: 1_010)
        #expect(resolver.asked.count == 3)
    }

    @Test func aFailureEndsTheWarmingToo() {
        follow(discovery(.strict, "a.test", "b.test"))
        resolver.answer("b.test", .failed)
        #expect(warmings == 1 && clusters?.warmingCount == 0)
        resolver.answer("a.test", "10.0.0.1")
        #expect(warmings == 1)
    }

    @Test func nobodyWaitsForAClusterThatDoesNotWarm() {
        follow(discovery(.strict, "a.test") { $0.waitsForWarm = false })
        #expect(clusters?.warmingCount == 0 && resolver.asked.count == 1)
        follow(DNSDiscovery(.strict, []), named: "empty")
        #expect(clusters?.warmingCount == 0)
    }

    @Test func literalAddressesAreThereAtOnce() {
        var literal = discovery(.strict)
        literal.localities = [DNSLocality(targets: [DNSTarget(.address(.ipv4(0x0A00_0009, port: 90)))])]
        follow(literal)
        rig.loop.turn()
        #expect(hosts == ["10.0.0.9:90"] && resolver.asked.isEmpty && clusters?.warmingCount == 0 && warmings == 0)
    }

    @Test func aClusterThatIsReplacedAsksAnew() {
        follow(discovery(.strict, "a.test"))
        follow(discovery(.strict, "b.test") { $0.family = .ipv6Only })
        #expect(resolver.asked.map(\.name) == ["a.test", "b.test"])
        #expect(resolver.asked.last?.family == .ipv6Only)
        // The answer for the old one comes too late.
        resolver.answer("a.test", "10.0.0.1")
        rig.loop.turn()
        #expect(hosts.isEmpty && changes.isEmpty)
        #expect(clusters?.warmingCount == 1)
    }

    @Test func aClusterThatStaysIsNotAskedForAgain() {
        follow(discovery(.strict, "a.test"))
        resolver.answer("a.test", "10.0.0.1")
        clusters?.follow()
        rig.apply(clusters: [DataPlaneRig.cluster("other", [])])
        clusters?.follow()
        #expect(resolver.asked.count == 1 && hosts == ["10.0.0.1:80"])
    }

    @Test func aRemovedClusterIsForgotten() {
        follow(discovery(.strict, "a.test"))
        resolver.answer("a.test", "10.0.0.1")
        var changes = ChangeSet()
        changes.removedClusters = ["c"]
        _ = rig.compiler?.apply(changes)
        clusters?.follow()
        rig.loop.advance(byMilliseconds: 200_000)
        #expect(resolver.asked.count == 1 && rig.compiler?.endpoints["c"] == nil)
    }

    @Test func eachSetOfOptionsHasOneResolver() {
        follow(discovery(.strict, "a.test"), named: "a")
        follow(discovery(.strict, "b.test"), named: "b")
        follow(discovery(.strict, "c.test") { $0.resolver.usesTCP = true })
        #expect(options.map(\.usesTCP) == [false, true])
        clusters?.stop()
        #expect(resolver.isStopped)
        resolver.answer("a.test", "10.0.0.1")
        rig.loop.advance(byMilliseconds: 200_000)
        #expect(resolver.asked.count == 3 && changes.isEmpty)
    }
}
