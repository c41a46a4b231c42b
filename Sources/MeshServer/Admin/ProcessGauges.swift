// SPDX-License-Identifier: Apache-2.0
import CProcess
import Glibc
import MeshDataPlane
package import MeshIO
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
        pages = catalog.makePages()
    }

    /// `POST /reset_counters`; the admin thread only, too.
    func resetCounters(of catalog: StatCatalog) { catalog.resetCounters(on: pages) }

    /// Reads the system; the admin thread only, for it is the one writer of these pages.
    func refresh() {
        let memory = ProcessMemory.current()
        pages.set(uptime, (MonotonicInstant.current().nanoseconds &- startedAt.nanoseconds) / 1_000_000_000)
        pages.set(memoryAllocated, memory.allocated)
        pages.set(memoryHeapSize, memory.heap)
        pages.set(memoryPhysicalSize, memory.resident)
        pages.set(daysUntilExpiry, daysUntilFirstExpiry)
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
        let descriptor = open("/proc/self/statm", O_RDONLY | O_CLOEXEC)
        if descriptor >= 0 {
            var text: [UInt8] = Array(repeating: 0, count: 128)
            let count = max(0, read(descriptor, &text, text.count))
            close(descriptor)
            let fields = text[..<count].split(separator: 0x20)
            if fields.count > 1 {
                memory.resident = (UInt64(String(decoding: fields[1], as: UTF8.self)) ?? 0) * UInt64(max(1, sysconf(Int32(_SC_PAGESIZE))))
            }
        }
        return memory
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
