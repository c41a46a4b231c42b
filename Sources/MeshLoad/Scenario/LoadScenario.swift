// SPDX-License-Identifier: Apache-2.0
public import MeshIO

/// What is spoken to the target.
public enum LoadProtocol: String, Sendable, CaseIterable, Codable {
    case http1
    case http2
    /// gRPC calls over HTTP/2: messages each way, status OK or it is an error.
    case grpc
    /// Raw TCP: so many bytes there, the same number back; or bulk.
    case tcp
    /// WebSocket over HTTP/1.1: a message there, the same number of bytes back.
    case websocket

    /// What is asked for by ALPN; nil asks for nothing.
    var alpn: [UInt8]? {
        switch self {
        case .http1, .websocket: Array("http/1.1".utf8)
        case .http2, .grpc: Array("h2".utf8)
        case .tcp: nil
        }
    }
}

/// What a gRPC call is made of.
public enum GRPCCall: String, Sendable, CaseIterable, Codable {
    /// One message each way.
    case unary
    /// `messages` there, one back.
    case clientStream = "client-stream"
    /// One there, `messages` back.
    case serverStream = "server-stream"
    /// `messages` there, each when the one before it was answered.
    case bidi

    /// The path of `meshbench serve` that answers such a call.
    public func path(messages: Int) -> String {
        switch self {
        case .unary, .bidi: "/meshbench.Echo/Echo"
        case .clientStream: "/meshbench.Echo/Collect"
        case .serverStream: "/meshbench.Echo/Repeat?messages=\(messages)"
        }
    }
}

/// What is done with a TCP connection.
public enum TCPMode: String, Sendable, CaseIterable, Codable {
    /// A block there, and when it came back the next one.
    case echo
    /// Blocks to the server, which discards them.
    case upload
    /// Blocks from the server, which sends without being asked.
    case download
    /// Blocks there and back at once, as much as the connection takes.
    case duplex
}

/// How the load comes.
public enum LoadShape: Equatable, Sendable {
    /// At planned times; latency counts from the planned time.
    case open(ArrivalPlan)
    /// The next request when the last one is answered, on every connection and stream.
    case closed
}

/// A client's certificate chain and key, as PEM bytes.
public struct LoadClient: Equatable, Sendable {
    public let chain: [UInt8]
    public let key: [UInt8]

    public init(chain: [UInt8], key: [UInt8]) {
        self.chain = chain
        self.key = key
    }
}

/// TLS towards the target.
public struct LoadTLS: Equatable, Sendable {
    /// SNI, and the name the certificate is checked for where there is a CA.
    public var serverName: String
    /// PEM bytes; nil accepts any certificate.
    public var trustedCA: [UInt8]?
    /// PEM bytes of a client certificate's chain and key.
    public var clientChain: [UInt8]?
    public var clientKey: [UInt8]?
    /// Other clients; a connection takes the next one's certificate. Empty: all take the one above.
    public var moreClients: [LoadClient] = []
    /// Whether a new connection may resume a session.
    public var resumes: Bool

    public init(
        serverName: String, trustedCA: [UInt8]? = nil, clientChain: [UInt8]? = nil, clientKey: [UInt8]? = nil,
        resumes: Bool = false
    ) {
        self.serverName = serverName
        self.trustedCA = trustedCA
        self.clientChain = clientChain
        self.clientKey = clientKey
        self.resumes = resumes
    }
}

