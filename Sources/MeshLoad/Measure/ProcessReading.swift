// SPDX-License-Identifier: Apache-2.0
import Glibc

/// What the kernel says of a process at one moment.
public struct ProcessReading: Equatable, Sendable {
    /// User and system time used so far. - Unit: seconds.
    public var cpuSeconds = 0.0
    /// Memory in RAM. - Unit: bytes.
    public var residentBytes: UInt64 = 0
    public var voluntarySwitches: UInt64 = 0
    public var involuntarySwitches: UInt64 = 0
    public var descriptors = 0

    public init() {}

    mutating func add(_ other: ProcessReading) {
        cpuSeconds += other.cpuSeconds
        residentBytes += other.residentBytes
        voluntarySwitches += other.voluntarySwitches
        involuntarySwitches += other.involuntarySwitches
        descriptors += other.descriptors
    }
}

/// What is measured beside the load.
public enum ObservedSubject: Equatable, Sendable {
    /// A process and all below it.
    case process(Int32)
    /// A cgroup's folder (version 2).
    case cgroup(String)
}

/// Reads `/proc` and cgroup files. The texts are parsed by functions of their own.
enum ProcessReader {
    /// Nil when the subject is gone.
    static func read(_ subject: ObservedSubject) -> ProcessReading? {
        switch subject {
        case .process(let root):
            guard var total = read(process: root) else { return nil }
            for child in descendants(of: root) {
                if let reading = read(process: child) { total.add(reading) }
            }
            return total
        case .cgroup(let path):
            guard let cpu = text(path + "/cpu.stat"), let seconds = cgroupSeconds(cpu) else { return nil }
            var reading = ProcessReading()
            reading.cpuSeconds = seconds
            let memory = text(path + "/memory.current").flatMap { UInt64($0.trimmed) }
            reading.residentBytes = memory ?? 0
            for line in (text(path + "/cgroup.procs") ?? "").split(separator: "\n") {
                guard let process = Int32(line), let one = read(process: process) else { continue }
                // A hierarchy without the memory controller counts none.
                if memory == nil { reading.residentBytes += one.residentBytes }
                reading.voluntarySwitches += one.voluntarySwitches
                reading.involuntarySwitches += one.involuntarySwitches
                reading.descriptors += one.descriptors
            }
            return reading
        }
    }

    private static func read(process: Int32) -> ProcessReading? {
        let folder = "/proc/\(process)"
        guard let stat = text(folder + "/stat"), let ticks = cpuTicks(stat) else { return nil }
        var reading = ProcessReading()
        reading.cpuSeconds = Double(ticks) / Double(sysconf(Int32(_SC_CLK_TCK)))
        // Finer than ticks where the kernel counts nanoseconds, thread by thread.
        let threads = names(folder + "/task")
        var nanoseconds: UInt64 = 0
        for thread in threads {
            nanoseconds += text("\(folder)/task/\(thread)/schedstat").flatMap(runNanoseconds) ?? 0
            guard let status = text("\(folder)/task/\(thread)/status") else { continue }
            reading.voluntarySwitches += number(after: "\nvoluntary_ctxt_switches:", in: status)
            reading.involuntarySwitches += number(after: "\nnonvoluntary_ctxt_switches:", in: status)
        }
        if nanoseconds > 0 { reading.cpuSeconds = max(Double(nanoseconds) / 1e9, 0) }
        if let memory = text(folder + "/statm") { reading.residentBytes = residentPages(memory) * UInt64(getpagesize()) }
        reading.descriptors = names(folder + "/fd").count
        return reading
    }

    /// Every process below `root`, by the parents in `/proc/*/stat`.
    private static func descendants(of root: Int32) -> [Int32] {
        var children: [Int32: [Int32]] = [:]
        for name in names("/proc") {
            guard let process = Int32(name), let stat = text("/proc/\(process)/stat"), let parent = parent(stat) else { continue }
            children[parent, default: []].append(process)
        }
        var found: [Int32] = []
        var open = [root]
        while let next = open.popLast() {
            for child in children[next] ?? [] {
                found.append(child)
                open.append(child)
            }
        }
        return found
    }

    // MARK: Texts

    /// Fields of `/proc/PID/stat` behind the name, which may hold anything.
    private static func fields(_ stat: String) -> [Substring] {
        guard let end = stat.lastIndex(of: ")") else { return [] }
        return stat[stat.index(after: end)...].split(separator: " ")
    }

    static func cpuTicks(_ stat: String) -> UInt64? {
        let fields = fields(stat)
        guard fields.count > 12, let user = UInt64(fields[11]), let system = UInt64(fields[12]) else { return nil }
        return user + system
    }

    static func parent(_ stat: String) -> Int32? {
        let fields = fields(stat)
        return fields.count > 1 ? Int32(fields[1]) : nil
    }

    static func runNanoseconds(_ schedstat: String) -> UInt64? {
        schedstat.split(separator: " ").first.flatMap { UInt64($0) }
    }

    static func residentPages(_ statm: String) -> UInt64 {
        let fields = statm.split(separator: " ")
        return fields.count > 1 ? UInt64(fields[1]) ?? 0 : 0
    }

    static func cgroupSeconds(_ stat: String) -> Double? {
        for line in stat.split(separator: "\n") {
            let words = line.split(separator: " ")
            if words.count == 2, words[0] == "usage_usec", let used = Double(words[1]) { return used / 1e6 }
        }
        return nil
    }

    static func number(after label: String, in text: String) -> UInt64 {
        guard let range = text.firstRange(of: label) else { return 0 }
        return UInt64(text[range.upperBound...].prefix { $0 != "\n" }.trimmed) ?? 0
    }

    // MARK: Files

    static func text(_ path: String) -> String? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = Glibc.read(descriptor, &chunk, chunk.count)
            if count <= 0 { return count < 0 && bytes.isEmpty ? nil : String(decoding: bytes, as: UTF8.self) }
            bytes += chunk[..<count]
        }
    }

    private static func names(_ path: String) -> [String] {
        guard let folder = opendir(path) else { return [] }
        defer { closedir(folder) }
        var names: [String] = []
        while let entry = readdir(folder) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names
    }
}

extension StringProtocol {
    /// Without spaces, tabs and line feeds at either end.
    var trimmed: String {
        let isSpace: (Character) -> Bool = { $0 == " " || $0 == "\t" || $0 == "\n" }
        return String(drop(while: isSpace).reversed().drop(while: isSpace).reversed())
    }
}
