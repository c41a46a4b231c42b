// SPDX-License-Identifier: Apache-2.0
import CBytes

/// A header name that the proxy knows, as a small number; 0 stands for every other name.
@frozen @usableFromInline package struct HeaderToken: Equatable, Hashable, Sendable {
    @usableFromInline package let rawValue: UInt8
    @inlinable package init(rawValue: UInt8) { self.rawValue = rawValue }
}

// One list makes the constants, the names and the table; a token's number is its position.
extension HeaderToken {
    @inlinable package static var none: HeaderToken { HeaderToken(rawValue: 0) }
    @inlinable package static var method: HeaderToken { HeaderToken(rawValue: 1) }
    @inlinable package static var path: HeaderToken { HeaderToken(rawValue: 2) }
    @inlinable package static var authority: HeaderToken { HeaderToken(rawValue: 3) }
    @inlinable package static var scheme: HeaderToken { HeaderToken(rawValue: 4) }
    @inlinable package static var status: HeaderToken { HeaderToken(rawValue: 5) }
    @inlinable package static var `protocol`: HeaderToken { HeaderToken(rawValue: 6) }
    @inlinable package static var host: HeaderToken { HeaderToken(rawValue: 7) }
    @inlinable package static var contentLength: HeaderToken { HeaderToken(rawValue: 8) }
    @inlinable package static var transferEncoding: HeaderToken { HeaderToken(rawValue: 9) }
    @inlinable package static var connection: HeaderToken { HeaderToken(rawValue: 10) }
    @inlinable package static var keepAlive: HeaderToken { HeaderToken(rawValue: 11) }
    @inlinable package static var proxyConnection: HeaderToken { HeaderToken(rawValue: 12) }
    @inlinable package static var te: HeaderToken { HeaderToken(rawValue: 13) }
    @inlinable package static var trailer: HeaderToken { HeaderToken(rawValue: 14) }
    @inlinable package static var upgrade: HeaderToken { HeaderToken(rawValue: 15) }
    @inlinable package static var expect: HeaderToken { HeaderToken(rawValue: 16) }
    @inlinable package static var http2Settings: HeaderToken { HeaderToken(rawValue: 17) }
    @inlinable package static var forwardedFor: HeaderToken { HeaderToken(rawValue: 18) }
    @inlinable package static var forwardedProto: HeaderToken { HeaderToken(rawValue: 19) }
    @inlinable package static var forwardedHost: HeaderToken { HeaderToken(rawValue: 20) }
    @inlinable package static var forwardedPort: HeaderToken { HeaderToken(rawValue: 21) }
    @inlinable package static var forwardedClientCert: HeaderToken { HeaderToken(rawValue: 22) }
    @inlinable package static var requestID: HeaderToken { HeaderToken(rawValue: 23) }
    @inlinable package static var via: HeaderToken { HeaderToken(rawValue: 24) }
    @inlinable package static var server: HeaderToken { HeaderToken(rawValue: 25) }
    @inlinable package static var date: HeaderToken { HeaderToken(rawValue: 26) }
    @inlinable package static var location: HeaderToken { HeaderToken(rawValue: 27) }
    @inlinable package static var contentType: HeaderToken { HeaderToken(rawValue: 28) }
    @inlinable package static var userAgent: HeaderToken { HeaderToken(rawValue: 29) }
    @inlinable package static var accept: HeaderToken { HeaderToken(rawValue: 30) }
    @inlinable package static var cookie: HeaderToken { HeaderToken(rawValue: 31) }
    @inlinable package static var setCookie: HeaderToken { HeaderToken(rawValue: 32) }
    @inlinable package static var authorization: HeaderToken { HeaderToken(rawValue: 33) }
    @inlinable package static var envoyOriginalPath: HeaderToken { HeaderToken(rawValue: 34) }
    @inlinable package static var envoyUpstreamServiceTime: HeaderToken { HeaderToken(rawValue: 35) }
    @inlinable package static var envoyExpectedTimeout: HeaderToken { HeaderToken(rawValue: 36) }
    @inlinable package static var envoyUpstreamTimeout: HeaderToken { HeaderToken(rawValue: 37) }
    @inlinable package static var envoyAttemptCount: HeaderToken { HeaderToken(rawValue: 38) }
    @inlinable package static var envoyExternalAddress: HeaderToken { HeaderToken(rawValue: 39) }
    @inlinable package static var envoyInternal: HeaderToken { HeaderToken(rawValue: 40) }
    @inlinable package static var envoyDecoratorOperation: HeaderToken { HeaderToken(rawValue: 41) }
    @inlinable package static var envoyDownstreamServiceCluster: HeaderToken { HeaderToken(rawValue: 42) }
    @inlinable package static var envoyDownstreamServiceNode: HeaderToken { HeaderToken(rawValue: 43) }
    @inlinable package static var grpcTimeout: HeaderToken { HeaderToken(rawValue: 44) }
    @inlinable package static var grpcStatus: HeaderToken { HeaderToken(rawValue: 45) }
    @inlinable package static var grpcMessage: HeaderToken { HeaderToken(rawValue: 46) }
    @inlinable package static var acceptEncoding: HeaderToken { HeaderToken(rawValue: 47) }
    @inlinable package static var envoyOriginalHost: HeaderToken { HeaderToken(rawValue: 48) }
    @inlinable package static var envoyUpstreamTimeoutPerTry: HeaderToken { HeaderToken(rawValue: 49) }
    @inlinable package static var envoyRetryOn: HeaderToken { HeaderToken(rawValue: 50) }
    @inlinable package static var envoyMaxRetries: HeaderToken { HeaderToken(rawValue: 51) }
    @inlinable package static var origin: HeaderToken { HeaderToken(rawValue: 52) }
    @inlinable package static var envoyImmediateHealthCheckFail: HeaderToken { HeaderToken(rawValue: 53) }
    @inlinable package static var envoyOverloaded: HeaderToken { HeaderToken(rawValue: 54) }
    @inlinable package static var clientTraceID: HeaderToken { HeaderToken(rawValue: 55) }
    @inlinable package static var envoyOriginalDestinationHost: HeaderToken { HeaderToken(rawValue: 56) }
    @inlinable package static var envoyIsTimeoutRetry: HeaderToken { HeaderToken(rawValue: 57) }
    @inlinable package static var envoyIPTags: HeaderToken { HeaderToken(rawValue: 58) }
    @inlinable package static var envoyForceTrace: HeaderToken { HeaderToken(rawValue: 59) }
    @inlinable package static var envoyRetryGRPCOn: HeaderToken { HeaderToken(rawValue: 60) }
    @inlinable package static var envoyRetriableStatusCodes: HeaderToken { HeaderToken(rawValue: 61) }
    @inlinable package static var envoyRetriableHeaderNames: HeaderToken { HeaderToken(rawValue: 62) }

