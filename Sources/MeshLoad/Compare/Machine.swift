// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc

/// What a comparison asks of the machine that it runs on.
enum Machine {
    /// The path of this program.
    static var ownProgram: String {
        (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? CommandLine.arguments.first ?? "meshbench"
    }

    /// Looks in this process's environment.
    static var search: ProxySearch {
        let environment = ProcessInfo.processInfo.environment
        let folder = ownProgram.split(separator: "/").dropLast().joined(separator: "/")
        return ProxySearch(
            variable: { environment[$0] },
            isProgram: { path in
                var isFolder: ObjCBool = false
                return access(path, X_OK) == 0 && FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) && !isFolder.boolValue
            },
            matches: paths, ownFolder: "/" + folder, workingFolder: FileManager.default.currentDirectoryPath)
    }

    private static func paths(_ pattern: String) -> [String] {
        var found = glob_t()
        defer { globfree(&found) }
        guard glob(pattern, 0, nil, &found) == 0 else { return [] }
        return (0..<Int(found.gl_pathc)).compactMap { index in found.gl_pathv[index].map { String(cString: $0) } }
    }

    /// As many descriptors as the hard limit allows, for this program and all it starts.
    static func raiseDescriptorLimit() {
        var limit = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        limit.rlim_cur = limit.rlim_max
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    }

    /// Keeps this program, and the threads it starts from now on, on one CPU.
    static func pin(to cpu: Int, log: String) throws(ScenarioError) {
        let child = try ChildProcess(["taskset", "-cp", String(cpu), String(getpid())], cpu: cpu, log: log)
        guard child.wait(seconds: 5) else {
            throw ScenarioError("CPU \(cpu) cannot be used: \(child.lastWords); a comparison needs two CPUs, see --proxy-cpu and --load-cpu")
        }
    }

    /// The first line of what a proxy says of its version.
    static func version(_ output: String) -> String {
        guard let line = output.split(separator: "\n").map(\.trimmed).first(where: { !$0.isEmpty }) else { return "unknown" }
        guard let mark = line.firstRange(of: "version:") else { return line }
        return line[mark.upperBound...].trimmed
    }
}
