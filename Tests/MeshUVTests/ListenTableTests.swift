// SPDX-License-Identifier: Apache-2.0
import Glibc
import MeshIO
import MeshUV
import Testing

struct ListenTableTests {
    private let text = """
          sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
           0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
           1: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 2 1 0 100 0 0 10 0
           2: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 3 1 0 100 0 0 10 0
           3: 0100007F:1F90 0100007F:C350 01 00000000:00000000 00:00000000 00000000     0        0 4 1 0 20 4 30 10 -1
        """

    @Test func socketsThatListenOnExactlyTheAddressAreCounted() throws {
        let loopback = try #require(ListenTable.key(of: .ipv4(0x7F00_0001, port: 8080)))
        #expect(loopback == "0100007F:1F90")
        #expect(ListenTable.count(loopback, in: text) == 2)
        #expect(ListenTable.count("00000000:1F90", in: text) == 1)
        #expect(ListenTable.count("0100007F:1F91", in: text) == 0)
        #expect(ListenTable.count(loopback, in: "") == 0)
    }

    @Test func anIPv6AddressIsFourWords() {
        #expect(ListenTable.key(of: .ipv6(high: 0, low: 1, port: 80, scope: 0)) == "00000000000000000000000001000000:0050")
        #expect(ListenTable.key(of: .pipe("/x")) == nil)
    }
}

struct HandOverTests {
    /// Two processes on one address: when the one that listens longer turns clients away, all come to the other.
    @Test func newConnectionsGoToTheSocketsThatStay() throws {
        let rig = Rig()
        let leaving = Acceptor()
        let staying = Acceptor()
        let old = try ListeningSockets.make(for: .ipv4(0x7F00_0001, port: 0), count: 2)
        let new = try ListeningSockets.make(for: old[0].address, count: 2)
        let leavers = old.map { rig.loop.listen($0, acceptsPerWake: 16, handler: leaving) }
        let stayers = new.map { rig.loop.listen($0, acceptsPerWake: 16, handler: staying) }
        var recorders = connect(rig, to: old[0].address, 60)
        rig.run(until: { leaving.streams.count + staying.streams.count == 60 })
        // By hash both get some.
        #expect(!leaving.streams.isEmpty && !staying.streams.isEmpty)

        for listener in leavers { listener.stopHandshakes(siblings: 2) }
        let before = leaving.streams.count
        recorders += connect(rig, to: old[0].address, 60)
        rig.run(until: { staying.streams.count == 120 - before })
        #expect(leaving.streams.count == before)

        for listener in leavers { listener.close() }
        recorders += connect(rig, to: old[0].address, 60)
        rig.run(until: { staying.streams.count == 180 - before })
        #expect(recorders.allSatisfy { $0.isConnected && $0.closed.isEmpty })
        for listener in stayers { listener.close() }
        rig.finish()
    }

    private func connect(_ rig: Rig, to address: Address, _ count: Int) -> [Recorder] {
        (0..<count).map { _ in
            let recorder = Recorder()
            _ = rig.loop.connect(to: address, options: ConnectOptions(), handler: recorder)
            return recorder
        }
    }
}
