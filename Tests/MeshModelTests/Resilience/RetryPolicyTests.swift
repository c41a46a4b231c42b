// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshModel
import Testing

/// Policies in a compiled table: whose they are, and what they say of a request or a response.
struct RetryPolicyTests {
    private let heads = Heads()

    private func matcher(_ policy: RetryPolicy?, host: RetryPolicy? = nil) throws -> RouteMatcher {
        var action = RouteAction(cluster: "up")
        action.retryPolicy = policy
        var virtualHost = VirtualHost(
            name: "v", domains: ["*"], routes: [Route(match: RouteMatch(.prefix("/")), action: .forward(action))])
        virtualHost.retryPolicy = host
        return RouteMatcher(try RouteTable(RouteConfiguration(virtualHosts: [virtualHost])))
    }

    private func policy(of matcher: RouteMatcher) -> UnsafePointer<CompiledRetryPolicy>? {
        matcher.table.retryPolicy(matcher.table.route(0))
    }

    @Test func aRoutesPolicyTakesThePlaceOfItsHosts() throws {
        var (own, inherited) = (RetryPolicy(), RetryPolicy())
        own.retries = 2
        inherited.retries = 7
        inherited.conditions = .reset
        func retries(_ policy: RetryPolicy?, _ host: RetryPolicy?) throws -> UInt32? {
            let matcher = try self.matcher(policy, host: host)
            return self.policy(of: matcher)?.pointee.retries
        }
        #expect(try retries(own, inherited) == 2)
        #expect(try retries(nil, inherited) == 7)
        #expect(try retries(nil, nil) == nil)
    }

    @Test func statusesHeadersAndRequestsAreMatched() throws {
        var policy = RetryPolicy()
        policy.statusCodes = [418, 429]
        policy.responseHeaders = [HeaderMatcher(name: "x-again", .present(true))]
        policy.requestHeaders = [HeaderMatcher(name: "x-may", .string(StringMatcher(.exact("yes"))))]
        let matcher = try self.matcher(policy)
        let compiled = try #require(self.policy(of: matcher))
        #expect(matcher.isRetriable(compiled, status: 418) && matcher.isRetriable(compiled, status: 429))
        #expect(!matcher.isRetriable(compiled, status: 503))
        func answers(_ name: String) -> Bool { matcher.isRetriable(compiled, heads.block([(name, "1")])) }
        func asks(_ fields: [(String, String)]) -> Bool { matcher.allowsRetries(compiled, heads.request("/", fields)) }
        #expect(answers("x-again") && !answers("x-other"))
        #expect(asks([("x-may", "yes")]) && !asks([("x-may", "no")]) && !asks([]))
    }

    @Test func withoutConditionsOnRequestsEveryOneMayBeMadeAgain() throws {
        let matcher = try self.matcher(RetryPolicy())
        let compiled = try #require(self.policy(of: matcher))
        let isAllowed = matcher.allowsRetries(compiled, heads.request("/"))
        let isAnswered = matcher.isRetriable(compiled, heads.block([("x-again", "1")]))
        #expect(isAllowed && !isAnswered)
    }

    @Test func theFirstAcceptableResetHeaderCounts() throws {
        var policy = RetryPolicy()
        policy.resetHeaders = [
            .init(name: "Retry-After", format: .seconds), .init(name: "x-reset", format: .unixTimestamp),
        ]
        policy.maxResetInterval = .seconds(10)
        let matcher = try self.matcher(policy)
        let compiled = try #require(self.policy(of: matcher))
        func wait(_ fields: [(String, String)]) -> UInt64? {
            matcher.askedWait(compiled, heads.block(fields), wallClock: 1000)
        }
        #expect(wait([("retry-after", "3")]) == 3000)
        #expect(wait([("retry-after", "11"), ("x-reset", "1004")]) == 4000)
        #expect(wait([("retry-after", "soon"), ("x-reset", "999")]) == nil)
        #expect(wait([]) == nil)
    }
}
