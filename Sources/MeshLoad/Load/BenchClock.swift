// SPDX-License-Identifier: Apache-2.0
import Glibc

/// Clocks read at the moment itself and not once per turn: a measurement is about what happens within turns too.
enum BenchClock {
    /// The monotonic clock, the same one that loops use. - Unit: nanoseconds.
    static func now() -> UInt64 { read(CLOCK_MONOTONIC) }

    /// Processor time of the calling thread, and how long it was ready to run and had no core. - Unit: nanoseconds.
    static func threadTime() -> (used: UInt64, waiting: UInt64) {
        let fields = (ProcessReader.text("/proc/thread-self/schedstat") ?? "").split(separator: " ")
        return (read(CLOCK_THREAD_CPUTIME_ID), fields.count > 1 ? UInt64(fields[1]) ?? 0 : 0)
    }

    private static func read(_ clock: clockid_t) -> UInt64 {
        var time = timespec()
        clock_gettime(clock, &time)
        return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
    }
}
