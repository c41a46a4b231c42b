// SPDX-License-Identifier: Apache-2.0

/// Everything a configuration of a proxy is made of. The configurations of all kinds are equivalent: one worker, upstream
/// connections kept and shared, no log (but where the log is the subject), nothing optional that costs.
struct ProxySetup: Equatable, Sendable {
    var kind: ProxyKind
    var door: Door
    /// Where it listens, on 127.0.0.1.
    var port: UInt16
    /// For Envoy's and Apus's admin.
    var adminPort: UInt16
    /// Where its upstream listens, on 127.0.0.1.
    var upstreamPort: UInt16
    /// Folder for its files, without a slash at the end.
    var folder: String
    /// Folder with the certificates of the run.
    var certificates: String
    /// Routes of the one virtual host; 1 is a catch-all. See `RouteTable`.
    var routes = 1

    /// The command line and the files it needs, by name in `folder`.
    /// - Parameter nginxStream: the module that nginx needs for TCP, where it is one to be loaded.
    func command(_ binary: String, nginxStream: String? = nil) -> ProxyCommand {
        switch kind {
        case .apus, .envoy:
            let own = kind == .envoy ? ["--use-dynamic-base-id"] : []
            return ProxyCommand(
                arguments: [binary, "-c", "\(folder)/envoy.yaml", "--concurrency", "1", "--log-level", "error"] + own,
                files: ["envoy.yaml": EnvoyText.bootstrap(self)])
        case .haproxy:
            return ProxyCommand(
                arguments: [binary, "-db", "-f", "\(folder)/haproxy.cfg"], files: ["haproxy.cfg": HAProxyText.configuration(self)])
        case .nginx:
            return ProxyCommand(
                arguments: [binary, "-c", "\(folder)/nginx.conf", "-p", "\(folder)/"],
                files: ["nginx.conf": NginxText.configuration(self, stream: nginxStream)])
        case .nghttpx:
            return ProxyCommand(
                arguments: [binary, "--conf=\(folder)/nghttpx.conf"], files: ["nghttpx.conf": NghttpxText.configuration(self)])
        }
    }
}

/// How a proxy is started.
struct ProxyCommand: Equatable, Sendable {
    var arguments: [String]
    /// Text by file name.
    var files: [String: String]
}

/// The routes of the scenario "routes": one long common prefix, every tenth a regex; the last one is the one that matches.
enum RouteTable {
    private static let prefix = "/shop/catalogue/items/by-department/r"

    /// The match of a route, as Envoy's configuration has it.
    static func match(_ index: Int) -> String {
        index % 10 == 4
            ? "safe_regex: { regex: \"\(prefix)\(number(index))/[a-z]+/[0-9]+\" }"
            : "prefix: \"\(prefix)\(number(index))/\""
    }

    /// A path that the last of so many routes matches, and no other.
    static func lastPath(_ count: Int) -> String { "\(prefix)\(number(count - 1))/shoes/17" }

    private static func number(_ index: Int) -> String {
        let digits = String(index)
        return String(repeating: "0", count: max(0, 5 - digits.count)) + digits
    }
}
