// SPDX-License-Identifier: Apache-2.0
import MeshIO
import MeshUV
import Testing

/// What a resolver answers without a server; the rest is played before real servers in Tests/UpstreamTests.
@Suite struct CaresResolverTests {
    /// A server that is not there: its port is the discard service's.
    private func options() -> ResolverOptions {
        var options = ResolverOptions()
        options.servers = [.ipv4(0x7F00_0001, port: 9)]
        options.queryTries = 1
        options.queryTimeoutSeconds = 1
        options.ignoresSearchDomains = true
        return options
    }

    private func answer(_ name: String, _ family: LookupFamily) -> (answer: LookupAnswer?, events: [ResolverEvent]) {
        let loop = UVLoop()
        var events: [ResolverEvent] = []
        var answer: LookupAnswer?
        let resolver = CaresResolver(loop: loop, options: options()) { events.append($0) }
        resolver.resolve(name, family) { answer = $0 }
        #expect(answer == nil, "answered before it returned")
        while answer == nil { loop.runOnce() }
        resolver.stop()
        loop.close()
        return (answer, events)
    }

    @Test(arguments: [
        (LookupFamily.ipv4Only, Address.ipv4(0x7F00_0001, port: 0)), (.ipv6Only, .ipv6(high: 0, low: 1, port: 0, scope: 0)),
    ])
    func localhostIsThisMachine(family: LookupFamily, address: Address) {
        let (answer, events) = answer("localhost", family)
        guard case .addresses(let found)? = answer else {
            Issue.record("no answer but \(String(describing: answer))")
            return
        }
        #expect(found.map(\.address).contains(address))
        #expect(events == [.asked, .ended])
    }

    @Test func aServerThatIsNotThereIsAFailure() {
        let (answer, events) = answer("a.test", .ipv4Only)
        #expect(answer == .failed)
        #expect(events.first == .asked && events.contains(.ended))
    }

    @Test func everyFamilyThatMayHelpIsAskedFor() {
        let (answer, events) = answer("a.test", .ipv4Preferred)
        #expect(answer == .failed)
        #expect(events.count { $0 == .asked } == 2 && events.count { $0 == .ended } == 2)
    }

    @Test func aNameThatIsNoneFails() {
        let (answer, _) = answer(String(repeating: "a", count: 200) + ".test", .ipv4Only)
        #expect(answer == .failed || answer == .addresses([]))
    }

    @Test func afterItWasStoppedNothingIsAnswered() {
        let loop = UVLoop()
        var answers = 0
        let resolver = CaresResolver(loop: loop, options: options())
        for _ in 0..<3 { resolver.resolve("a.test", .all) { _ in answers += 1 } }
        resolver.resolve("localhost", .ipv4Only) { _ in answers += 1 }
        resolver.stop()
        loop.runEndOfTurn()
        loop.close()
        #expect(answers == 0)
    }
}
