// SPDX-License-Identifier: Apache-2.0
import CBytes

/// A header name that the proxy knows, as a small number; 0 stands for every other name.
@frozen @usableFromInline package struct HeaderToken: Equatable, Hashable, Sendable {
    @usableFromInline package let rawValue: UInt8
    @inlinable package init(rawValue: UInt8) { self.rawValue = rawValue }
}

// A token's number is the position of its name in CBytes/HeaderNames.c.
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

    /// Number of tokens, `none` included. `HeaderBlock` keeps this many bits and indices.
    @inlinable package static var count: Int { 64 }

    /// The name of this token, lower case. Empty for `none`.
    package var name: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: apus_header_text(rawValue), count: apus_header_length(rawValue))
    }

    /// The token of a lower-case name, or `none`.
    package static func find(_ name: UnsafeRawBufferPointer) -> HeaderToken {
        guard let start = name.baseAddress else { return .none }
        return find(start.assumingMemoryBound(to: UInt8.self), name.count)
    }

    /// The token of `length` lower-case bytes, or `none`.
    @inline(__always) static func find(_ name: UnsafePointer<UInt8>, _ length: Int) -> HeaderToken {
        HeaderToken(rawValue: apus_header_token(name, length))
    }
}
