// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshIO
import MeshModel
import MeshTestKit
import Testing

struct RouteMatcherTests {
    private let heads = Heads()

    private func route(_ routes: [Route], _ block: consuming HeaderBlock, random: UInt64 = 0) throws -> Int32 {
        let matcher = RouteMatcher(try RouteTable(RouteConfiguration(routes: routes)))
        return matcher.match(block, random: random).route
    }

    struct PathCase: CustomTestStringConvertible {
        let path: RouteMatch.PathMatch
        var caseSensitive = true
        let target: String
        let matches: Bool
        var testDescription: String { "\(path) \(caseSensitive ? "" : "ignoring case ")on \(target): \(matches)" }
    }

    @Test(arguments: [
        PathCase(path: .prefix("/"), target: "/x", matches: true),
        PathCase(path: .prefix("/a"), target: "/ab", matches: true),
        PathCase(path: .prefix("/a/"), target: "/a", matches: false),
        PathCase(path: .prefix(""), target: "*", matches: true),
        PathCase(path: .prefix("/a?"), target: "/a?b", matches: false),
        PathCase(path: .exact("/a"), target: "/a?b=c", matches: true),
        PathCase(path: .exact("/a"), target: "/a#f", matches: true),
        PathCase(path: .exact("/a"), target: "/a/", matches: false),
        PathCase(path: .exact("/a"), target: "/A", matches: false),
        PathCase(path: .exact("/aB"), caseSensitive: false, target: "/Ab", matches: true),
        PathCase(path: .prefix("/aB/"), caseSensitive: false, target: "/Ab/c", matches: true),
        PathCase(path: .separatedPrefix("/a"), target: "/a", matches: true),
        PathCase(path: .separatedPrefix("/a"), target: "/a/b", matches: true),
        PathCase(path: .separatedPrefix("/a"), target: "/a?b", matches: true),
        PathCase(path: .separatedPrefix("/a"), target: "/ab", matches: false),
        PathCase(path: .separatedPrefix("/A"), caseSensitive: false, target: "/a/b", matches: true),
        PathCase(path: .regex("/[0-9]+"), target: "/12?x", matches: true),
        PathCase(path: .regex("/[0-9]+"), target: "/12/", matches: false),
        PathCase(path: .regex("/a.c"), caseSensitive: false, target: "/ABC", matches: false),
        PathCase(path: .connect, target: "/", matches: false),
    ])
    func pathConditions(_ example: PathCase) throws {
        let found = try route(
            [Route(example.path, caseSensitive: example.caseSensitive)], heads.request(example.target))
        #expect((found == 0) == example.matches)
    }

    @Test func firstRouteInOrderWinsNotTheLongest() throws {
        let routes = [
            Route(.prefix("/first/long")), Route(.prefix("/first")), Route(.prefix("/first/late")),
            Route(.exact("/first")),
        ]
        #expect(try route(routes, heads.request("/first/late")) == 1)
        #expect(try route(routes, heads.request("/first")) == 1)
        #expect(try route(routes, heads.request("/first/longer")) == 0)
    }

    @Test func connectRouteTakesARequestWithoutAPath() throws {
        let routes = [Route(.prefix("/")), Route(.connect)]
        #expect(try route(routes, heads.request(nil, method: "CONNECT")) == 1)
        #expect(try route(routes, heads.request("/", method: "CONNECT")) == 0)
        #expect(try route(routes, heads.request(nil, method: "GET")) == -1)
    }

    @Test func pathParametersAreIgnoredWhenAsked() throws {
        var configuration = RouteConfiguration(routes: [Route(.exact("/a"))])
        #expect(RouteMatcher(try RouteTable(configuration)).match(heads.request("/a;b=c?d"), random: 0).route == -1)
        configuration.ignorePathParameters = true
        #expect(RouteMatcher(try RouteTable(configuration)).match(heads.request("/a;b=c?d"), random: 0).route == 0)
    }

    @Test func runtimeFractionTakesItsShare() throws {
        var half = Route(.prefix("/"))
        half.match.fraction = FractionalPercent(numerator: 30, denominator: 100)
        let matcher = RouteMatcher(try RouteTable(RouteConfiguration(routes: [half, Route(.prefix("/"))])))
        var random = SeededRandom(seed: 42)
        var taken = 0
        for _ in 0..<10_000 where matcher.match(heads.request("/"), random: random.next()).route == 0 { taken += 1 }
        #expect((2_800...3_200).contains(taken))
    }

