// SPDX-License-Identifier: Apache-2.0

/// Exponential waits with full jitter: each is a random time below an interval that doubles up to a limit.
package struct Backoff: BitwiseCopyable, Sendable {
    /// Upper bound of the next wait. - Unit: milliseconds.
    private var interval: UInt64
    private let limit: UInt64

    /// - Parameters: milliseconds; less than one counts as one.
    package init(base: UInt64, max limit: UInt64) {
        interval = Swift.max(base, 1)
        self.limit = Swift.max(limit, 1)
    }

    /// Milliseconds until the next attempt.
    package mutating func next(random: UInt64) -> UInt64 {
        let bound = interval
        interval = interval < limit / 2 ? interval * 2 : limit
        return random % bound
    }

    /// A wait that the server asked for, in milliseconds, and up to half of it more, so that clients do not come back
    /// together.
    package static func wait(askedFor wait: UInt64, random: UInt64) -> UInt64 {
        let spread = wait / 2
        return spread == 0 ? wait : wait &+ random % spread
    }
}

/// When a response says that the client may come again. Source: `RetryPolicy.ResetHeader`.
package enum ResetHeaderFormat: UInt8, BitwiseCopyable, Sendable {
    /// So many seconds from now.
    case seconds
    /// At this time, in seconds since 1970.
    case unixTimestamp

    /// Milliseconds from now; nil for a value that is no number or lies in the past.
    ///
    /// - Parameter wallClock: seconds since 1970.
    package func milliseconds(_ value: UInt64, wallClock: UInt64) -> UInt64? {
        var seconds = value
        if self == .unixTimestamp {
            guard value >= wallClock else { return nil }
            seconds = value - wallClock
        }
        // 2⁴² ms are 139 years, which no timer waits for.
        return seconds < 1 << 32 ? seconds * 1000 : nil
    }
}
