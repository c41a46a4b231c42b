// SPDX-License-Identifier: Apache-2.0
import MeshIO

/// The filter chains of a listener by what they match, compiled.
///
/// Nine criteria in a fixed order: destination port, destination address, server name, transport protocol, application
/// protocol, direct source address, source type, source address, source port. At each, the most specific value for
/// which any remaining chain asks is taken, and never gone back on: a chain that would match may be shadowed by one
/// that was more specific earlier and fails later. Order in the configuration does not matter.
package struct FilterChainTable: Sendable {
    /// A node is one criterion, with the chains that agree on all criteria before it.
    private struct Node {
        var children: [Key: Int32] = [:]
        /// Lengths of the networks among the keys, longest first.
        var ipv4Lengths: [UInt8] = []
        var ipv6Lengths: [UInt8] = []
        /// Child of the chains that do not ask for this criterion; -1 without.
        var unset: Int32 = -1
    }

    private enum Key: Hashable {
        case port(UInt16)
        case network(CIDRRange)
        case name(String)
        case sourceType(FilterChainMatch.SourceType)
    }

    private enum Criterion: Int, CaseIterable {
        case destinationPort, destinationNetwork, serverName, transportProtocol, applicationProtocol
        case directSourceNetwork, sourceType, sourceNetwork, sourcePort
    }

    private var nodes: [Node] = [Node()]

    /// Compiles the matches of `chains`, in order.
    ///
    /// - Throws: `ResourceError` when two chains match the same connections, or a server name is a partial wildcard.
    package init(_ chains: [FilterChain]) throws(ResourceError) {
        for (index, chain) in chains.enumerated() {
            let path = "filter_chains[\(index)].filter_chain_match"
            for (nameIndex, name) in chain.match.serverNames.enumerated()
            where !Self.isAllowed(name) {
                throw ResourceError(
                    path: "\(path).server_names[\(nameIndex)]", found: "'\(name)'",
                    allowed: "a full name, or one that begins with '*.'")
            }
            guard let rival = add(chain.match, chain: Int32(index)) else { continue }
            throw ResourceError(
                path: path, found: "the same match as filter_chains[\(rival)]",
                allowed: "a match that no other chain of the listener has")
        }
        for index in nodes.indices {
            var (ipv4, ipv6): (Set<UInt8>, Set<UInt8>) = ([], [])
            for case .network(let range) in nodes[index].children.keys {
                if case .ipv4 = range.network {
                    ipv4.insert(range.prefixLength)
                } else {
                    ipv6.insert(range.prefixLength)
                }
            }
            nodes[index].ipv4Lengths = ipv4.sorted(by: >)
            nodes[index].ipv6Lengths = ipv6.sorted(by: >)
        }
    }

    // MARK: Building

    /// A name without wildcard, or one that begins with `*.` and has no other.
    private static func isAllowed(_ name: String) -> Bool {
        let rest = name.hasPrefix("*.") ? name.dropFirst(2) : name[...]
        return !rest.isEmpty && !rest.utf8.contains(UInt8(ascii: "*"))
    }

    private static func keys(_ match: FilterChainMatch, _ criterion: Criterion) -> [Key] {
        switch criterion {
        case .destinationPort: match.destinationPort.map { [.port($0)] } ?? []
        case .destinationNetwork: match.prefixRanges.map { .network($0) }
        case .serverName: match.serverNames.map { .name(lowercase($0.hasPrefix("*.") ? String($0.dropFirst()) : $0)) }
        case .transportProtocol: match.transportProtocol.isEmpty ? [] : [.name(match.transportProtocol)]
        case .applicationProtocol: match.applicationProtocols.map { .name($0) }
        case .directSourceNetwork: match.directSourcePrefixRanges.map { .network($0) }
        case .sourceType: match.sourceType == .any ? [] : [.sourceType(match.sourceType)]
        case .sourceNetwork: match.sourcePrefixRanges.map { .network($0) }
        case .sourcePort: match.sourcePorts.map { .port($0) }
        }
    }

    private static func lowercase(_ text: String) -> String {
        String(decoding: text.utf8.map { $0 &- 0x41 < 26 ? $0 | 0x20 : $0 }, as: UTF8.self)
    }

    /// Adds one chain under every combination of its keys. Returns the chain that has one of them already.
    private mutating func add(_ match: FilterChainMatch, chain: Int32) -> Int32? {
        var level: Set<Int32> = [0]
        for criterion in Criterion.allCases {
            let isLast = criterion == .sourcePort
            var next: Set<Int32> = []
            for node in level {
                // The children of the last criterion are chains.
                let keys = Set(Self.keys(match, criterion))
                if keys.isEmpty {
                    if isLast, nodes[Int(node)].unset >= 0 { return nodes[Int(node)].unset }
                    if nodes[Int(node)].unset < 0 { nodes[Int(node)].unset = isLast ? chain : addNode() }
                    next.insert(nodes[Int(node)].unset)
                }
                for key in keys {
                    if let known = nodes[Int(node)].children[key] {
                        if isLast { return known }
                        next.insert(known)
                    } else {
                        let child = isLast ? chain : addNode()
                        nodes[Int(node)].children[key] = child
                        next.insert(child)
                    }
                }
            }
            level = next
        }
        return nil
    }

    private mutating func addNode() -> Int32 {
        nodes.append(Node())
        return Int32(nodes.count - 1)
    }

    // MARK: Matching

    /// Index of the chain for a connection; -1 when none matches, and the default chain, if any, takes it.
    package func chain(for facts: borrowing ConnectionFacts) -> Int {
        var node: Int32 = 0
        for criterion in Criterion.allCases {
            let child =
                nodes[Int(node)].children.isEmpty
                ? nodes[Int(node)].unset : child(of: nodes[Int(node)], criterion, facts)
            guard child >= 0 else { return -1 }
            node = child
        }
        return Int(node)
    }

    private func child(of node: borrowing Node, _ criterion: Criterion, _ facts: borrowing ConnectionFacts) -> Int32 {
        switch criterion {
        case .destinationPort:
            return facts.localAddress.port.flatMap { node.children[.port($0)] } ?? node.unset
        case .destinationNetwork:
            return Self.child(of: node, holding: facts.localAddress)
        case .serverName:
            return Self.child(of: node, serverName: facts.serverName)
        case .transportProtocol:
            return node.children[.name(facts.transportProtocol == .tls ? "tls" : "raw_buffer")] ?? node.unset
        case .applicationProtocol:
            for name in facts.applicationProtocols {
                if let child = node.children[.name(name)] { return child }
            }
            return node.unset
        case .directSourceNetwork:
            return Self.child(of: node, holding: facts.directRemoteAddress)
        case .sourceType:
            let type: FilterChainMatch.SourceType = facts.isLocalClient ? .sameIPOrLoopback : .external
            return node.children[.sourceType(type)] ?? node.unset
        case .sourceNetwork:
            return Self.child(of: node, holding: facts.remoteAddress)
        case .sourcePort:
            return facts.remoteAddress.port.flatMap { node.children[.port($0)] } ?? node.unset
        }
    }

    /// The child with the longest network that holds the address. A unix socket counts as 255.255.255.255.
    private static func child(of node: borrowing Node, holding address: Address) -> Int32 {
        let address = address.isIP ? address : .ipv4(.max, port: 0)
        let lengths = if case .ipv4 = address { node.ipv4Lengths } else { node.ipv6Lengths }
        for length in lengths {
            if let range = CIDRRange(address, prefixLength: UInt32(length)), let child = node.children[.network(range)]
            {
                return child
            }
        }
        return node.unset
    }

    /// The child of the exact name, else of the longest wildcard: `.example.com`, then `.com`.
    private static func child(of node: borrowing Node, serverName: String) -> Int32 {
        if serverName.isEmpty { return node.unset }
        if let exact = node.children[.name(serverName)] { return exact }
        var rest = serverName[...].utf8.dropFirst()
        while let dot = rest.firstIndex(of: UInt8(ascii: ".")) {
            let suffix = rest[dot...]
            if suffix.count > 1, let child = node.children[.name(String(Substring(suffix)))] { return child }
            rest = rest[rest.index(after: dot)...]
        }
        return node.unset
    }
}

extension ConnectionFacts {
    /// Whether the client is on this machine, as far as addresses tell: the same IP on both ends, loopback, or a unix
    /// socket.
    package var isLocalClient: Bool {
        switch (remoteAddress, localAddress) {
        case (.pipe, _), (.internal, _): true
        case (let remote, let local): remote.isLocalhost || remote.withPort(0) == local.withPort(0)
        }
    }
}
