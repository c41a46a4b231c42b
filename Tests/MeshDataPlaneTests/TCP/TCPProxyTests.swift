// SPDX-License-Identifier: Apache-2.0
import MeshIO
import MeshModel
import MeshTestKit
import Testing

@testable import MeshDataPlane

struct TCPProxyTests {
    @Test func bytesPassInBothDirectionsAndAreCounted() throws {
        let rig = DataPlaneRig()
        let (client, upstream) = try rig.pair()
        client.send("question")
        rig.loop.turn()
        #expect(upstream.text == "question")
        upstream.send("the answer")
        rig.loop.turn()
        #expect(client.text == "the answer")
        rig.loop.advance(byMilliseconds: 7)
        client.sendEnd()
        rig.loop.turn()
        #expect(upstream.sawEnd)
        upstream.sendEnd()
        rig.loop.turn()
        #expect(client.sawEnd && !client.sawReset)
        #expect(rig.stat("tcp.t.downstream_cx_total") == 1)
        #expect(rig.stat("tcp.t.downstream_cx_rx_bytes_total") == 8)
        #expect(rig.stat("tcp.t.downstream_cx_tx_bytes_total") == 10)
        #expect(rig.stat("cluster.up.upstream_cx_total") == 1)
        #expect(rig.stat("cluster.up.upstream_cx_tx_bytes_total") == 8)
        #expect(rig.stat("cluster.up.upstream_cx_rx_bytes_total") == 10)
        #expect(rig.stat("cluster.up.upstream_cx_destroy_remote") == 1)
        #expect(rig.lines == ["- 8 10 7 10.1.0.1:9000 up 10.0.0.9:5555 127.0.0.1:8080 0 -"])
        rig.expectNothingLeft()
    }

    @Test func aServerMaySpeakFirst() throws {
        let rig = DataPlaneRig()
        let (client, upstream) = try rig.pair()
        upstream.send("220 ready")
        rig.loop.turn()
        #expect(client.text == "220 ready")
        client.sendReset()
        rig.expectNothingLeft()
    }

    @Test func anEndPassesBehindTheLastByteAndTheOtherDirectionGoesOn() throws {
        let rig = DataPlaneRig()
        let (client, upstream) = try rig.pair()
        client.send([UInt8](repeating: 1, count: 100_000))
        client.sendEnd()
        rig.loop.turn()
        #expect(upstream.received.count == 100_000 && upstream.sawEnd)
        #expect(!client.sawEnd)
        upstream.send("still here")
        rig.loop.turn()
        #expect(client.text == "still here" && !client.sawEnd)
        upstream.sendEnd()
        rig.loop.turn()
        #expect(client.sawEnd)
        rig.expectNothingLeft()
    }

    @Test func anUpstreamMayEndFirst() throws {
        let rig = DataPlaneRig()
        let (client, upstream) = try rig.pair()
        upstream.send("bye")
        upstream.sendEnd()
        rig.loop.turn()
        #expect(client.text == "bye" && client.sawEnd)
        client.send("more")
        rig.loop.turn()
        #expect(upstream.text == "more" && !upstream.sawEnd)
        client.sendEnd()
        rig.loop.turn()
        #expect(upstream.sawEnd)
        #expect(rig.stat("cluster.up.upstream_cx_destroy_local") == 1)
        rig.expectNothingLeft()
    }

    @Test func aLastAnswerIsSentWholeToASlowReaderAfterBothEnds() throws {
        let rig = DataPlaneRig()
        let (client, upstream) = try rig.pair()
        client.stream.receiveBuffer = 1000
        client.stream.pauseReading()
        client.sendEnd()
        upstream.send([UInt8](repeating: 7, count: 50_000))
        upstream.sendEnd()
        rig.loop.turn()
        #expect(client.received.isEmpty && !client.sawEnd)
        #expect(rig.worker.connections.count == 1)
        client.stream.resumeReading()
        rig.loop.turn()
        #expect(client.received.count == 50_000 && client.sawEnd && !client.sawReset)
        rig.expectNothingLeft()
    }

    // MARK: Back-pressure

