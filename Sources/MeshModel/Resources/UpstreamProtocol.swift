// SPDX-License-Identifier: Apache-2.0

/// Which HTTP is spoken toward an upstream, with the options of what may be spoken.
///
/// - Source: `envoy.extensions.upstreams.http.v3.HttpProtocolOptions.upstream_protocol_options`, else the cluster's own
///   `http2_protocol_options` and `protocol_selection`.
package enum UpstreamProtocol: Hashable, Sendable {
    case http1(HTTP1Options)
    case http2(HTTP2Options)
    /// The downstream's. Source: `use_downstream_protocol_config`.
    case downstream(http1: HTTP1Options, http2: HTTP2Options)
    /// HTTP/2 where the upstream chooses it by ALPN, else HTTP/1. Needs TLS. Source: `auto_config`.
    case auto(http1: HTTP1Options, http2: HTTP2Options)

    /// What an upstream TLS context without `alpn_protocols` of its own offers, when the downstream speaks HTTP/2 or
    /// does not.
    package func applicationProtocols(downstreamIsHTTP2: Bool) -> [String] {
        switch self {
        case .http1: ["http/1.1"]
        case .http2: ["h2"]
        case .downstream: downstreamIsHTTP2 ? ["h2"] : ["http/1.1"]
        case .auto: ["h2", "http/1.1"]
        }
    }
}

extension UpstreamHTTPOptions {
    /// The selection with its options.
    package var upstreamProtocol: UpstreamProtocol {
        switch protocolSelection {
        case .http1: .http1(http1)
        case .http2: .http2(http2)
        case .downstream: .downstream(http1: http1, http2: http2)
        case .auto: .auto(http1: http1, http2: http2)
        }
    }
}
