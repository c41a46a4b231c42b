// SPDX-License-Identifier: Apache-2.0

/// The figures of a run, by the names that files use.
enum ComparisonMetric: String, CaseIterable, Sendable {
    /// Processor time of the proxy per answered request. - Unit: microseconds.
    case cpu
    /// Processor time of the proxy per gigabyte. - Unit: seconds.
    case cpuPerGigabyte = "cpu_per_gb"
    /// Answers a second; bytes a second in bulk.
    case throughput
    case bytesPerSecond = "bytes_per_second"
    /// Latency from the planned time. - Unit: nanoseconds.
    case p50, p99
    /// Cores that the proxy used, and that the load and the upstream used together.
    case proxyCores = "proxy_cores"
    case loadCores = "load_cores"
    /// Cores that everything else used.
    case outsideCores = "outside_cores"
    /// Resident memory at the end of the run. - Unit: bytes.
    case memory = "rss"
    // Of the memory scenarios. - Unit: bytes.
    case idle = "idle"
    case idle1000 = "idle_1000"
    case idle10000 = "idle_10000"
    case pending10000 = "pending_10000"
    case perHTTP1TLS = "per_h1_mtls_connection"
    case perHTTP2 = "per_h2_connection"
    case perHTTP2TLS = "per_h2_mtls_connection"
    case perStreamPair = "per_stream_pair"
    case start, highest, end, pending, after
    /// The highest or last over the first; of `tls-beside` p50 beside the handshakes over p50 alone.
    case change
    case alone, beside
    /// Handshakes a second that came about.
    case handshakes

    /// The head of its column.
    var title: String {
        switch self {
        case .cpu: "CPU per request"
        case .cpuPerGigabyte: "CPU per GB"
        case .throughput: "requests/s"
        case .bytesPerSecond: "bytes/s"
        case .p50: "p50"
        case .p99: "p99"
        case .proxyCores: "proxy cores"
        case .loadCores: "load cores"
        case .outsideCores: "other cores"
        case .memory: "RSS"
        case .idle: "idle"
        case .idle1000: "1,000 idle connections"
        case .idle10000: "10,000 idle connections"
        case .pending10000: "10,000 with a byte pending"
        case .perHTTP1TLS: "HTTP/1 mTLS connection"
        case .perHTTP2: "HTTP/2 connection"
        case .perHTTP2TLS: "HTTP/2 mTLS connection"
        case .perStreamPair: "HTTP/2 stream pair"
        case .start: "at first"
        case .highest: "highest"
        case .end: "at the end"
        case .pending: "5,000 pending"
        case .after: "60 s later"
        case .change: "change"
        case .alone: "p50 alone"
        case .beside: "p50 beside handshakes"
        case .handshakes: "handshakes/s"
        }
    }

    /// As people read it.
    func text(_ value: Double) -> String {
        switch self {
        case .cpu: DurationText.digits(value) + " µs"
        case .cpuPerGigabyte: DurationText.fixed(value, 3) + " s"
        case .throughput, .handshakes: DurationText.count(value)
        case .p50, .p99, .alone, .beside: DurationText.text(UInt64(max(0, value)))
        case .proxyCores, .loadCores, .outsideCores, .change: DurationText.fixed(value, 2)
        case .bytesPerSecond, .memory, .idle, .idle1000, .idle10000, .pending10000, .perHTTP1TLS, .perHTTP2, .perHTTP2TLS, .perStreamPair,
            .start, .highest, .end, .pending, .after:
            DurationText.bytes(UInt64(max(0, value)))
        }
    }

    /// What a verdict calls it, behind "needs 0.5 times the … of envoy".
    var noun: String {
        switch self {
        case .cpu: "CPU per request"
        case .cpuPerGigabyte: "CPU per byte"
        case .p50: "median latency"
        case .p99: "p99 latency"
        case .beside: "median latency beside handshakes"
        case .alone: "median latency"
        case .idle: "memory when idle"
        case .idle1000: "memory with 1,000 idle connections"
        case .idle10000: "memory with 10,000 idle connections"
        case .pending10000: "memory with 10,000 pending connections"
        case .perHTTP1TLS, .perHTTP2, .perHTTP2TLS, .perStreamPair: "memory of an \(title)"
        case .start, .highest, .end, .pending, .after, .memory: "memory"
        case .throughput, .bytesPerSecond, .handshakes: "throughput"
        case .change: "change"
        case .proxyCores, .loadCores, .outsideCores: "CPU"
        }
    }
}
