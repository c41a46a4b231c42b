// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshIO
import MeshModel
import MeshRegex
import Testing

struct AccessLogFilterTests {
    private func admits(_ filter: AccessLogFilter, random: UInt64 = 0, _ set: (FixedContext) -> Void = { _ in }) -> Bool {
        let subject = FixedContext()
        set(subject)
        return filter.admits(subject, random: random)
    }

    @Test(arguments: [
        (AccessLogFilter.Comparison.Operation.equal, UInt16(500), true), (.equal, 501, false), (.atLeast, 500, true),
        (.atLeast, 499, false), (.atMost, 500, true), (.atMost, 501, false), (.notEqual, 500, false), (.notEqual, 0, true),
    ])
    func statusIsCompared(operation: AccessLogFilter.Comparison.Operation, status: UInt16, expected: Bool) {
        let filter = AccessLogFilter.status(AccessLogFilter.Comparison(operation, 500))
        #expect(admits(filter) { $0.logStatus = status } == expected)
    }

    @Test func durationIsCompared() {
        let filter = AccessLogFilter.duration(AccessLogFilter.Comparison(.atLeast, 100))
        #expect(admits(filter) { $0.logMilliseconds = 100 })
        #expect(!admits(filter) { $0.logMilliseconds = 99 })
    }

    @Test func flagsAreAnyOfThoseNamedOrAnyAtAll() {
        #expect(admits(.flags(0b110)) { $0.logFlags = 0b100 })
        #expect(!admits(.flags(0b110)) { $0.logFlags = 0b001 })
        #expect(admits(.flags(0)) { $0.logFlags = 0b001 })
        #expect(!admits(.flags(0)))
    }

    @Test func statusesOfGRPCAreInOrOut() {
        #expect(admits(.grpcStatus(1 << 14, excludes: false)) { $0.logGRPCStatus = 14 })
        #expect(!admits(.grpcStatus(1 << 14, excludes: true)) { $0.logGRPCStatus = 14 })
        #expect(!admits(.grpcStatus(1 << 14, excludes: false)) { $0.logGRPCStatus = 99 })
        #expect(admits(.grpcStatus(1 << 14, excludes: true)) { $0.logGRPCStatus = .max })
    }

    @Test func typesAreInOrOut() {
        #expect(admits(.type(1 << 6, excludes: false)) { $0.logType = .downstreamEnd })
        #expect(!admits(.type(1 << 6, excludes: false)) { $0.logType = .downstreamStart })
        #expect(admits(.type(1 << 6, excludes: true)) { $0.logType = .tcpConnectionStart })
    }

    @Test func shareGoesByTheRequestsIDUnlessIndependent() {
        let half = FractionalPercent(numerator: 50)
        #expect(admits(.share(half, RuntimeReference(), isIndependent: false), random: 99) { $0.stableRandom = 149 })
        #expect(!admits(.share(half, RuntimeReference(), isIndependent: false), random: 0) { $0.stableRandom = 150 })
        #expect(!admits(.share(half, RuntimeReference(), isIndependent: true), random: 50) { $0.stableRandom = 0 })
        #expect(admits(.share(half, RuntimeReference(), isIndependent: false), random: 49))
    }

    @Test func keyOfTheRuntimeWinsWhileItIsSet() {
        let runtime = Runtime([RuntimeLayer(name: "admin", isAdmin: true, values: [:])])
        let least = AccessLogFilter.Comparison(.atLeast, 400, RuntimeReference(key: "log.least"))
        let filter = AccessLogFilter.all([.status(least), .share(FractionalPercent(numerator: 100), RuntimeReference(key: "log.share"), isIndependent: true)])
            .bound(to: runtime)
        #expect(admits(filter, random: 7) { $0.logStatus = 404 })
        #expect(runtime.modify([("log.least", "500")]))
        #expect(!admits(filter, random: 7) { $0.logStatus = 404 })
        #expect(admits(filter, random: 7) { $0.logStatus = 500 })
        #expect(runtime.modify([("log.least", ""), ("log.share", "5")]))
        #expect(!admits(filter, random: 7) { $0.logStatus = 404 })
        #expect(admits(filter, random: 4) { $0.logStatus = 404 })
    }

    @Test func filtersAreJoined() {
        let (yes, no) = (AccessLogFilter.notHealthCheck, AccessLogFilter.traceable)
        #expect(admits(.all([yes, yes])))
        #expect(!admits(.all([yes, no])))
        #expect(admits(.any([no, yes])))
        #expect(!admits(.any([no, no])))
        #expect(admits(.all([.any([no, yes]), yes])))
    }

    private func holds(_ matcher: HeaderMatcher, _ fields: [(String, String)]) throws -> Bool {
        let pool = SlabPool()
        var block = HeaderBlock()
        for (name, value) in fields {
            Array(name.utf8).withUnsafeBytes { name in
                Array(value.utf8).withUnsafeBytes { _ = block.append(name: name, value: $0, from: pool) }
            }
        }
        let predicate = try HeaderPredicate(matcher)
        return predicate.holds(block) { value in
            predicate.program.flatMap { Regex($0) }?.matchesAll(of: value) ?? false
        }
    }

    @Test(arguments: [
        (HeaderMatcher.Condition.string(StringMatcher(.exact("b"))), true), (.string(StringMatcher(.exact("c"))), false),
        (.string(StringMatcher(.prefix("B"), ignoreCase: true)), true), (.string(StringMatcher(.regex("a|z"))), true),
        (.string(StringMatcher(.regex("a.+"))), false), (.present(true), true), (.present(false), false),
        (.range(start: 1, end: 3), false),
    ])
    func headerIsAnyOfItsValues(condition: HeaderMatcher.Condition, expected: Bool) throws {
        let fields = [("x", "a"), ("y", "q"), ("x", "b")]
        #expect(try holds(HeaderMatcher(name: "X", condition), fields) == expected)
        #expect(try holds(HeaderMatcher(name: "X", condition, invert: true), fields) == !expected)
    }

    @Test func absentHeaderMeetsNoConditionOnItsValue() throws {
        let condition = HeaderMatcher.Condition.string(StringMatcher(.exact("")))
        #expect(try !holds(HeaderMatcher(name: "x", condition), []))
        #expect(try !holds(HeaderMatcher(name: "x", condition, invert: true), []))
        #expect(try holds(HeaderMatcher(name: "x", condition, treatMissingAsEmpty: true), []))
        #expect(try holds(HeaderMatcher(name: ":status", .range(start: 200, end: 300)), [(":status", "204")]))
    }
}
