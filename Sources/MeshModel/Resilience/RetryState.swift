// SPDX-License-Identifier: Apache-2.0

/// What follows from the end of an attempt.
package enum RetryVerdict: Equatable, Sendable {
    /// The outcome stands. `endsRetry` is set when it is the outcome of a retry, which then did what it was for.
    case accept(endsRetry: Bool)
    /// Another attempt after so many milliseconds. `isAskedFor` is set where a response said how long to wait.
    case retry(milliseconds: UInt64, isAskedFor: Bool)
    /// Another attempt at once.
    case retryNow
    /// It would be made again, but that was done often enough.
    case limitExceeded
    /// It would be made again, but the cluster has too many retries under way.
    case overflow
}

/// The retries of one request: how many are left, how long to wait, and whether one counts against the cluster's breaker.
///
/// A retry counts from the decision until the outcome of its attempt is known.
package struct RetryState: Sendable {
    package private(set) var conditions: RetryConditions
    private var remaining: UInt32
    private var backoff: Backoff
    /// Whether one unit of the cluster's retries is held.
    package private(set) var isCounted = false

    /// - Parameter retries: attempts after the first.
    package init(conditions: RetryConditions, retries: UInt32, backoff: Backoff) {
        self.conditions = conditions
        remaining = retries
        self.backoff = backoff
    }

    /// Of a request that is not made again.
    package init() { self.init(conditions: [], retries: 0, backoff: Backoff(base: 1, max: 1)) }

    /// Decides about an attempt that ended.
    ///
    /// - Parameters:
    ///   - isWanted: the outcome meets a condition.
    ///   - isImmediate: without waiting, where another attempt is made.
    ///   - askedWait: milliseconds the response asks to wait; nil and 1 ask for nothing.
    ///   - hasRoom: whether the cluster may have one more retry under way, this request's own one not counted.
    package mutating func attemptEnded(
        isWanted: Bool, isImmediate: Bool = false, askedWait: UInt64? = nil, hasRoom: Bool, random: UInt64
    ) -> RetryVerdict {
        let wasRetry = isCounted
        isCounted = false
        guard isWanted else { return .accept(endsRetry: wasRetry) }
        guard remaining > 0 else { return .limitExceeded }
        // As in Envoy a retry that finds no room is used up.
        remaining -= 1
        guard hasRoom else { return .overflow }
        isCounted = true
        if isImmediate { return .retryNow }
        if let askedWait, askedWait > 1 {
            return .retry(milliseconds: Backoff.wait(askedFor: askedWait, random: random), isAskedFor: true)
        }
        return .retry(milliseconds: backoff.next(random: random), isAskedFor: false)
    }

    /// The request is over, or goes on without retries. Returns whether a unit is to be given back.
    package mutating func end() -> Bool {
        defer { isCounted = false }
        return isCounted
    }
}
