// SPDX-License-Identifier: Apache-2.0
import Glibc
import MeshIO
import MeshUV
import Testing

struct UVListenerTests {
    @Test func aThousandConnectionsEcho() throws {
        let rig = Rig()
        let acceptor = Acceptor()
        acceptor.prepare = { $0.echoes = true }
        let address = try rig.listen(acceptsPerWake: 16, acceptor)
        var clients: [Recorder] = []
        var streams: [ByteStream] = []
        for index in 0..<1000 {
            let recorder = Recorder()
            clients.append(recorder)
            let stream = rig.loop.connect(to: address, options: ConnectOptions(), handler: recorder)
            stream.write(pattern(20, from: index))
            streams.append(stream)
        }
        rig.run(until: { clients.allSatisfy { $0.receivedCount == 20 } })
        for (index, client) in clients.enumerated() { #expect(client.received == pattern(20, from: index)) }
        // Nothing is pending anywhere, so a thousand idle connections hold no slab.
        #expect(rig.loop.pool.outstandingSlabs == 0)
        for stream in streams { stream.close() }
        rig.run(until: { acceptor.recorders.allSatisfy(\.isEnded) })
        acceptor.listener?.close()
        rig.finish()
    }

    @Test func aPausedListenerLeavesConnectionsInTheQueue() throws {
        let rig = Rig()
        let acceptor = Acceptor()
        let address = try rig.listen(acceptor)
        acceptor.listener?.pause()
        let recorder = Recorder()
        _ = rig.loop.connect(to: address, options: ConnectOptions(), handler: recorder)
        rig.run(until: { recorder.isConnected })
        for _ in 0..<5 { rig.loop.turn() }
        #expect(acceptor.streams.isEmpty)
        acceptor.listener?.resume()
        rig.run(until: { acceptor.streams.count == 1 })
        acceptor.listener?.close()
        rig.finish()
    }

    @Test func closingAcceptsWhatTheKernelHasQueued() throws {
        let rig = Rig()
        let acceptor = Acceptor()
        let address = try rig.listen(acceptor)
        acceptor.listener?.pause()
        let recorders = (0..<5).map { _ in Recorder() }
        for recorder in recorders {
            _ = rig.loop.connect(to: address, options: ConnectOptions(), handler: recorder)
        }
        rig.run(until: { recorders.allSatisfy(\.isConnected) })
        acceptor.listener?.close()
        #expect(acceptor.streams.count == 5)
        // The address is free again.
        let late = Recorder()
        _ = rig.loop.connect(to: address, options: ConnectOptions(), handler: late)
        rig.run(until: { !late.closed.isEmpty })
        #expect(late.closed == [.connectFailed(ECONNREFUSED)])
        rig.finish()
    }

    @Test func outOfDescriptorsOneIsThrownAwayAndTheRestWait() async {
        // In a process of its own: the limit is the process's.
        await #expect(processExitsWith: .success) {
            let rig = Rig()
            let acceptor = Acceptor()
            let address = try rig.listen(acceptsPerWake: 100, acceptor)
            // Clients first, as plain sockets, so that accepting is what fails.
            acceptor.listener?.pause()
            var clients: [Int32] = []
            for _ in 0..<20 {
                let client = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
                let status = address.withSocketAddress { connect(client, $0, $1) }
                guard status == 0 else { exit(2) }
                clients.append(client)
            }
            // Descriptors are given out lowest first: at most this many more can be opened.
            let next = dup(0)
            close(next)
            var limit = rlimit(rlim_cur: rlim_t(next) + 8, rlim_max: 20_000)
            guard setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { exit(3) }
            acceptor.listener?.resume()
            rig.run(until: { acceptor.exhausted >= 1 })
            let first = acceptor.streams.count
            guard first >= 1, first <= 8 else { exit(4) }
            // Room again: after the pause the others are accepted.
            limit.rlim_cur = 1000
            guard setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { exit(5) }
            rig.run(until: { acceptor.streams.count == 19 })
            guard acceptor.exhausted == 1 else { exit(6) }
            exit(0)
        }
    }
}

