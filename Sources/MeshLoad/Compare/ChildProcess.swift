// SPDX-License-Identifier: Apache-2.0
import Glibc

/// A program that was started for a comparison, with its output in a file. It is ended with this object, and by the kernel
/// should this program die.
final class ChildProcess {
    let pid: pid_t
    let arguments: [String]
    let log: String
    private(set) var status: Int32?

    /// Starts a program.
    /// - Parameters:
    ///   - cpu: the CPU that it may use.
    ///   - log: file for what it prints; written anew.
    /// - Throws: `ScenarioError` when it cannot be started.
    init(_ arguments: [String], cpu: Int, log: String) throws(ScenarioError) {
        self.arguments = arguments
        self.log = log
        // Both exec what they are told to, so that the number of the process is the program's.
        let all = ["setpriv", "--pdeathsig", "KILL", "taskset", "-c", String(cpu)] + arguments
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, log, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0o644)
        posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO)
        var words: [UnsafeMutablePointer<CChar>?] = all.map { strdup($0) }
        words.append(nil)
        defer { for word in words { free(word) } }
        var started = pid_t()
        let code = posix_spawnp(&started, "setpriv", &actions, nil, words, environ)
        guard code == 0 else {
            throw ScenarioError("cannot start setpriv and taskset (of util-linux), which start everything else: \(SystemError.text(code))")
        }
        pid = started
    }

    /// Whether it still runs.
    var isAlive: Bool {
        guard status == nil else { return false }
        var found: Int32 = 0
        if waitpid(pid, &found, WNOHANG) == pid { status = found }
        return status == nil
    }

    /// Waits for it to end.
    /// - Returns: whether it ended by itself with status 0.
    func wait(seconds: Double) -> Bool {
        let end = BenchClock.now() + UInt64(seconds * 1e9)
        while isAlive, BenchClock.now() < end { usleep(5_000) }
        return status == 0
    }

    /// SIGTERM; SIGKILL three seconds later.
    func stop() {
        guard isAlive else { return }
        kill(pid, SIGTERM)
        _ = wait(seconds: 3)
        guard isAlive else { return }
        kill(pid, SIGKILL)
        var found: Int32 = 0
        waitpid(pid, &found, 0)
        status = found
    }

    deinit { stop() }

    /// The end of what it printed, on one line.
    var lastWords: String {
        let text = (ProcessReader.text(log) ?? "").split(separator: "\n").suffix(4).joined(separator: " | ")
        return text.isEmpty ? "it printed nothing" : String(text.suffix(600))
    }

    /// What it printed, once there is something and it has ended.
    static func output(of arguments: [String], cpu: Int, log: String) throws(ScenarioError) -> String {
        let child = try ChildProcess(arguments, cpu: cpu, log: log)
        _ = child.wait(seconds: 10)
        child.stop()
        return ProcessReader.text(log) ?? ""
    }
}

/// Ports on 127.0.0.1.
enum LocalPort {
    /// Below the ports that the kernel gives to outgoing connections, so that the load takes none of them.
    static let range: ClosedRange<UInt16> = 20_000...31_999

    /// So many ports that nobody listens on, from a place that differs from process to process.
    static func free(_ count: Int) throws(ScenarioError) -> [UInt16] {
        var found: [UInt16] = []
        let span = range.upperBound - range.lowerBound
        var next = range.lowerBound + UInt16(UInt32(getpid()) &* 16 % UInt32(span))
        for _ in 0..<Int(span) where found.count < count {
            if canListen(next) { found.append(next) }
            next = next == range.upperBound ? range.lowerBound : next + 1
        }
        guard found.count == count else { throw ScenarioError("no \(count) free ports in \(range) on 127.0.0.1") }
        return found
    }

    private static func withSocket(_ port: UInt16, _ body: (Int32, UnsafePointer<sockaddr>, socklen_t) -> Bool) -> Bool {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
        }
    }

    private static func canListen(_ port: UInt16) -> Bool {
        withSocket(port) { bind($0, $1, $2) == 0 && listen($0, 1) == 0 }
    }

    /// Whether somebody accepts connections there.
    static func isServed(_ port: UInt16) -> Bool {
        withSocket(port) { connect($0, $1, $2) == 0 }
    }

    /// Asks for `/` of a host.
    /// - Returns: the first line of the answer; nil when there is none within a second.
    static func ask(_ port: UInt16, host: String) -> String? {
        var answer: [UInt8] = []
        _ = withSocket(port) { descriptor, address, length in
            var limit = timeval(tv_sec: 1, tv_usec: 0)
            setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
            guard connect(descriptor, address, length) == 0 else { return false }
            let request = Array("GET / HTTP/1.1\r\nhost: \(host)\r\nconnection: close\r\n\r\n".utf8)
            guard send(descriptor, request, request.count, Int32(MSG_NOSIGNAL)) == request.count else { return false }
            var chunk = [UInt8](repeating: 0, count: 1024)
            while !answer.contains(UInt8(ascii: "\n")) {
                let count = recv(descriptor, &chunk, chunk.count, 0)
                if count <= 0 { break }
                answer += chunk[..<count]
            }
            return true
        }
        return answer.firstIndex(of: UInt8(ascii: "\r")).map { String(decoding: answer[..<$0], as: UTF8.self) }
    }

    /// Waits until a process serves a port.
    /// - Returns: the seconds it took.
    /// - Throws: `ScenarioError` with its last words when it ends first or takes too long.
    @discardableResult
    static func wait(_ port: UInt16, servedBy child: ChildProcess, name: String, seconds: Double = 60) throws(ScenarioError) -> Double {
        let begin = BenchClock.now()
        while BenchClock.now() - begin < UInt64(seconds * 1e9) {
            guard child.isAlive else { break }
            if isServed(port) { return Double(BenchClock.now() - begin) / 1e9 }
            usleep(2_000)
        }
        throw ScenarioError("\(name) does not serve port \(port)\(child.isAlive ? " after \(Int(seconds)) s" : ", it ended"): \(child.lastWords)")
    }
}