/// A load test, whole.
public struct LoadScenario: Equatable, Sendable {
    public var name: String
    /// Where connections go.
    public var target: Address
    public var loadProtocol: LoadProtocol
    public var tls: LoadTLS?
    public var requests: RequestPlan
    public var shape: LoadShape
    /// Connections over all workers.
    public var connections: Int
    /// gRPC: the kind of call, and how many messages its streaming side has.
    public var grpcCall: GRPCCall
    public var messages: Int
    public var tcpMode: TCPMode
    /// What every answer has to be; nil takes any below 400 (gRPC: OK, and as many messages as the call has).
    public var expected: ExpectedAnswer?
    /// Requests at once on a connection; 1 but for HTTP/2 and gRPC.
    public var streams: Int
    /// A connection of its own for every request; latency includes making it.
    public var connectsPerRequest: Bool
    /// How many lasting connections each worker makes at a time before the load; nil makes all at once.
    public var opensAtOnce: Int?
    /// Threads that make the load.
    public var workers: Int
    /// The first of the CPUs that workers are pinned to; nil leaves them free.
    public var firstCPU: Int?
    /// Measured time. - Unit: seconds.
    public var duration: Double
    /// Load before it, which counts for nothing. - Unit: seconds.
    public var warmUp: Double
    /// An answer that takes longer is an error. - Unit: seconds.
    public var timeout: Double
    /// For random arrival times.
    public var seed: UInt64

    public init(
        name: String, target: Address, loadProtocol: LoadProtocol, tls: LoadTLS? = nil, requests: RequestPlan,
        shape: LoadShape, connections: Int = 10, streams: Int = 1, connectsPerRequest: Bool = false, workers: Int = 1,
        firstCPU: Int? = nil, duration: Double = 10, warmUp: Double = 2, timeout: Double = 10, seed: UInt64 = 1,
        grpcCall: GRPCCall = .unary, messages: Int = 1, tcpMode: TCPMode = .echo, expected: ExpectedAnswer? = nil
    ) {
        self.name = name
        self.target = target
        self.loadProtocol = loadProtocol
        self.tls = tls
        self.requests = requests
        self.shape = shape
        self.connections = connections
        self.streams = streams
        self.connectsPerRequest = connectsPerRequest
        self.workers = workers
        self.firstCPU = firstCPU
        self.duration = duration
        self.warmUp = warmUp
        self.timeout = timeout
        self.seed = seed
        self.grpcCall = grpcCall
        self.messages = messages
        self.tcpMode = tcpMode
        self.expected = expected
    }

    /// Says what cannot be run.
    public func check() throws(ScenarioError) {
        try ScenarioLimits.check(connections, "connections", 1...1_000_000)
        try ScenarioLimits.check(streams, "streams", 1...10_000)
        try ScenarioLimits.check(workers, "workers", 1...256)
        if connections < workers { throw ScenarioError("connections: found \(connections); allowed: at least one for each of \(workers) workers") }
        if streams > 1, loadProtocol != .http2, loadProtocol != .grpc {
            throw ScenarioError("streams: found \(streams); allowed: 1 with \(loadProtocol.rawValue), which answers one at a time")
        }
        if connectsPerRequest, streams > 1 { throw ScenarioError("streams: found \(streams); allowed: 1 with a connection per request") }
        try ScenarioLimits.check(messages, "messages", 1...1_000_000)
        if messages > 1, loadProtocol != .grpc || grpcCall == .unary {
            throw ScenarioError("messages: found \(messages); allowed: 1 but for gRPC's client-stream, server-stream and bidi")
        }
        if connectsPerRequest, loadProtocol == .tcp, tcpMode != .echo {
            throw ScenarioError("connection per request: allowed with tcp's echo, not with \(tcpMode.rawValue)")
        }
        guard duration > 0, duration <= 86_400 else { throw ScenarioError("duration: found \(duration) s; allowed: above 0 and at most a day") }
        guard warmUp >= 0, warmUp <= 3_600 else { throw ScenarioError("warm-up: found \(warmUp) s; allowed: 0 to an hour") }
        guard timeout > 0, timeout <= 3_600 else { throw ScenarioError("timeout: found \(timeout) s; allowed: above 0 and at most an hour") }
        if requests.requests.isEmpty { throw ScenarioError("no request to send") }
    }
}

private enum ScenarioLimits {
    static func check(_ value: Int, _ name: String, _ range: ClosedRange<Int>) throws(ScenarioError) {
        guard range.contains(value) else {
            throw ScenarioError("\(name): found \(value); allowed: \(range.lowerBound) to \(range.upperBound)")
        }
    }
}
