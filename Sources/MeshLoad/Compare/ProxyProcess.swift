// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc

/// A variant's proxy: its files, its process.
final class ProxyProcess {
    let label: String
    let setup: ProxySetup
    private let command: ProxyCommand
    private let cpu: Int
    private var child: ChildProcess?
    /// From the start of the process until it accepted a connection. - Unit: seconds.
    private(set) var startSeconds = 0.0

    /// Where Debian and its like put nginx's module for TCP.
    private static let nginxStreamModules = [
        "/usr/lib/nginx/modules/ngx_stream_module.so", "/usr/lib64/nginx/modules/ngx_stream_module.so",
        "/usr/share/nginx/modules/ngx_stream_module.so",
    ]

    /// Writes the configuration.
    /// - Throws: `ScenarioError` when the folder cannot be written.
    init(label: String, setup: ProxySetup, binary: String, cpu: Int) throws(ScenarioError) {
        self.label = label
        self.setup = setup
        self.cpu = cpu
        command = setup.command(binary, nginxStream: ProxyProcess.nginxStreamModules.first { access($0, R_OK) == 0 })
        do {
            try FileManager.default.createDirectory(atPath: setup.folder, withIntermediateDirectories: true)
        } catch {
            throw ScenarioError("\(setup.folder): cannot be made: \(error)")
        }
        for (name, text) in command.files { try RunCertificates.write(Array(text.utf8), "\(setup.folder)/\(name)") }
    }

    var arguments: [String] { command.arguments }
    var isAlive: Bool { child?.isAlive ?? false }
    /// 0 before it was started, which is no process's number.
    var pid: pid_t { child?.pid ?? 0 }
    var lastWords: String { child?.lastWords ?? "" }

    /// Starts it and waits until it accepts.
    func start() throws(ScenarioError) {
        let started = try ChildProcess(command.arguments, cpu: cpu, log: setup.folder + "/log")
        child = started
        // For whoever wants to look at it meanwhile.
        try RunCertificates.write(Array("\(started.pid)\n".utf8), setup.folder + "/pid")
        startSeconds = try LocalPort.wait(setup.port, servedBy: started, name: label)
    }

    func stop() {
        child?.stop()
        child = nil
    }
}

/// The servers behind the proxies, each in a process of its own.
final class UpstreamServers {
    private(set) var ports: [UpstreamKind: UInt16] = [:]
    private var children: [ChildProcess] = []

    /// Starts those that are named and waits until they serve.
    /// - Parameter program: this program.
    init(_ kinds: [UpstreamKind], program: String, certificates: String, cpu: Int, folder: String) throws(ScenarioError) {
        let free = try LocalPort.free(kinds.count)
        for (kind, port) in zip(kinds, free) {
            let child = try ChildProcess(
                UpstreamServers.command(kind, port: port, program: program, certificates: certificates), cpu: cpu,
                log: "\(folder)/upstream-\(kind.rawValue).log")
            children.append(child)
            ports[kind] = port
            try LocalPort.wait(port, servedBy: child, name: "the upstream (\(kind.rawValue))", seconds: 20)
        }
    }

    static func command(_ kind: UpstreamKind, port: UInt16, program: String, certificates: String) -> [String] {
        let base = [program, "serve", "--port", String(port)]
        return switch kind {
        case .plain: base + ["--size", String(ComparisonScenario.standardSize)]
        case .echo: base + ["--tcp"]
        case .bulk: base + ["--tcp", "--tcp-answer", "discard"]
        case .mtls:
            base + [
                "--size", String(ComparisonScenario.standardSize), "--cert", certificates + "/server.pem", "--key",
                certificates + "/server.key", "--ca", certificates + "/ca.pem",
            ]
        }
    }

    var pids: [pid_t] { children.map(\.pid) }

    func stop() {
        for child in children { child.stop() }
        children = []
    }
}
