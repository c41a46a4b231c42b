// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshIO
import MeshModel
import Testing

struct RouteRewriteTests {
    private let heads = Heads()

    private func rewritten(_ path: RouteMatch.PathMatch, _ rewrite: PathRewrite, _ target: String) throws -> String? {
        var action = RouteAction(cluster: "c")
        action.pathRewrite = rewrite
        let matcher = RouteMatcher(
            try RouteTable(RouteConfiguration(routes: [Route(match: RouteMatch(path), action: .forward(action))])))
        let sink = ByteSink()
        let changed = withBytes(target) { matcher.rewritePath(matcher.table.route(0), $0, to: sink) }
        return changed ? string(sink.bytes) : nil
    }

    @Test(arguments: [
        (RouteMatch.PathMatch.prefix("/old"), PathRewrite.prefix("/new"), "/old/x?q=1", "/new/x?q=1"),
        (.prefix("/old/"), .prefix("/"), "/old/x", "/x"),
        (.exact("/a"), .prefix("/b"), "/a?q", "/b?q"),
        (.separatedPrefix("/a"), .prefix("/b"), "/a/c", "/b/c"),
        (.regex("/.*"), .prefix("/b"), "/a/c?q", "/b?q"),
        (
            .prefix("/"), .regex(RegexRewrite(pattern: "^/svc/([^/]+)(/.*)$", substitution: "\\2/i/\\1")),
            "/svc/f/v1?q", "/v1/i/f?q"
        ),
        (.prefix("/"), .regex(RegexRewrite(pattern: "one", substitution: "two")), "/xone/one?one", "/xtwo/two?one"),
    ])
    func pathBecomes(path: RouteMatch.PathMatch, rewrite: PathRewrite, target: String, expected: String) throws {
        #expect(try rewritten(path, rewrite, target) == expected)
    }

    @Test func namesOfTheMeshAloneAreTakenAway() throws {
        var configuration = RouteConfiguration(
            routes: [Route(match: RouteMatch(.prefix("/")), action: .forward(RouteAction(cluster: "c")))])
        configuration.internalOnlyHeaders = ["x-secret", "user-agent", "absent"]
        let matcher = RouteMatcher(try RouteTable(configuration))
        var block = heads.request("/", [("x-secret", "1"), ("x-secrets", "2"), ("user-agent", "u"), ("x-secret", "3")])
        matcher.removeInternalOnlyHeaders(from: &block)
        #expect(Heads.pairs(block) == [":method: GET", ":authority: a.test", ":scheme: http", ":path: /", "x-secrets: 2"])
        let hasAgent = block.contains(.userAgent)
        #expect(!hasAgent)
    }

    @Test func withoutRewriteThePathStays() throws {
        #expect(try rewritten(.prefix("/"), .none, "/x") == nil)
    }

    struct RedirectCase: CustomTestStringConvertible {
        var redirect = RedirectAction()
        var host = "a.test"
        var target = "/x?q=1"
        let location: String
        var testDescription: String { location }

        init(
            _ location: String, host: String = "a.test", target: String = "/x?q=1",
            _ change: (inout RedirectAction) -> Void
        ) {
            self.location = location
            self.host = host
            self.target = target
            change(&redirect)
        }
    }

    @Test(arguments: [
        RedirectCase("https://a.test/x?q=1") { $0.scheme = .https },
        RedirectCase("https://a.test/x?q=1", host: "a.test:80") { $0.scheme = .https },
        RedirectCase("https://a.test:81/x?q=1", host: "a.test:81") { $0.scheme = .https },
        RedirectCase("http://b.test/x?q=1", host: "a.test:81") { $0.host = "b.test" },
        RedirectCase("http://a.test:8443/x?q=1", host: "a.test:81") { $0.port = 8443 },
        RedirectCase("http://[::1]:8443/x?q=1", host: "[::1]:81") { $0.port = 8443 },
        RedirectCase("http://[::1]:8443/x?q=1", host: "[::1]") { $0.port = 8443 },
        RedirectCase("http://a.test/new?q=1") { $0.path = .literal("/new") },
        RedirectCase("http://a.test/new?z=2") { $0.path = .literal("/new?z=2") },
        RedirectCase("http://a.test/new?z=2") {
            $0.path = .literal("/new?z=2"); $0.stripQuery = true
        },
        RedirectCase("http://a.test/x") { $0.stripQuery = true },
        RedirectCase("ftp://a.test/x?q=1") { $0.scheme = .literal("ftp") },
    ])
    func redirectLeadsTo(_ example: RedirectCase) throws {
        let route = Route(match: RouteMatch(.prefix("/")), action: .redirect(example.redirect))
        let matcher = RouteMatcher(try RouteTable(RouteConfiguration(routes: [route])))
        let sink = ByteSink()
        let request = heads.request(example.target, host: example.host, [("x-forwarded-proto", "http")])
        matcher.redirectLocation(matcher.table.route(0), request, to: sink)
        #expect(string(sink.bytes) == example.location)
    }