    /// Names by token number, lower case.
    package static let names: [StaticString] = [
        "", ":method", ":path", ":authority", ":scheme", ":status", ":protocol", "host", "content-length",
        "transfer-encoding", "connection", "keep-alive", "proxy-connection", "te", "trailer", "upgrade", "expect",
        "http2-settings", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-port",
        "x-forwarded-client-cert", "x-request-id", "via", "server", "date", "location", "content-type", "user-agent",
        "accept", "cookie", "set-cookie", "authorization", "x-envoy-original-path", "x-envoy-upstream-service-time",
        "x-envoy-expected-rq-timeout-ms", "x-envoy-upstream-rq-timeout-ms", "x-envoy-attempt-count",
        "x-envoy-external-address", "x-envoy-internal", "x-envoy-decorator-operation",
        "x-envoy-downstream-service-cluster", "x-envoy-downstream-service-node", "grpc-timeout", "grpc-status",
        "grpc-message", "accept-encoding", "x-envoy-original-host", "x-envoy-upstream-rq-per-try-timeout-ms",
        "x-envoy-retry-on", "x-envoy-max-retries", "origin", "x-envoy-immediate-health-check-fail",
        "x-envoy-overloaded", "x-client-trace-id", "x-envoy-original-dst-host", "x-envoy-is-timeout-retry",
        "x-envoy-ip-tags", "x-envoy-force-trace", "x-envoy-retry-grpc-on", "x-envoy-retriable-status-codes",
        "x-envoy-retriable-header-names",
    ]

    /// Number of tokens, `none` included. `HeaderBlock` keeps this many bits and indices.
    @inlinable package static var count: Int { 64 }

