// SPDX-License-Identifier: Apache-2.0
import MeshIO
import MeshModel
import MeshTestKit
import Testing

@Suite struct EndpointDiffTests {
    private func host(_ number: UInt32, weight: UInt32 = 1) -> Endpoint {
        Endpoint(.ipv4(0x0A00_0000 + number, port: 80), weight: weight)
    }

    @Test func hostsThatStayAreFoundWhereverTheyMoved() {
        let diff = EndpointDiff(from: [host(1), host(2), host(3)], to: [host(3), host(4), host(1, weight: 9)])
        #expect(diff.origins == [2, -1, 0])
        #expect(diff.removed == [1])
        #expect(diff.addedCount == 1 && diff.changesMembership)
    }

    @Test func weightAndHealthAreNotIdentity() {
        var ill = host(1, weight: 7)
        ill.health = .unhealthy
        let diff = EndpointDiff(from: [host(1)], to: [ill])
        #expect(diff.origins == [0] && diff.removed.isEmpty && !diff.changesMembership)
    }

    @Test func anotherNameOrMoreAddressesMakeAnotherHost() {
        var named = host(1)
        named.hostname = "a"
        var doubled = host(1)
        doubled.additionalAddresses = [.ipv4(9, port: 80)]
        #expect(EndpointDiff(from: [host(1)], to: [named]).removed == [0])
        #expect(EndpointDiff(from: [host(1)], to: [doubled]).removed == [0])
    }

    @Test func aLogicalHostKeepsItsIdentityAtAnotherAddress() {
        var old = host(1), new = host(2)
        for name in ["h"] {
            (old.hostname, new.hostname) = (name, name)
            (old.isLogical, new.isLogical) = (true, true)
        }
        new.additionalAddresses = [.ipv4(9, port: 80)]
        #expect(EndpointDiff(from: [old], to: [new]).origins == [0])
    }

    @Test func aHostListedTwiceIsTwoHostsInOrder() {
        let diff = EndpointDiff(from: [host(1), host(1)], to: [host(1), host(1), host(1)])
        #expect(diff.origins == [0, 1, -1])
        #expect(EndpointDiff(from: [host(1), host(1)], to: [host(1)]).removed == [1])
    }

    @Test func everyOldHostIsKeptOnceOrRemoved() {
        var random = RandomStream(seed: 7)
        for _ in 0..<500 {
            func list() -> [Endpoint] { (0..<random.next(below: 9)).map { _ in host(UInt32(random.next(below: 6))) } }
            let (old, new) = (list(), list())
            let diff = EndpointDiff(from: old, to: new)
            let kept = diff.origins.filter { $0 >= 0 }
            #expect(Set(kept).count == kept.count)
            #expect((kept + diff.removed).sorted() == Array(old.indices))
            for (index, origin) in diff.origins.enumerated() where origin >= 0 {
                #expect(old[origin].address == new[index].address)
            }
            // As many of each host stay as both lists have.
            for number in UInt32(0)..<6 {
                let address = host(number).address
                let stay = kept.count { old[$0].address == address }
                #expect(stay == min(old.count { $0.address == address }, new.count { $0.address == address }))
            }
        }
    }
}
