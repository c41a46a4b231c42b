// SPDX-License-Identifier: Apache-2.0
import Glibc

/// Who used the machine between two moments, so that a run which other programs disturbed is known.
struct MachineUse: Equatable, Sendable {
    /// Of all CPUs, stolen time included. - Unit: seconds.
    var busy = 0.0
    var proxy = 0.0
    var upstream = 0.0
    /// This program.
    var load = 0.0
    var wall = 0.0
    /// Bytes that IP delivered in this network namespace, heads included: what went through a proxy on loopback counts twice.
    var delivered = 0.0

    /// Other programs may use so many cores at most.
    static let outsideLimit = 0.25

    static func - (later: MachineUse, earlier: MachineUse) -> MachineUse {
        MachineUse(
            busy: later.busy - earlier.busy, proxy: later.proxy - earlier.proxy, upstream: later.upstream - earlier.upstream,
            load: later.load - earlier.load, wall: later.wall - earlier.wall, delivered: later.delivered - earlier.delivered)
    }

    /// Cores that others used.
    var outsideCores: Double { wall > 0 ? max(0, busy - proxy - upstream - load) / wall : 0 }

    /// Whether a run with this use does not count.
    var isSpoiled: Bool { outsideCores > MachineUse.outsideLimit }

    /// What has been used up to now.
    static func now(proxy: pid_t, upstreams: [pid_t]) -> MachineUse {
        var use = MachineUse()
        use.wall = Double(BenchClock.now()) / 1e9
        use.busy = ProcessReader.text("/proc/stat").flatMap(busySeconds) ?? 0
        use.proxy = ProcessReader.read(.process(proxy))?.cpuSeconds ?? 0
        for upstream in upstreams { use.upstream += ProcessReader.read(.process(upstream))?.cpuSeconds ?? 0 }
        use.delivered = ProcessReader.text("/proc/net/netstat").flatMap(deliveredBytes) ?? 0
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        use.load = Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
        return use
    }

    /// `InOctets` of `/proc/net/netstat`: a line of names and one of numbers for each group.
    static func deliveredBytes(_ netstat: String) -> Double? {
        let lines = netstat.split(separator: "\n").filter { $0.hasPrefix("IpExt:") }.map { $0.split(separator: " ") }
        guard lines.count == 2, let place = lines[0].firstIndex(of: "InOctets"), place < lines[1].count else { return nil }
        return Double(lines[1][place])
    }

    /// The first line of `/proc/stat`: user, nice, system, idle, iowait, irq, softirq, steal.
    static func busySeconds(_ stat: String) -> Double? {
        guard let line = stat.split(separator: "\n").first, line.hasPrefix("cpu ") else { return nil }
        let ticks = line.split(separator: " ").dropFirst().compactMap { Double($0) }
        guard ticks.count >= 8 else { return nil }
        let busy = ticks[0] + ticks[1] + ticks[2] + ticks[5] + ticks[6] + ticks[7]
        return busy / Double(sysconf(Int32(_SC_CLK_TCK)))
    }

    /// What the figures were measured on.
    public static func machine() -> String {
        let model = (ProcessReader.text("/proc/cpuinfo") ?? "").split(separator: "\n").first { $0.hasPrefix("model name") }
        let name = model?.split(separator: ":").last.map { $0.trimmed } ?? "unknown CPU"
        let kernel = (ProcessReader.text("/proc/sys/kernel/osrelease") ?? "").trimmed
        return "\(sysconf(Int32(_SC_NPROCESSORS_ONLN))) × \(name), Linux \(kernel)"
    }

    /// Resident memory of a process, and the highest it has been. - Unit: bytes.
    static func memory(_ process: pid_t) -> (now: Double, highest: Double)? {
        guard let status = ProcessReader.text("/proc/\(process)/status") else { return nil }
        func kilobytes(_ label: String) -> Double {
            status.split(separator: "\n").first { $0.hasPrefix(label) }?.split(separator: " ").compactMap { Double($0) }.first ?? 0
        }
        return (kilobytes("VmRSS:") * 1024, kilobytes("VmHWM:") * 1024)
    }
}
