// SPDX-License-Identifier: Apache-2.0
import MeshIO
import MeshModel
import Testing

@Suite struct DNSHostsTests {
    private func address(_ last: UInt32, port: UInt16 = 0) -> Address { .ipv4(0x0A00_0000 + last, port: port) }

    private func strict() -> DNSHosts {
        DNSHosts(DNSDiscovery(.strict, [
            DNSLocality(weight: 3, priority: 0, targets: [
                DNSTarget(.name("a.test", port: 80), weight: 2), DNSTarget(.name("b.test", port: 81), hostname: "other"),
            ]),
            DNSLocality(locality: Locality(region: "r"), priority: 1, targets: [DNSTarget(.address(address(9, port: 90)))]),
        ]))
    }

    @Test func nothingIsThereBeforeTheFirstAnswer() {
        #expect(strict().endpoints.allEndpoints.isEmpty)
        #expect(strict().endpoints.localities.map(\.priority) == [0, 1])
    }

    @Test func everyRecordOfEveryNameIsAHostWithItsPort() {
        var hosts = strict()
        #expect(hosts.answered(0, [address(1), address(2), address(1)]) == .changed)
        #expect(hosts.answered(1, [address(3)]) == .changed)
        #expect(hosts.answered(2, [address(9, port: 90)]) == .changed)
        let set = hosts.endpoints
        #expect(set.allEndpoints.map(\.address) == [
            address(1, port: 80), address(2, port: 80), address(3, port: 81), address(9, port: 90),
        ])
        #expect(set.allEndpoints.map(\.hostname) == ["a.test", "a.test", "other", ""])
        #expect(set.allEndpoints.map(\.weight) == [2, 2, 1, 1])
        #expect(set.localities[0].weight == 3 && set.localities[1].locality.region == "r")
    }

    @Test func anotherOrderIsNoChange() {
        var hosts = strict()
        _ = hosts.answered(0, [address(1), address(2)])
        #expect(hosts.answered(0, [address(2), address(1)]) == .unchanged)
        #expect(hosts.endpoints.allEndpoints.map(\.address) == [address(1, port: 80), address(2, port: 80)])
    }

    @Test func hostsThatStayKeepTheirOrder() {
        var hosts = strict()
        _ = hosts.answered(0, [address(1), address(2), address(3)])
        #expect(hosts.answered(0, [address(4), address(3), address(1)]) == .changed)
        #expect(hosts.endpoints.allEndpoints.map(\.address) == [address(1, port: 80), address(3, port: 80), address(4, port: 80)])
    }

    @Test func aStrictNameWithoutAddressesHasNoHosts() {
        var hosts = strict()
        _ = hosts.answered(0, [address(1)])
        #expect(hosts.answered(0, []) == .changed)
        #expect(hosts.endpoints.allEndpoints.isEmpty)
        #expect(hosts.answered(0, []) == .unchanged)
    }

    @Test func aLogicalNameIsOneHostAtItsFirstAddress() {
        var hosts = DNSHosts(DNSDiscovery(.logical, [
            DNSLocality(priority: 4, targets: [DNSTarget(.name("a.test", port: 80))])
        ]))
        #expect(hosts.answered(0, [address(1), address(2)]) == .changed)
        let first = hosts.endpoints.allEndpoints
        #expect(first.count == 1 && first[0].isLogical && first[0].address == address(1, port: 80))
        #expect(first[0].additionalAddresses == [address(2, port: 80)])
        #expect(hosts.endpoints.localities[0].priority == 0)
        #expect(hosts.answered(0, [address(2), address(1)]) == .changed)
        #expect(hosts.endpoints.allEndpoints[0].identity == first[0].identity)
    }

    @Test func aLogicalNameKeepsItsAddressWhenThereIsNone() {
        var hosts = DNSHosts(DNSDiscovery(.logical, [DNSLocality(targets: [DNSTarget(.name("a.test", port: 80))])]))
        _ = hosts.answered(0, [address(1)])
        #expect(hosts.answered(0, []) == .refused)
        #expect(hosts.endpoints.allEndpoints.map(\.address) == [address(1, port: 80)])
    }

    @Test func anAnswerForNobodyChangesNothing() {
        var hosts = strict()
        #expect(hosts.answered(3, [address(1)]) == .refused)
        #expect(hosts.endpoints.allEndpoints.isEmpty)
    }
}
