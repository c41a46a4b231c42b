// SPDX-License-Identifier: Apache-2.0

/// One request, as text; what goes on the wire is made of it once, before the run.
public struct PlannedRequest: Equatable, Sendable {
    public var method: String
    public var authority: String
    public var path: String
    public var headers: [HeaderText]
    /// Bytes of body. - Default: 0.
    public var bodySize: Int

    public init(method: String = "GET", authority: String, path: String, headers: [HeaderText] = [], bodySize: Int = 0) {
        self.method = method
        self.authority = authority
        self.path = path
        self.headers = headers
        self.bodySize = bodySize
    }
}

/// A header field as the user wrote it.
public struct HeaderText: Equatable, Sendable {
    public let name: String
    public let value: String

    public init(name: String, value: String) {
        self.name = name
        self.value = value
    }
}

/// What is asked, in turn: every combination of hosts and paths that the templates stand for.
public struct RequestPlan: Equatable, Sendable {
    public var requests: [PlannedRequest]
    /// What bodies and messages are made of, from its beginning and over again; nil for the alphabet.
    public var content: [UInt8]?

    /// Most requests a plan may hold: each is kept ready to send.
    public static let limit = 100_000

    public init(requests: [PlannedRequest]) { self.requests = requests }

    /// Expands templates: `{1..500}` in a path or a host stands for the numbers from 1 to 500, several of them for every
    /// combination. Hosts, paths and header values are walked side by side, so that `n` hosts and `m` paths give their least
    /// common multiple at most. In a header value only a range that is one stands for anything: braces are common there.
    ///
    /// - Parameters:
    ///   - seed: decides the order of sizes that come from a distribution.
    /// - Throws: `ScenarioError` for a range that is none, or for more than `limit` requests.
    public static func expand(
        method: String, hosts: [String], paths: [String], headers: [HeaderText], bodies: BodySizes = .fixed(0), seed: UInt64 = 1
    ) throws(ScenarioError) -> RequestPlan {
        var allHosts: [String] = []
        for host in hosts { allHosts += try expand(template: host, what: "host") }
        var allPaths: [String] = []
        for path in paths { allPaths += try expand(template: path, what: "path") }
        guard !allHosts.isEmpty, !allPaths.isEmpty else { throw ScenarioError("no host or no path to ask for") }
        let values = headers.map { header in
            (try? expand(template: header.value, what: "header").map { HeaderText(name: header.name, value: $0) }) ?? [header]
        }
        let count = leastCommonMultiple([allHosts.count, allPaths.count] + values.map(\.count))
        guard let count, count <= limit else {
            throw ScenarioError(
                "\(allHosts.count) hosts, \(allPaths.count) paths and \(values.map(\.count).max() ?? 1) header values make more than "
                    + "\(limit) requests; allowed: numbers whose least common multiple is at most \(limit)")
        }
        let plan = RequestPlan(requests: (0..<count).map { index in
            PlannedRequest(
                method: method, authority: allHosts[index % allHosts.count], path: allPaths[index % allPaths.count],
                headers: values.map { $0[index % $0.count] })
        })
        return plan.withBodies(bodies, seed: seed)
    }

    /// Requests enough that a distribution of sizes shows in each walk through them.
    private static let sampleCount = 1_000

    /// The same requests with bodies. Sizes that differ are dealt out over repetitions of the plan.
    public func withBodies(_ sizes: BodySizes, seed: UInt64) -> RequestPlan {
        guard !requests.isEmpty else { return self }
        var plan = self
        if !sizes.isFixed {
            let repetitions = max(1, (RequestPlan.sampleCount + requests.count - 1) / requests.count)
            plan.requests = (0..<repetitions).flatMap { _ in requests }
        }
        let dealt = sizes.sample(plan.requests.count, seed: seed)
        for index in plan.requests.indices { plan.requests[index].bodySize = dealt[index] }
        return plan
    }

    /// The texts a template stands for.
    static func expand(template: String, what: String) throws(ScenarioError) -> [String] {
        guard let open = template.firstIndex(of: "{"), let close = template[open...].firstIndex(of: "}") else { return [template] }
        let inside = template[template.index(after: open)..<close]
        let bounds = inside.split(separator: ".", omittingEmptySubsequences: true)
        guard bounds.count == 2, inside.contains(".."), let first = Int(bounds[0]), let last = Int(bounds[1]), first <= last
        else {
            throw ScenarioError("\(what) template: found '{\(inside)}' in '\(template)'; allowed: a range such as {1..500}")
        }
        guard last - first < limit else {
            throw ScenarioError("\(what) template: '{\(inside)}' stands for more than \(limit) texts")
        }
        let tails = try expand(template: String(template[template.index(after: close)...]), what: what)
        guard (last - first + 1) * tails.count <= limit else {
            throw ScenarioError("\(what) template: '\(template)' stands for more than \(limit) texts")
        }
        let head = template[..<open]
        var texts: [String] = []
        for number in first...last {
            for tail in tails { texts.append("\(head)\(number)\(tail)") }
        }
        return texts
    }

    static func leastCommonMultiple(_ numbers: [Int]) -> Int? {
        var result = 1
        for number in numbers {
            var (a, b) = (result, number)
            while b != 0 { (a, b) = (b, a % b) }
            let (product, overflow) = (result / a).multipliedReportingOverflow(by: number)
            if overflow { return nil }
            result = product
        }
        return result
    }
}

/// What is wrong with a scenario, in words for whoever wrote it.
public struct ScenarioError: Error, Equatable, Sendable, CustomStringConvertible {
    public let description: String
    public init(_ description: String) { self.description = description }
}
