// SPDX-License-Identifier: Apache-2.0

/// The protocol version of a message.
@frozen @usableFromInline package enum HTTPVersion: UInt8, Sendable {
    case http10
    case http11
    case http2

    /// Envoy's text, as `%PROTOCOL%` and `via` print it.
    package var text: StaticString {
        switch self {
        case .http10: "HTTP/1.0"
        case .http11: "HTTP/1.1"
        case .http2: "HTTP/2"
        }
    }
}

/// Methods that change how a message is framed or routed; everything else is `other`.
@frozen @usableFromInline package enum HTTPMethod: UInt8, Sendable {
    case get, head, post, put, delete, options, connect, patch, trace
    case other
}

/// How the length of a body is known (RFC 9112 §6.3).
@frozen @usableFromInline package enum BodyFraming: Equatable, Sendable {
    /// There is no body.
    case none
    /// Exactly this many bytes follow.
    case length(UInt64)
    /// Chunked transfer coding.
    case chunked
    /// Until the connection closes (responses only).
    case untilClose
}

/// The head of a request: its fields (with `:method`, `:path`, `:authority`, `:scheme`) and what framing needs.
@frozen @usableFromInline package struct RequestHead: ~Copyable {
    @usableFromInline package var headers = HeaderBlock()
    @usableFromInline package var method: HTTPMethod = .get
    @usableFromInline package var version: HTTPVersion = .http11
    /// How the body arrives.
    @usableFromInline package var framing: BodyFraming = .none
    /// Whether the sender keeps the connection open after this message.
    @usableFromInline package var isKeepAlive = true
    /// `expect: 100-continue`.
    @usableFromInline package var expectsContinue = false
    /// `connection: upgrade` with an `upgrade` field.
    @usableFromInline package var isUpgrade = false
    /// The target was in absolute form (RFC 9112 §3.2.2).
    @usableFromInline package var isAbsoluteForm = false

    @inlinable package init() {}

    /// Ready for the next message.
    @inlinable package mutating func reset() {
        headers.reset()
        method = .get
        version = .http11
        framing = .none
        isKeepAlive = true
        expectsContinue = false
        isUpgrade = false
        isAbsoluteForm = false
    }
}

/// The head of a response: its fields (with `:status`) and what framing needs.
@frozen @usableFromInline package struct ResponseHead: ~Copyable {
    @usableFromInline package var headers = HeaderBlock()
    /// 100–999.
    @usableFromInline package var status: UInt16 = 0
    @usableFromInline package var version: HTTPVersion = .http11
    /// How the body arrives. For a response to HEAD: what its fields declare, and `untilClose` where they say nothing;
    /// for 304 its Content-Length, if it has one.
    @usableFromInline package var framing: BodyFraming = .none
    @usableFromInline package var isKeepAlive = true
    /// `connection: upgrade` with an `upgrade` field (status 101).
    @usableFromInline package var isUpgrade = false
    /// No body bytes follow, whatever `framing` declares: the answer to HEAD, 1xx, 204, 304, and 2xx to CONNECT.
    @usableFromInline package var isBodyless = false

    @inlinable package init() {}

    @inlinable package mutating func reset() {
        headers.reset()
        status = 0
        version = .http11
        framing = .none
        isKeepAlive = true
        isUpgrade = false
        isBodyless = false
    }
}
