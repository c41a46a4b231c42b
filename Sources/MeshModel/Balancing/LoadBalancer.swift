// SPDX-License-Identifier: Apache-2.0
import Glibc

/// Chooses hosts of one cluster for one worker. It holds cursors and turns only; who is busy is asked at each pick.
///
/// Made anew when the endpoint set or a host's health changes.
package final class LoadBalancer {
    private let policy: LoadBalancingPolicy
    private var random: RandomStream
    /// Outside of reference counting: a pick retains nothing.
    private let pools: UnsafeMutablePointer<HostPool>
    private let poolCount: Int
    /// Pools by percent: `shares[i]` is the upper bound of pool i, cumulated.
    private let shares: FlatArray<Int>

    /// Hosts among which one is chosen: the healthy, the degraded or, in panic, all hosts of one priority.
    private struct HostPool: ~Copyable {
        let key: PoolKey
        /// Indices into the endpoint set, in order.
        let members: FlatArray<Int32>
        let weights: FlatArray<UInt32>
        let hasEqualWeights: Bool
        var cursor: Int
        var turns: TurnOrder

        init(_ key: PoolKey, members: [Int32], endpoints: [Endpoint], start: Int) {
            self.key = key
            let allWeights = members.map { max(endpoints[Int($0)].weight, 1) }
            self.members = FlatArray(members)
            weights = FlatArray(allWeights)
            hasEqualWeights = Set(allWeights).count <= 1
            cursor = members.isEmpty ? 0 : start % members.count
            turns = TurnOrder(capacity: members.count)
            guard !hasEqualWeights else { return }
            for (index, weight) in allWeights.enumerated() { turns.add(Int32(index), weight: Double(weight)) }
            // Workers start at different points of the same order, or all would begin with the same host.
            for _ in 0..<cursor { turns.advance(weight: Double(weights[Int(turns.next)])) }
        }

        deinit {
            members.deallocate()
            weights.deallocate()
        }
    }

    /// Which hosts of which priority a pool is made of.
    private struct PoolKey: Equatable {
        enum Kind { case healthy, degraded, all }
        let priority: Int
        let kind: Kind
    }

    /// - Parameters:
    ///   - health: overrides what the endpoint set says, by index; nil takes its word.
    ///   - seed: decides the first host and all random choices.
    ///   - previous: the balancer of the set before: turns go on where it was, so that a change of hosts does not send
    ///     every worker's next request to the first one. Its seed stays in force.
    package init(
        _ policy: LoadBalancingPolicy, _ set: EndpointSet, health: [EndpointHealth]? = nil,
        panicThresholdPercent: Double = 50,
        seed: UInt64, after previous: LoadBalancer? = nil
    ) {
        self.policy = policy
        var random = previous?.random ?? RandomStream(seed: seed)
        let endpoints = set.allEndpoints
        var byPriority: [UInt32: [Int32]] = [:]
        var index: Int32 = 0
        for locality in set.localities {
            for _ in locality.endpoints {
                byPriority[locality.priority, default: []].append(index)
                index += 1
            }
        }
        let priorities = byPriority.keys.sorted().compactMap { byPriority[$0] }
        func state(_ member: Int32) -> EndpointHealth {
            guard let health, health.indices.contains(Int(member)) else { return endpoints[Int(member)].health }
            return health[Int(member)]
        }
        let censuses = priorities.map { members in
            PriorityLoads.Census(
                total: members.count, healthy: members.count { state($0) == .healthy },
                degraded: members.count { state($0) == .degraded },
                excluded: members.count { state($0) == .draining })
        }
        let loads = PriorityLoads(
            censuses, overprovisioningPercent: Int(set.overprovisioningPercent),
            panicThresholdPercent: panicThresholdPercent)
        var groups: [(key: PoolKey, members: [Int32])] = []
        var shares: [Int] = []
        func add(_ kind: PoolKey.Kind, of level: Int, _ members: [Int32], share: Int) {
            guard share > 0, !members.isEmpty else { return }
            shares.append((shares.last ?? 0) + share)
            groups.append((PoolKey(priority: level, kind: kind), members))
        }
        for (level, members) in priorities.enumerated() {
            if loads.isPanicking[level] {
                add(.all, of: level, members, share: loads.healthy[level] + loads.degraded[level])
            } else {
                add(.healthy, of: level, members.filter { state($0) == .healthy }, share: loads.healthy[level])
                add(.degraded, of: level, members.filter { state($0) == .degraded }, share: loads.degraded[level])
            }
        }
        pools = .allocate(capacity: max(groups.count, 1))
        for (index, group) in groups.enumerated() {
            let start = previous?.position(of: group.key) ?? Int(truncatingIfNeeded: random.next() >> 33)
            (pools + index).initialize(
                to: HostPool(group.key, members: group.members, endpoints: endpoints, start: start))
        }
        poolCount = groups.count
        self.random = random
        self.shares = FlatArray(shares)
    }

    deinit {
        pools.deinitialize(count: poolCount)
        pools.deallocate()
        shares.deallocate()
    }

    /// Where the turns of a pool are; nil where there is no such pool.
    private func position(of key: PoolKey) -> Int? {
        for index in 0..<poolCount where pools[index].key == key {
            return pools[index].hasEqualWeights ? pools[index].cursor : Int(max(pools[index].turns.next, 0))
        }
        return nil
    }

    /// Index of the host for the next request; -1 when there is none to be used.
    ///
    /// - Parameter active: requests (for TCP, connections) in flight by host index, as many as the set has hosts. Only
    ///   least-request reads it.
    package func pick(active: UnsafePointer<UInt32>) -> Int {
        guard poolCount > 0 else { return -1 }
        var index = 0
        if poolCount > 1 {
            let point = random.next(below: shares[poolCount - 1])
            while point >= shares[index] { index += 1 }
        }
        let pool = pools + index
        return Int(pool.pointee.members[pick(in: pool, active)])
    }

    /// Position in the pool.
    private func pick(in pool: UnsafeMutablePointer<HostPool>, _ active: UnsafePointer<UInt32>) -> Int {
        let count = pool.pointee.members.count
        switch policy {
        case .random, .clusterProvided:
            return random.next(below: count)
        case .roundRobin:
            if pool.pointee.hasEqualWeights {
                let position = pool.pointee.cursor
                pool.pointee.cursor = position + 1 == count ? 0 : position + 1
                return position
            }
            let position = Int(pool.pointee.turns.next)
            pool.pointee.turns.advance(weight: Double(pool.pointee.weights[position]))
            return position
        case .leastRequest(let choices, let bias):
            if pool.pointee.hasEqualWeights { return leastBusy(in: pool, choices: choices, active) }
            let position = Int(pool.pointee.turns.next)
            let busy = Double(active[Int(pool.pointee.members[position])]) + 1
            let weight = Double(pool.pointee.weights[position])
            // Busy hosts come round less often; a bias of 1, the default, needs no power.
            let slowed = bias == 1 ? weight / busy : bias == 0 ? weight : weight / pow(busy, bias)
            pool.pointee.turns.advance(weight: max(slowed, 1e-6))
            return position
        }
    }

    private func leastBusy(in pool: UnsafeMutablePointer<HostPool>, choices: UInt32, _ active: UnsafePointer<UInt32>)
        -> Int
    {
        var best = random.next(below: pool.pointee.members.count)
        var least = active[Int(pool.pointee.members[best])]
        // A configured four billion must not hold the worker.
        for _ in 1..<min(max(choices, 1), 1024) {
            let other = random.next(below: pool.pointee.members.count)
            let busy = active[Int(pool.pointee.members[other])]
            if busy < least { (best, least) = (other, busy) }
        }
        return best
    }
}

@available(*, unavailable)
extension LoadBalancer: Sendable {}
