// SPDX-License-Identifier: Apache-2.0
import CProcess
import Glibc
import MeshDataPlane
package import MeshIO
import Synchronization
package import MeshStats
import MeshTLS

/// Gauges that nobody counts: they are read from the system when stats are printed. Scope `server.`.
package final class ProcessGauges: Sendable {
    private let pages: StatPages
    private let startedAt: MonotonicInstant
    private let uptime: GaugeID
    private let memoryAllocated: GaugeID
    private let memoryHeapSize: GaugeID
    private let memoryPhysicalSize: GaugeID
    private let daysUntilExpiry: GaugeID
    private let throttling: (periods: CounterID, throttledPeriods: CounterID, throttledTime: CounterID)
    private let cgroup: Cgroup?
    private let reported = Mutex(Cgroup.CPUTime())

    /// Where the certificates in force are found.
    private let view: AdminViewSlot?

    /// - Parameter startedAt: when the process began.
    package init(catalog: StatCatalog, startedAt: MonotonicInstant, view: AdminViewSlot? = nil) {
        self.startedAt = startedAt
        self.view = view
        let ids = catalog.declare(.literal("server.")) { scope in
            (
                scope.gauge("uptime", "Seconds since the process began."),
                scope.gauge("memory_allocated", "Bytes the program holds from the allocator."),
                scope.gauge("memory_heap_size", "Bytes the allocator holds from the system."),
                scope.gauge("memory_physical_size", "Resident bytes of the process."),
                scope.gauge("days_until_first_cert_expiring", "The largest number while there is no certificate.")
            )
        }
        (uptime, memoryAllocated, memoryHeapSize, memoryPhysicalSize, daysUntilExpiry) = ids
        // Envoy does not count these.
        throttling = catalog.declare(.literal("server.cgroup.")) { scope in
            (
                scope.counter("cpu_periods", "Scheduling periods in which the cgroup ran."),
                scope.counter("cpu_throttled_periods", "Periods in which it had used up its quota and had to wait."),
                scope.counter("cpu_throttled_us", "Microseconds it waited.")
            )
        }
        cgroup = Cgroup(SystemFile.read)
        pages = catalog.makePages()
    }

    /// Reads the system; the admin thread only, for it is the one writer of these pages.
    func refresh() {
        let memory = ProcessMemory.current()
        pages.set(uptime, (MonotonicInstant.current().nanoseconds &- startedAt.nanoseconds) / 1_000_000_000)
        pages.set(memoryAllocated, memory.allocated)
        pages.set(memoryHeapSize, memory.heap)
        pages.set(memoryPhysicalSize, memory.resident)
        pages.set(daysUntilExpiry, daysUntilFirstExpiry)
        countThrottling()
    }

    private func countThrottling() {
        guard let time = cgroup?.cpuTime(SystemFile.read) else { return }
        reported.withLock { last in
            pages.add(throttling.periods, time.periods &- min(last.periods, time.periods))
            pages.add(throttling.throttledPeriods, time.throttledPeriods &- min(last.throttledPeriods, time.throttledPeriods))
            pages.add(throttling.throttledTime, time.throttled &- min(last.throttled, time.throttled))
            last = time
        }
    }

    private var daysUntilFirstExpiry: UInt64 {
        let now = Int64(time(nil))
        let all = (view?.current.certificates ?? []).flatMap { $0.own + $0.trusted }
        return all.map { UInt64(clamping: $0.daysUntilExpiration(now: now)) }.min() ?? UInt64(UInt32.max)
    }
}

/// Memory of this process, in bytes.
struct ProcessMemory {
    var allocated: UInt64 = 0
    var heap: UInt64 = 0
    var free: UInt64 = 0
    var resident: UInt64 = 0

    static func current() -> ProcessMemory {
        var memory = ProcessMemory()
        apus_heap(&memory.allocated, &memory.heap, &memory.free)
        memory.resident = resident() ?? 0
        return memory
    }

    /// Resident bytes.
    static func resident() -> UInt64? { pages?.resident }

    /// Resident bytes that are no file's: heap and stacks. Asking the allocator would stop every thread that allocates.
    static func residentHeap() -> UInt64? { pages.map { $0.resident - min($0.resident, $0.ofFiles) } }

    private static var pages: (resident: UInt64, ofFiles: UInt64)? {
        let fields = SystemFile.read("/proc/self/statm")?.split(separator: " ") ?? []
        guard fields.count > 2, let resident = UInt64(fields[1]), let ofFiles = UInt64(fields[2]) else { return nil }
        let size = UInt64(max(1, sysconf(Int32(_SC_PAGESIZE))))
        return (resident * size, ofFiles * size)
    }
}

extension MonotonicInstant {
    /// The monotonic clock now; loops read their own copy once per turn instead.
    package static func current() -> MonotonicInstant {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return MonotonicInstant(nanoseconds: UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec))
    }
}
