// SPDX-License-Identifier: Apache-2.0

/// A way into a proxy and what lies behind it: the one listener of a proxy under test.
public enum Door: String, CaseIterable, Sendable, Codable {
    /// HTTP/1 to HTTP/1, in the clear.
    case http
    /// The same with Istio's default access log to a file.
    case logged
    /// TCP to an echo.
    case tcp
    /// TCP to a server that takes bytes in bulk.
    case bulk
    /// HTTP/2 to HTTP/2, in the clear.
    case h2
    /// HTTP/1 in the clear to HTTP/2 over mTLS: the client's side of a mesh.
    case toMTLS = "to-mtls"
    /// mTLS with either HTTP version to HTTP/1 in the clear: the server's side of a mesh.
    case mtls

    /// The server that must be behind it.
    var upstream: UpstreamKind {
        switch self {
        case .http, .logged, .h2, .mtls: .plain
        case .tcp: .echo
        case .bulk: .bulk
        case .toMTLS: .mtls
        }
    }
}

/// A server that meshbench starts behind the proxies, in a process of its own.
enum UpstreamKind: String, CaseIterable, Sendable {
    /// HTTP/1 and HTTP/2 on one port.
    case plain
    case echo
    case bulk
    /// HTTP/2 over TLS, for clients with a certificate.
    case mtls
}
