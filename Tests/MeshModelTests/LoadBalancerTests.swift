// SPDX-License-Identifier: Apache-2.0
import MeshIO
import MeshModel
import MeshTestKit
import Testing

private func endpoint(_ index: Int, weight: UInt32 = 1, health: EndpointHealth = .healthy) -> Endpoint {
    Endpoint(.ipv4(0x7F00_0001, port: UInt16(1000 + index)), weight: weight, health: health)
}

struct LoadBalancerTests {
    private func counts(
        _ policy: LoadBalancingPolicy, _ set: EndpointSet, picks: Int, seed: UInt64 = 42, panic: Double = 50,
        active: [UInt32]? = nil
    ) -> [Int] {
        let balancer = LoadBalancer(policy, set, panicThresholdPercent: panic, seed: seed)
        let hosts = set.allEndpoints.count
        var counts = [Int](repeating: 0, count: hosts)
        let active = active ?? [UInt32](repeating: 0, count: hosts)
        for _ in 0..<picks {
            let index = balancer.pick(active: active)
            if index >= 0 { counts[index] += 1 }
        }
        return counts
    }

    @Test func roundRobinOfEqualWeightsIsARotation() {
        let balancer = LoadBalancer(.roundRobin, EndpointSet(endpoints: (0..<4).map { endpoint($0) }), seed: 7)
        let active = [UInt32](repeating: 0, count: 4)
        let picks = (0..<12).map { _ in balancer.pick(active: active) }
        #expect(Set(picks[..<4]) == [0, 1, 2, 3])
        #expect(picks[..<4] == picks[4..<8] && picks[4..<8] == picks[8...])
        #expect((1..<4).allSatisfy { picks[$0] == (picks[$0 - 1] + 1) % 4 })
    }

    @Test func roundRobinFollowsUnequalWeightsExactly() {
        let set = EndpointSet(endpoints: [endpoint(0, weight: 1), endpoint(1, weight: 2), endpoint(2, weight: 5)])
        #expect(counts(.roundRobin, set, picks: 800) == [100, 200, 500])
    }

    @Test func randomIsUniform() {
        let counts = counts(.random, EndpointSet(endpoints: (0..<4).map { endpoint($0) }), picks: 40_000)
        // Standard deviation is 87; six of them.
        #expect(counts.allSatisfy { abs($0 - 10_000) < 520 })
    }

    @Test func leastRequestPrefersTheLessBusyOfTwo() {
        let set = EndpointSet(endpoints: (0..<4).map { endpoint($0) })
        let counts = counts(.leastRequest(choices: 2, bias: 1), set, picks: 16_000, active: [9, 0, 0, 0])
        // The busy host is taken only when both choices are it: one in sixteen.
        #expect(abs(counts[0] - 1_000) < 190)
        #expect(counts[1...].allSatisfy { abs($0 - 5_000) < 350 })
    }

    @Test func leastRequestWithWeightsSlowsABusyHost() {
        let set = EndpointSet(endpoints: [endpoint(0, weight: 2), endpoint(1, weight: 1)])
        let idle = counts(.leastRequest(choices: 2, bias: 1), set, picks: 3_000)
        #expect(abs(idle[0] - 2_000) < 10)
        let busy = counts(.leastRequest(choices: 2, bias: 1), set, picks: 3_000, active: [3, 0])
        // 2 / (3 + 1) against 1: one in three.
        #expect(abs(busy[0] - 1_000) < 10)
        let unbiased = counts(.leastRequest(choices: 2, bias: 0), set, picks: 3_000, active: [3, 0])
        #expect(abs(unbiased[0] - 2_000) < 10)
    }

    @Test func leastRequestLeavesNoHostFarBehind() {
        // A queue simulation: every step starts one request and ends the oldest once 40 are in flight.
        let hosts = 10
        let balancer = LoadBalancer(
            .leastRequest(choices: 2, bias: 1), EndpointSet(endpoints: (0..<hosts).map { endpoint($0) }), seed: 3)
        var active = [UInt32](repeating: 0, count: hosts)
        var flights: [Int] = []
        var worst: UInt32 = 0
        for _ in 0..<20_000 {
            let host = balancer.pick(active: active)
            active[host] += 1
            flights.append(host)
            if flights.count > 40 { active[flights.removeFirst()] -= 1 }
            worst = max(worst, active.max() ?? 0)
        }
        // The mean is 4; random choice alone would reach 14 or so.
        #expect(worst <= 8)
    }

