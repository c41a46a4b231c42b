// SPDX-License-Identifier: Apache-2.0
import MeshIO
import MeshModel
import Testing

@testable import MeshDataPlane

struct ListenerSetTests {
    private static let any6 = Address.ipv6(high: 0, low: 0, port: 80, scope: 0)

    private func rig(_ addresses: [ListenerAddress]) -> DataPlaneRig {
        let rig = DataPlaneRig(unconfiguredWithGlobalLimit: nil)
        for (index, address) in addresses.enumerated() {
            var listener = Listener(name: "l\(index)", addresses: [address])
            listener.filterChains = [DataPlaneRig.chain("c", to: "none")]
            rig.apply(listeners: [listener])
        }
        return rig
    }

    private func find(_ address: Address, in rig: DataPlaneRig) -> String? {
        rig.worker.listenersByAddress.find(address)?.compiled.listener.name
    }

    @Test func anExactAddressBeatsTheWildcardOfItsPort() {
        let rig = rig([
            ListenerAddress(.ipv4(0, port: 80)), ListenerAddress(.ipv4(0x0A00_0001, port: 80)), ListenerAddress(Self.any6),
        ])
        #expect(find(.ipv4(0x0A00_0001, port: 80), in: rig) == "l1")
        #expect(find(.ipv4(0x0A00_0002, port: 80), in: rig) == "l0")
        #expect(find(.ipv4(0x0A00_0001, port: 81), in: rig) == nil)
        #expect(find(.ipv6(high: 1, low: 2, port: 80, scope: 0), in: rig) == "l2")
    }

    @Test func theIPv6WildcardTakesIPv4OnlyWhereItListensForBoth() {
        #expect(find(.ipv4(1, port: 80), in: rig([ListenerAddress(Self.any6)])) == nil)
        #expect(find(.ipv4(1, port: 80), in: rig([ListenerAddress(Self.any6, ipv4Compat: true)])) == "l0")
    }

    @Test func aReplacedListenerIsFoundAndItsPredecessorIsNot() {
        let rig = rig([ListenerAddress(.ipv4(0, port: 80))])
        let old = rig.worker.listenersByAddress.find(.ipv4(0, port: 80))
        var listener = Listener(name: "l0", addresses: [ListenerAddress(.ipv4(0, port: 80))])
        listener.filterChains = [DataPlaneRig.chain("c", to: "none")]
        rig.apply(listeners: [listener])
        let new = rig.worker.listenersByAddress.find(.ipv4(0, port: 80))
        #expect(new != nil && new !== old)
    }
}
