// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Glibc
import MeshServer

/// Reads the command line and hands over; no decision about serving is made here.
enum ApusCommandLine {
    static func main() -> Never {
        let arguments = Array(CommandLine.arguments.dropFirst())
        let status =
            arguments.first == "demo"
            ? demo(Array(arguments.dropFirst()))
            : proxy(arguments)
        fflush(nil)
        exit(status)
    }

    private static func proxy(_ arguments: [String]) -> Int32 {
        do {
            let flags = try ProxyFlags.parse(arguments)
            if flags.version {
                print("apus  version: \(ApusVersion.text)")
                return 0
            }
            if flags.hotRestartVersion {
                print("disabled")
                return 0
            }
            return Server.run(try flags.options())
        } catch {
            return report(error, of: ProxyFlags.self)
        }
    }

    private static func demo(_ arguments: [String]) -> Int32 {
        do {
            let flags = try DemoFlags.parse(arguments)
            return Demo.run(listenerPort: flags.port, adminPort: flags.adminPort, once: flags.once)
        } catch {
            return report(error, of: DemoFlags.self)
        }
    }

    /// Help goes to stdout and is a success; a wrong flag exits 1, as Envoy does.
    private static func report<Flags: ParsableArguments>(_ error: any Error, of flags: Flags.Type) -> Int32 {
        let message = flags.fullMessage(for: error)
        if flags.exitCode(for: error).isSuccess {
            print(message)
            return 0
        }
        let line = Array((message + "\n").utf8)
        _ = write(STDERR_FILENO, line, line.count)
        return 1
    }
}

/// `apus demo`.
struct DemoFlags: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "apus demo", abstract: "A listener, an upstream and admin, all on loopback; sends a first request itself.")

    @Option(help: "Port of the listener; another one is taken when it is in use.")
    var port: UInt16 = 10_000
    @Option(help: "Port of admin; another one is taken when it is in use.")
    var adminPort: UInt16 = 9_901
    @Flag(help: "Exit after the first request.")
    var once = false
}