    @Test func unhealthyHostsGetNothingWhileEnoughAreHealthy() {
        let set = EndpointSet(endpoints: [endpoint(0), endpoint(1), endpoint(2), endpoint(3, health: .unhealthy)])
        #expect(counts(.roundRobin, set, picks: 300) == [100, 100, 100, 0])
    }

    @Test func panicUsesEveryHost() {
        let set = EndpointSet(endpoints: [endpoint(0)] + (1..<4).map { endpoint($0, health: .unhealthy) })
        #expect(counts(.roundRobin, set, picks: 400) == [100, 100, 100, 100])
        #expect(counts(.roundRobin, set, picks: 400, panic: 0) == [400, 0, 0, 0])
    }

    @Test func noHostAtAllIsSaid() {
        let balancer = LoadBalancer(.roundRobin, EndpointSet(), seed: 1)
        #expect(balancer.pick(active: [0]) == -1)
        let broken = EndpointSet(endpoints: [endpoint(0, health: .unhealthy)])
        #expect(LoadBalancer(.roundRobin, broken, panicThresholdPercent: 0, seed: 1).pick(active: [0]) == -1)
    }

    @Test func degradedHostsTakeWhatTheHealthyAreNotWorth() {
        let set = EndpointSet(endpoints: [endpoint(0), endpoint(1, health: .degraded)])
        let counts = counts(.roundRobin, set, picks: 10_000)
        #expect(abs(counts[0] - 7_000) < 280)
    }

    @Test func nextPriorityTakesWhatTheFirstIsNotWorth() {
        let set = EndpointSet([
            LocalityEndpoints(priority: 0, endpoints: [endpoint(0), endpoint(1, health: .unhealthy)]),
            LocalityEndpoints(priority: 1, endpoints: [endpoint(2)]),
        ])
        let counts = counts(.roundRobin, set, picks: 10_000)
        #expect(abs(counts[0] - 7_000) < 280)
        #expect(counts[1] == 0)
    }

    @Test func drainingHostsGetNothingWhileOthersAreThere() {
        let set = EndpointSet(endpoints: [endpoint(0, health: .draining), endpoint(1), endpoint(2, health: .draining)])
        #expect(counts(.roundRobin, set, picks: 30, panic: 50) == [0, 30, 0])
    }
}

struct PriorityLoadsTests {
    private typealias Census = PriorityLoads.Census

    @Test(arguments: [
        ([(10, 10, 0)], [100], [0], [false]),
        ([(10, 8, 0), (10, 10, 0)], [100, 0], [0, 0], [false, false]),
        ([(10, 5, 0), (10, 10, 0)], [70, 30], [0, 0], [false, false]),
        ([(10, 0, 0), (10, 10, 0)], [0, 100], [0, 0], [false, false]),
        ([(10, 5, 5)], [70], [30], [false]),
        ([(10, 2, 0), (10, 2, 0)], [50, 50], [0, 0], [true, true]),
        ([(10, 0, 0), (30, 0, 0)], [25, 75], [0, 0], [true, true]),
        ([(10, 6, 0)], [100], [0], [false]),
    ])
    func loads(priorities: [(Int, Int, Int)], healthy: [Int], degraded: [Int], panicking: [Bool]) {
        let loads = PriorityLoads(priorities.map { Census(total: $0.0, healthy: $0.1, degraded: $0.2) })
        #expect(loads.healthy == healthy)
        #expect(loads.degraded == degraded)
        #expect(loads.isPanicking == panicking)
    }

    @Test func excludedHostsTakeNothingFromTheirPriority() {
        let loads = PriorityLoads([Census(total: 10, healthy: 5, degraded: 0, excluded: 5), Census(total: 10, healthy: 10, degraded: 0)])
        #expect(loads.healthy == [100, 0])
        #expect(PriorityLoads([Census(total: 4, healthy: 0, degraded: 0, excluded: 4)]).isPanicking == [true])
    }
}
