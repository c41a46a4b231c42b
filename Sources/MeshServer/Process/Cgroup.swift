// SPDX-License-Identifier: Apache-2.0
import Glibc

/// What the process's control group allows it and has counted, in both versions of the kernel's interface.
///
/// A limit may stand at any level of the hierarchy, so all of them are looked at; in a container the process's own level is
/// the root of what it sees.
struct Cgroup: Sendable {
    /// Reads a file of the system; nil when there is none. Handed in, so that tests bring their own.
    typealias Reader = (String) -> String?

    private let isUnified: Bool
    /// Directories of the CPU controller, the process's own first.
    private let cpuDirectories: [String]
    private let memoryDirectories: [String]

    /// Nil where the process is in no group.
    init?(_ read: Reader) {
        guard let membership = read("/proc/self/cgroup") else { return nil }
        isUnified = read("/sys/fs/cgroup/cgroup.controllers") != nil
        if isUnified {
            guard let path = Cgroup.path(of: "", in: membership) else { return nil }
            cpuDirectories = Cgroup.levels(of: path, under: "/sys/fs/cgroup")
            memoryDirectories = cpuDirectories
        } else {
            cpuDirectories = Cgroup.path(of: "cpu", in: membership).map { path in
                ["/sys/fs/cgroup/cpu,cpuacct", "/sys/fs/cgroup/cpu"].flatMap { Cgroup.levels(of: path, under: $0) }
            } ?? []
            memoryDirectories = Cgroup.path(of: "memory", in: membership)
                .map { Cgroup.levels(of: $0, under: "/sys/fs/cgroup/memory") } ?? []
        }
    }

    /// The path of `/proc/self/cgroup`'s line for a controller; the empty one is version 2.
    static func path(of controller: String, in membership: String) -> String? {
        for line in membership.split(separator: "\n") {
            let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard fields.count == 3 else { continue }
            if fields[1].split(separator: ",", omittingEmptySubsequences: false).contains(controller[...]) {
                return String(fields[2])
            }
        }
        return nil
    }

    /// The directories from `path` up to the mount itself.
    static func levels(of path: String, under mount: String) -> [String] {
        var parts = path.split(separator: "/").filter { $0 != ".." }
        var result: [String] = []
        while !parts.isEmpty {
            result.append(mount + "/" + parts.joined(separator: "/"))
            parts.removeLast()
        }
        return result + [mount]
    }

    // MARK: CPU

    /// CPUs' worth of time the group may use; nil without a quota.
    func cpuQuota(_ read: Reader) -> Double? {
        cpuDirectories.compactMap { directory in
            if isUnified { return read(directory + "/cpu.max").flatMap(Cgroup.quota) }
            return Cgroup.quota(
                read(directory + "/cpu.cfs_quota_us").flatMap(Cgroup.number), period: read(directory + "/cpu.cfs_period_us").flatMap(Cgroup.number))
        }.min()
    }

    /// `cpu.max`: a quota or `max`, and the period, in microseconds.
    static func quota(_ text: String) -> Double? {
        let fields = text.split { $0 == " " || $0 == "\n" }
        guard fields.count == 2 else { return nil }
        return quota(Double(fields[0]), period: Double(fields[1]))
    }

    static func quota(_ quota: Double?, period: Double?) -> Double? {
        guard let quota, let period, quota > 0, period > 0 else { return nil }
        return quota / period
    }

    /// What the scheduler did to the group (`cpu.stat`), and what it used.
    struct CPUTime: Equatable, Sendable {
        /// Periods in which the group ran, and those in which it used its quota up and had to stop.
        var periods: UInt64 = 0
        var throttledPeriods: UInt64 = 0
        /// - Unit: microseconds.
        var throttled: UInt64 = 0
        /// - Unit: microseconds; 0 where version 1 keeps it elsewhere.
        var used: UInt64 = 0
    }

    func cpuTime(_ read: Reader) -> CPUTime? {
        for directory in cpuDirectories {
            guard let text = read(directory + "/cpu.stat") else { continue }
            var time = Cgroup.cpuTime(text)
            if !isUnified, let used = read(directory + "/cpuacct.usage").flatMap(Cgroup.number) { time.used = UInt64(used / 1_000) }
            return time
        }
        return nil
    }

    static func cpuTime(_ text: String) -> CPUTime {
        var time = CPUTime()
        for line in text.split(separator: "\n") {
            let fields = line.split(separator: " ")
            guard fields.count == 2, let value = UInt64(fields[1]) else { continue }
            switch fields[0] {
            case "nr_periods": time.periods = value
            case "nr_throttled": time.throttledPeriods = value
            case "throttled_usec": time.throttled = value
            // Version 1, in nanoseconds.
            case "throttled_time": time.throttled = value / 1_000
            case "usage_usec": time.used = value
            default: break
            }
        }
        return time
    }

    // MARK: Memory

    /// The lowest limit there is and what is used of it, in bytes; nil without one.
    func memory(_ read: Reader) -> (used: UInt64, limit: UInt64)? {
        let (limitFile, usedFile) = isUnified ? ("/memory.max", "/memory.current") : ("/memory.limit_in_bytes", "/memory.usage_in_bytes")
        var lowest: (used: UInt64, limit: UInt64)?
        for directory in memoryDirectories {
            guard let limit = read(directory + limitFile).flatMap(Cgroup.limit), limit < lowest?.limit ?? .max else { continue }
            lowest = (read(directory + usedFile).flatMap(Cgroup.number).map { UInt64($0) } ?? 0, limit)
        }
        return lowest
    }

    /// Nil for `max`, and for version 1's largest number, which means the same.
    static func limit(_ text: String) -> UInt64? {
        guard let value = number(text), value > 0, value < Double(UInt64(1) << 60) else { return nil }
        return UInt64(value)
    }

    private static func number(_ text: String) -> Double? { Double(text.split { $0 == " " || $0 == "\n" }.first ?? "") }
}

/// Files of the system, small ones.
enum SystemFile {
    static func read(_ path: String) -> String? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes: [UInt8] = Array(repeating: 0, count: 8_192)
        let count = Glibc.read(descriptor, &bytes, bytes.count)
        return count >= 0 ? String(decoding: bytes[..<count], as: UTF8.self) : nil
    }
}

/// What the process takes of the machine when nobody says.
enum ProcessSize {
    /// Envoy's `--concurrency`: as told, else a worker for each CPU the process may use; a quota of two and a half CPUs keeps
    /// three workers busy.
    static func workers(requested: UInt32, usableCPUs: Int, quota: Double?) -> Int {
        if requested > 0 { return Int(requested) }
        let cpus = max(usableCPUs, 1)
        guard let quota, quota < Double(cpus) else { return cpus }
        return max(1, Int(quota.rounded(.up)))
    }
}
