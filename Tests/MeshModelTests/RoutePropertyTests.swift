// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshIO
import MeshModel
import MeshTestKit
import Testing

/// The compiled matcher against a linear walk over the configuration.
struct RoutePropertyTests {
    /// What a request looks like to the naive model.
    private struct NaiveRequest {
        var path: String
        var query: String
        var method: String
        var header: String?
        var host: String
    }

    private static func naive(_ configuration: RouteConfiguration, _ request: NaiveRequest) throws -> Int32 {
        let host = request.host.lowercased()
        var best: (rank: Int, length: Int, host: Int)?
        for (index, virtualHost) in configuration.virtualHosts.enumerated() {
            for domain in virtualHost.domains.map({ $0.lowercased() }) {
                let candidate: (Int, Int, Int)
                if domain == "*" {
                    candidate = (0, 0, index)
                } else if domain.hasPrefix("*") {
                    guard host.hasSuffix(domain.dropFirst()), host.count >= domain.count else { continue }
                    candidate = (2, domain.count, index)
                } else if domain.hasSuffix("*") {
                    guard host.hasPrefix(domain.dropLast()), host.count >= domain.count else { continue }
                    candidate = (1, domain.count, index)
                } else {
                    guard host == domain else { continue }
                    candidate = (3, 0, index)
                }
                if best.map({ ($0.rank, $0.length) < (candidate.0, candidate.1) }) ?? true { best = candidate }
            }
        }
        guard let best else { return -1 }
        let first = configuration.virtualHosts[..<best.host].reduce(0) { $0 + $1.routes.count }
        for (index, route) in configuration.virtualHosts[best.host].routes.enumerated()
        where try holds(route.match, request) {
            return Int32(first + index)
        }
        return -1
    }

    private static func holds(_ match: RouteMatch, _ request: NaiveRequest) throws -> Bool {
        let path = match.caseSensitive ? request.path : request.path.lowercased()
        func text(_ text: String) -> String { match.caseSensitive ? text : text.lowercased() }
        switch match.path {
        case .prefix(let prefix): guard path.hasPrefix(text(prefix)) || prefix.isEmpty else { return false }
        case .exact(let exact): guard path == text(exact) else { return false }
        case .separatedPrefix(let prefix):
            guard path == text(prefix) || path.hasPrefix(text(prefix) + "/") else { return false }
        case .regex(let pattern):
            guard try Regex(pattern).wholeMatch(in: request.path) != nil else { return false }
        case .connect: guard request.method == "CONNECT" else { return false }
        }
        for header in match.headers {
            let value = header.name == ":method" ? request.method : request.header
            guard case .string(let string) = header.condition, case .exact(let exact) = string.pattern else {
                return false
            }
            guard let value, (value == exact) != header.invert else { return false }
        }
        for parameter in match.queryParameters {
            let found = request.query.split(separator: "&").contains {
                $0.split(separator: "=").first == parameter.name[...]
            }
            guard case .present(let shall) = parameter.condition, found == shall else { return false }
        }
        return true
    }

    private static func randomPath(_ random: inout SeededRandom) -> String {
        var path = ""
        for _ in 0..<random.below(5) { path += "/" + ["a", "ab", "b", "A", "abc", "", "12"][random.below(7)] }
        return path.isEmpty ? "/" : path
    }

    private static func randomRoute(_ random: inout SeededRandom) -> Route {
        let path = randomPath(&random)
        let condition: RouteMatch.PathMatch =
            switch random.below(10) {
            case 0...2: .prefix(path)
            case 3...4: .exact(path)
            case 5...6: .separatedPrefix(path.last == "/" ? path + "a" : path)
            case 7: .regex(path + ["(/[a-z]+)?", ".*", "[0-9]*", "|/b"][random.below(4)])
            case 8: .regex("/[ab]+" + path)
            default: random.below(4) == 0 ? .connect : .prefix("/")
            }
        var route = Route(condition, caseSensitive: random.below(4) != 0)
        if random.below(4) == 0 {
            route.match.headers = [
                HeaderMatcher(
                    name: random.below(2) == 0 ? "x-h" : ":method",
                    .string(StringMatcher(.exact(["GET", "1", "2"][random.below(3)]))),
                    invert: random.below(3) == 0)
            ]
        }
        if random.below(6) == 0 {
            route.match.queryParameters = [QueryParameterMatcher(name: "q", .present(random.below(2) == 0))]
        }
        return route
    }

    @Test(arguments: UInt64(1)...60)
    func treeAgreesWithLinearSearch(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let heads = Heads()
        let domains = ["a.test", "*.a.test", "*.test", "a.*", "x.a.*", "*", "b.a.test", "*a.test", "a.te*"]
        var hosts: [VirtualHost] = []
        for domain in domains where random.below(2) == 0 {
            let count = random.below(seed % 3 == 0 ? 60 : 12)
            hosts.append(
                VirtualHost(name: domain, domains: [domain], routes: (0..<count).map { _ in Self.randomRoute(&random) })
            )
        }
        let configuration = RouteConfiguration(virtualHosts: hosts)
        let matcher = RouteMatcher(try RouteTable(configuration))
        for _ in 0..<200 {
            let request = NaiveRequest(
                path: Self.randomPath(&random), query: ["", "q", "q=1&b", "b=q"][random.below(4)],
                method: ["GET", "CONNECT"][random.below(2)],
                header: random.below(2) == 0 ? nil : ["1", "2"][random.below(2)],
                host: ["a.test", "A.TEST", "b.a.test", "c.a.test", "x.test", "a.x", "x.a.y", "z"][random.below(8)])
            let target = request.path + (request.query.isEmpty ? "" : "?" + request.query)
            let fields = request.header.map { [("x-h", $0)] } ?? []
            let found = matcher.match(
                heads.request(target, host: request.host, method: request.method, fields), random: 0)
            #expect(found.route == (try Self.naive(configuration, request)), "\(request), seed \(seed)")
        }
    }
}
