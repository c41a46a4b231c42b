// SPDX-License-Identifier: Apache-2.0

/// One thing that proxies are compared in.
public struct ComparisonScenario: Equatable, Sendable {
    public let name: String
    /// Selects it together with its like: `h1`, `h2`, `mtls`, `tls`, `tcp`, `routes`, `memory`.
    public let group: String
    /// One line for reports.
    public let title: String
    let door: Door
    let kind: Kind
    let load: Load
    /// Kinds that take part, of those that serve the door.
    var kinds: [ProxyKind] = ProxyKind.allCases
    /// Not empty: every proxy takes part once for each number of routes.
    var routeCounts: [Int] = []
    /// Whether the first proxy also takes part without what the door is about: without the access log.
    var hasBare = false
    /// Whether it belongs to the group as people name it: `--scenario h1` takes these, `--scenario all` every one.
    var isMain = false

    /// How it is measured.
    enum Kind: Equatable, Sendable {
        /// Load, and what it costs the proxy.
        case load
        /// Load at a steady rate, alone and beside full handshakes.
        case beside(handshakesPerSecond: Double)
        /// Resident memory: idle and with idle connections, of which another process gets one byte each.
        case idleMemory
        /// Resident memory of an idle connection by protocol, and of an open pair of HTTP/2 streams.
        case connectionMemory
        /// Resident memory over so many requests.
        case flatMemory(requests: Int)
        /// Resident memory before, in and after a burst.
        case burstMemory
    }

    /// The load on the door.
    struct Load: Equatable, Sendable {
        var loadProtocol: LoadProtocol = .http1
        var connections = 64
        var streams = 1
        /// Requests a second, as random arrivals; nil for a closed loop.
        var rate: Double?
        var path = "/"
        /// Bytes sent with a request.
        var bodySize = 0
        /// Bytes of an answer's body; every answer is held against them.
        var answerSize = ComparisonScenario.standardSize
        var connectsPerRequest = false
        var resumes = false
        /// Client certificates that take turns.
        var clientCertificates = 1
        /// TCP in one direction as fast as it goes, in blocks of `bodySize`; nothing comes back.
        var isBulk = false

        /// What the upstream gives for such a request: see `PreparedAnswers`; gRPC: the message that was sent. An echo over TCP is
        /// held against what was sent in any case, and bulk is not answered.
        var expected: ExpectedAnswer? {
            switch loadProtocol {
            case .tcp, .websocket: nil
            case .http1, .http2: ExpectedAnswer(size: answerSize, content: PreparedAnswers.content)
            case .grpc:
                ExpectedAnswer(
                    size: answerSize, content: GRPCMessageCounter.prefix(bodySize) + PreparedRequests.alphabet.prefix(bodySize))
            }
        }
    }

    /// Bytes of an answer where none are asked for.
    static let standardSize = 2

    /// Whether its group's name stands for it.
    public var isNamedByGroup: Bool { isMain }
    var isOpen: Bool { load.rate != nil }
    var isMemory: Bool {
        switch kind {
        case .load, .beside: false
        case .idleMemory, .connectionMemory, .flatMemory, .burstMemory: true
        }
    }

    /// Who takes part, in the order of a round.
    func variants(_ proxies: [ProxyChoice]) -> [ComparisonVariant] {
        var found: [ComparisonVariant] = []
        let able = proxies.filter { kinds.contains($0.kind) && $0.kind.serves(door) }
        for count in routeCounts.isEmpty ? [1] : routeCounts {
            for (place, proxy) in able.enumerated() {
                let label = routeCounts.isEmpty ? proxy.label : "\(proxy.label), \(count) routes"
                found.append(ComparisonVariant(label: label, proxy: proxy, door: door, routes: count))
                if hasBare, place == 0 {
                    found.append(ComparisonVariant(label: "\(proxy.label), no log", proxy: proxy, door: .http, routes: 1))
                }
            }
        }
        return found
    }

    /// The path that is asked for.
    func path(_ variant: ComparisonVariant) -> String { variant.routes > 1 ? RouteTable.lastPath(variant.routes) : load.path }

    // MARK: Choice

    /// Scenarios by name, by group, or `all`: every one but the soak, which takes minutes by itself.
    /// - Throws: `ScenarioError` that lists what there is.
    public static func choose(_ names: [String]) throws(ScenarioError) -> [ComparisonScenario] {
        var chosen: [String] = []
        for name in names {
            let found = all.filter { name == "all" && $0.group != "soak" || $0.name == name || $0.group == name && $0.isMain }
            guard !found.isEmpty else {
                let groups = all.filter(\.isMain).map(\.group)
                var unique: [String] = []
                for group in groups where !unique.contains(group) { unique.append(group) }
                throw ScenarioError(
                    "scenario '\(name)'; allowed: \(unique.joined(separator: ", ")), all, or one of \(all.map(\.name).joined(separator: ", "))")
            }
            chosen += found.map(\.name)
        }
        return all.filter { chosen.contains($0.name) }
    }
}

/// One that takes part in a scenario.
struct ComparisonVariant: Equatable, Sendable {
    let label: String
    let proxy: ProxyChoice
    let door: Door
    /// 1 is a catch-all.
    let routes: Int
}
