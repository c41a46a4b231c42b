// SPDX-License-Identifier: Apache-2.0

/// When a name is looked up again.
package struct DNSRefreshPolicy: Equatable, Sendable {
    /// Source: `dns_refresh_rate`. Default: 5 s.
    package var rate: Duration = .seconds(5)
    /// Most that is added to the wait after an answer, at random. Source: `dns_jitter`. Default: 0.
    package var jitter: Duration = .zero
    /// Wait for as long as the answer holds. Source: `respect_dns_ttl`. Default: false.
    package var respectsTimeToLive = false
    /// First and longest wait after failures. Source: `dns_failure_refresh_rate`; the longest is ten times the first by
    /// default. Default: nil (`rate`).
    package var failureBackoff: FailureBackoff?

    package struct FailureBackoff: Equatable, Sendable {
        package var base: Duration
        package var longest: Duration

        package init(base: Duration, longest: Duration) {
            self.base = base
            self.longest = longest
        }
    }

    package init() {}
}

/// The waits between the lookups of one cluster, as in Envoy: its names share the count of failures.
package struct DNSRefresh: Equatable, Sendable {
    private let policy: DNSRefreshPolicy
    /// The bound of the next wait after a failure. - Unit: milliseconds.
    private var nextBackoff: UInt64

    package init(_ policy: DNSRefreshPolicy) {
        self.policy = policy
        nextBackoff = DNSRefresh.milliseconds(policy.failureBackoff?.base ?? policy.rate)
    }

    /// An answer came, if only that there are no addresses.
    ///
    /// - Parameters:
    ///   - timeToLive: of the address that holds shortest, in seconds; nil where there was no address. 0 says nothing.
    ///   - random: a random number.
    /// - Returns: milliseconds until the next lookup.
    package mutating func answered(timeToLive: UInt32?, random: UInt64) -> UInt64 {
        nextBackoff = DNSRefresh.milliseconds(policy.failureBackoff?.base ?? policy.rate)
        var wait = DNSRefresh.milliseconds(policy.rate)
        if policy.respectsTimeToLive, let timeToLive, timeToLive > 0 { wait = UInt64(timeToLive) * 1_000 }
        let jitter = policy.jitter > .zero ? DNSRefresh.milliseconds(policy.jitter) : 0
        return wait &+ (jitter > 0 ? random % jitter : 0)
    }

    /// No answer came. The bound of the wait doubles each time, the wait itself is random below it.
    ///
    /// - Returns: milliseconds until the next lookup.
    package mutating func failed(random: UInt64) -> UInt64 {
        guard let backoff = policy.failureBackoff else { return DNSRefresh.milliseconds(policy.rate) }
        let longest = DNSRefresh.milliseconds(backoff.longest)
        let bound = nextBackoff
        nextBackoff = min(bound.multipliedReportingOverflow(by: 2).overflow ? longest : bound * 2, longest)
        // A wait of nothing would ask a server that is in trouble without pause.
        return max(min(random % max(bound, 1), longest), 1)
    }

    /// At least one: a rate below the clock's tick would ask without pause.
    private static func milliseconds(_ duration: Duration) -> UInt64 {
        let (seconds, attoseconds) = duration.components
        let whole = UInt64(clamping: seconds).multipliedReportingOverflow(by: 1_000)
        guard !whole.overflow else { return 1 << 40 }
        return min(max(whole.partialValue &+ UInt64(clamping: attoseconds / 1_000_000_000_000_000), 1), 1 << 40)
    }
}
