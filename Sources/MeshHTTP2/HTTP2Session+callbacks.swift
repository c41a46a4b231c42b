// SPDX-License-Identifier: Apache-2.0
import CNghttp2

// nghttp2's callbacks: each finds its session and says what happened; what they return is nghttp2's contract.
extension HTTP2Session {
    /// Makes the nghttp2 session; nil when memory or the library refuses.
    func makeSession() -> OpaquePointer? {
        var callbacks: OpaquePointer?
        var option: OpaquePointer?
        guard nghttp2_session_callbacks_new(&callbacks) == 0, nghttp2_option_new(&option) == 0, let callbacks, let option
        else { return nil }
        defer {
            nghttp2_session_callbacks_del(callbacks)
            nghttp2_option_del(option)
        }
        HTTP2Session.install(callbacks)
        nghttp2_option_set_no_auto_window_update(option, 1)
        // Closed streams are kept only for the priority tree, which is of no use to a proxy.
        nghttp2_option_set_no_closed_streams(option, 1)
        nghttp2_option_set_max_deflate_dynamic_table_size(option, Int(options.hpackTableSize))
        nghttp2_option_set_max_outbound_ack(option, options.maxOutboundControlFrames)
        nghttp2_option_set_max_settings(option, options.maxSettingsEntries)
        // nghttp2 counts a CONTINUATION each time it looks at its nine bytes of header, which may come one by one. The
        // frames themselves are counted in `onBeginFrame`.
        nghttp2_option_set_max_continuations(option, (options.maxContinuations + 1) * 9)
        nghttp2_option_set_stream_reset_rate_limit(option, options.streamResetBurst, options.streamResetRate)
        nghttp2_option_set_max_reserved_remote_streams(option, 0)
        // An answer to an upstream's promise is never wanted; the largest header block is bounded by our own limits.
        nghttp2_option_set_max_send_header_block_length(option, 1 << 20)
        var made: OpaquePointer?
        var functions = memory.functions
        let context = Unmanaged.passUnretained(self).toOpaque()
        let result =
            role == .server
            ? nghttp2_session_server_new3(&made, callbacks, context, option, &functions)
            : nghttp2_session_client_new3(&made, callbacks, context, option, &functions)
        return result == 0 ? made : nil
    }

    private static func install(_ callbacks: OpaquePointer) {
        nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks) { _, header, context in
            guard let header else { return 0 }
            return HTTP2Session.from(context)._withUnsafeGuaranteedRef { $0.onBeginFrame(header.pointee) }
        }
        nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks) { _, frame, context in
            guard let frame else { return 0 }
            return HTTP2Session.from(context)._withUnsafeGuaranteedRef { $0.onBeginHeaders(frame) }
        }
        nghttp2_session_callbacks_set_on_header_callback(callbacks) {
            _, _, name, nameLength, value, valueLength, _, context in
            guard let name, let value else { return 0 }
            return HTTP2Session.from(context)._withUnsafeGuaranteedRef { $0.onField(name, nameLength, value, valueLength) }
        }
        nghttp2_session_callbacks_set_on_invalid_header_callback(callbacks) { _, frame, _, _, _, _, _, context in
            guard let frame else { return 0 }
            return HTTP2Session.from(context)._withUnsafeGuaranteedRef { $0.onInvalidField(frame) }
        }
        nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks) { _, frame, context in
            guard let frame else { return 0 }
            return HTTP2Session.from(context)._withUnsafeGuaranteedRef { $0.onFrame(frame) }
        }
        nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks) { _, frame, error, context in
            guard let frame else { return 0 }
            return HTTP2Session.from(context)._withUnsafeGuaranteedRef { $0.onInvalidFrame(frame, error) }
        }
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks) { _, _, id, bytes, count, context in
            guard let bytes else { return 0 }
            return HTTP2Session.from(context)._withUnsafeGuaranteedRef { $0.onData(id, bytes, count) }
        }
        nghttp2_session_callbacks_set_on_stream_close_callback(callbacks) { _, id, code, context in
            HTTP2Session.from(context)._withUnsafeGuaranteedRef { $0.onStreamClosed(id, code) }
            return 0
        }
        nghttp2_session_callbacks_set_send_data_callback(callbacks) { _, frame, header, count, source, context in
            guard let frame, let header, let source else { return 0 }
            let slot = Int(bitPattern: source.pointee.ptr) &- 1
            return HTTP2Session.from(context)._withUnsafeGuaranteedRef { $0.onSendData(slot, frame, header, count) }
        }
        nghttp2_session_callbacks_set_on_frame_send_callback(callbacks) { _, frame, context in
            guard let frame else { return 0 }
            HTTP2Session.from(context)._withUnsafeGuaranteedRef { $0.onFrameSent(frame) }
            return 0
        }
        nghttp2_session_callbacks_set_on_frame_not_send_callback(callbacks) { _, frame, error, context in
            guard let frame else { return 0 }
            HTTP2Session.from(context)._withUnsafeGuaranteedRef { $0.onFrameNotSent(frame, error) }
            return 0
        }
    }

    /// The session a callback is for: it made the nghttp2 session and outlives it.
    static func from(_ context: UnsafeMutableRawPointer?) -> Unmanaged<HTTP2Session> {
        Unmanaged.fromOpaque(context.unsafelyUnwrapped)
    }

    /// nghttp2's numbers with the types its callbacks want.
    enum Wire {
        static let data = UInt8(truncatingIfNeeded: NGHTTP2_DATA.rawValue)
        static let headers = UInt8(truncatingIfNeeded: NGHTTP2_HEADERS.rawValue)
        static let priority = UInt8(truncatingIfNeeded: NGHTTP2_PRIORITY.rawValue)
        static let reset = UInt8(truncatingIfNeeded: NGHTTP2_RST_STREAM.rawValue)
        static let settings = UInt8(truncatingIfNeeded: NGHTTP2_SETTINGS.rawValue)
        static let ping = UInt8(truncatingIfNeeded: NGHTTP2_PING.rawValue)
        static let goAway = UInt8(truncatingIfNeeded: NGHTTP2_GOAWAY.rawValue)
        static let windowUpdate = UInt8(truncatingIfNeeded: NGHTTP2_WINDOW_UPDATE.rawValue)
        static let continuation = UInt8(truncatingIfNeeded: NGHTTP2_CONTINUATION.rawValue)
        /// END_STREAM of DATA and HEADERS, ACK of SETTINGS and PING (RFC 9113 §6).
        static let endStream: UInt8 = 1
        static let acknowledgement: UInt8 = 1
        /// Resets the stream; our own RST_STREAM is queued before.
        static let refuse = NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE.rawValue
        /// Ends `mem_recv`; the connection is given up.
        static let stop = NGHTTP2_ERR_CALLBACK_FAILURE.rawValue
    }
}
