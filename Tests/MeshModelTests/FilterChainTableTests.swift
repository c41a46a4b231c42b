// SPDX-License-Identifier: Apache-2.0
import MeshIO
import MeshModel
import MeshTestKit
import Testing

private func chain(_ change: (inout FilterChainMatch) -> Void) -> FilterChain {
    var match = FilterChainMatch()
    change(&match)
    return FilterChain(
        match: match, terminal: .tcp(TCPTerminal(statPrefix: "t", clusters: [WeightedTarget(cluster: "c")])))
}

private func address(_ text: String, _ port: UInt16) -> Address { Address(ip: text, port: port) ?? .pipe(text) }

private func range(_ text: String, _ length: UInt32) -> CIDRRange {
    CIDRRange(address(text, 0), prefixLength: length) ?? CIDRRange(.ipv4(0, port: 0), prefixLength: 0)!
}

struct FilterChainTableTests {
    private func facts(
        _ local: String = "10.0.0.1", port: UInt16 = 80, from remote: String = "10.9.9.9",
        _ change: (inout ConnectionFacts) -> Void = { _ in }
    ) -> ConnectionFacts {
        var facts = ConnectionFacts(localAddress: address(local, port), remoteAddress: address(remote, 4000))
        change(&facts)
        return facts
    }

    @Test func aNamedPortNeverFallsBackToChainsWithoutPort() throws {
        let table = try FilterChainTable([
            chain { _ in },
            chain {
                $0.destinationPort = 80; $0.transportProtocol = "tls"
            },
        ])
        #expect(table.chain(for: facts(port: 81)) == 0)
        #expect(table.chain(for: facts(port: 80)) == -1)
        #expect(table.chain(for: facts(port: 80) { $0.transportProtocol = .tls }) == 1)
    }

    @Test func longestPrefixOfTheLocalAddressIsTaken() throws {
        let table = try FilterChainTable([
            chain { $0.prefixRanges = [range("10.0.0.0", 8)] },
            chain { $0.prefixRanges = [range("10.0.0.0", 24), range("fd00::", 8)] },
            chain { _ in },
        ])
        #expect(table.chain(for: facts("10.0.0.7")) == 1)
        #expect(table.chain(for: facts("10.1.0.7")) == 0)
        #expect(table.chain(for: facts("fd00::1")) == 1)
        #expect(table.chain(for: facts("fe80::1")) == 2)
        #expect(table.chain(for: facts("/run/socket")) == 2)
    }

    @Test func exactServerNameBeatsTheLongestWildcard() throws {
        let table = try FilterChainTable([
            chain { $0.serverNames = ["*.w.test"] }, chain { $0.serverNames = ["*.b.w.test", "A.W.test"] },
            chain { _ in },
        ])
        func found(_ name: String) -> Int { table.chain(for: facts { $0.serverName = name }) }
        #expect(found("a.w.test") == 1)
        #expect(found("x.y.w.test") == 0)
        #expect(found("x.b.w.test") == 1)
        #expect(found("w.test") == 2)
        #expect(found("") == 2)
    }

    @Test func clientsOrderOfProtocolsDecides() throws {
        let table = try FilterChainTable([
            chain { $0.applicationProtocols = ["http/1.1"] }, chain { $0.applicationProtocols = ["h2", "h2c"] },
            chain { _ in },
        ])
        #expect(table.chain(for: facts { $0.applicationProtocols = ["h2", "http/1.1"] }) == 1)
        #expect(table.chain(for: facts { $0.applicationProtocols = ["http/1.1", "h2"] }) == 0)
        #expect(table.chain(for: facts { $0.applicationProtocols = ["x"] }) == 2)
    }

    @Test func rawBufferIsTheProtocolWithoutAnInspector() throws {
        let table = try FilterChainTable([chain { $0.transportProtocol = "raw_buffer" }])
        #expect(table.chain(for: facts()) == 0)
        #expect(table.chain(for: facts { $0.transportProtocol = .tls }) == -1)
    }

    @Test func sourceTypeTellsLocalFromExternal() throws {
        let table = try FilterChainTable([
            chain { $0.sourceType = .sameIPOrLoopback }, chain { $0.sourceType = .external },
        ])
        #expect(table.chain(for: facts(from: "127.0.0.1")) == 0)
        // As for Envoy, the rest of 127.0.0.0/8 is not the loopback address.
        #expect(table.chain(for: facts(from: "127.0.0.9")) == 1)
        #expect(table.chain(for: facts(from: "10.0.0.1")) == 0)
        #expect(table.chain(for: facts(from: "10.0.0.2")) == 1)
    }

    @Test func overlappingMatchesAreRefused() throws {
        #expect(throws: ResourceError.self) { try FilterChainTable([chain { _ in }, chain { _ in }]) }
        let error = #expect(throws: ResourceError.self) {
            try FilterChainTable([
                chain { $0.sourcePorts = [1, 2] }, chain { $0.sourcePorts = [3] }, chain { $0.sourcePorts = [2] },
            ])
        }
        #expect(error?.path == "filter_chains[2].filter_chain_match")
    }

    @Test(arguments: ["a*.test", "*", "*.*.test", "*a.test"])
    func partialWildcardIsRefused(name: String) {
        #expect(throws: ResourceError.self) { try FilterChainTable([chain { $0.serverNames = [name] }]) }
    }
}

