// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshIO

/// What makes an attempt worth another one. Source: `RetryPolicy.retry_on`, `x-envoy-retry-on`, `x-envoy-retry-grpc-on`.
package struct RetryConditions: OptionSet, BitwiseCopyable, Sendable {
    package let rawValue: UInt32
    package init(rawValue: UInt32) { self.rawValue = rawValue }

    package static let serverError = RetryConditions(rawValue: 1 << 0)
    package static let gatewayError = RetryConditions(rawValue: 1 << 1)
    package static let connectFailure = RetryConditions(rawValue: 1 << 2)
    package static let retriable4xx = RetryConditions(rawValue: 1 << 3)
    package static let refusedStream = RetryConditions(rawValue: 1 << 4)
    package static let statusCodes = RetryConditions(rawValue: 1 << 5)
    package static let headers = RetryConditions(rawValue: 1 << 6)
    package static let reset = RetryConditions(rawValue: 1 << 7)
    package static let rateLimited = RetryConditions(rawValue: 1 << 8)
    /// Accepted, and never met: there is no HTTP/3 to an upstream.
    package static let http3PostConnectFailure = RetryConditions(rawValue: 1 << 9)
    package static let resetBeforeRequest = RetryConditions(rawValue: 1 << 10)
    package static let grpcCancelled = RetryConditions(rawValue: 1 << 11)
    package static let grpcDeadlineExceeded = RetryConditions(rawValue: 1 << 12)
    package static let grpcResourceExhausted = RetryConditions(rawValue: 1 << 13)
    package static let grpcUnavailable = RetryConditions(rawValue: 1 << 14)
    package static let grpcInternal = RetryConditions(rawValue: 1 << 15)

    /// The conditions that look at `grpc-status`.
    package static let grpc: RetryConditions = [
        .grpcCancelled, .grpcDeadlineExceeded, .grpcResourceExhausted, .grpcUnavailable, .grpcInternal,
    ]

    /// The conditions named in a list with commas, spaces around the names allowed. As in Envoy a name that means nothing
    /// is passed over.
    ///
    /// - Parameters:
    ///   - http: `x-envoy-retry-on` knows these names.
    ///   - grpc: `x-envoy-retry-grpc-on` knows those; the policy of a route knows both.
    package init(names: UnsafeRawBufferPointer, http: Bool = true, grpc: Bool = true) {
        var found: RetryConditions = []
        names.forEachListElement { name in
            if http { found.formUnion(RetryConditions.http(name)) }
            if grpc { found.formUnion(RetryConditions.grpc(name)) }
        }
        self = found
    }

    private static func http(_ name: UnsafeRawBufferPointer) -> RetryConditions {
        if name.equals("5xx") { return .serverError }
        if name.equals("gateway-error") { return .gatewayError }
        if name.equals("connect-failure") { return .connectFailure }
        if name.equals("envoy-ratelimited") { return .rateLimited }
        if name.equals("retriable-4xx") { return .retriable4xx }
        if name.equals("refused-stream") { return .refusedStream }
        if name.equals("retriable-status-codes") { return .statusCodes }
        if name.equals("retriable-headers") { return .headers }
        if name.equals("reset") { return .reset }
        if name.equals("reset-before-request") { return .resetBeforeRequest }
        if name.equals("http3-post-connect-failure") { return .http3PostConnectFailure }
        return []
    }

    private static func grpc(_ name: UnsafeRawBufferPointer) -> RetryConditions {
        if name.equals("cancelled") { return .grpcCancelled }
        if name.equals("deadline-exceeded") { return .grpcDeadlineExceeded }
        if name.equals("resource-exhausted") { return .grpcResourceExhausted }
        if name.equals("unavailable") { return .grpcUnavailable }
        if name.equals("internal") { return .grpcInternal }
        return []
    }

    // MARK: Questions

    /// Whether the class of a response's status is among the conditions.
    package func cover(status: UInt16) -> Bool {
        if contains(.serverError), status / 100 == 5 { return true }
        if contains(.gatewayError), status >= 502, status <= 504 { return true }
        return contains(.retriable4xx) && status == 409
    }

    /// Whether the value of a response head's `grpc-status` is among the conditions.
    package func cover(grpcStatus value: UnsafeRawBufferPointer) -> Bool {
        guard let number = DecimalText.parse(value), let status = UInt8(exactly: number).flatMap(GRPCStatus.init) else {
            return false
        }
        return switch status {
        case .cancelled: contains(.grpcCancelled)
        case .deadlineExceeded: contains(.grpcDeadlineExceeded)
        case .resourceExhausted: contains(.grpcResourceExhausted)
        case .unavailable: contains(.grpcUnavailable)
        case .internal: contains(.grpcInternal)
        default: false
        }
    }

    /// Whether an attempt that ended without a response is to be made again.
    ///
    /// - Parameter wasSent: a byte of the request may have reached the upstream.
    package func cover(_ reset: AttemptReset, wasSent: Bool) -> Bool {
        // Another attempt would only add to what is too much.
        if reset == .overflow { return false }
        if reset == .connectFailure, contains(.connectFailure) { return true }
        if !wasSent, contains(.resetBeforeRequest) { return true }
        // A reset is answered with a 503, so the conditions for those cover it.
        if !isDisjoint(with: [.reset, .serverError, .gatewayError]) { return true }
        return reset == .refused && contains(.refusedStream)
    }
}

/// How an attempt ended without a response, as far as retries tell apart.
package enum AttemptReset: Sendable {
    case connectFailure
    /// A limit of the cluster.
    case overflow
    /// The upstream did not look at the request: REFUSED_STREAM.
    case refused
    /// Everything else: the connection ended, the stream was reset, a timeout of the attempt.
    case other
}

extension UnsafeRawBufferPointer {
    /// Calls `body` with each element of a list with commas, without the spaces around it; empty ones are passed over.
    func forEachListElement(_ body: (UnsafeRawBufferPointer) -> Void) {
        var start = 0
        while start <= count {
            var end = start
            while end < count, self[end] != UInt8(ascii: ",") { end += 1 }
            let element = UnsafeRawBufferPointer(rebasing: self[start..<end]).trimmed
            if !element.isEmpty { body(element) }
            start = end + 1
        }
    }
}