    @Test func theRuntimeChangesAFractionInPlace() throws {
        let runtime = Runtime([RuntimeLayer(name: "admin", isAdmin: true, values: ["k": "0"])])
        var part = Route(.prefix("/"))
        part.match.fraction = FractionalPercent(numerator: 100)
        part.match.fractionRuntimeKey = "k"
        let matcher = RouteMatcher(try RouteTable(RouteConfiguration(routes: [part, Route(.prefix("/"))]), runtime: runtime))
        #expect(matcher.match(heads.request("/"), random: 42).route == 1)
        #expect(runtime.modify([("k", "43")]))
        #expect(matcher.match(heads.request("/"), random: 42).route == 0)
        #expect(matcher.match(heads.request("/"), random: 43).route == 1)
        #expect(runtime.modify([("k", "{numerator: 5, denominator: MILLION}")]))
        #expect(matcher.match(heads.request("/"), random: 1_000_004).route == 0)
        #expect(matcher.match(heads.request("/"), random: 1_000_005).route == 1)
        #expect(runtime.modify([("k", "")]))
        #expect(matcher.match(heads.request("/"), random: 99).route == 0)
    }

    @Test func theRuntimeChangesWeightsInPlace() throws {
        let runtime = Runtime([RuntimeLayer(name: "admin", isAdmin: true)])
        var weighted = WeightedClusters([.init(cluster: "a", weight: 1), .init(cluster: "b", weight: 1)])
        weighted.runtimeKeyPrefix = "w"
        var route = Route(.prefix("/"))
        route.action = .forward(RouteAction(.weighted(weighted)))
        let table = try RouteTable(RouteConfiguration(routes: [route]), runtime: runtime)
        let compiled = table.route(0)
        #expect([0, 1].map { table.pickTarget(compiled, random: $0) } == [0, 1])
        #expect(runtime.modify([("w.a", "3")]))
        #expect([0, 1, 2, 3].map { table.pickTarget(compiled, random: $0) } == [0, 0, 0, 1])
        #expect(runtime.modify([("w.a", "0"), ("w.b", "7")]))
        #expect([0, 5].map { table.pickTarget(compiled, random: $0) } == [1, 1])
        #expect(runtime.modify([("w.b", "0")]))
        #expect(table.pickTarget(compiled, random: 3) == 0)
    }

    struct HeaderCase: CustomTestStringConvertible {
        let matcher: HeaderMatcher
        let values: [String]
        let matches: Bool
        var testDescription: String { "\(matcher) on \(values): \(matches)" }
    }

