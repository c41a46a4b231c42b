// SPDX-License-Identifier: Apache-2.0
import MeshStats
import Testing

struct StatCatalogTests {
    struct Sample: StatGroup {
        let total: CounterID
        let active: GaugeID
        let time: HistogramID

        init(in scope: inout StatScope) {
            total = scope.counter("total", "")
            active = scope.gauge("active", "")
            time = scope.histogram("time", unit: .milliseconds, "")
        }
    }

    let catalog = StatCatalog()
    let pages: StatPages

    init() { pages = catalog.makePages(worker: 0) }

    private func text(_ change: (inout StatQuery) -> Void = { _ in }) -> String {
        var query = StatQuery()
        change(&query)
        return String(decoding: catalog.text(query), as: UTF8.self)
    }

    @Test func scopesOfOneKindHaveTheirOwnRows() {
        let one = catalog.declare(.cluster("a"), Sample.self)
        let other = catalog.declare(.cluster("b"), Sample.self)
        let again = catalog.declare(.cluster("a"), Sample.self)
        pages.add(one.total, 2)
        pages.add(other.total, 3)
        pages.increment(other.active)
        pages.record(one.time, 7)
        #expect(again.total == one.total && again.time == one.time)
        #expect(Set([one.total.row, other.total.row, one.active.row, other.active.row]).count == 4)
        #expect(one.time != other.time)
        #expect(text { $0.kinds = [.counter, .gauge] } == """
            cluster.a.active: 0
            cluster.a.total: 2
            cluster.b.active: 1
            cluster.b.total: 3

            """)
    }

    @Test func anAnnouncedScopeIsListedAndHasNoRowsUntilItIsUsed() {
        catalog.announce(.cluster("a"), Sample.self)
        #expect(text() == "cluster.a.active: 0\ncluster.a.total: 0\ncluster.a.time: No recorded values\n")
        #expect(text { $0.usedOnly = true } == "")
        // The first rows are still free.
        let other = catalog.declare(.cluster("b"), Sample.self)
        #expect(other.total.row == 1)
        let used = catalog.declare(.cluster("a"), Sample.self)
        #expect(used.total.row == 3)
        pages.add(used.total)
        #expect(text { $0.usedOnly = true } == "cluster.a.total: 1\n")
    }

    @Test func aReleasedBlockIsUsedAgainZeroed() {
        let first = catalog.declare(.cluster("a"), Sample.self)
        pages.add(first.total, 5)
        pages.record(first.time, 5)
        catalog.release(.cluster("a"))
        #expect(text() == "")
        let second = catalog.declare(.cluster("b"), Sample.self)
        #expect(second.total == first.total)
        #expect(catalog.value(second.total) == 0)
        #expect(catalog.value(second.time).count == 0)
    }

    @Test func oneRowCountsForSeveralNames() {
        let scope = StatScopeName.cluster("a")
        _ = catalog.declare(scope) { $0.counter("completed", "") }
        let external = catalog.counter("external.200", in: scope, countingFor: ["completed", "200", "2xx"], "")
        let internalOne = catalog.counter("internal.201", in: scope, countingFor: ["completed", "201", "2xx"], "")
        #expect(catalog.counter("external.200", in: scope, countingFor: ["completed", "200", "2xx"], "") == external)
        pages.add(external, 3)
        pages.add(internalOne, 4)
        let time = catalog.histogram("external.time", unit: .milliseconds, in: scope, countingFor: ["time"], "")
        pages.record(time, 9)
        #expect(text { $0.kinds = [.counter] } == """
            cluster.a.200: 3
            cluster.a.201: 4
            cluster.a.2xx: 7
            cluster.a.completed: 7
            cluster.a.external.200: 3
            cluster.a.internal.201: 4

            """)
        #expect(text { $0.kinds = [.histogram]; $0.histogramForm = .cumulative; $0.bucketBounds = { _ in [10] } }
            == "cluster.a.external.time: B10(0,1)\ncluster.a.time: B10(0,1)\n")
    }

    @Test func oneWorkersPartHasANameOfItsOwn() {
        let id = catalog.declare(.listener("a")) { $0.counter("total", "") }
        let other = catalog.makePages(worker: 1)
        for worker in 0..<2 { catalog.show(id, as: "total", in: .listenerWorker("a", worker), ofWorker: worker) }
        pages.add(id, 2)
        other.add(id, 5)
        #expect(text() == "listener.a.total: 7\nlistener.a.worker_0.total: 2\nlistener.a.worker_1.total: 5\n")
    }

    @Test func resetCountersBeginAtZeroAndAreStillUsed() {
        let sample = catalog.declare(.cluster("a"), Sample.self)
        let shown = catalog.declare(.cluster("a")) { $0.counter("alone", "") }
        catalog.show(shown, as: "part", in: .cluster("a"), ofWorker: 0)
        let other = catalog.makePages()
        pages.add(sample.total, 5)
        other.add(sample.total, 6)
        pages.increment(sample.active, 2)
        pages.record(sample.time, 3)
        pages.add(shown)
        catalog.resetCounters()
        #expect(catalog.value(sample.total) == 0)
        pages.add(sample.total, 2)
        #expect(text { $0.usedOnly = true; $0.kinds = [.counter, .gauge] } == """
            cluster.a.active: 2
            cluster.a.alone: 0
            cluster.a.part: 0
            cluster.a.total: 2

            """)
        #expect(catalog.value(sample.time).count == 1)
        catalog.resetCounters()
        #expect(catalog.value(named: "cluster.a.total") == 0)
    }

    @Test func whatIsNotIncludedGetsNoRows() {
        catalog.include { { $0.hasSuffix(".total") || $0.hasPrefix("server.") } }
        let sample = catalog.declare(.cluster("a"), Sample.self)
        #expect(sample.active != .sink)
        catalog.include { { $0.hasPrefix("server.") } }
        let other = catalog.declare(.cluster("b"), Sample.self)
        #expect(other.total == .sink && other.active == .sink && other.time == .sink)
        #expect(catalog.declare(.http("x")) { $0.counter("y", "") } == .sink)
        #expect(catalog.counter("200", in: .http("x"), countingFor: ["2xx"], "") == .sink)
        #expect(catalog.declare(.literal("server.")) { $0.gauge("live", "") } != .sink)
    }

    /// Scopes that lie inside others, sorted as one list.
    @Test func namesOfNestedScopesAreOneSortedList() {
        var generator = SeededGenerator(state: 3)
        let parts = ["a", "b", "a.b", "ab", "a-", "z"]
        var expected: Set<String> = []
        for _ in 0..<300 {
            let prefix = (0..<Int.random(in: 0...3, using: &generator))
                .map { _ in parts[Int.random(in: parts.indices, using: &generator)] + "." }.joined()
            let name = parts[Int.random(in: parts.indices, using: &generator)] + (Bool.random(using: &generator) ? ".x" : "")
            _ = catalog.declare(.literal(prefix)) { $0.counter(name, "") }
            expected.insert(prefix + name)
        }
        let found = text().split(separator: "\n").map { String($0.dropLast(3)) }
        #expect(found.count >= expected.count)
        #expect(Set(found) == expected)
        #expect(found == found.sorted { Array($0.utf8).lexicographicallyPrecedes(Array($1.utf8)) })
    }

    @Test func aScrapeComesInPieces() {
        for index in 0..<200 { _ = catalog.declare(.cluster("c\(index)"), Sample.self) }
        for format in [StatScrape.Format.text, .json, .prometheus] {
            let scrape = StatScrape(catalog, StatQuery(), format)
            var pieces = 0
            var output: [UInt8] = []
            var largest = 0
            while true {
                let before = output.count
                let goesOn = scrape.next(into: &output)
                pieces += 1
                largest = max(largest, output.count - before)
                if !goesOn { break }
            }
            #expect(pieces > 1)
            #expect(largest < StatScrape.rowsPerPiece * 2_200, "\(largest)")
            #expect(output == StatScrape(catalog, StatQuery(), format).all())
        }
    }
}
