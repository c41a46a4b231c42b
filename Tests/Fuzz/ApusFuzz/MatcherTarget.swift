// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshIO
import MeshModel

/// Bytes as a list of routes and a path: the compiled table finds the route that a walk down the list finds.
enum MatcherTarget {
    /// Few letters, so that patterns meet; `.` is any byte in a regex.
    private static let letters: [UInt8] = Array("/ab.A;/b".utf8)
    private static let maxRoutes = 24
    private static let maxPattern = 8

    private enum Kind: UInt8 { case prefix, exact, separatedPrefix, regex }

    private struct Rule {
        var kind: Kind
        var pattern: [UInt8]
        var caseSensitive: Bool

        func matches(_ path: ArraySlice<UInt8>) -> Bool {
            switch kind {
            case .prefix: starts(path)
            case .exact: path.count == pattern.count && starts(path)
            case .separatedPrefix:
                starts(path) && (path.count == pattern.count || path[path.startIndex + pattern.count] == UInt8(ascii: "/"))
            case .regex: path.count >= pattern.count && zip(pattern, path).allSatisfy { $0 == UInt8(ascii: ".") || $0 == $1 }
            }
        }

        private func starts(_ path: ArraySlice<UInt8>) -> Bool {
            path.count >= pattern.count
                && zip(pattern, path).allSatisfy { caseSensitive ? $0 == $1 : ASCII.lowercase($0) == ASCII.lowercase($1) }
        }
    }

    /// A count, then for each route its kind, the length of its pattern and the pattern; the rest is the path.
    static func run(_ bytes: [UInt8]) {
        // The same bytes as lines, for patterns that the letters below cannot make.
        fuzzMatcher(bytes)
        var rest = bytes[...]
        var rules: [Rule] = []
        for _ in 0..<Int(rest.popFirst() ?? 0) % (maxRoutes + 1) {
            guard let kind = rest.popFirst(), let length = rest.popFirst() else { break }
            let pattern = text(rest.prefix(Int(length) % maxPattern))
            rest = rest.dropFirst(pattern.count - 1)
            var rule = Rule(kind: Kind(rawValue: kind & 3) ?? .prefix, pattern: pattern, caseSensitive: kind & 4 == 0)
            if rule.kind == .separatedPrefix, pattern.last == UInt8(ascii: "/") { rule.kind = .prefix }
            rules.append(rule)
        }
        let query = rest.firstIndex { $0 == UInt8(ascii: "?") }
        let path = text(rest[..<(query ?? rest.endIndex)])
        let target = path + (query == nil ? [] : Array("?/a".utf8))
        check(rules, target, expected: rules.firstIndex { $0.matches(path[...]) })
    }

    private static func text(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
        [UInt8(ascii: "/")] + bytes.map { letters[Int($0) % letters.count] }
    }

    private static func check(_ rules: [Rule], _ target: [UInt8], expected: Int?) {
        let routes = rules.map { rule in
            let pattern = String(decoding: rule.pattern, as: UTF8.self)
            let path: RouteMatch.PathMatch =
                switch rule.kind {
                case .prefix: .prefix(pattern)
                case .exact: .exact(pattern)
                case .separatedPrefix: .separatedPrefix(pattern)
                case .regex: .regex(pattern + ".*")
                }
            var match = RouteMatch(path)
            match.caseSensitive = rule.caseSensitive
            return Route(match: match, action: .forward(RouteAction(cluster: "c")))
        }
        let configuration = RouteConfiguration(virtualHosts: [VirtualHost(name: "v", domains: ["*"], routes: routes)])
        guard let table = try? RouteTable(configuration) else { preconditionFailure("a valid configuration is refused") }
        let pool = SlabPool()
        withExtendedLifetime(pool) {
            var headers = HeaderBlock()
            headers.append(.authority, "h", from: pool)
            target.withUnsafeBytes { _ = headers.append(.path, $0, from: pool) }
            let result = RouteMatcher(table).match(headers, random: 0)
            precondition(Int(result.route) == expected ?? -1, "route \(result.route), a walk finds \(expected ?? -1)")
            headers.reset()
        }
    }
}
