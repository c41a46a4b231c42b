// SPDX-License-Identifier: Apache-2.0
import MeshModel
import Testing

@Suite struct DNSRefreshTests {
    private func policy(_ change: (inout DNSRefreshPolicy) -> Void) -> DNSRefreshPolicy {
        var policy = DNSRefreshPolicy()
        change(&policy)
        return policy
    }

    @Test func withoutTimeToLiveTheRateCounts() {
        var refresh = DNSRefresh(policy { $0.rate = .seconds(60) })
        #expect(refresh.answered(timeToLive: 5, random: 0) == 60_000)
        #expect(refresh.answered(timeToLive: nil, random: 0) == 60_000)
    }

    @Test(arguments: [(UInt32?.some(7), UInt64(7_000)), (.some(0), 60_000), (nil, 60_000)])
    func timeToLiveReplacesTheRateWhereItSaysSomething(timeToLive: UInt32?, wait: UInt64) {
        var refresh = DNSRefresh(policy {
            $0.rate = .seconds(60)
            $0.respectsTimeToLive = true
        })
        #expect(refresh.answered(timeToLive: timeToLive, random: 99) == wait)
    }

    @Test func jitterIsAddedAndStaysBelowItsBound() {
        var refresh = DNSRefresh(policy {
            $0.rate = .seconds(1)
            $0.jitter = .milliseconds(100)
        })
        #expect(refresh.answered(timeToLive: nil, random: 0) == 1_000)
        #expect(refresh.answered(timeToLive: nil, random: 199) == 1_099)
        for number in UInt64(0)..<300 { #expect((1_000..<1_100).contains(refresh.answered(timeToLive: nil, random: number))) }
    }

    @Test func failuresWithoutABackoffWaitForTheRate() {
        var refresh = DNSRefresh(policy { $0.rate = .seconds(3) })
        #expect(refresh.failed(random: 12_345) == 3_000)
        #expect(refresh.failed(random: 1) == 3_000)
    }

    @Test func theBoundOfTheBackoffDoublesUpToTheLongest() {
        var refresh = DNSRefresh(policy {
            $0.failureBackoff = .init(base: .milliseconds(100), longest: .milliseconds(350))
        })
        // A random number one below the bound shows the bound.
        #expect(refresh.failed(random: 99) == 99)
        #expect(refresh.failed(random: 199) == 199)
        #expect(refresh.failed(random: 349) == 349)
        #expect(refresh.failed(random: 350) == 1)
        #expect(refresh.failed(random: 349) == 349)
    }

    @Test func anAnswerEndsTheBackoff() {
        var refresh = DNSRefresh(policy {
            $0.failureBackoff = .init(base: .milliseconds(100), longest: .seconds(10))
        })
        for _ in 0..<5 { _ = refresh.failed(random: 1) }
        _ = refresh.answered(timeToLive: nil, random: 0)
        #expect(refresh.failed(random: 1_099) == 99)
    }

    @Test func noWaitIsZeroAndNoneOverflows() {
        var refresh = DNSRefresh(policy {
            $0.rate = .nanoseconds(1)
            $0.jitter = .seconds(Int64.max / 2)
            $0.failureBackoff = .init(base: .zero, longest: .seconds(Int64.max / 2))
        })
        for number in [UInt64(0), 1, .max] {
            #expect(refresh.failed(random: number) > 0)
            #expect(refresh.answered(timeToLive: .max, random: number) > 0)
        }
    }
}
