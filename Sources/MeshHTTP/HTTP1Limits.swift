// SPDX-License-Identifier: Apache-2.0

/// How much of one HTTP/1 message is accepted before it is refused.
package struct HTTP1Limits: Sendable {
    /// Bytes of a head: start line, fields and line ends; trailers count on.
    /// - Unit: bytes. Default: 60 KiB. Source: `max_request_headers_kb`.
    package var maxHeadBytes = 60 << 10
    /// Fields of a head, trailers included, dropped ones too. Default: 100. Source: `max_headers_count`.
    package var maxFields = 100
    /// Bytes of chunk extensions over a whole message, so that they cannot be dripped for ever. Default: 16 KiB.
    package var maxChunkExtensionBytes = 16 << 10
    /// Empty lines tolerated before a request line (RFC 9112 §2.2 asks for one). Default: 4.
    package var maxLeadingEmptyLines = 4
    /// 1xx responses, 101 not counted, before a final one. Default: 16.
    package var maxInterimResponses = 16

    package init() {}
}

/// What to do with a field name that holds an underscore.
package enum UnderscoreAction: UInt8, Sendable {
    case allow
    /// The message is refused.
    case reject
    /// The field is dropped.
    case drop
}

/// How requests are read.
// Sendable because its one pointer is to bytes that never change.
package struct HTTP1ServerOptions: @unchecked Sendable {
    /// HTTP/1.0 requests are served; otherwise they get 426. Default: false. Source: `accept_http_10`.
    package var acceptsHTTP10 = false
    /// `:authority` of an HTTP/1.0 request without Host; empty: such a request gets 400. Source: `default_host_for_http_10`.
    /// Bytes that outlive every decoder with these options: an array would be counted whenever a decoder is lent.
    package var defaultHostForHTTP10 = UnsafeRawBufferPointer(start: nil, count: 0)
    /// A target in absolute form is taken apart; otherwise it is the `:path` as it came. Default: true.
    /// Source: `allow_absolute_url`.
    package var allowsAbsoluteForm = true
    /// Source: `headers_with_underscores_action`. Default: allow.
    package var underscores = UnderscoreAction.allow
    /// Trailers are reported; otherwise they are checked and dropped. Default: false. Source: `enable_trailers`.
    package var enableTrailers = false
    /// Transfer-Encoding overrides Content-Length, which is removed; otherwise both together get 400. Default: false.
    /// Source: `allow_chunked_length`.
    package var allowsChunkedLength = false
    /// Methods outside the registry are served; otherwise they get 400. Default: false. Source: `allow_custom_methods`.
    package var allowsCustomMethods = false
    /// A fragment is cut off the target; otherwise it gets 400. Default: false.
    package var stripsFragment = false
    /// Field names are kept as they came, beside their lower-case form. Default: false. Source: `preserve_case`.
    package var keepsNameCase = false

    package init() {}
}

/// How responses are read.
package struct HTTP1ClientOptions: Sendable {
    /// Trailers are reported; otherwise they are checked and dropped. Default: false. Source: `enable_trailers`.
    package var enableTrailers = false
    /// As `HTTP1ServerOptions.allowsChunkedLength`.
    package var allowsChunkedLength = false
    /// Source: `headers_with_underscores_action` of the cluster. Default: allow.
    package var underscores = UnderscoreAction.allow
    /// As `HTTP1ServerOptions.keepsNameCase`.
    package var keepsNameCase = false

    package init() {}
}
