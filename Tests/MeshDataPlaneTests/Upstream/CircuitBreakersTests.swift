// SPDX-License-Identifier: Apache-2.0
import MeshModel
import MeshStats
import Testing

@testable import MeshDataPlane

@Suite struct CircuitBreakersTests {
    private let catalog = StatCatalog()

    private func make(_ change: (inout CircuitBreakerThresholds) -> Void) -> (CircuitBreakers, StatPages) {
        var thresholds = CircuitBreakerThresholds()
        change(&thresholds)
        let stats = catalog.declare(.literal("b.")) { CircuitBreakerStats(thresholds, in: &$0) }
        let pages = catalog.makePages()
        stats.setRemaining(thresholds, pages)
        return (CircuitBreakers(thresholds, stats), pages)
    }

    private func stat(_ name: String) -> Int64? { catalog.value(named: "b." + name) }

    @Test func theGaugeIsOpenAtTheLimitAndNotBelow() {
        let (breakers, pages) = make { $0.maxRequests = 2 }
        breakers.requests.add(pages)
        #expect(breakers.requests.hasRoom && stat("rq_open") == 0)
        breakers.requests.add(pages)
        #expect(!breakers.requests.hasRoom && stat("rq_open") == 1)
        // Beyond the limit, as a connection is that a pool may always open.
        breakers.requests.add(pages)
        #expect(!breakers.requests.hasRoom && stat("rq_open") == 1)
        breakers.requests.remove(pages)
        #expect(!breakers.requests.hasRoom && stat("rq_open") == 1)
        breakers.requests.remove(pages)
        #expect(breakers.requests.hasRoom && stat("rq_open") == 0 && breakers.requests.count == 1)
    }

    @Test func whatIsLeftIsCountedOverAllWorkers() {
        let (breakers, first) = make {
            $0.maxConnections = 3
            $0.trackRemaining = true
        }
        let second = catalog.makePages()
        #expect(stat("remaining_cx") == 3)
        breakers.connections.add(first)
        breakers.connections.add(second)
        #expect(stat("remaining_cx") == 1)
        breakers.connections.add(second)
        breakers.connections.add(first)
        #expect(stat("remaining_cx") == 0 && stat("cx_open") == 1)
        // The one that opened it need not be the one that closes it.
        for _ in 0..<2 {
            breakers.connections.remove(first)
            breakers.connections.remove(second)
        }
        #expect(stat("remaining_cx") == 3 && stat("cx_open") == 0)
    }

    @Test func remainingGaugesExistOnlyWhenAskedFor() {
        _ = make { _ in }
        #expect(stat("remaining_cx") == nil && stat("rq_retry_open") == 0)
    }

    @Test func noLimitIsNotCounted() {
        let (breakers, pages) = make { $0.maxRequests = .max }
        for _ in 0..<10 { breakers.requests.add(pages) }
        #expect(breakers.requests.hasRoom && breakers.requests.count == 0)
    }
}
