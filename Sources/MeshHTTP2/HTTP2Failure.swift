// SPDX-License-Identifier: Apache-2.0

/// Error codes of RST_STREAM and GOAWAY (RFC 9113 §7).
package struct HTTP2ErrorCode: RawRepresentable, Equatable, Hashable, Sendable {
    package let rawValue: UInt32
    package init(rawValue: UInt32) { self.rawValue = rawValue }

    package static let noError = HTTP2ErrorCode(rawValue: 0)
    package static let protocolError = HTTP2ErrorCode(rawValue: 1)
    package static let internalError = HTTP2ErrorCode(rawValue: 2)
    package static let flowControlError = HTTP2ErrorCode(rawValue: 3)
    package static let settingsTimeout = HTTP2ErrorCode(rawValue: 4)
    package static let streamClosed = HTTP2ErrorCode(rawValue: 5)
    package static let frameSizeError = HTTP2ErrorCode(rawValue: 6)
    package static let refusedStream = HTTP2ErrorCode(rawValue: 7)
    package static let cancel = HTTP2ErrorCode(rawValue: 8)
    package static let compressionError = HTTP2ErrorCode(rawValue: 9)
    package static let connectError = HTTP2ErrorCode(rawValue: 10)
    package static let enhanceYourCalm = HTTP2ErrorCode(rawValue: 11)
    package static let inadequateSecurity = HTTP2ErrorCode(rawValue: 12)
    package static let http11Required = HTTP2ErrorCode(rawValue: 13)
}

/// Why the session reset a stream or gave a connection up. Numbers in comments are cases of the attack ledger.
package enum HTTP2Failure: UInt8, Error, Equatable, Sendable, CaseIterable {
    /// No failure of the session's: the peer's own doing, or the driver's.
    case none

    // Of a stream
    /// A field that nothing may carry: a name or value with forbidden bytes, a connection-specific field (46, 47).
    /// Stat: `http2.rx_messaging_error`.
    case invalidHeaderField
    /// The rules of a message broken: pseudo-headers, content-length, trailers (46–49). Stat: `http2.rx_messaging_error`.
    case messagingError
    /// Header bytes over the limit (38). Stat: `http2.header_list_size_too_large`.
    case headerOverflow
    /// More fields than allowed (38, 39). Stat: `http2.header_overflow`.
    case tooManyHeaders
    /// An underscore in a name while such are refused (24).
    /// Stat: `http2.requests_rejected_with_underscores_in_headers`.
    case underscore
    /// More 1xx heads than allowed (28).
    case tooManyInformationalHeads
    /// More streams than allowed, or the connection is going away.
    case refused

    // Of the connection
    /// Too many streams reset early, by the client or because of what it sent (35, 36).
    /// Stat: `downstream_rq_too_many_premature_resets`.
    case tooManyPrematureResets
    /// Frames with nothing in them (41). Stat: `http2.inbound_empty_frames_flood`.
    case inboundEmptyFramesFlood
    /// Many tiny DATA frames that wait for a slow reader (40). Stat: `http2.inbound_empty_frames_flood`.
    case inboundTinyFramesFlood
    /// More CONTINUATION frames than allowed (37). Envoy has no stat for them.
    case inboundContinuationFlood
    /// Stat: `http2.inbound_priority_frames_flood` (43).
    case inboundPriorityFlood
    /// Stat: `http2.inbound_window_update_frames_flood` (43).
    case inboundWindowUpdateFlood
    /// Stat: `http2.outbound_control_flood` (42).
    case outboundControlFlood
    /// Stat: `http2.outbound_flood`.
    case outboundFlood
    /// A connection error of RFC 9113: framing, compression, flow control, stream states (37, 50, 52, 53).
    case connectionError
    /// The first bytes are not the connection preface.
    case badPreface
    /// The codec itself failed.
    case internalError

    /// Envoy's `%RESPONSE_CODE_DETAILS%` for a stream that ends by this.
    package var details: StaticString {
        switch self {
        case .none: ""
        case .invalidHeaderField: "http2.invalid.header.field"
        case .messagingError, .tooManyInformationalHeads: "http2.violation.of.messaging.rule"
        case .headerOverflow: "http2.header_list_size_too_large"
        case .tooManyHeaders: "http2.too_many_headers"
        case .underscore: "http2.unexpected_underscore"
        case .refused: "http2.remote_refuse"
        case .inboundEmptyFramesFlood, .inboundTinyFramesFlood: "http2.inbound_empty_frames_flood"
        case .outboundControlFlood, .outboundFlood: "http2.outbound_frames_flood"
        case .tooManyPrematureResets, .inboundContinuationFlood, .inboundPriorityFlood, .inboundWindowUpdateFlood,
            .connectionError, .badPreface, .internalError:
            "http2.unknown.nghttp2.error"
        }
    }

    /// The code that RST_STREAM or GOAWAY carries; of a `connectionError` the session knows a closer one.
    package var code: HTTP2ErrorCode {
        switch self {
        case .none: .noError
        case .invalidHeaderField, .messagingError, .connectionError, .badPreface, .tooManyInformationalHeads:
            .protocolError
        case .headerOverflow, .tooManyHeaders, .underscore, .internalError: .internalError
        case .refused: .refusedStream
        case .tooManyPrematureResets, .inboundEmptyFramesFlood, .inboundTinyFramesFlood, .inboundContinuationFlood,
            .inboundPriorityFlood, .inboundWindowUpdateFlood, .outboundControlFlood, .outboundFlood:
            .enhanceYourCalm
        }
    }

    /// Whether the message itself was malformed, so that `resetsStreamOnInvalidMessage` decides how much ends.
    package var isInvalidMessage: Bool { self == .invalidHeaderField || self == .messagingError }
}
