// SPDX-License-Identifier: Apache-2.0
package import MeshHTTP
import MeshRegex

/// One worker's way into a route table: its own regexes and scratch memory. It keeps the table alive.
///
/// Nothing is allocated per match, except inside RE2 where a set of regexes is asked (see
/// `PathTreeBuilder.leastSetSize`) or a regex rewrites.
package final class RouteMatcher {
    package let table: RouteTable
    let regexes: RegexPool
    /// Nodes with routes that the path came by.
    private let visited: UnsafeMutablePointer<Visit>
    let staged: UnsafeMutablePointer<StagedValue>
    /// Header values that wait to be written.
    let scratch = ByteSink()

    private struct Visit: BitwiseCopyable {
        var node: Int32
        /// The path ends here.
        var ends: Bool
        /// The path ends here or goes on with `/`.
        var separates: Bool
    }

    package init(_ table: RouteTable) {
        self.table = table
        regexes = RegexPool(programs: table.programs, sets: table.regexSets)
        visited = .allocate(capacity: max(table.maxTreeDepth, 1))
        staged = .allocate(capacity: max(table.operations.count, 1))
    }

    deinit {
        visited.deallocate()
        staged.deallocate()
    }

    /// The parts of a request that every candidate is held against.
    private struct Request {
        /// Without its query.
        var path: UnsafeRawBufferPointer
        /// Without its `?`.
        var query: UnsafeRawBufferPointer
        var random: UInt64
    }

    /// The route of a request: the virtual host by its domain, then the first route, in order, that holds.
    ///
    /// - Parameter random: decides runtime fractions; one value for the whole request, also for the weighted pick.
    package func match(_ headers: borrowing HeaderBlock, random: UInt64) -> RouteMatchResult {
        guard var host = headers.value(of: .authority) else { return .none }
        if table.ignoresPortInHost {
            host = UnsafeRawBufferPointer(rebasing: host[..<HostText.lengthWithoutPort(host)])
        }
        let hostIndex = table.domains.find(host, text: table.text.base)
        guard hostIndex >= 0 else { return .none }
        let virtualHost = table.virtualHosts.base + Int(hostIndex)
        let empty = UnsafeRawBufferPointer(start: nil, count: 0)
        var request = Request(path: empty, query: empty, random: random)
        var best = Int32.max
        if let target = headers.value(of: .path) {
            split(target, into: &request)
            if virtualHost.pointee.root >= 0 {
                best = descend(from: virtualHost.pointee.root, lowercasing: false, headers, request, best: best)
            }
            if virtualHost.pointee.lowerCaseRoot >= 0 {
                best = descend(from: virtualHost.pointee.lowerCaseRoot, lowercasing: true, headers, request, best: best)
            }
        }
        if !virtualHost.pointee.connectRoutes.isEmpty, headers.value(of: .method)?.equals("CONNECT") == true {
            best = first(of: virtualHost.pointee.connectRoutes, headers, request, best: best)
        }
        return RouteMatchResult(route: best == .max ? -1 : best, virtualHost: hostIndex)
    }

    /// Where the path ends and its query begins. A fragment cannot be: it was refused or cut off before.
    private func split(_ target: UnsafeRawBufferPointer, into request: inout Request) {
        let end = PathText.lengthWithoutQuery(target)
        request.path = UnsafeRawBufferPointer(rebasing: target[..<end])
        if end < target.count, target[end] == UInt8(ascii: "?") {
            request.query = UnsafeRawBufferPointer(rebasing: target[(end + 1)...])
            for index in 0..<request.query.count where request.query[index] == UInt8(ascii: "#") {
                request.query = UnsafeRawBufferPointer(rebasing: request.query[..<index])
                break
            }
        }
        if table.ignoresPathParameters {
            for index in 0..<request.path.count where request.path[index] == UInt8(ascii: ";") {
                request.path = UnsafeRawBufferPointer(rebasing: request.path[..<index])
                break
            }
        }
    }

    /// Walks down one tree, then asks the lists on the way from the most specific one up. Each list is in order, so a
    /// list is left at its first match or at the best one known.
    private func descend(
        from root: Int32, lowercasing: Bool, _ headers: borrowing HeaderBlock, _ request: Request, best known: Int32
    ) -> Int32 {
        let nodes = table.nodes.base
        let text = table.text.base
        let path = request.path
        var position = 0
        var node = root
        var depth = 0
        while true {
            let place = nodes + Int(node)
            let ends = position == path.count
            if place.pointee.hasRoutes {
                visited[depth] = Visit(node: node, ends: ends, separates: ends || path[position] == UInt8(ascii: "/"))
                depth &+= 1
            }
            if ends { break }
            let byte = lowercasing ? ASCII.lowercase(path[position]) : path[position]
            let child = Self.child(of: place, byte, nodes)
            guard child >= 0 else { break }
            let label = nodes[Int(child)].label
            let length = Int(label.count)
            guard position &+ length <= path.count else { break }
            let part = UnsafeRawBufferPointer(rebasing: path[position..<position &+ length])
            let bytes = UnsafeRawBufferPointer(start: text + Int(label.start), count: length)
            guard lowercasing ? part.equalsIgnoringCase(bytes) : part.hasSameBytes(as: bytes) else { break }
            position &+= length
            node = child
        }
        var best = known
        while depth > 0 {
            depth &-= 1
            let visit = visited[depth]
            let place = nodes + Int(visit.node)
            if visit.ends { best = first(of: place.pointee.ending, headers, request, best: best) }
            if visit.separates { best = first(of: place.pointee.separated, headers, request, best: best) }
            best = first(of: place.pointee.passing, headers, request, best: best)
            if place.pointee.set >= 0 { best = firstInSet(of: place, headers, request, best: best) }
        }
        return best
    }

    /// The child whose label begins with `byte`, or -1.
    private static func child(
        of node: UnsafeMutablePointer<PathNode>, _ byte: UInt8, _ nodes: UnsafeMutablePointer<PathNode>
    ) -> Int32 {
        var low = node.pointee.firstChild
        var high = low &+ Int32(node.pointee.childCount)
        while low < high {
            let middle = low &+ (high &- low) / 2
            let first = nodes[Int(middle)].firstByte
            if first == byte { return middle }
            if first < byte { low = middle &+ 1 } else { high = middle }
        }
        return -1
    }

    private func first(
        of range: TableRange, _ headers: borrowing HeaderBlock, _ request: Request, best: Int32
    ) -> Int32 {
        let list = table.lists.base + Int(range.start)
        var index = 0
        while index < Int(range.count) {
            let route = list[index]
            if route >= best { return best }
            if holds(table.routes.base + Int(route), headers, request, knownRegex: false) { return route }
            index &+= 1
        }
        return best
    }

    private func firstInSet(
        of node: UnsafeMutablePointer<PathNode>, _ headers: borrowing HeaderBlock, _ request: Request, best known: Int32
    ) -> Int32 {
        let list = table.lists.base + Int(node.pointee.inSet.start)
        guard list[0] < known else { return known }
        guard let matches = regexes.matches(ofSet: Int(node.pointee.set), in: request.path) else {
            return first(of: node.pointee.inSet, headers, request, best: known)
        }
        var best = known
        for position in matches {
            let route = list[Int(position)]
            if route < best, holds(table.routes.base + Int(route), headers, request, knownRegex: true) { best = route }
        }
        return best
    }

    // MARK: The conditions beside the tree

    private func holds(
        _ route: UnsafeMutablePointer<CompiledRoute>, _ headers: borrowing HeaderBlock, _ request: Request,
        knownRegex: Bool
    ) -> Bool {
        if route.pointee.isDecidedByPath { return true }
        if route.pointee.fractionDenominator != 0 {
            let share = FractionalPercent(
                numerator: route.pointee.fractionNumerator, denominator: route.pointee.fractionDenominator)
            let runtime = Int(route.pointee.fractionRuntime)
            let isIn = runtime < 0
                ? share.contains(random: request.random)
                : table.runtimeValues[runtime]._withUnsafeGuaranteedRef {
                    $0.contains(random: request.random, fallback: share)
                }
            if !isIn { return false }
        }
        for index in route.pointee.headers.indices where !holds(table.headerMatchers.base + index, headers) {
            return false
        }
        for index in route.pointee.queries.indices where !holds(table.queryMatchers.base + index, request.query) {
            return false
        }
        if route.pointee.regex >= 0, !knownRegex {
            return regexes.matchesAll(Int(route.pointee.regex), of: request.path)
        }
        return true
    }

    private func holds(_ matcher: UnsafeMutablePointer<CompiledHeaderMatcher>, _ headers: borrowing HeaderBlock) -> Bool
    {
        let name = matcher.pointee.name
        var index = headers.firstIndex(name, table.bytes(name.text))
        if matcher.pointee.kind == .present {
            let isThere = index >= 0 || matcher.pointee.treatMissingAsEmpty
            return (isThere == matcher.pointee.shallBePresent) != matcher.pointee.invert
        }
        if index < 0 {
            guard matcher.pointee.treatMissingAsEmpty else { return false }
            let empty = UnsafeRawBufferPointer(start: nil, count: 0)
            return matcher.pointee.meets(empty, in: table, regexes: regexes) != matcher.pointee.invert
        }
        while index >= 0 {
            if matcher.pointee.meets(headers.value(at: index), in: table, regexes: regexes) {
                return !matcher.pointee.invert
            }
            index = headers.nextIndex(name, table.bytes(name.text), after: index)
        }
        return matcher.pointee.invert
    }

    private func holds(_ matcher: UnsafeMutablePointer<CompiledQueryMatcher>, _ query: UnsafeRawBufferPointer) -> Bool {
        let value = CompiledQueryMatcher.value(of: table.bytes(matcher.pointee.name), in: query)
        if matcher.pointee.isPresenceOnly { return (value != nil) == matcher.pointee.shallBePresent }
        guard let value else { return false }
        let string = matcher.pointee.string
        return string.matches(value, pattern: table.bytes(string.text), regexes: regexes)
    }
}

@available(*, unavailable)
extension RouteMatcher: Sendable {}

extension HeaderBlock {
    /// The first live field of a table's name, or -1.
    borrowing func firstIndex(_ name: HeaderName, _ text: UnsafeRawBufferPointer) -> Int {
        name.token == .none ? firstIndex(named: text) : firstIndex(of: name.token)
    }

    /// The next one after `index`, or -1.
    borrowing func nextIndex(_ name: HeaderName, _ text: UnsafeRawBufferPointer, after index: Int) -> Int {
        name.token == .none ? firstIndex(named: text, from: index &+ 1) : nextIndex(of: name.token, after: index)
    }
}

/// Parts of a request target.
package enum PathText {
    /// Bytes before the query or fragment.
    package static func lengthWithoutQuery(_ target: UnsafeRawBufferPointer) -> Int {
        var index = 0
        while index < target.count {
            if target[index] == UInt8(ascii: "?") || target[index] == UInt8(ascii: "#") { return index }
            index &+= 1
        }
        return target.count
    }
}