    @Test func hostComesFromLiteralHeaderOrPath() throws {
        func host(_ rewrite: HostRewrite, _ fields: [(String, String)] = []) throws -> String? {
            var action = RouteAction(cluster: "c")
            action.hostRewrite = rewrite
            let matcher = RouteMatcher(
                try RouteTable(
                    RouteConfiguration(routes: [Route(match: RouteMatch(.prefix("/")), action: .forward(action))])))
            let sink = ByteSink()
            let set = matcher.rewriteHost(matcher.table.route(0), heads.request("/t1/x?y", fields), to: sink)
            return set ? string(sink.bytes) : nil
        }
        #expect(try host(.none) == nil)
        #expect(try host(.automatic) == nil)
        #expect(try host(.literal("l.test")) == "l.test")
        #expect(try host(.header("x-to"), [("x-to", "h.test")]) == "h.test")
        #expect(try host(.header("x-to")) == nil)
        #expect(try host(.pathRegex(RegexRewrite(pattern: "^/([^/]+)/.*", substitution: "\\1.test"))) == "t1.test")
    }
}

struct HeaderOperationTests {
    private let heads = Heads()

    private func add(_ name: String, _ value: String, _ action: HeaderMutation.Action, keepEmpty: Bool = false) throws
        -> HeaderMutation
    {
        HeaderMutation(name: name, value: try FormatTemplate.compile(value), action: action, keepEmptyValue: keepEmpty)
    }

    private func applied(_ change: (inout RouteConfiguration) throws -> Void, _ fields: [(String, String)]) throws
        -> [String]
    {
        var configuration = RouteConfiguration(routes: [Route(.prefix("/"))])
        try change(&configuration)
        let matcher = RouteMatcher(try RouteTable(configuration))
        var block = heads.block(fields)
        matcher.applyRequestOperations(matcher.table.route(0), to: &block, from: heads.pool, context: FixedContext())
        return Heads.pairs(block)
    }

    @Test func actionsFollowWhetherTheHeaderIsThere() throws {
        let result = try applied(
            {
                $0.headers.requestAdd = [
                    try add("a", "2", .appendOrAdd), try add("b", "2", .addIfAbsent),
                    try add("c", "2", .overwriteOrAdd),
                    try add("d", "2", .overwriteIfPresent), try add("e", "2", .addIfAbsent),
                    try add("f", "2", .overwriteIfPresent),
                ]
            }, [("a", "1"), ("b", "1"), ("c", "1"), ("d", "1")])
        #expect(result == ["a: 1", "b: 1", "c: 2", "d: 2", "a: 2", "e: 2"])
    }

    @Test func removalComesBeforeAddition() throws {
        let result = try applied(
            {
                $0.headers.requestRemove = ["a"]
                $0.headers.requestAdd = [try add("a", "2", .addIfAbsent)]
            }, [("a", "1"), ("A", "3")])
        #expect(result == ["a: 2"])
    }

    @Test func emptyValueIsNotSetUnlessKept() throws {
        let result = try applied(
            {
                $0.headers.requestAdd = [
                    try add("a", "%REQ(nothing)%", .appendOrAdd),
                    try add("b", "%REQ(nothing)%", .appendOrAdd, keepEmpty: true),
                ]
            }, [])
        #expect(result == ["b: "])
    }

    @Test func aValueSeesWhatWasBeforeItsLevel() throws {
        let result = try applied(
            {
                $0.headers.requestAdd = [
                    try add("a", "new", .overwriteOrAdd), try add("b", "was %REQ(a)%", .appendOrAdd),
                ]
            }, [("a", "old")])
        #expect(result == ["a: new", "b: was old"])
    }

    @Test(arguments: [(false, ["x: configuration"]), (true, ["x: route"])])
    func levelsGoOutwardsUnlessTheMostSpecificWins(mostSpecificWins: Bool, expected: [String]) throws {
        let result = try applied(
            {
                $0.mostSpecificHeaderMutationsWin = mostSpecificWins
                $0.headers.requestAdd = [try add("x", "configuration", .overwriteOrAdd)]
                $0.virtualHosts[0].headers.requestAdd = [try add("x", "host", .overwriteOrAdd)]
                $0.virtualHosts[0].routes[0].headers.requestAdd = [try add("x", "route", .overwriteOrAdd)]
            }, [])
        #expect(result == expected)
    }
}
