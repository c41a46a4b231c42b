// SPDX-License-Identifier: Apache-2.0
package import MeshHTTP

/// Which end of the connection a session plays.
package enum HTTP2Role: UInt8, Sendable {
    /// Receives requests (downstream).
    case server
    /// Sends requests (upstream).
    case client
}

/// How one HTTP/2 connection is run. Source, where no other is named: `http2_protocol_options`.
package struct HTTP2Options: Sendable {
    /// Most bytes of the HPACK tables, ours and the one the peer is allowed. Default: 4096.
    package var hpackTableSize: UInt32 = 4096
    /// Streams the peer may have open at once. Default: 1024.
    package var maxConcurrentStreams: UInt32 = 1024
    /// Bytes the peer may send on a stream before we consumed any. Default: 16 MiB.
    package var initialStreamWindowSize: Int32 = 16 << 20
    /// Bytes the peer may send over all streams before we consumed any. Default: 24 MiB.
    package var initialConnectionWindowSize: Int32 = 24 << 20
    /// Extended CONNECT is offered to the peer (RFC 8441). Default: false. Source: `allow_connect`.
    package var allowsExtendedConnect = false
    /// Frames waiting to be sent before the connection is given up. Default: 10,000.
    package var maxOutboundFrames = 10_000
    /// PING and SETTINGS acknowledgements and RST_STREAM waiting to be sent before the connection is given up.
    /// Default: 1000.
    package var maxOutboundControlFrames = 1000
    /// DATA, HEADERS and CONTINUATION frames in a row with nothing in them and no END_STREAM. Default: 1.
    package var maxConsecutiveEmptyFrames: UInt32 = 1
    /// PRIORITY frames for each active stream, and for the connection itself. Default: 100.
    package var maxPriorityFramesPerStream: UInt32 = 100
    /// WINDOW_UPDATE frames for each DATA frame sent, and twice that for each active stream. Default: 10.
    package var maxWindowUpdateFramesPerDataFrame: UInt32 = 10
    /// A malformed message resets its stream; otherwise it ends the connection, as Envoy does unless told not to.
    /// Default: true (RFC 9113 §8.1.1). Source: `override_stream_error_on_invalid_http_message`.
    package var resetsStreamOnInvalidMessage = true

    /// Bytes of a message's fields: names, values and 32 for each field, trailers counted anew. Default: 60 KiB.
    /// Source: `max_request_headers_kb` of the connection manager, `max_response_headers_kb` of the cluster.
    package var maxHeaderBytes = 60 << 10
    /// Fields of a message, trailers counted anew, dropped ones and cookie crumbs too. Default: 100.
    /// Source: `max_headers_count`.
    package var maxHeaderFields = 100
    /// Source: `headers_with_underscores_action`. Default: allow.
    package var underscores = UnderscoreAction.allow
    /// CONTINUATION frames of one header block. Default: 8 (attack ledger 37).
    package var maxContinuations = 8
    /// RST_STREAM frames at once and per second, beside the budget of premature resets. Default: 1000 and 33.
    /// Source: `stream_reset_burst`, `stream_reset_rate`.
    package var streamResetBurst: UInt64 = 1000
    package var streamResetRate: UInt64 = 33
    /// Entries of one SETTINGS frame. Default: 32.
    package var maxSettingsEntries = 32
    /// Streams after which at most half may have been reset early. Default: 500; 0 turns the budget off.
    /// Source: runtime `overload.premature_reset_total_stream_count`.
    package var prematureResetTotalStreams: UInt32 = 500
    /// A stream that was reset younger than this was reset early. Unit: nanoseconds. Default: 1 s.
    /// Source: runtime `overload.premature_reset_min_stream_lifetime_seconds`.
    package var prematureResetLifetimeNanoseconds: UInt64 = 1_000_000_000
    /// 1xx heads before a final one, from an upstream. Default: 16.
    package var maxInformationalHeads: UInt8 = 16
    /// Bytes queued for one stream, by the slabs they pin, above which `sendBody` says stop; at half of it the stream is
    /// writable again. Default: 256 KiB. Source: `per_connection_buffer_limit_bytes`, at most.
    package var streamBufferLimit = 256 << 10

    package init() {}
}
