// SPDX-License-Identifier: Apache-2.0
import MeshIO
import MeshModel
import MeshTestKit
import Testing

@testable import MeshDataPlane

struct ActiveListenerTests {
    private static let httpAddress = Address.ipv4(0x0A01_0010, port: 9001)
    private static let otherAddress = Address.ipv4(0x0A01_0020, port: 9002)

    /// Chains "http" (cluster http) and the default (cluster other); `change` adds matches and filters.
    private func rig(_ change: (inout Listener) -> Void, globalLimit: UInt64? = nil) -> DataPlaneRig {
        let rig = DataPlaneRig(unconfiguredWithGlobalLimit: globalLimit)
        var listener = DataPlaneRig.listener()
        listener.filterChains = [DataPlaneRig.chain("http", to: "http")]
        listener.defaultFilterChain = DataPlaneRig.chain("other", to: "other")
        change(&listener)
        rig.apply(
            clusters: [
                DataPlaneRig.cluster("http", [Self.httpAddress]), DataPlaneRig.cluster("other", [Self.otherAddress]),
            ],
            listeners: [listener])
        return rig
    }

    private func filter(_ kind: ListenerFilterConfig.Kind, disabled: DestinationPredicate? = nil) -> ListenerFilterConfig {
        ListenerFilterConfig(name: "f", kind: kind, disabled: disabled)
    }

    private func inspecting(_ listener: inout Listener) {
        listener.listenerFilters = [filter(.httpInspector)]
        listener.filterChains[0].match.applicationProtocols = ["http/1.1", "h2c"]
    }

    // MARK: Choosing a chain

    @Test func aListenerWithoutFiltersConnectsBeforeTheFirstByte() throws {
        let rig = rig { _ in }
        _ = try rig.client()
        #expect(rig.loop.attempts.map(\.address) == [Self.httpAddress])
    }