/// The compiled table against a model that narrows the list of chains criterion by criterion.
struct FilterChainPropertyTests {
    private typealias Rank = @Sendable (FilterChainMatch, ConnectionFacts) -> Int?

    private static func networkRank(_ ranges: [CIDRRange], _ address: Address) -> Int? {
        if ranges.isEmpty { return -1 }
        return ranges.filter { $0.contains(address) }.map { Int($0.prefixLength) }.max()
    }

    /// How specifically a chain asks for what the connection has; nil when it asks for something else, -1 when for
    /// nothing.
    private static let ranks: [Rank] = [
        { match, facts in match.destinationPort == nil ? -1 : match.destinationPort == facts.localAddress.port ? 0 : nil
        },
        { match, facts in networkRank(match.prefixRanges, facts.localAddress) },
        { match, facts in
            if match.serverNames.isEmpty { return -1 }
            return match.serverNames.compactMap { name in
                if name == facts.serverName { return 1_000 }
                return name.hasPrefix("*.") && facts.serverName.hasSuffix(name.dropFirst())
                    && facts.serverName.count > name.count - 1 ? name.count : nil
            }.max()
        },
        { match, facts in
            match.transportProtocol.isEmpty
                ? -1 : match.transportProtocol == "\(facts.transportProtocol.text)" ? 0 : nil
        },
        { match, facts in
            if match.applicationProtocols.isEmpty { return -1 }
            return match.applicationProtocols.compactMap {
                facts.applicationProtocols.firstIndex(of: $0).map { 100 - $0 }
            }.max()
        },
        { match, facts in networkRank(match.directSourcePrefixRanges, facts.directRemoteAddress) },
        { match, facts in
            match.sourceType == .any ? -1 : (match.sourceType == .sameIPOrLoopback) == facts.isLocalClient ? 0 : nil
        },
        { match, facts in networkRank(match.sourcePrefixRanges, facts.remoteAddress) },
        { match, facts in
            match.sourcePorts.isEmpty ? -1 : match.sourcePorts.contains { $0 == facts.remoteAddress.port } ? 0 : nil
        },
    ]

    private static func naive(_ chains: [FilterChain], _ facts: ConnectionFacts) -> Int {
        var rest = Array(chains.indices)
        for rank in ranks {
            let ranked = rest.compactMap { index in rank(chains[index].match, facts).map { (index, $0) } }
            guard let best = ranked.map(\.1).max() else { return -1 }
            rest = ranked.filter { $0.1 == best }.map(\.0)
        }
        return rest.count == 1 ? rest[0] : -2
    }

    @Test(arguments: UInt64(1)...80)
    func tableAgreesWithNarrowingTheList(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        let networks = [
            range("10.0.0.0", 8), range("10.0.0.0", 16), range("10.0.0.1", 32), range("127.0.0.0", 8),
            range("fd00::", 8),
        ]
        func some<Value>(_ values: [Value], _ chance: Int) -> [Value] {
            random.below(chance) == 0 ? values.filter { _ in random.below(2) == 0 } : []
        }
        var chains: [FilterChain] = []
        for _ in 0..<(2 + random.below(12)) {
            let new = chain { match in
                if random.below(3) == 0 { match.destinationPort = [80, 443][random.below(2)] }
                match.prefixRanges = some(networks, 3)
                match.serverNames = some(["a.test", "b.a.test", "*.a.test", "*.test"], 3)
                if random.below(2) == 0 { match.transportProtocol = ["tls", "raw_buffer"][random.below(2)] }
                match.applicationProtocols = some(["h2", "http/1.1", "istio"], 3)
                match.directSourcePrefixRanges = some(networks, 8)
                if random.below(6) == 0 { match.sourceType = random.below(2) == 0 ? .external : .sameIPOrLoopback }
                match.sourcePrefixRanges = some(networks, 6)
                match.sourcePorts = some([1, 2], 6)
            }
            // Overlapping chains are refused elsewhere; here only accepted sets are of interest.
            if (try? FilterChainTable(chains + [new])) != nil { chains.append(new) }
        }
        guard let table = try? FilterChainTable(chains) else { return }
        let addresses = ["10.0.0.1", "10.0.5.5", "10.7.0.1", "127.0.0.1", "fd00::1", "192.168.0.1"]
        for _ in 0..<150 {
            var facts = ConnectionFacts(
                localAddress: address(addresses[random.below(6)], [80, 443, 99][random.below(3)]),
                remoteAddress: address(addresses[random.below(6)], [1, 2, 3][random.below(3)]))
            facts.directRemoteAddress = address(addresses[random.below(6)], 9)
            facts.serverName = ["", "a.test", "b.a.test", "c.b.a.test", "x.test", "test"][random.below(6)]
            facts.transportProtocol = random.below(2) == 0 ? .tls : .rawBuffer
            facts.applicationProtocols = [[], ["h2", "http/1.1"], ["http/1.1"], ["x", "istio"]][random.below(4)]
            #expect(table.chain(for: facts) == Self.naive(chains, facts), "\(facts), seed \(seed)")
        }
    }
}
