// SPDX-License-Identifier: Apache-2.0
import Glibc
import MeshIO
import MeshModel

/// Reads one monitor's pressure from the system; the control thread only.
struct ResourceReader {
    private let kind: ResourceMonitor.Kind
    private let cgroup: Cgroup?
    private var lastCPU: (used: Double, of: Double)?
    /// Of CPU: one reading says little, so it moves by a twentieth towards each new one, as in Envoy.
    private var smoothed = 0.0
    private static let smoothing = 0.05

    init(_ kind: ResourceMonitor.Kind) {
        self.kind = kind
        cgroup = Cgroup(SystemFile.read)
    }

    /// The pressure, 0 for none and 1 for all of it; nil when it cannot be read.
    mutating func read(at now: MonotonicInstant) -> Double? {
        switch kind {
        case .fixedHeap(let most): return ProcessMemory.residentHeap().map { Double($0) / Double(max(most, 1)) }
        case .residentMemory(let most): return ProcessMemory.resident().map { Double($0) / Double(max(most, 1)) }
        case .injected(let path):
            guard let text = SystemFile.read(path) else { return nil }
            return ResourceReader.injected(text)
        case .cgroupMemory(let most):
            guard let memory = cgroup?.memory(SystemFile.read) else { return nil }
            return Double(memory.used) / Double(most > 0 ? min(most, memory.limit) : memory.limit)
        case .cpu(let ofContainer): return readCPU(ofContainer: ofContainer, now)
        }
    }

    static func injected(_ text: String) -> Double? {
        let trimmed = text.split { $0 == "\n" || $0 == " " }.first.map(String.init) ?? ""
        guard let value = Double(trimmed), value >= 0, value <= 1 else { return nil }
        return value
    }

    private mutating func readCPU(ofContainer: Bool, _ now: MonotonicInstant) -> Double? {
        let current: (used: Double, of: Double)
        if ofContainer {
            guard let cgroup, let time = cgroup.cpuTime(SystemFile.read) else { return nil }
            let cpus = cgroup.cpuQuota(SystemFile.read) ?? Double(max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))))
            current = (Double(time.used), Double(now.nanoseconds) / 1_000 * cpus)
        } else {
            guard let text = SystemFile.read("/proc/stat"), let time = ResourceReader.machineTime(text) else { return nil }
            current = time
        }
        defer { lastCPU = current }
        guard let last = lastCPU, current.of > last.of else { return smoothed }
        let part = min(max((current.used - last.used) / (current.of - last.of), 0), 1)
        smoothed = smoothed * (1 - ResourceReader.smoothing) + part * ResourceReader.smoothing
        return smoothed
    }

    /// `/proc/stat`: what all CPUs did so far, and all they could have done. - Unit: ticks.
    static func machineTime(_ text: String) -> (used: Double, of: Double)? {
        let fields = text.split(separator: "\n").first?.split(separator: " ") ?? []
        guard fields.count >= 5, fields[0] == "cpu" else { return nil }
        let ticks = fields[1...4].compactMap { Double($0) }
        guard ticks.count == 4 else { return nil }
        // user, nice, system; the fourth is idle.
        let used = ticks[0] + ticks[1] + ticks[2]
        return (used, used + ticks[3])
    }
}
