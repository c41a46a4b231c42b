// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshIO
import MeshRegex

/// The libFuzzer target's body: bytes become a route table and requests; the tree must choose what a walk over the list
/// does.
///
/// One line each: a first byte `p`, `e`, `s` or `r` (upper case: ignoring case) makes a prefix, exact, separated or
/// regex route of the rest; `h` adds a domain; any other line is a request target.
package func fuzzMatcher(_ bytes: [UInt8]) {
    var routes: [Route] = []
    var domains: [String] = []
    var targets: [[UInt8]] = []
    for line in bytes.split(separator: UInt8(ascii: "\n")).prefix(64) {
        let rest = String(decoding: line.dropFirst(), as: UTF8.self)
        let kind = line.first ?? 0
        let path: RouteMatch.PathMatch
        switch kind | 0x20 {
        case UInt8(ascii: "p"): path = .prefix(rest)
        case UInt8(ascii: "e"): path = .exact(rest)
        case UInt8(ascii: "s"): path = .separatedPrefix(rest)
        case UInt8(ascii: "r"): path = .regex(rest)
        case UInt8(ascii: "h"):
            domains.append(rest)
            continue
        default:
            targets.append(Array(line))
            continue
        }
        var match = RouteMatch(path)
        match.caseSensitive = kind & 0x20 != 0
        routes.append(Route(match: match, action: .directResponse(DirectResponse(status: 200))))
    }
    let host = VirtualHost(name: "v", domains: domains + ["*"], routes: routes)
    guard let table = try? RouteTable(RouteConfiguration(virtualHosts: [host])) else { return }
    let matcher = RouteMatcher(table)
    let pool = SlabPool()
    // The block gives its memory back to the pool, which its own use does not keep alive.
    withExtendedLifetime(pool) {
        for target in targets {
            target.withUnsafeBytes { target in
                var block = HeaderBlock()
                block.append(.method, "GET", from: pool)
                block.append(.authority, "a.test", from: pool)
                block.append(.path, target, from: pool)
                let found = matcher.match(block, random: 0).route
                precondition(found == linearRoute(routes, matcher, target), "tree and list disagree")
                guard found >= 0 else { return }
                let sink = ByteSink()
                _ = matcher.rewritePath(table.route(found), target, to: sink)
            }
        }
    }
}

/// The first route in order that holds, by the plain rules.
private func linearRoute(_ routes: [Route], _ matcher: RouteMatcher, _ target: UnsafeRawBufferPointer) -> Int32 {
    let path = UnsafeRawBufferPointer(rebasing: target[..<PathText.lengthWithoutQuery(target)])
    for (index, route) in routes.enumerated() {
        let fold = !route.match.caseSensitive
        func begins(_ text: String) -> Bool {
            let text = Array(text.utf8)
            return path.count >= text.count
                && zip(path, text).allSatisfy { fold ? ASCII.lowercase($0) == ASCII.lowercase($1) : $0 == $1 }
        }
        let holds: Bool
        switch route.match.path {
        case .prefix(let text): holds = begins(text)
        case .exact(let text): holds = path.count == text.utf8.count && begins(text)
        case .separatedPrefix(let text):
            let length = text.utf8.count
            holds = begins(text) && (path.count == length || path[length] == UInt8(ascii: "/"))
        case .regex:
            let regex = matcher.table.route(Int32(index)).pointee.regex
            holds = matcher.regexes.matchesAll(Int(regex), of: path)
        case .connect: holds = false
        }
        if holds { return Int32(index) }
    }
    return -1
}
