// SPDX-License-Identifier: Apache-2.0
import Glibc

/// Chooses hosts of one cluster for one worker. It holds cursors and turns only; who is busy is asked at each pick.
///
/// Made anew when the endpoint set or a host's health changes.
package final class LoadBalancer {
    private let policy: LoadBalancingPolicy
    private var random: RandomStream
    private let pools: [HostPool]
    /// Pools by percent: `shares[i]` is the upper bound of pool i, cumulated over 0..<100.
    private let shares: [Int]

    /// Hosts among which one is chosen: the healthy, the degraded or, in panic, all hosts of one priority.
    private final class HostPool {
        /// Indices into the endpoint set, in order.
        let members: [Int32]
        let weights: [UInt32]
        let hasEqualWeights: Bool
        var cursor: Int
        var turns: TurnOrder

        init(members: [Int32], endpoints: [Endpoint], start: Int) {
            self.members = members
            weights = members.map { max(endpoints[Int($0)].weight, 1) }
            hasEqualWeights = Set(weights).count <= 1
            cursor = members.isEmpty ? 0 : start % members.count
            turns = TurnOrder(capacity: members.count)
            guard !hasEqualWeights else { return }
            for (index, weight) in weights.enumerated() { turns.add(Int32(index), weight: Double(weight)) }
            // Workers start at different points of the same order, or all would begin with the same host.
            for _ in 0..<cursor { turns.advance(weight: Double(weights[Int(turns.next)])) }
        }
    }

    /// - Parameters:
    ///   - health: overrides what the endpoint set says, by index; nil takes its word.
    ///   - seed: decides the first host and all random choices.
    package init(
        _ policy: LoadBalancingPolicy, _ set: EndpointSet, health: [EndpointHealth]? = nil, panicThresholdPercent: Double = 50,
        seed: UInt64
    ) {
        self.policy = policy
        var random = RandomStream(seed: seed)
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
                degraded: members.count { state($0) == .degraded })
        }
        let loads = PriorityLoads(
            censuses, overprovisioningPercent: Int(set.overprovisioningPercent), panicThresholdPercent: panicThresholdPercent)
        var pools: [HostPool] = []
        var shares: [Int] = []
        var sum = 0
        func add(_ members: [Int32], share: Int) {
            guard share > 0, !members.isEmpty else { return }
            sum += share
            shares.append(sum)
            let start = Int(truncatingIfNeeded: random.next() >> 33)
            pools.append(HostPool(members: members, endpoints: endpoints, start: start))
        }
        for (level, members) in priorities.enumerated() {
            if loads.isPanicking[level] {
                add(members, share: loads.healthy[level] + loads.degraded[level])
            } else {
                add(members.filter { state($0) == .healthy }, share: loads.healthy[level])
                add(members.filter { state($0) == .degraded }, share: loads.degraded[level])
            }
        }
        self.random = random
        self.pools = pools
        self.shares = shares
    }

    /// Index of the host for the next request; -1 when there is none to be used.
    ///
    /// - Parameter active: requests (for TCP, connections) in flight by host index, as many as the set has hosts. Only
    ///   least-request reads it.
    package func pick(active: UnsafePointer<UInt32>) -> Int {
        guard let bound = shares.last else { return -1 }
        var pool = pools[0]
        if pools.count > 1 {
            let point = random.next(below: bound)
            for index in shares.indices where point < shares[index] {
                pool = pools[index]
                break
            }
        }
        return Int(pool.members[pick(in: pool, active)])
    }

    /// Position in the pool.
    private func pick(in pool: HostPool, _ active: UnsafePointer<UInt32>) -> Int {
        let count = pool.members.count
        switch policy {
        case .random, .clusterProvided:
            return random.next(below: count)
        case .roundRobin:
            if pool.hasEqualWeights {
                let position = pool.cursor
                pool.cursor = position + 1 == count ? 0 : position + 1
                return position
            }
            let position = Int(pool.turns.next)
            pool.turns.advance(weight: Double(pool.weights[position]))
            return position
        case .leastRequest(let choices, let bias):
            if pool.hasEqualWeights { return leastBusy(in: pool, choices: choices, active) }
            let position = Int(pool.turns.next)
            let busy = Double(active[Int(pool.members[position])]) + 1
            let weight = Double(pool.weights[position])
            // Busy hosts come round less often; a bias of 1, the default, needs no power.
            let slowed = bias == 1 ? weight / busy : bias == 0 ? weight : weight / Self.power(busy, bias)
            pool.turns.advance(weight: max(slowed, 1e-6))
            return position
        }
    }

    private func leastBusy(in pool: HostPool, choices: UInt32, _ active: UnsafePointer<UInt32>) -> Int {
        var best = random.next(below: pool.members.count)
        var least = active[Int(pool.members[best])]
        for _ in 1..<max(choices, 1) {
            let other = random.next(below: pool.members.count)
            let busy = active[Int(pool.members[other])]
            if busy < least { (best, least) = (other, busy) }
        }
        return best
    }

    private static func power(_ base: Double, _ exponent: Double) -> Double { pow(base, exponent) }
}

@available(*, unavailable)
extension LoadBalancer: Sendable {}
