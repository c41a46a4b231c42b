// SPDX-License-Identifier: Apache-2.0

/// HTTP/2 on either side.
///
/// - Source: `envoy.config.core.v3.Http2ProtocolOptions`; the defaults are those of Envoy 1.40.
package struct HTTP2Options: Hashable, Sendable {
    /// Bytes of each direction's HPACK table. Source: `hpack_table_size`. Default: 4096; 0 has no table.
    package var hpackTableSize: UInt32 = 4096
    /// Streams that the peer may have open; toward an upstream also those we open at most. 1 to 2^31 - 1.
    /// Source: `max_concurrent_streams`. Default: 1024.
    package var maxConcurrentStreams: UInt32 = 1024
    /// Bytes that a peer may send on a stream before we take some. 65,535 to 2^31 - 1.
    /// Source: `initial_stream_window_size`. Default: 16 MiB.
    package var initialStreamWindow: UInt32 = 16 * 1024 * 1024
    /// The same for all streams of a connection. Source: `initial_connection_window_size`. Default: 24 MiB.
    package var initialConnectionWindow: UInt32 = 24 * 1024 * 1024
    /// Extended CONNECT (RFC 8441), and upgrades with it. Source: `allow_connect`. Default: false.
    package var allowsConnect = false
    /// Frames that wait to be sent before the connection is ended. 1 or more. Source: `max_outbound_frames`. Default:
    /// 10,000.
    package var maxOutboundFrames: UInt32 = 10_000
    /// PING, SETTINGS and RST_STREAM frames among them. 1 or more. Source: `max_outbound_control_frames`. Default: 1000.
    package var maxOutboundControlFrames: UInt32 = 1000
    /// HEADERS, CONTINUATION and DATA frames in a row without content and end.
    /// Source: `max_consecutive_inbound_frames_with_empty_payload`. Default: 1.
    package var maxConsecutiveEmptyFrames: UInt32 = 1
    /// PRIORITY frames per stream that was opened, and one. Source: `max_inbound_priority_frames_per_stream`. Default:
    /// 100.
    package var maxPriorityFramesPerStream: UInt32 = 100
    /// WINDOW_UPDATE frames per DATA frame that was sent; 1 or more.
    /// Source: `max_inbound_window_update_frames_per_data_frame_sent`. Default: 10.
    package var maxWindowUpdatesPerDataFrame: UInt32 = 10
    /// An invalid message ends its stream, not the connection. Source: `override_stream_error_on_invalid_http_message`,
    /// else the manager's `stream_error_on_invalid_http_message`, else `stream_error_on_invalid_http_messaging`.
    /// Default: false.
    package var streamErrorOnInvalidMessage = false
    /// PINGs by which a dead peer is found. Source: `connection_keepalive`. Default: nil.
    package var keepalive: HTTP2Keepalive?

    package init() {}
}

/// PINGs by which a dead peer is found. Source: `envoy.config.core.v3.KeepaliveSettings`.
package struct HTTP2Keepalive: Hashable, Sendable {
    /// Between PINGs. Source: `interval`. Default: nil (none by the clock).
    package var interval: Duration?
    /// After which a PING that is not answered ends the connection. Source: `timeout`, required.
    package var timeout: Duration
    /// Random share of the interval that is added to it, in percent. Source: `interval_jitter`. Default: 15.
    package var jitterPercent = 15.0
    /// A connection without frames for so long is sent a PING before its next stream.
    /// Source: `connection_idle_interval`. Default: nil.
    package var idleInterval: Duration?

    package init(timeout: Duration) { self.timeout = timeout }
}
