// SPDX-License-Identifier: Apache-2.0

/// The CPUs this process may run on.
public enum ProcessorCount {
    public static var allowed: Int { allowed(ProcessReader.text("/proc/self/status") ?? "") }

    /// From the mask in a text of `/proc/PID/status`; 1 where there is none.
    static func allowed(_ status: String) -> Int {
        guard let range = status.firstRange(of: "\nCpus_allowed:") else { return 1 }
        let mask = status[range.upperBound...].prefix { $0 != "\n" }
        return max(1, mask.reduce(0) { $0 + ($1.hexDigitValue?.nonzeroBitCount ?? 0) })
    }

    /// - Throws: `ScenarioError` where `workers` threads have not a CPU each from `first` on.
    public static func check(pin first: Int?, workers: Int) throws(ScenarioError) {
        guard let first else { return }
        let count = allowed
        guard first >= 0, first <= count - workers else {
            throw ScenarioError("pin: found \(first) with \(workers) worker\(workers == 1 ? "" : "s"); allowed: CPUs 0 to \(count - 1), one for each worker")
        }
    }
}
