// SPDX-License-Identifier: Apache-2.0
import CNghttp2
import MeshIO

// The connection's own frames, windows, and the ends of streams.
extension HTTP2Session {
    /// Queues the first SETTINGS and opens the connection's window; once, before anything else.
    package func start() {
        guard let session else { return }
        var entries: [nghttp2_settings_entry] = []
        func add(_ id: nghttp2_settings_id, _ value: UInt32) {
            entries.append(nghttp2_settings_entry(settings_id: Int32(id.rawValue), value: value))
        }
        // Envoy's settings in Envoy's order, defaults too: what a client sees of the proxy stays the same.
        if role == .client {
            if options.hpackTableSize != 4096 { add(NGHTTP2_SETTINGS_HEADER_TABLE_SIZE, options.hpackTableSize) }
            add(NGHTTP2_SETTINGS_ENABLE_PUSH, 0)
        } else {
            add(NGHTTP2_SETTINGS_HEADER_TABLE_SIZE, options.hpackTableSize)
            isGreeting = true
        }
        add(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, UInt32(max(0, options.initialStreamWindowSize)))
        if role == .server { add(NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, options.allowsExtendedConnect ? 1 : 0) }
        let result = nghttp2_submit_settings(session, UInt8(NGHTTP2_FLAG_NONE.rawValue), &entries, entries.count)
        if result != 0 { fail(.internalError) }
        nghttp2_session_set_local_window_size(
            session, UInt8(NGHTTP2_FLAG_NONE.rawValue), 0, options.initialConnectionWindowSize)
    }

    /// Body bytes of a stream were passed on: its window, and the connection's where it waits, open again.
    package func consume(_ key: HTTP2StreamKey, _ count: Int) {
        guard let index = slot(of: key) else { return }
        consumed(index, count)
    }

    func consumed(_ index: Int, _ count: Int) {
        let slot = streams.slots + index
        let count = min(count, slot.pointee.unconsumed)
        guard count > 0 else { return }
        slot.pointee.unconsumed &-= count
        if slot.pointee.unconsumed == 0 {
            floods.tinyDebt &-= slot.pointee.tinyDebt
            slot.pointee.tinyDebt = 0
        }
        returnConnectionBytes(count)
        // Nothing more comes on a stream whose message is whole; a WINDOW_UPDATE for it would be wasted.
        if slot.pointee.state.isDisjoint(with: [.remoteEnded, .closed, .reported]), failure == .none {
            nghttp2_session_consume_stream(session, slot.pointee.id, count)
        }
    }

    private func returnConnectionBytes(_ count: Int) {
        heldBytes &-= count
        let owed = min(owedConnectionBytes, count)
        guard owed > 0 else { return }
        owedConnectionBytes &-= owed
        nghttp2_session_consume_connection(session, owed)
    }

    // MARK: Ends of streams

    /// Resets a stream. Its records are dead; `closed` still comes.
    package func reset(_ key: HTTP2StreamKey, _ code: HTTP2ErrorCode) {
        guard let index = slot(of: key), !streams.slots[index].has(.reported) else { return }
        resetSlot(index, code, .none)
    }

    /// The driver wants to hear no more of a stream: what is queued is sent, what arrives is dropped. A client that is
    /// still sending then hears with RST_STREAM (NO_ERROR) that it need not (RFC 9113 §8.1).
    package func abandon(_ key: HTTP2StreamKey) {
        guard let index = slot(of: key) else { return }
        kill(index)
        streams.slots[index].owner = nil
        streams.slots[index].state.insert([.reported, .finished])
        if streams.slots[index].has(.closed) { freeSlot(index) }
    }

    /// Queues RST_STREAM and says so.
    func resetSlot(_ index: Int, _ code: HTTP2ErrorCode, _ failure: HTTP2Failure) {
        report(index, code: code, failure: failure)
        guard !streams.slots[index].has(.closed), let session else { return }
        streams.leave(index)
        nghttp2_submit_rst_stream(session, UInt8(NGHTTP2_FLAG_NONE.rawValue), streams.slots[index].id, code.rawValue)
        let flood = floods.queuedControl(options)
        if flood != .none { fail(flood) }
        if failure == .none { countEnd(index) } else { countReset(index) }
    }

