// SPDX-License-Identifier: Apache-2.0
import Glibc
import MeshStats
import Testing

struct StatPagesTests {
    let catalog = StatCatalog()

    @Test func countersAddUpOverThreads() {
        let id = catalog.declare(.root) { $0.counter("requests", "") }
        let (one, two) = (catalog.makePages(), catalog.makePages())
        one.add(id)
        one.add(id, 4)
        two.add(id, 10)
        #expect(catalog.value(id) == 15)
        #expect(one.value(id) == 5)
    }

    @Test func gaugesRaisedOnOneThreadMayBeLoweredOnAnother() {
        let id = catalog.declare(.root) { $0.gauge("active", "") }
        let (one, two) = (catalog.makePages(), catalog.makePages())
        one.increment(id, 3)
        two.decrement(id, 2)
        #expect(catalog.value(id) == 1)
        #expect(two.value(id) == -2)
    }

    @Test func aGaugeSetToZeroCountsAsUsed() {
        let id = catalog.declare(.root) { $0.gauge("state", "") }
        let pages = catalog.makePages()
        #expect(pages.value(id) == nil)
        pages.set(id, 0)
        #expect(pages.value(id) == 0)
    }

    @Test func sameNameInTheSameScopeIsOneRow() {
        let first = catalog.declare(.http("in")) { $0.counter("downstream_rq_total", "") }
        let second = catalog.declare(.http("in")) { $0.counter("downstream_rq_total", "") }
        let other = catalog.declare(.http("out")) { $0.counter("downstream_rq_total", "") }
        #expect(first == second)
        #expect(first != other)
    }

    @Test func aReleasedScopeGivesItsRowsBackZeroed() {
        let pages = catalog.makePages()
        let (count, time) = catalog.declare(.cluster("a")) {
            ($0.counter("upstream_rq_total", ""), $0.histogram("upstream_rq_time", unit: .milliseconds, ""))
        }
        pages.add(count, 7)
        pages.record(time, 7)
        catalog.release(.cluster("a"))
        #expect(catalog.value(named: "cluster.a.upstream_rq_total") == nil)
        let (again, timeAgain) = catalog.declare(.cluster("b")) {
            ($0.counter("upstream_rq_total", ""), $0.histogram("upstream_rq_time", unit: .milliseconds, ""))
        }
        #expect(again == count)
        #expect(timeAgain == time)
        #expect(catalog.value(again) == 0)
        #expect(catalog.value(timeAgain).count == 0)
    }

    @Test func aScopeSharedByTwoOwnersSurvivesTheFirstRelease() {
        let pages = catalog.makePages()
        let id = catalog.declare(.cluster("a")) { $0.counter("x", "") }
        _ = catalog.declare(.cluster("a")) { $0.counter("x", "") }
        pages.add(id)
        catalog.release(.cluster("a"))
        #expect(catalog.value(named: "cluster.a.x") == 1)
    }

    @Test func theSinkIsNeverPrinted() {
        let pages = catalog.makePages()
        pages.add(.sink, 5)
        pages.record(.sink, 5)
        #expect(catalog.text(StatQuery()).isEmpty)
    }

    @Test func tenThousandScopesCostOnlyTheRowsTheyTouch() {
        let pages = catalog.makePages()
        var last = CounterID.sink
        for index in 0..<10_000 {
            last = catalog.declare(.cluster("c\(index)")) { scope in
                for stat in 0..<20 { _ = scope.counter("s\(stat)", "") }
                return scope.counter("last", "")
            }
        }
        pages.add(last, 9)
        #expect(catalog.value(named: "cluster.c9999.last") == 9)
        #expect(catalog.refusedCount == 0)
    }
}

/// A reader on another thread sees values that only grow, while the owner writes without any lock.
struct ConcurrentReadTests {
    final class Shared: Sendable {
        let catalog = StatCatalog()
        let id: CounterID
        let histogram: HistogramID
        init() {
            (id, histogram) = catalog.declare(.root) { ($0.counter("n", ""), $0.histogram("h", unit: .none, "")) }
        }
    }

    @Test func readersSeeGrowingCountsWhileTheOwnerWrites() {
        let shared = Shared()
        var thread = pthread_t()
        let argument = Unmanaged.passRetained(shared)
        pthread_create(&thread, nil, { raw in
            guard let raw else { return nil }
            let shared = Unmanaged<Shared>.fromOpaque(raw).takeRetainedValue()
            let pages = shared.catalog.makePages()
            for value in 0..<200_000 {
                pages.add(shared.id)
                pages.record(shared.histogram, UInt64(value))
            }
            return nil
        }, argument.toOpaque())
        var previous: UInt64 = 0
        var grew = true
        for _ in 0..<2_000 {
            let now = shared.catalog.value(shared.id)
            if now < previous { grew = false }
            previous = now
            _ = shared.catalog.value(shared.histogram).count
        }
        pthread_join(thread, nil)
        #expect(grew)
        #expect(shared.catalog.value(shared.id) == 200_000)
        #expect(shared.catalog.value(shared.histogram).count == 200_000)
        #expect(shared.catalog.value(shared.histogram).sum == 199_999 * 100_000)
    }
}
