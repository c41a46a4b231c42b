// SPDX-License-Identifier: Apache-2.0

/// A point on the loop's monotonic clock.
///
/// - Unit: nanoseconds since an arbitrary start. Read once per loop turn (`EventLoop.now`), so it may lag by a turn.
@frozen @usableFromInline package struct MonotonicInstant: Comparable, Hashable, Sendable {
    @usableFromInline package let nanoseconds: UInt64

    @inlinable package init(nanoseconds: UInt64) { self.nanoseconds = nanoseconds }

    @inlinable package static func < (left: MonotonicInstant, right: MonotonicInstant) -> Bool {
        left.nanoseconds < right.nanoseconds
    }

    /// Nanoseconds from `earlier` to here; 0 when `earlier` is later.
    @inlinable package func nanoseconds(since earlier: MonotonicInstant) -> UInt64 {
        nanoseconds > earlier.nanoseconds ? nanoseconds &- earlier.nanoseconds : 0
    }

    /// The instant `nanoseconds` later, saturating.
    @inlinable package func advanced(byNanoseconds delta: UInt64) -> MonotonicInstant {
        let (sum, overflow) = nanoseconds.addingReportingOverflow(delta)
        return MonotonicInstant(nanoseconds: overflow ? .max : sum)
    }

    /// The instant a whole number of milliseconds later, saturating.
    @inlinable package func advanced(byMilliseconds delta: UInt64) -> MonotonicInstant {
        let (product, overflow) = delta.multipliedReportingOverflow(by: 1_000_000)
        return advanced(byNanoseconds: overflow ? .max : product)
    }
}