    // The outcomes are Envoy 1.40's: one of several values suffices, inverted none may meet the condition.
    @Test(arguments: [
        HeaderCase(matcher: HeaderMatcher(name: "x-h", .present(true)), values: [""], matches: true),
        HeaderCase(matcher: HeaderMatcher(name: "x-h", .present(true)), values: [], matches: false),
        HeaderCase(matcher: HeaderMatcher(name: "x-h", .present(false)), values: [], matches: true),
        HeaderCase(matcher: HeaderMatcher(name: "x-h", .present(true), invert: true), values: [], matches: true),
        HeaderCase(
            matcher: HeaderMatcher(name: "x-h", .string(StringMatcher(.exact("V")))), values: ["w", "V"], matches: true
        ),
        HeaderCase(
            matcher: HeaderMatcher(name: "x-h", .string(StringMatcher(.exact("w,V")))), values: ["w", "V"],
            matches: false),
        HeaderCase(
            matcher: HeaderMatcher(name: "x-h", .string(StringMatcher(.exact("V")))), values: ["v"], matches: false),
        HeaderCase(
            matcher: HeaderMatcher(name: "x-h", .string(StringMatcher(.exact("V"), ignoreCase: true))), values: ["v"],
            matches: true),
        HeaderCase(
            matcher: HeaderMatcher(name: "x-h", .string(StringMatcher(.suffix("yz")))), values: ["xyza"], matches: false
        ),
        HeaderCase(
            matcher: HeaderMatcher(name: "x-h", .string(StringMatcher(.suffix("YZ"), ignoreCase: true))),
            values: ["xyz"], matches: true),
        HeaderCase(
            matcher: HeaderMatcher(name: "x-h", .string(StringMatcher(.contains("MID"), ignoreCase: true))),
            values: ["aMiDst"], matches: true),
        HeaderCase(
            matcher: HeaderMatcher(name: "x-h", .string(StringMatcher(.contains("mid")))), values: ["mi"],
            matches: false),
        HeaderCase(
            matcher: HeaderMatcher(name: "x-h", .string(StringMatcher(.regex("a[0-9]+")))), values: ["xa12"],
            matches: false),
        HeaderCase(
            matcher: HeaderMatcher(name: "x-h", .string(StringMatcher(.regex("a[0-9]+")))), values: ["x", "a12"],
            matches: true),
        HeaderCase(
            matcher: HeaderMatcher(name: "x-h", .string(StringMatcher(.exact("v"))), invert: true), values: ["w"],
            matches: true),
        HeaderCase(
            matcher: HeaderMatcher(name: "x-h", .string(StringMatcher(.exact("v"))), invert: true), values: ["w", "v"],
            matches: false),
        HeaderCase(
            matcher: HeaderMatcher(name: "x-h", .string(StringMatcher(.exact("v"))), invert: true), values: [],
            matches: false),
        HeaderCase(
            matcher: HeaderMatcher(
                name: "x-h", .string(StringMatcher(.exact("v"))), invert: true, treatMissingAsEmpty: true), values: [],
            matches: true),
        HeaderCase(
            matcher: HeaderMatcher(name: "x-h", .string(StringMatcher(.exact(""))), treatMissingAsEmpty: true),
            values: [], matches: true),
        HeaderCase(matcher: HeaderMatcher(name: "x-h", .range(start: -5, end: 10)), values: ["-5"], matches: true),
        HeaderCase(matcher: HeaderMatcher(name: "x-h", .range(start: -5, end: 10)), values: ["10"], matches: false),
        HeaderCase(matcher: HeaderMatcher(name: "x-h", .range(start: -5, end: 10)), values: ["9x"], matches: false),
        HeaderCase(
            matcher: HeaderMatcher(name: "x-h", .range(start: 0, end: 9)), values: ["99999999999999999999"],
            matches: false),
        HeaderCase(
            matcher: HeaderMatcher(name: "x-h", .range(start: -5, end: 10)), values: ["77", "3"], matches: true),
    ])
    func headerConditions(_ example: HeaderCase) throws {
        var conditional = Route(.prefix("/"))
        conditional.match.headers = [example.matcher]
        let found = try route([conditional], heads.request("/", example.values.map { ("x-h", $0) }))
        #expect((found == 0) == example.matches)
    }

    @Test func pseudoHeadersAndHostAreHeaders() throws {
        var byHost = Route(.prefix("/"))
        byHost.match.headers = [
            HeaderMatcher(name: "Host", .string(StringMatcher(.prefix("exa")))),
            HeaderMatcher(name: ":method", .string(StringMatcher(.exact("GET")))),
        ]
        #expect(try route([byHost], heads.request("/", host: "example.test")) == 0)
        #expect(try route([byHost], heads.request("/", host: "example.test", method: "POST")) == -1)
    }

    @Test(arguments: [
        ("/?q=1", "q", QueryParameterMatcher.Condition.present(true), true),
        ("/?q", "q", .present(true), true),
        ("/?a=b&q=1", "q", .present(true), true),
        ("/?qq=1", "q", .present(true), false),
        ("/?x=1", "q", .present(false), true),
        ("/?q=v&q=w", "q", .string(StringMatcher(.exact("v"))), true),
        ("/?q=w&q=v", "q", .string(StringMatcher(.exact("v"))), false),
        ("/?q=a%20b", "q", .string(StringMatcher(.exact("a b"))), false),
        ("/?q", "q", .string(StringMatcher(.exact(""))), true),
        ("/?&&q=", "q", .string(StringMatcher(.exact(""))), true),
        ("/", "q", .string(StringMatcher(.exact(""))), false),
        ("/?q=12a", "q", .string(StringMatcher(.regex("[0-9]+"))), false),
        ("/?q=1=2", "q", .string(StringMatcher(.exact("1=2"))), true),
    ])
    func queryConditions(target: String, name: String, condition: QueryParameterMatcher.Condition, matches: Bool) throws
    {
        var conditional = Route(.prefix("/"))
        conditional.match.queryParameters = [QueryParameterMatcher(name: name, condition)]
        #expect((try route([conditional], heads.request(target)) == 0) == matches)
    }