    @Test(arguments: [true, false]) func aSlowReaderStopsTheWriter(readerIsClient: Bool) throws {
        let limit = 64 * 1024
        let rig = DataPlaneRig(
            cluster: { $0.bufferLimitBytes = UInt32(limit) }, listener: { $0.bufferLimitBytes = UInt32(limit) })
        let (client, upstream) = try rig.pair()
        let (reader, writer) = readerIsClient ? (client, upstream) : (upstream, client)
        reader.stream.receiveBuffer = 10_000
        writer.stream.setBufferLimit(0)
        reader.stream.pauseReading()
        let total = 4 << 20
        writer.send((0..<total).map { UInt8(truncatingIfNeeded: $0 ^ ($0 >> 8)) })
        let before = rig.loop.pool.outstandingBytes
        rig.loop.turn()
        // The writer's own bytes shrink as they leave; what the proxy pins is its watermark and one read more.
        let unsent = writer.stream.output.byteCount
        #expect(unsent > total - limit - 262_144 - 3 * SlabPool.largeCapacity)
        #expect(rig.loop.pool.outstandingBytes <= before + limit + 3 * SlabPool.largeCapacity)
        if readerIsClient {
            #expect(rig.stat("cluster.up.upstream_flow_control_paused_reading_total") == 1)
        } else {
            #expect(rig.stat("tcp.t.downstream_flow_control_paused_reading_total") == 1)
            #expect(rig.stat("cluster.up.upstream_flow_control_backed_up_total") == 1)
        }
        reader.stream.resumeReading()
        rig.loop.turn()
        #expect(reader.received.count == total)
        #expect(reader.received.indices.allSatisfy { reader.received[$0] == UInt8(truncatingIfNeeded: $0 ^ ($0 >> 8)) })
        #expect(
            rig.stat("cluster.up.upstream_flow_control_paused_reading_total")
                == rig.stat("cluster.up.upstream_flow_control_resumed_reading_total"))
        #expect(
            rig.stat("tcp.t.downstream_flow_control_paused_reading_total")
                == rig.stat("tcp.t.downstream_flow_control_resumed_reading_total"))
        client.sendReset()
        rig.expectNothingLeft()
    }

    // MARK: Before the upstream is there

    @Test func clientBytesWaitForTheUpstream() throws {
        let rig = DataPlaneRig()
        rig.loop.register(DataPlaneRig.endpointAddress, .hang)
        let client = try rig.client()
        client.stream.receiveBuffer = 10_000
        client.stream.setBufferLimit(0)
        client.send([UInt8](repeating: 1, count: 1 << 20))
        rig.loop.turn()
        // One large slab and what the pipe carries; the rest is still with the client.
        #expect(client.stream.output.byteCount >= (1 << 20) - 3 * SlabPool.largeCapacity - 262_144)
        #expect(rig.stat("tcp.t.downstream_flow_control_paused_reading_total") == 1)
        rig.accept(at: DataPlaneRig.endpointAddress)
        client.sendReset()
        rig.expectNothingLeft()
    }

    @Test func heldBytesAndTheEndBehindThemArriveAfterARetry() throws {
        let rig = DataPlaneRig(tcp: { $0.maxConnectAttempts = 2 })
        rig.loop.register(DataPlaneRig.endpointAddress, .hang)
        let client = try rig.client()
        client.send([UInt8](repeating: 9, count: 300_000))
        client.sendEnd()
        rig.loop.turn()
        rig.accept(at: DataPlaneRig.endpointAddress)
        rig.loop.advance(byMilliseconds: 5000)
        let upstream = try #require(rig.upstreams.last)
        #expect(upstream.received.count == 300_000 && upstream.sawEnd)
        #expect(rig.stat("cluster.up.upstream_cx_connect_timeout") == 1)
        upstream.sendEnd()
        rig.loop.turn()
        #expect(client.sawEnd)
        #expect(rig.lines.map { $0.prefix(12) } == ["UF 300000 0 "])
        rig.expectNothingLeft()
    }

    @Test func refusedConnectionsAreTriedAgainUpToTheLimit() throws {
        let rig = DataPlaneRig(tcp: { $0.maxConnectAttempts = 3 })
        rig.loop.register(DataPlaneRig.endpointAddress, .refuse(111))
        let client = try rig.client()
        #expect(client.sawEnd && !client.sawReset)
        #expect(rig.loop.attempts.count == 3)
        #expect(rig.stat("cluster.up.upstream_cx_connect_fail") == 3)
        #expect(rig.stat("cluster.up.upstream_cx_connect_attempts_exceeded") == 1)
        #expect(rig.stat("cluster.up.upstream_cx_destroy_remote") == 3)
        #expect(rig.lines == ["UF,URX 0 0 0 10.1.0.1:9000 up 10.0.0.9:5555 127.0.0.1:8080 0 -"])
        rig.expectNothingLeft()
    }

    @Test func aConnectTimeoutEndsTheAttempt() throws {
        let rig = DataPlaneRig(cluster: { $0.connectTimeout = .milliseconds(250) })
        rig.loop.register(DataPlaneRig.endpointAddress, .hang)
        let client = try rig.client()
        rig.loop.advance(byMilliseconds: 249)
        #expect(!client.sawEnd)
        rig.loop.advance(byMilliseconds: 2)
        #expect(client.sawEnd)
        #expect(rig.stat("cluster.up.upstream_cx_connect_timeout") == 1)
        #expect(rig.stat("cluster.up.upstream_cx_connect_fail") == 1)
        #expect(rig.stat("cluster.up.upstream_cx_destroy_local") == 1)
        #expect(rig.lines.first?.hasPrefix("UF,URX ") == true)
        rig.expectNothingLeft()
    }

    @Test func undeliveredClientBytesAreAnsweredWithAReset() throws {
        let rig = DataPlaneRig(cluster: { $0.connectTimeout = .milliseconds(250) })
        rig.loop.register(DataPlaneRig.endpointAddress, .hang)
        let client = try rig.client()
        client.send("lost")
        rig.loop.advance(byMilliseconds: 300)
        #expect(client.sawReset)
        rig.expectNothingLeft()
    }

    @Test func aMissingClusterIsNoRoute() throws {
        let rig = DataPlaneRig(tcp: { $0.clusters = [WeightedTarget(cluster: "unknown")] })
        let client = try rig.client()
        #expect(client.sawEnd)
        #expect(rig.stat("tcp.t.downstream_cx_no_route") == 1)
        #expect(rig.lines == ["NC 0 0 0 - - 10.0.0.9:5555 127.0.0.1:8080 0 -"])
        rig.expectNothingLeft()
    }

    @Test func aClusterWithoutEndpointsIsUnhealthy() throws {
        let rig = DataPlaneRig(cluster: { $0.discovery = .static(EndpointSet()) })
        let client = try rig.client()
        #expect(client.sawEnd)
        #expect(rig.stat("cluster.up.upstream_cx_none_healthy") == 1)
        #expect(rig.lines == ["UH 0 0 0 - up 10.0.0.9:5555 127.0.0.1:8080 0 -"])
        rig.expectNothingLeft()
    }

    @Test func theConnectionBreakerRefusesAndReleases() throws {
        let rig = DataPlaneRig(cluster: { $0.breakers.maxConnections = 1 })
        let (first, _) = try rig.pair()
        let second = try rig.client()
        #expect(second.sawEnd)
        #expect(rig.stat("cluster.up.upstream_cx_overflow") == 1)
        #expect(rig.lines.first?.hasPrefix("UO 0 0 ") == true)
        first.sendReset()
        rig.loop.turn()
        let third = try rig.client()
        #expect(!third.sawEnd && rig.upstreams.count == 2)
        third.sendReset()
        rig.expectNothingLeft()
    }

    @Test func connectionsAreSpreadByWeight() throws {
        let other = Address.ipv4(0x0A01_0002, port: 9000)
        let rig = DataPlaneRig(tcp: {
            $0.clusters = [WeightedTarget(cluster: "up", weight: 3), WeightedTarget(cluster: "other", weight: 1)]
        })
        rig.apply(clusters: [DataPlaneRig.cluster("other", [other])])
        for _ in 0..<400 { try rig.client().sendReset() }
        rig.loop.turn()
        let share = rig.loop.attempts.filter { $0.address == other }.count
        // Binomial, 400 × 1/4: 100 ± 4 standard deviations of 8.7.
        #expect((65...135).contains(share))
        rig.expectNothingLeft()
    }

    // MARK: Time

    @Test func anIdleConnectionEndsAfterTheTimeoutAndNotBefore() throws {
        let rig = DataPlaneRig(tcp: { $0.idleTimeout = .milliseconds(1000) })
        let (client, upstream) = try rig.pair()
        rig.loop.advance(byMilliseconds: 900)
        client.send("a")
        rig.loop.advance(byMilliseconds: 900)
        upstream.send("b")
        rig.loop.advance(byMilliseconds: 999)
        #expect(!client.sawEnd && !upstream.sawEnd)
        rig.loop.advance(byMilliseconds: 2)
        #expect(client.sawEnd && upstream.sawEnd)
        #expect(rig.stat("tcp.t.idle_timeout") == 1)
        #expect(rig.lines.first?.hasPrefix("- 1 1 2800 ") == true, "\(rig.lines)")
        rig.expectNothingLeft()
    }

    @Test func aSlowReaderIsNotIdleWhileItReads() throws {
        let rig = DataPlaneRig(tcp: { $0.idleTimeout = .milliseconds(1000) })
        let (client, upstream) = try rig.pair()
        client.stream.receiveBuffer = 1000
        client.readsOnce = true
        upstream.send([UInt8](repeating: 3, count: 20_000))
        rig.loop.turn()
        for _ in 0..<10 {
            rig.loop.advance(byMilliseconds: 900)
            client.stream.resumeReading()
            rig.loop.turn()
        }
        #expect(rig.worker.connections.count == 1)
        #expect(client.received.count == 11_000)
        rig.loop.advance(byMilliseconds: 2001)
        #expect(client.sawReset, "20,000 bytes were promised and not sent")
        rig.expectNothingLeft()
    }

    @Test func aConnectionHasALongestLife() throws {
        let rig = DataPlaneRig(tcp: { $0.maxDuration = .milliseconds(500) })
        let (client, upstream) = try rig.pair()
        for _ in 0..<49 {
            rig.loop.advance(byMilliseconds: 10)
            client.send("x")
        }
        #expect(!client.sawEnd)
        rig.loop.advance(byMilliseconds: 11)
        #expect(client.sawEnd || client.sawReset)
        #expect(upstream.sawEnd || upstream.sawReset)
        #expect(rig.stat("tcp.t.max_downstream_connection_duration") == 1)
        #expect(rig.lines.first?.hasPrefix("DT ") == true)
        rig.expectNothingLeft()
    }

    // MARK: Resets

    @Test func aClientResetAtEveryByteReleasesEverything() throws {
        let message = Array("0123456789".utf8)
        for count in 0...message.count {
            let rig = DataPlaneRig()
            let (client, upstream) = try rig.pair()
            client.stream.resetAfterSending = UInt64(count)
            client.send(message)
            upstream.send("answer")
            rig.loop.turn()
            #expect(upstream.sawReset, "after \(count) bytes")
            #expect(String(decoding: message[..<count], as: UTF8.self).hasPrefix(upstream.text))
            rig.expectNothingLeft("after \(count) bytes")
        }
    }

    @Test func anUpstreamResetAtEveryByteReachesTheClientBehindTheBytes() throws {
        let message = Array("0123456789".utf8)
        for count in 0...message.count {
            let rig = DataPlaneRig()
            let (client, upstream) = try rig.pair()
            client.send("question")
            rig.loop.turn()
            upstream.stream.resetAfterSending = UInt64(count)
            upstream.send(message)
            rig.loop.turn()
            #expect(client.sawReset, "after \(count) bytes")
            #expect(client.text == String(decoding: message[..<count], as: UTF8.self))
            #expect(rig.lines.first?.hasPrefix("UR 8 \(count) ") == true)
            rig.expectNothingLeft("after \(count) bytes")
        }
    }

    @Test func anUpstreamResetWaitsForASlowClientButNotForEver() throws {
        let rig = DataPlaneRig(tcp: { $0.idleTimeout = .milliseconds(1000) })
        let (client, upstream) = try rig.pair()
        client.stream.receiveBuffer = 100
        client.stream.pauseReading()
        upstream.stream.resetAfterSending = 5000
        upstream.send([UInt8](repeating: 1, count: 5000))
        rig.loop.turn()
        #expect(rig.worker.connections.count == 1)
        #expect(rig.stat("cluster.up.upstream_cx_active") == 0)
        rig.loop.advance(byMilliseconds: 2001)
        #expect(client.sawReset)
        rig.expectNothingLeft()
    }

    @Test func aClientThatLeavesBeforeTheUpstreamIsThereIsForgotten() throws {
        let rig = DataPlaneRig()
        rig.loop.register(DataPlaneRig.endpointAddress, .hang)
        let client = try rig.client()
        client.sendReset()
        rig.loop.turn()
        #expect(rig.lines.first?.hasPrefix("DC 0 0 ") == true)
        rig.expectNothingLeft()
    }

    @Test func closingEverythingClosesBothSides() throws {
        let rig = DataPlaneRig()
        let (client, upstream) = try rig.pair()
        rig.worker.connections.forEach { $0.closeNow() }
        rig.loop.turn()
        #expect(client.sawEnd && upstream.sawEnd)
        rig.expectNothingLeft()
    }

    // MARK: Original destination

    @Test func anOriginalDestinationClusterConnectsToTheRestoredAddress() throws {
        let destination = Address.ipv4(0x0A02_0003, port: 3306)
        let rig = DataPlaneRig(
            cluster: { $0.discovery = .originalDestination(OriginalDestinationOptions()) },
            listener: { $0.useOriginalDestination = true })
        rig.accept(at: destination)
        let client = try rig.client(redirectedFrom: destination)
        #expect(rig.loop.attempts.map(\.address) == [destination])
        client.sendReset()
        rig.loop.turn()
        #expect(rig.lines.first?.contains(" 10.2.0.3:3306 up 10.0.0.9:5555 10.2.0.3:3306 ") == true, "\(rig.lines)")
        rig.expectNothingLeft()
    }

    @Test func withoutARedirectThereIsNoOriginalDestination() throws {
        let rig = DataPlaneRig(
            cluster: { $0.discovery = .originalDestination(OriginalDestinationOptions()) },
            listener: { $0.useOriginalDestination = true })
        let client = try rig.client()
        #expect(client.sawEnd)
        #expect(rig.lines.first?.hasPrefix("UH ") == true)
        rig.expectNothingLeft()
    }
}