    /// What was recorded of the stream is dead; `closed` takes its place.
    func report(_ index: Int, code: HTTP2ErrorCode, failure: HTTP2Failure) {
        kill(index)
        streams.slots[index].failure = failure
        appendClosed(index, code, failure)
    }

    func appendClosed(_ index: Int, _ code: HTTP2ErrorCode, _ failure: HTTP2Failure) {
        streams.slots[index].state.insert(.reported)
        records.append(
            HTTP2Record(
                .closed, slot: UInt32(truncatingIfNeeded: index), epoch: streams.slots[index].epoch, first: code.rawValue,
                second: UInt32(failure.rawValue)))
    }

    private func kill(_ index: Int) {
        streams.slots[index].epoch &+= 1
        if fieldSlot == index { fieldSlot = -1 }
        releaseHeld(index)
    }

    /// Bytes nobody will consume any more count as consumed for the connection.
    private func releaseHeld(_ index: Int) {
        let held = streams.slots[index].unconsumed
        // Without such bytes there is no debt for tiny frames either.
        guard held > 0 else { return }
        streams.slots[index].unconsumed = 0
        floods.tinyDebt &-= streams.slots[index].tinyDebt
        streams.slots[index].tinyDebt = 0
        returnConnectionBytes(held)
    }

    /// Drops what a stream had to send.
    func dropQueues(_ index: Int) {
        let slot = streams.slots + index
        slices.dropAll(of: &slot.pointee.body)
        slices.dropAll(of: &slot.pointee.pins)
        slot.pointee.queuedBytes = 0
        slot.pointee.pinnedBytes = 0
        if slot.pointee.trailers >= 0 {
            heads.free(slot.pointee.trailers)
            slot.pointee.trailers = -1
        }
    }

    func freeSlot(_ index: Int) {
        if lastSlot == index { lastID = 0 }
        if fieldSlot == index { fieldSlot = -1 }
        releaseHeld(index)
        dropQueues(index)
        streams.free(index)
    }

    // MARK: The connection

    /// Streams that are open, or whose end was not read yet.
    package var streamCount: Int { streams.count }

    /// Streams the peer lets us open at once; `UInt32.max` while it has not said.
    package var peerMaxConcurrentStreams: UInt32 {
        session.map { nghttp2_session_get_remote_settings($0, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS) } ?? 0
    }

    /// Whether the peer takes extended CONNECT (RFC 8441).
    package var peerAllowsExtendedConnect: Bool {
        session.map { nghttp2_session_get_remote_settings($0, NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL) == 1 } ?? false
    }

    /// Requests that may be sent now (client); 0 when the connection failed or goes away.
    package var openableStreams: Int {
        guard failure == .none, !isGoingAway, let session, nghttp2_session_check_request_allowed(session) != 0
        else { return 0 }
        return max(0, Int(peerMaxConcurrentStreams) &- streams.count)
    }

    /// Whether a stream of ours was left unprocessed by the peer's GOAWAY, so that its request may be sent elsewhere.
    package func isUnprocessed(_ key: HTTP2StreamKey) -> Bool { streamID(key) > peerLastStreamID }

    /// Sends a PING; `pingAcknowledged` answers it.
    package func submitPing() {
        guard failure == .none, let session else { return }
        nghttp2_submit_ping(session, UInt8(NGHTTP2_FLAG_NONE.rawValue), nil)
    }

    /// First phase of a graceful end (RFC 9113 §6.8): the client hears that no new stream is wanted, but those it opens
    /// before it hears are served. A round trip later follows `shutdown`.
    package func submitShutdownNotice() {
        guard failure == .none, !isGoingAway, role == .server, let session else { return }
        nghttp2_submit_shutdown_notice(session)
    }

    /// Second phase: GOAWAY with the last stream that was taken; open streams are served to their end.
    package func shutdown() { submitGoAway(.noError) }

    /// GOAWAY with any code and the last stream that was taken.
    package func submitGoAway(_ code: HTTP2ErrorCode) {
        guard failure == .none, !isGoingAway, let session else { return }
        isGoingAway = true
        nghttp2_submit_goaway(
            session, UInt8(NGHTTP2_FLAG_NONE.rawValue), nghttp2_session_get_last_proc_stream_id(session), code.rawValue,
            nil, 0)
    }
}