    @Test func manyRegexesInOnePlaceAreAskedAsASet() throws {
        var routes = (0..<40).map { Route(.regex("/[a-z]+/r\($0)/.*")) }
        routes.append(Route(.prefix("/")))
        routes.append(Route(.regex("/[a-z]+/r1/.*")))
        let matcher = RouteMatcher(try RouteTable(RouteConfiguration(routes: routes)))
        #expect(matcher.match(heads.request("/abc/r17/x"), random: 0).route == 17)
        #expect(matcher.match(heads.request("/abc/r41/x"), random: 0).route == 40)
    }

    @Test func weightedTargetsGetTheirShares() throws {
        var weighted = Route(.prefix("/"))
        weighted.action = .forward(
            RouteAction(
                .weighted(
                    WeightedClusters([
                        .init(cluster: "a", weight: 1), .init(cluster: "none", weight: 0),
                        .init(cluster: "b", weight: 3),
                    ]))))
        let table = try RouteTable(RouteConfiguration(routes: [weighted]))
        var picks: [String: Int] = [:]
        for random in UInt64(0)..<400 {
            let target = table.target(table.route(0), table.pickTarget(table.route(0), random: random)).pointee
            picks[table.clusterNames[Int(target.cluster)], default: 0] += 1
        }
        #expect(picks == ["a": 100, "b": 300])
    }

    @Test func invalidRegexNamesItsField() {
        let configuration = RouteConfiguration(routes: [Route(.prefix("/")), Route(.regex("("))])
        let error = #expect(throws: ResourceError.self) { try RouteTable(configuration) }
        #expect(error?.path == "virtual_hosts[0].routes[1].match.safe_regex.regex")
    }
}

struct DomainTests {
    private let heads = Heads()

    private static let domains = [
        ["exact.test", "Upper.Test"], ["deep.suffix.test"], ["*.suffix.test"], ["*.long.suffix.test"], ["*-dash.test"],
        ["prefix.*"], ["prefix.long.*"], ["*.both"], ["start.*"], ["ported.test:8080"], ["[::1]:9999", "[::2]"], ["*"],
    ]

    private func table(ignoringPort: Bool = false) throws -> RouteTable {
        var configuration = RouteConfiguration(
            virtualHosts: Self.domains.enumerated().map {
                VirtualHost(name: "\($0.offset)", domains: $0.element, routes: [Route(.prefix("/"))])
            })
        configuration.ignorePortInHostMatching = ignoringPort
        return try RouteTable(configuration)
    }

    @Test(arguments: [
        ("exact.test", 0), ("EXACT.test", 0), ("upper.test", 0), ("deep.suffix.test", 1), ("x.suffix.test", 2),
        ("x.long.suffix.test", 3), (".suffix.test", 11), ("suffix.test", 11), ("a-dash.test", 4), ("-dash.test", 11),
        ("prefix.x", 5), ("prefix.long.x", 6), ("prefix.", 11), ("start.both", 7), ("start.x", 8), ("ported.test", 11),
        ("ported.test:8080", 9), ("exact.test:80", 11), ("[::1]:9999", 10), ("", -1),
    ])
    func mostSpecificDomainWins(host: String, expected: Int32) throws {
        let matcher = RouteMatcher(try table())
        #expect(matcher.match(heads.request("/", host: host), random: 0).virtualHost == expected)
    }

    @Test(arguments: [("exact.test:80", 0), ("[::2]:1", 10), ("[::2]", 10), ("exact.test:x", 11), ("::1", 11)])
    func portIsIgnoredWhenAsked(host: String, expected: Int32) throws {
        let matcher = RouteMatcher(try table(ignoringPort: true))
        #expect(matcher.match(heads.request("/", host: host), random: 0).virtualHost == expected)
    }

    @Test func domainGivenTwiceIsRefused() {
        let configuration = RouteConfiguration(virtualHosts: [
            VirtualHost(name: "a", domains: ["x.test"]), VirtualHost(name: "b", domains: ["y.test", "X.test"]),
        ])
        let error = #expect(throws: ResourceError.self) { try RouteTable(configuration) }
        #expect(error?.path == "virtual_hosts[1].domains[1]")
    }
}
