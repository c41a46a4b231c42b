// SPDX-License-Identifier: Apache-2.0

/// What becomes of the hosts of one list when another takes its place.
package struct EndpointDiff: Equatable, Sendable {
    /// For each host of the new list its place in the old one; -1 for a host that was not there.
    package let origins: [Int]
    /// Places in the old list of hosts that are gone, ascending.
    package let removed: [Int]

    /// How many hosts are new.
    package var addedCount: Int { origins.count { $0 < 0 } }
    /// Whether hosts came or went; weights, health and order do not count.
    package var changesMembership: Bool { !removed.isEmpty || origins.contains { $0 < 0 } }

    /// A host listed twice is two hosts, matched in order.
    package init(from old: [Endpoint], to new: [Endpoint]) {
        var places: [Endpoint.Identity: [Int]] = [:]
        // Backwards, so that the first of equal ones is taken first.
        for index in old.indices.reversed() { places[old[index].identity, default: []].append(index) }
        var isKept = [Bool](repeating: false, count: old.count)
        origins = new.map { endpoint in
            guard let place = places[endpoint.identity]?.popLast() else { return -1 }
            isKept[place] = true
            return place
        }
        removed = old.indices.filter { !isKept[$0] }
    }
}
