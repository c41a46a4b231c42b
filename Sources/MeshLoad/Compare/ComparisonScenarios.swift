// SPDX-License-Identifier: Apache-2.0

extension ComparisonScenario {
    /// Every scenario there is, in the order of reports.
    public static let all: [ComparisonScenario] = http1 + http2 + mtls + tls + tcp + routes + memory

    private static let http1 = [
        ComparisonScenario(
            name: "h1-tiny", group: "h1", title: "HTTP/1 → HTTP/1, 2-byte body, 64 connections, closed loop", door: .http, kind: .load,
            load: Load(), isMain: true),
        ComparisonScenario(
            name: "h1-8000", group: "h1", title: "HTTP/1 → HTTP/1, 2-byte body, 8,000 requests/s (Poisson), 64 connections", door: .http,
            kind: .load, load: Load(rate: 8000)),
        ComparisonScenario(
            name: "h1-10k", group: "h1", title: "HTTP/1 → HTTP/1, 10 KiB body, 64 connections, closed loop", door: .http, kind: .load,
            load: Load(path: "/?size=10240", answerSize: 10_240)),
        ComparisonScenario(
            name: "h1-100k", group: "h1", title: "HTTP/1 → HTTP/1, 100 KiB body, 64 connections, closed loop", door: .http, kind: .load,
            load: Load(path: "/?size=102400", answerSize: 102_400)),
        ComparisonScenario(
            name: "h1-connect", group: "h1", title: "a new connection for each HTTP/1 request, 32 at a time, upstream kept", door: .http,
            kind: .load, load: Load(connections: 32, connectsPerRequest: true)),
        ComparisonScenario(
            name: "h1-logged", group: "h1", title: "HTTP/1 → HTTP/1, 2-byte body, 64 connections, closed loop, Istio's access log to a file",
            door: .logged, kind: .load, load: Load(), hasBare: true),
    ]

    private static let http2 = [
        ComparisonScenario(
            name: "h2-tiny", group: "h2", title: "HTTP/2 → HTTP/2, 2-byte body, 10 connections × 32 streams, closed loop", door: .h2,
            kind: .load, load: Load(loadProtocol: .http2, connections: 10, streams: 32), isMain: true),
        ComparisonScenario(
            name: "h2-8000", group: "h2", title: "HTTP/2 → HTTP/2, 2-byte body, 8,000 requests/s (Poisson), 10 connections", door: .h2,
            kind: .load, load: Load(loadProtocol: .http2, connections: 10, streams: 100, rate: 8000)),
        ComparisonScenario(
            name: "grpc-1000", group: "h2", title: "gRPC unary calls over HTTP/2, 7 bytes each way, 10 connections × 100 streams, closed loop",
            door: .h2, kind: .load, load: Load(loadProtocol: .grpc, connections: 10, streams: 100, bodySize: 7, answerSize: 12)),
    ]

    private static let mtls = [
        ComparisonScenario(
            name: "h1-mtls-h2", group: "mtls", title: "HTTP/1 → HTTP/2 over mTLS, 2-byte body, 64 connections, closed loop", door: .toMTLS,
            kind: .load, load: Load(), isMain: true),
        ComparisonScenario(
            name: "h1-mtls-h2-8000", group: "mtls",
            title: "HTTP/1 → HTTP/2 over mTLS, 2-byte body, 8,000 requests/s (Poisson), 64 connections", door: .toMTLS, kind: .load,
            load: Load(rate: 8000)),
        ComparisonScenario(
            name: "mtls-h2-h1", group: "mtls", title: "HTTP/2 over mTLS → HTTP/1, 2-byte body, 10 connections × 32 streams, closed loop",
            door: .mtls, kind: .load, load: Load(loadProtocol: .http2, connections: 10, streams: 32), isMain: true),
        ComparisonScenario(
            name: "mtls-h2-h1-8000", group: "mtls",
            title: "HTTP/2 over mTLS → HTTP/1, 2-byte body, 8,000 requests/s (Poisson), 10 connections", door: .mtls, kind: .load,
            load: Load(loadProtocol: .http2, connections: 10, streams: 100, rate: 8000)),
    ]