    /// The name of this token, lower case. Empty for `none`.
    package var name: UnsafeRawBufferPointer {
        let index = Int(rawValue)
        guard index < HeaderToken.names.count else { return UnsafeRawBufferPointer(start: nil, count: 0) }
        let text = HeaderToken.names[index]
        return UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount)
    }

    /// The token of a lower-case name, or `none`.
    package static func find(_ name: UnsafeRawBufferPointer) -> HeaderToken {
        guard let start = name.baseAddress else { return .none }
        return find(start.assumingMemoryBound(to: UInt8.self), name.count, in: table)
    }
}

/// Known names hashed by length and three bytes into 512 places; collisions step to the next place.
private enum TokenTable {
    static let maxLength = 64
    static let size = 512
    // Sendable because it is written once, before it is published, and never freed.
    nonisolated(unsafe) static let shared: (places: HeaderToken.Table, paddedNames: UnsafePointer<UInt8>) = (
        makePlaces(), makePaddedNames()
    )

    @inline(__always) static func hash(_ name: UnsafePointer<UInt8>, _ length: Int) -> Int {
        let mixed = length &* 37 &+ Int(name[0]) &* 3 &+ Int(name[length / 2]) &* 31 &+ Int(name[length &- 1]) &* 11
        return mixed & (size &- 1)
    }

    private static func makePlaces() -> HeaderToken.Table {
        let places = UnsafeMutablePointer<HeaderToken.Place>.allocate(capacity: size)
        places.initialize(repeating: HeaderToken.Place(name: nil, length: 0, token: 0), count: size)
        for index in 1..<HeaderToken.names.count {
            let text = HeaderToken.names[index]
            var place = hash(text.utf8Start, text.utf8CodeUnitCount)
            while places[place].name != nil { place = (place + 1) & (size - 1) }
            places[place] = HeaderToken.Place(
                name: text.utf8Start, length: UInt8(truncatingIfNeeded: text.utf8CodeUnitCount),
                token: UInt8(truncatingIfNeeded: index))
        }
        return HeaderToken.Table(places)
    }

    /// Every name at a distance of `paddedSize`, zeros behind it, with its length in the last byte.
    private static func makePaddedNames() -> UnsafePointer<UInt8> {
        let size = HeaderToken.paddedSize
        let memory = UnsafeMutablePointer<UInt8>.allocate(capacity: HeaderToken.count * size)
        memory.initialize(repeating: 0, count: HeaderToken.count * size)
        for (index, name) in HeaderToken.names.enumerated() {
            (memory + index * size).update(from: name.utf8Start, count: name.utf8CodeUnitCount)
            memory[index * size + size - 1] = UInt8(truncatingIfNeeded: name.utf8CodeUnitCount)
        }
        return UnsafePointer(memory)
    }
}

extension HeaderToken {
    /// Bytes of a padded name; the longest is 39 letters, and copies go in steps of sixteen.
    static var paddedSize: Int { 64 }

    /// The name of a token where sixteen bytes behind it can be read too.
    @inline(__always) static func paddedName(_ token: HeaderToken) -> (bytes: UnsafePointer<UInt8>, length: Int) {
        let bytes = TokenTable.shared.paddedNames + Int(token.rawValue & 63) &* paddedSize
        return (bytes, Int(bytes[paddedSize &- 1]))
    }

    /// A place of the table of known names; `name` is nil where it is free.
    struct Place {
        var name: UnsafePointer<UInt8>?
        var length: UInt8
        var token: UInt8
    }

    typealias Table = UnsafePointer<Place>

    /// The table, for callers that look up several names: taking it costs a check that it was made.
    static var table: Table { TokenTable.shared.places }

    /// The token of `length` lower-case bytes, or `none`.
    @inline(__always) static func find(_ name: UnsafePointer<UInt8>, _ length: Int, in table: Table) -> HeaderToken {
        guard length >= 2, length < TokenTable.maxLength else { return .none }
        var index = TokenTable.hash(name, length)
        while let known = table[index].name {
            if Int(table[index].length) == length, apus_equal(known, name, length) != 0 {
                return HeaderToken(rawValue: table[index].token)
            }
            index = (index &+ 1) & (TokenTable.size &- 1)
        }
        return .none
    }
}
