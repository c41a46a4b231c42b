// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshIO

/// The requests of a plan as they go on the wire, made once for a worker.
final class PreparedRequests {
    /// Bodies and messages are pieces of these, from the front and over again.
    private var filler: [Slab] = []
    /// What they are made of, to hold an echo against.
    let content: RepeatedContent
    let plan: [PlannedRequest]
    /// Of the plan what each request needs, without touching its texts.
    let shapes: [Shape]
    private var heads: [UInt8] = []
    private var ranges: [Range<Int>] = []
    private(set) var http2: [PreparedHead] = []

    struct Shape {
        let bodySize: Int
        let method: HTTPMethod
    }

    /// - Parameters:
    ///   - scheme: for HTTP/2.
    init(_ plan: RequestPlan, _ loadProtocol: LoadProtocol, scheme: String, pool: SlabPool) {
        self.plan = plan.requests
        shapes = plan.requests.map { Shape(bodySize: $0.bodySize, method: $0.method == "HEAD" ? .head : .get) }
        let content = plan.content ?? PreparedRequests.alphabet
        self.content = RepeatedContent(content)
        fill(with: content, pool)
        for request in plan.requests {
            switch loadProtocol {
            case .http1: add(PreparedRequests.head(request))
            case .http2: http2.append(PreparedHead(request, scheme: scheme, isGRPC: false, pool: pool))
            case .grpc: http2.append(PreparedHead(request, scheme: scheme, isGRPC: true, pool: pool))
            case .tcp, .websocket: break
            }
        }
    }

    /// What bodies are made of where nobody says.
    static let alphabet = (0..<SlabPool.standardCapacity).map { UInt8(ascii: "a") + UInt8($0 % 26) }

    deinit {
        for slab in filler { slab.release() }
    }

    private func fill(with content: [UInt8], _ pool: SlabPool) {
        for start in stride(from: 0, to: content.count, by: SlabPool.standardCapacity) {
            let count = min(SlabPool.standardCapacity, content.count - start)
            let slab = pool.take(count)
            content.withUnsafeBytes { bytes in
                if let base = bytes.baseAddress { slab.bytes.copyMemory(from: base + start, byteCount: count) }
            }
            filler.append(slab)
            lengths.append(count)
        }
    }

    /// How much of each slab is content.
    private var lengths: [Int] = []

    private func add(_ head: [UInt8]) {
        ranges.append(heads.count..<(heads.count + head.count))
        heads += head
    }

    private static func head(_ request: PlannedRequest) -> [UInt8] {
        var text = "\(request.method) \(request.path) HTTP/1.1\r\nhost: \(request.authority)\r\n"
        for header in request.headers { text += "\(header.name): \(header.value)\r\n" }
        if request.bodySize > 0 || request.method == "POST" || request.method == "PUT" {
            text += "content-length: \(request.bodySize)\r\n"
        }
        return Array((text + "\r\n").utf8)
    }

    /// Writes the head of an HTTP/1 request and returns its length.
    func writeHead(_ index: Int, to stream: ByteStream) -> Int {
        let range = ranges[index]
        heads.withUnsafeBytes { stream.write(copying: UnsafeRawBufferPointer(rebasing: $0[range])) }
        return range.count
    }

    /// Writes the request that asks for a WebSocket (RFC 6455 §4.1).
    func writeUpgrade(_ index: Int, key: [UInt8], to stream: ByteStream) {
        let request = plan[index]
        var text = "GET \(request.path) HTTP/1.1\r\nhost: \(request.authority)\r\nconnection: Upgrade\r\nupgrade: websocket\r\n"
        text += "sec-websocket-version: 13\r\nsec-websocket-key: \(String(decoding: key, as: UTF8.self))\r\n"
        for header in request.headers { text += "\(header.name): \(header.value)\r\n" }
        Array((text + "\r\n").utf8).withUnsafeBytes { stream.write(copying: $0) }
    }

    /// Calls `body` with slices that add up to `count` bytes.
    func withBody(_ count: Int, _ body: (consuming SlabSlice) -> Void) {
        var rest = count
        var piece = 0
        while rest > 0 {
            let length = min(rest, lengths[piece])
            body(SlabSlice(retaining: filler[piece], offset: 0, length: length))
            rest -= length
            piece += 1
            if piece == filler.count { piece = 0 }
        }
    }
}

/// The head of an HTTP/2 request, which lies in memory as long as the run lasts.
final class PreparedHead {
    var head = RequestHead()
    /// The prefix of a gRPC message, empty otherwise.
    let messagePrefix: [UInt8]

    init(_ request: PlannedRequest, scheme: String, isGRPC: Bool, pool: SlabPool) {
        let method = isGRPC ? "POST" : request.method
        messagePrefix = isGRPC ? GRPCMessageCounter.prefix(request.bodySize) : []
        head.method = PreparedHead.withBytes(method) { HTTPMethod.parse($0, allowsCustom: true) } ?? .other
        head.version = .http2
        add(":method", method, pool)
        add(":scheme", scheme, pool)
        add(":authority", request.authority, pool)
        add(":path", request.path, pool)
        if isGRPC {
            add("content-type", "application/grpc", pool)
            add("te", "trailers", pool)
        } else if request.bodySize > 0 {
            add("content-length", "\(request.bodySize)", pool)
        }
        for header in request.headers { add(header.name.lowercased(), header.value, pool) }
    }

    private func add(_ name: String, _ value: String, _ pool: SlabPool) {
        PreparedHead.withBytes(name) { name in
            PreparedHead.withBytes(value) { value in _ = head.headers.append(name: name, value: value, from: pool) }
        }
    }

    private static func withBytes<Result>(_ text: String, _ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        Array(text.utf8).withUnsafeBytes(body)
    }
}
