// SPDX-License-Identifier: Apache-2.0
package import MeshIO
package import MeshStats

/// What resolvers do. Scope `dns.cares.`.
package struct DNSResolverStats: Sendable {
    let resolutions: CounterID
    let pending: GaugeID
    let notFound: CounterID
    let timeouts: CounterID
    let failures: CounterID
    let reinits: CounterID

    package init(catalog: StatCatalog) {
        self = catalog.declare(.literal("dns.cares.")) { DNSResolverStats(in: &$0) }
    }

    private init(in scope: inout StatScope) {
        resolutions = scope.counter("resolve_total", "Questions asked.")
        pending = scope.gauge("pending_resolutions", "Questions without an answer yet.")
        notFound = scope.counter("not_found", "Names without an address.")
        timeouts = scope.counter("timeouts", "Servers that did not answer in time.")
        failures = scope.counter("get_addr_failure", "Questions that failed in another way.")
        reinits = scope.counter("reinits", "Times the resolver was made anew.")
    }

    /// - Parameter pages: of the loop that the resolver is on.
    package func count(_ event: ResolverEvent, _ pages: StatPages) {
        switch event {
        case .asked:
            pages.add(resolutions)
            pages.increment(pending)
        case .ended: pages.decrement(pending)
        case .notFound: pages.add(notFound)
        case .timedOut(let count): pages.add(timeouts, UInt64(max(count, 0)))
        case .failed: pages.add(failures)
        case .madeAnew: pages.add(reinits)
        }
    }
}