    private static let mtlsKinds: [ProxyKind] = [.apus, .envoy, .haproxy, .nginx]

    private static let tls = [
        ComparisonScenario(
            name: "tls-full", group: "tls", title: "mTLS, a full handshake and one HTTP/1 request per connection, 32 at a time", door: .mtls,
            kind: .load, load: Load(connections: 32, connectsPerRequest: true), kinds: mtlsKinds, isMain: true),
        ComparisonScenario(
            name: "tls-full-1000", group: "tls",
            title: "mTLS, a full handshake and one HTTP/1 request per connection, 32 at a time, 1,000 client certificates", door: .mtls,
            kind: .load, load: Load(connections: 32, connectsPerRequest: true, clientCertificates: 1000), kinds: mtlsKinds),
        ComparisonScenario(
            name: "tls-resumed", group: "tls", title: "mTLS, a resumed handshake and one HTTP/1 request per connection, 32 at a time",
            door: .mtls, kind: .load, load: Load(connections: 32, connectsPerRequest: true, resumes: true), kinds: mtlsKinds, isMain: true),
        ComparisonScenario(
            name: "tls-beside", group: "tls",
            title: "HTTP/2 over mTLS → HTTP/1 at 1,000 requests/s on open connections, alone and beside 1,000 full mTLS handshakes/s",
            door: .mtls, kind: .beside(handshakesPerSecond: 1000),
            load: Load(loadProtocol: .http2, connections: 10, streams: 100, rate: 1000), kinds: mtlsKinds),
    ]

    private static let tcp = [
        ComparisonScenario(
            name: "tcp-rr", group: "tcp", title: "TCP proxy, 100-byte messages there and back, 64 connections", door: .tcp, kind: .load,
            load: Load(loadProtocol: .tcp, bodySize: 100, answerSize: 100), isMain: true),
        ComparisonScenario(
            name: "tcp-bulk-1", group: "tcp", title: "TCP proxy, bulk to the server, 1 connection; HAProxy splices", door: .bulk, kind: .load,
            load: bulk(1)),
        ComparisonScenario(
            name: "tcp-bulk-8", group: "tcp", title: "TCP proxy, bulk to the server, 8 connections; HAProxy splices", door: .bulk, kind: .load,
            load: bulk(8)),
    ]

    private static func bulk(_ connections: Int) -> Load {
        Load(loadProtocol: .tcp, connections: connections, bodySize: 262_144, isBulk: true)
    }

    private static let routes = [
        ComparisonScenario(
            name: "routes", group: "routes",
            title: "the last of 10 / 1,000 / 10,000 routes matches, one in ten a regex, one virtual host; 64 connections, closed loop",
            door: .http, kind: .load, load: Load(), kinds: [.apus, .envoy], routeCounts: [10, 1_000, 10_000], isMain: true),
    ]

    private static let memory = [
        ComparisonScenario(
            name: "rss", group: "memory", title: "resident memory: idle, with 1,000 and 10,000 idle connections, and 10,000 with one byte pending",
            door: .http, kind: .idleMemory, load: Load(), isMain: true),
        ComparisonScenario(
            name: "rss-tls", group: "memory", title: "resident memory of an idle connection after one request, and of an open pair of HTTP/2 streams",
            door: .mtls, kind: .connectionMemory, load: Load(), isMain: true),
        ComparisonScenario(
            name: "rss-flat", group: "soak", title: "resident memory over 1,000,000 requests, 64 connections", door: .http,
            kind: .flatMemory(requests: 1_000_000), load: Load(), kinds: [.apus, .nginx], isMain: true),
        ComparisonScenario(
            name: "rss-burst", group: "soak",
            title: "resident memory 60 s after a burst: 5,000 pending connections, then 1,000 × 100 KiB bodies for 5 s", door: .http,
            kind: .burstMemory, load: Load(), isMain: true),
    ]
}
