// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshIO

/// The requests of a plan as they go on the wire, made once for a worker.
final class PreparedRequests {
    /// Body bytes and messages are pieces of this.
    private let filler: Slab
    let plan: [PlannedRequest]
    private var heads: [UInt8] = []
    private var ranges: [Range<Int>] = []
    private(set) var http2: [PreparedHead] = []

    /// - Parameters:
    ///   - scheme: for HTTP/2.
    init(_ plan: RequestPlan, _ loadProtocol: LoadProtocol, scheme: String, pool: SlabPool) {
        self.plan = plan.requests
        filler = pool.take(SlabPool.standardCapacity)
        for index in 0..<filler.capacity {
            filler.bytes.storeBytes(of: UInt8(ascii: "a") + UInt8(index % 26), toByteOffset: index, as: UInt8.self)
        }
        for request in plan.requests {
            switch loadProtocol {
            case .http1: addHTTP1(request)
            case .http2: http2.append(PreparedHead(request, scheme: scheme, isGRPC: false, pool: pool))
            case .grpc: http2.append(PreparedHead(request, scheme: scheme, isGRPC: true, pool: pool))
            case .tcp: break
            }
        }
    }

    deinit { filler.release() }

    private func addHTTP1(_ request: PlannedRequest) {
        var text = "\(request.method) \(request.path) HTTP/1.1\r\nhost: \(request.authority)\r\n"
        for header in request.headers { text += "\(header.name): \(header.value)\r\n" }
        if request.bodySize > 0 || request.method == "POST" || request.method == "PUT" {
            text += "content-length: \(request.bodySize)\r\n"
        }
        text += "\r\n"
        let start = heads.count
        heads += Array(text.utf8)
        ranges.append(start..<heads.count)
    }

    /// Writes the head of an HTTP/1 request.
    func writeHead(_ index: Int, to stream: ByteStream) {
        heads.withUnsafeBytes { stream.write(copying: UnsafeRawBufferPointer(rebasing: $0[ranges[index]])) }
    }

    /// Calls `body` with slices that add up to `count` bytes.
    func withFiller(_ count: Int, _ body: (consuming SlabSlice) -> Void) {
        var rest = count
        while rest > 0 {
            let length = min(rest, filler.capacity)
            body(SlabSlice(retaining: filler, offset: 0, length: length))
            rest -= length
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
        let size = UInt32(truncatingIfNeeded: request.bodySize)
        messagePrefix = isGRPC ? [0, UInt8(size >> 24), UInt8(size >> 16 & 255), UInt8(size >> 8 & 255), UInt8(size & 255)] : []
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