    @Test(arguments: [("GET / HTTP/1.1\r\n\r\n", true), ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", true), ("\u{1}binary", false)])
    func theInspectorDecidesTheChainUnderEverySplit(bytes: String, isHTTP: Bool) throws {
        let all = Array(bytes.utf8)
        for split in 0...all.count {
            let rig = rig(inspecting)
            let client = try rig.client()
            #expect(rig.loop.attempts.isEmpty)
            client.send(Array(all[..<split]))
            rig.loop.turn()
            client.send(Array(all[split...]))
            rig.loop.turn()
            #expect(rig.loop.attempts.map(\.address) == [isHTTP ? Self.httpAddress : Self.otherAddress])
            #expect(rig.upstreams.first?.received == all, "split at \(split)")
            #expect(rig.stat("http_inspector.http_not_found") == (isHTTP ? 0 : 1))
            client.sendReset()
            rig.expectNothingLeft("split at \(split)")
        }
    }

    private func inspectingTLS(_ listener: inout Listener) {
        listener.listenerFilters = [filter(.tlsInspector(TLSInspectorOptions())), filter(.httpInspector)]
        listener.filterChains[0].match.transportProtocol = "tls"
        listener.filterChains[0].match.serverNames = ["a.test"]
        listener.filterChains[0].match.applicationProtocols = ["h2"]
    }

    @Test func theTLSInspectorDecidesTheChainUnderEverySplit() throws {
        let all = ClientHello(name: "A.Test", protocols: ["h3", "h2"]).records(of: 50)
        for split in 0...all.count {
            let rig = rig(inspectingTLS)
            let client = try rig.client()
            client.send(Array(all[..<split]))
            rig.loop.turn()
            client.send(Array(all[split...]))
            rig.loop.turn()
            #expect(rig.loop.attempts.map(\.address) == [Self.httpAddress])
            #expect(rig.upstreams.first?.received == all, "split at \(split)")
            let counted = ["tls_found", "sni_found", "alpn_found"].map { rig.stat("tls_inspector.\($0)") }
            #expect(counted == [1, 1, 1], "split at \(split)")
            #expect(rig.stat("http_inspector.http_not_found") == 0)
            client.sendReset()
            rig.expectNothingLeft("split at \(split)")
        }
    }

    @Test func aHelloForAnotherNameIsTLSForAnotherChain() throws {
        let rig = rig(inspectingTLS)
        let client = try rig.client()
        client.send(ClientHello().records())
        rig.loop.turn()
        #expect(rig.loop.attempts.map(\.address) == [Self.otherAddress])
        let counted = ["tls_found", "sni_not_found", "alpn_not_found"].map { rig.stat("tls_inspector.\($0)") }
        #expect(counted == [1, 1, 1])
    }

    @Test func whatIsNotTLSGoesOnToTheNextFilter() throws {
        let rig = rig(inspectingTLS)
        let client = try rig.client()
        client.send("GET / HTTP/1.1\r\n\r\n")
        rig.loop.turn()
        #expect(rig.loop.attempts.map(\.address) == [Self.otherAddress])
        #expect(rig.stat("tls_inspector.tls_not_found") == 1 && rig.stat("http_inspector.http11_found") == 1)
    }

    @Test(arguments: [(256, true), (16_384, false)] as [(UInt32, Bool)])
    func aHelloOverTheLimitClosesTheConnection(limit: UInt32, isClosed: Bool) throws {
        var hello = ClientHello(name: "a.test", protocols: ["h2"])
        hello.extensions.append((21, [UInt8](repeating: 0, count: 400)))
        var options = TLSInspectorOptions()
        options.maxClientHelloBytes = limit
        let rig = rig {
            inspectingTLS(&$0)
            $0.listenerFilters[0] = filter(.tlsInspector(options))
        }
        let client = try rig.client()
        client.send(hello.records())
        rig.loop.turn()
        #expect(client.sawEnd == isClosed)
        #expect(rig.stat("tls_inspector.client_hello_too_large") == (isClosed ? 1 : 0))
        #expect(rig.stat("listener.127.0.0.1_8080.downstream_listener_filter_error") == 0)
        client.sendReset()
        rig.expectNothingLeft()
    }

    @Test func whatIsNotTLSIsClosedWhereTheFilterSaysSo() throws {
        var options = TLSInspectorOptions()
        options.closesOnParsingErrors = true
        let rig = rig { $0.listenerFilters = [filter(.tlsInspector(options))] }
        let client = try rig.client()
        client.send("GET / HTTP/1.1\r\n\r\n")
        rig.loop.turn()
        #expect(client.sawEnd && rig.loop.attempts.isEmpty)
        #expect(rig.stat("tls_inspector.tls_not_found") == 0)
        rig.expectNothingLeft()
    }

    @Test func theInspectorIsSkippedWhereItIsDisabled() throws {
        let rig = rig {
            inspecting(&$0)
            $0.listenerFilters[0].disabled = .port(start: 8080, end: 8081)
        }
        _ = try rig.client()
        #expect(rig.loop.attempts.map(\.address) == [Self.otherAddress])
    }

    @Test func aConnectionForNoChainIsClosedCountedAndLogged() throws {
        let rig = rig {
            $0.filterChains[0].match.destinationPort = 1
            $0.defaultFilterChain = nil
            $0.accessLogs = DataPlaneRig.log()
        }
        let client = try rig.client()
        #expect(client.sawEnd)
        #expect(rig.stat("listener.127.0.0.1_8080.no_filter_chain_match") == 1)
        #expect(rig.stat("listener.127.0.0.1_8080.downstream_cx_total") == 0)
        #expect(rig.lines == ["NR 0 0 0 - - 10.0.0.9:5555 127.0.0.1:8080 0 filter_chain_not_found"])
        rig.expectNothingLeft()
    }

    @Test func theListenersOwnLogHasEveryConnection() throws {
        let rig = rig { $0.accessLogs = DataPlaneRig.log() }
        let client = try rig.client()
        client.send("abc")
        rig.loop.turn()
        client.sendReset()
        rig.loop.turn()
        let line = "- 3 0 0 10.1.0.16:9001 http 10.0.0.9:5555 127.0.0.1:8080 0 -"
        #expect(rig.lines == [line, line])
        #expect(rig.stat("listener.127.0.0.1_8080.downstream_cx_total") == 1)
        #expect(rig.stat("listener.127.0.0.1_8080.downstream_cx_destroy") == 1)
        rig.expectNothingLeft()
    }

    // MARK: Waiting for filters

    @Test func aSilentClientIsClosedAfterTheTimeout() throws {
        let rig = rig {
            inspecting(&$0)
            $0.listenerFiltersTimeout = .milliseconds(100)
        }
        let client = try rig.client()
        #expect(rig.stat("listener.127.0.0.1_8080.downstream_pre_cx_active") == 1)
        rig.loop.advance(byMilliseconds: 99)
        #expect(!client.sawEnd)
        rig.loop.advance(byMilliseconds: 2)
        #expect(client.sawEnd)
        #expect(rig.stat("listener.127.0.0.1_8080.downstream_pre_cx_timeout") == 1)
        #expect(rig.loop.attempts.isEmpty)
        rig.expectNothingLeft()
    }

    @Test func aSilentClientGoesOnAfterTheTimeoutWhereThatIsWanted() throws {
        let rig = rig {
            inspecting(&$0)
            $0.listenerFiltersTimeout = .milliseconds(100)
            $0.continueOnListenerFiltersTimeout = true
        }
        let client = try rig.client()
        client.send("GE")
        rig.loop.advance(byMilliseconds: 101)
        #expect(rig.loop.attempts.map(\.address) == [Self.otherAddress])
        #expect(rig.upstreams.first?.text == "GE")
        #expect(rig.stat("listener.127.0.0.1_8080.downstream_pre_cx_timeout") == 1)
        client.sendReset()
        rig.expectNothingLeft()
    }

    @Test func withoutATimeoutASilentClientWaits() throws {
        let rig = rig {
            inspecting(&$0)
            $0.listenerFiltersTimeout = nil
        }
        let client = try rig.client()
        rig.loop.advance(byMilliseconds: 100_000)
        #expect(!client.sawEnd && rig.loop.attempts.isEmpty)
        client.sendReset()
        rig.expectNothingLeft()
    }

    @Test(arguments: [true, false]) func aClientMayLeaveWhileFiltersWait(byReset: Bool) throws {
        for count in 0...4 {
            let rig = rig(inspecting)
            let client = try rig.client()
            client.send(Array("GET /".utf8.prefix(count)))
            rig.loop.turn()
            if byReset { client.sendReset() } else { client.sendEnd() }
            rig.loop.turn()
            #expect(rig.stat("listener.127.0.0.1_8080.downstream_listener_filter_remote_close") == 1)
            rig.expectNothingLeft("after \(count) bytes")
        }
    }

    // MARK: PROXY protocol

    private static let proxyLine = "PROXY TCP4 203.0.113.7 198.51.100.1 4444 8443\r\n"

    @Test func theProxyHeaderNamesBothEndsUnderEverySplit() throws {
        let all = Array((Self.proxyLine + "payload").utf8)
        for split in 0...all.count {
            let rig = rig {
                $0.listenerFilters = [filter(.proxyProtocol(ProxyProtocolOptions()))]
                $0.filterChains[0].match.destinationPort = 8443
            }
            let client = try rig.client()
            client.send(Array(all[..<split]))
            rig.loop.turn()
            client.send(Array(all[split...]))
            rig.loop.turn()
            #expect(rig.loop.attempts.map(\.address) == [Self.httpAddress])
            #expect(rig.upstreams.first?.text == "payload", "split at \(split)")
            #expect(rig.stat("proxy_proto.versions.v1.found") == 1)
            client.sendReset()
            rig.loop.turn()
            #expect(rig.lines.first?.contains(" 203.0.113.7:4444 198.51.100.1:8443 ") == true)
            rig.expectNothingLeft("split at \(split)")
        }
    }

    @Test func aConnectionWithoutTheRequiredHeaderIsClosed() throws {
        let rig = rig { $0.listenerFilters = [filter(.proxyProtocol(ProxyProtocolOptions()))] }
        let client = try rig.client()
        client.send("GET / HTTP/1.1\r\n\r\n")
        rig.loop.turn()
        #expect(client.sawEnd || client.sawReset)
        #expect(rig.stat("proxy_proto.not_found_disallowed") == 1)
        #expect(rig.stat("listener.127.0.0.1_8080.downstream_listener_filter_error") == 1)
        rig.expectNothingLeft()
    }

    @Test func theInspectorLooksBehindTheProxyHeader() throws {
        let rig = rig {
            inspecting(&$0)
            $0.listenerFilters.insert(filter(.proxyProtocol(ProxyProtocolOptions())), at: 0)
        }
        let client = try rig.client()
        client.send(Self.proxyLine + "GET / HTTP/1.1\r\n\r\n")
        rig.loop.turn()
        #expect(rig.loop.attempts.map(\.address) == [Self.httpAddress])
        #expect(rig.upstreams.first?.text == "GET / HTTP/1.1\r\n\r\n")
    }

    // MARK: Hand-off

    private static let virtualPort = Address.ipv4(0x0A63_0001, port: 3306)

    /// The capturing listener, and unbound ones at `addresses`.
    private func capturing(_ addresses: [Address], _ change: (inout Listener) -> Void = { _ in }) -> DataPlaneRig {
        let rig = rig { $0.useOriginalDestination = true }
        for (index, address) in addresses.enumerated() {
            var target = Listener(name: "target\(index)", addresses: [ListenerAddress(address)])
            target.bindToPort = false
            target.filterChains = [DataPlaneRig.chain("target", to: "other")]
            change(&target)
            rig.apply(listeners: [target])
        }
        return rig
    }

    @Test func aRedirectedConnectionGoesToTheListenerOfItsDestination() throws {
        let wildcard = Address.ipv4(0, port: 3306)
        for (targets, expected) in [([Self.virtualPort, wildcard], "10.99.0.1_3306"), ([wildcard], "0.0.0.0_3306")] {
            let rig = capturing(targets)
            let client = try rig.client(redirectedFrom: Self.virtualPort)
            #expect(rig.loop.attempts.map(\.address) == [Self.otherAddress])
            #expect(rig.stat("listener.\(expected).downstream_cx_active") == 1)
            #expect(rig.stat("listener.127.0.0.1_8080.downstream_cx_total") == 0)
            client.sendReset()
            rig.loop.turn()
            #expect(rig.stat("listener.\(expected).downstream_cx_active") == 0)
            rig.expectNothingLeft()
        }
    }

    @Test func aConnectionForNobodyElseStays() throws {
        let rig = capturing([Address.ipv4(0x0A63_0001, port: 1)])
        _ = try rig.client(redirectedFrom: Self.virtualPort)
        _ = try rig.client(redirectedFrom: DataPlaneRig.listenAddress)
        _ = try rig.client()
        #expect(rig.stat("listener.127.0.0.1_8080.downstream_cx_total") == 3)
    }

    @Test func theTargetsFiltersRunOnTheSameBytes() throws {
        let rig = capturing([Self.virtualPort]) {
            $0.listenerFilters = [ListenerFilterConfig(name: "f", kind: .httpInspector)]
            $0.filterChains[0].match.applicationProtocols = ["http/1.1"]
            $0.defaultFilterChain = DataPlaneRig.chain("d", to: "http")
        }
        let client = try rig.client(redirectedFrom: Self.virtualPort)
        #expect(rig.stat("listener.10.99.0.1_3306.downstream_pre_cx_active") == 1)
        client.send("GET / HTTP/1.1\r\n\r\n")
        rig.loop.turn()
        #expect(rig.loop.attempts.map(\.address) == [Self.otherAddress])
        #expect(rig.stat("listener.10.99.0.1_3306.downstream_pre_cx_active") == 0)
        client.sendReset()
        rig.expectNothingLeft()
    }

    @Test func theTargetsLimitHolds() throws {
        let rig = capturing([Self.virtualPort]) { $0.connectionLimit = 1 }
        let first = try rig.client(redirectedFrom: Self.virtualPort)
        let second = try rig.client(redirectedFrom: Self.virtualPort)
        #expect(!first.sawEnd && second.sawEnd)
        #expect(rig.stat("listener.10.99.0.1_3306.downstream_cx_overflow") == 1)
        first.sendReset()
        rig.loop.turn()
        let third = try rig.client(redirectedFrom: Self.virtualPort)
        #expect(!third.sawEnd)
        third.sendReset()
        rig.expectNothingLeft()
    }

    @Test func anUnboundListenerOpensNoSocketAndARemovedOneIsNotFound() throws {
        let rig = capturing([Self.virtualPort])
        #expect(rig.worker.listenersByAddress.find(Self.virtualPort) != nil)
        rig.apply(removedListeners: ["target0"])
        #expect(rig.worker.listenersByAddress.find(Self.virtualPort) == nil)
    }

    // MARK: Limits and drain

    @Test func theListenersLimitClosesWhatIsTooMuch() throws {
        let rig = rig { $0.connectionLimit = 2 }
        let clients = try (0..<3).map { _ in try rig.client() }
        #expect(clients.map(\.sawEnd) == [false, false, true])
        #expect(rig.stat("listener.127.0.0.1_8080.downstream_cx_overflow") == 1)
        clients[0].sendReset()
        rig.loop.turn()
        let next = try rig.client()
        #expect(!next.sawEnd)
        clients[1].sendReset()
        next.sendReset()
        rig.expectNothingLeft()
    }

    @Test func theGlobalLimitClosesWhatIsTooMuch() throws {
        let rig = rig({ _ in }, globalLimit: 1)
        let first = try rig.client()
        let second = try rig.client()
        #expect(second.sawEnd)
        #expect(rig.stat("listener.127.0.0.1_8080.downstream_global_cx_overflow") == 1)
        #expect(rig.stat("server.total_connections") == 1)
        first.sendReset()
        rig.expectNothingLeft()
    }

    @Test func aListenerMayIgnoreTheGlobalLimit() throws {
        let rig = rig({ $0.ignoreGlobalConnectionLimit = true }, globalLimit: 1)
        let clients = try (0..<3).map { _ in try rig.client() }
        #expect(clients.allSatisfy { !$0.sawEnd })
        for client in clients { client.sendReset() }
        rig.expectNothingLeft()
    }

    @Test func aListenerThatStopsAcceptingLeavesConnectionsAlone() throws {
        let rig = rig { _ in }
        let client = try rig.client()
        for listener in rig.worker.listeners.all { listener.closeSockets() }
        client.send("still")
        rig.loop.turn()
        #expect(rig.upstreams.first?.text == "still")
        client.sendReset()
        rig.expectNothingLeft()
    }
}