struct ListeningSocketsTests {
    @Test func socketsOfOneAddressShareAPortTheKernelChose() throws {
        let sockets = try ListeningSockets.make(for: .ipv4(0x7F00_0001, port: 0), count: 4)
        #expect(sockets.count == 4)
        #expect(Set(sockets.map(\.address)).count == 1)
        #expect(sockets[0].address.port != 0)
        #expect(Set(sockets.map(\.descriptor)).count == 4)
        ListeningSockets.close(sockets)
    }

    @Test func anAddressThatIsNotOursIsNamedInTheError() throws {
        let error = try #require(throws: ListenError.self) {
            try ListeningSockets.make(for: .ipv4(0xC000_0201, port: 4711), count: 2)
        }
        #expect(error.step == .bind && error.code == EADDRNOTAVAIL)
        #expect(error.description == "cannot bind 192.0.2.1:4711: Cannot assign requested address")
    }

    @Test func anIPv6WildcardTakesIPv4OnlyWhenAsked() throws {
        let rig = Rig()
        var options = ListenOptions()
        options.isIPv4Compatible = true
        let wildcard = Address.ipv6(high: 0, low: 0, port: 0, scope: 0)
        let dual = try ListeningSockets.make(for: wildcard, count: 1, options: options)
        let acceptor = Acceptor()
        acceptor.listener = rig.loop.listen(dual[0], acceptsPerWake: 1, handler: acceptor)
        let port = try #require(dual[0].address.port)
        let recorder = Recorder()
        _ = rig.loop.connect(to: .ipv4(0x7F00_0001, port: port), options: ConnectOptions(), handler: recorder)
        rig.run(until: { acceptor.streams.count == 1 })
        #expect(acceptor.streams[0].localAddress == .ipv4(0x7F00_0001, port: port))
        acceptor.listener?.close()

        let single = try ListeningSockets.make(for: wildcard, count: 1)
        let refused = Recorder()
        let onlyPort = try #require(single[0].address.port)
        _ = rig.loop.connect(to: .ipv4(0x7F00_0001, port: onlyPort), options: ConnectOptions(), handler: refused)
        rig.run(until: { !refused.closed.isEmpty })
        #expect(refused.closed == [.connectFailed(ECONNREFUSED)])
        ListeningSockets.close(single)
        rig.finish()
    }

    @Test(arguments: [true, false])
    func unixSocketsConnectAndShareOneQueue(isAbstract: Bool) throws {
        let rig = Rig()
        let name = "apus-test-\(getpid())-\(UInt32.random(in: 0 ... .max))"
        let address = Address.pipe(isAbstract ? "@" + name : "/tmp/" + name)
        var options = ListenOptions()
        options.mode = 0o600
        let sockets = try ListeningSockets.make(for: address, count: 2, options: options)
        #expect(sockets.count == 2 && sockets.allSatisfy(\.isShared))
        let acceptors = [Acceptor(), Acceptor()]
        for (acceptor, socket) in zip(acceptors, sockets) {
            acceptor.prepare = { $0.echoes = true }
            acceptor.listener = rig.loop.listen(socket, acceptsPerWake: 1, handler: acceptor)
        }
        // One worker stops: the queue stays with the other.
        acceptors[0].listener?.close()
        let recorder = Recorder()
        let stream = rig.loop.connect(to: address, options: ConnectOptions(), handler: recorder)
        #expect(!recorder.isConnected)
        stream.write(pattern(3000))
        rig.run(until: { recorder.receivedCount == 3000 })
        #expect(recorder.isConnected && acceptors[1].streams.count == 1)
        if !isAbstract {
            var status = stat()
            #expect(stat("/tmp/" + name, &status) == 0 && status.st_mode & 0o777 == 0o600)
            // In use: not stolen.
            #expect(throws: ListenError(step: .bind, code: EADDRINUSE, address: address)) {
                try ListeningSockets.make(for: address, count: 1)
            }
        }
        acceptors[1].listener?.close()
        if !isAbstract {
            // Left behind: taken over.
            let again = try ListeningSockets.make(for: address, count: 1)
            ListeningSockets.close(again)
            unlink("/tmp/" + name)
        }
        rig.finish()
    }
}
