// SPDX-License-Identifier: Apache-2.0
import CNghttp2
import MeshHTTP
import MeshIO

// What arrives, frame by frame. Nothing here may call nghttp2's receive or send.
extension HTTP2Session {
    /// The place of a stream by its number, -1 when there is none.
    @inline(__always) func findSlot(_ id: Int32) -> Int {
        if id == lastID, id != 0 { return lastSlot }
        guard id > 0, let data = nghttp2_session_get_stream_user_data(session, id) else { return -1 }
        lastID = id
        lastSlot = Int(bitPattern: data) &- 1
        return lastSlot
    }

    /// Remembers that the connection is to be given up when nghttp2 returns; `mem_recv` stops at once.
    func stop(_ failure: HTTP2Failure) -> Int32 {
        guard failure != .none else { return 0 }
        // terminate_session may be called in a callback: it only queues GOAWAY.
        fail(failure)
        return Wire.stop
    }

    func onBeginFrame(_ header: nghttp2_frame_hd) -> Int32 {
        switch header.type {
        case Wire.headers, Wire.continuation:
            if header.type == Wire.headers {
                continuations = 0
                if isReused(header.stream_id) { return stop(.connectionError) }
            } else {
                continuations &+= 1
                if continuations > options.maxContinuations { return stop(.inboundContinuationFlood) }
                // nghttp2 does not measure these (RFC 9113 §4.2).
                if header.length > HTTP2Session.maxFrameSize {
                    fail(.connectionError, code: .frameSizeError)
                    return Wire.stop
                }
            }
            let endsStream = header.type == Wire.headers && header.flags & Wire.endStream != 0
            return stop(floods.receivedPayload(isEmpty: header.length == 0 && !endsStream, options))
        case Wire.priority: return stop(floods.receivedPriority(activeStreams: streams.count, options))
        case Wire.windowUpdate: return stop(floods.receivedWindowUpdate(activeStreams: streams.count, options))
        case Wire.ping, Wire.settings:
            guard header.flags & Wire.acknowledgement == 0 else { return 0 }
            return stop(floods.queuedControl(options))
        default: return 0
        }
    }

    /// Whether HEADERS name a stream that is over, or one that was passed over (RFC 9113 §5.1.1). Streams that ended before
    /// the client had finished may still get trailers that were on their way; nghttp2 drops them.
    private func isReused(_ id: Int32) -> Bool {
        role == .server && id & 1 == 1 && id <= lastProcessedID && findSlot(id) < 0 && !earlyEnds.mayContain(id)
    }

    // MARK: Header blocks

    func onBeginHeaders(_ frame: UnsafePointer<nghttp2_frame>) -> Int32 {
        let header = frame.pointee.hd
        guard header.type == Wire.headers else { return 0 }
        incoming.headers.reset()
        fieldBytes = 0
        fieldCount = 0
        fieldSlot = -1
        let index: Int
        if role == .server, frame.pointee.headers.cat == NGHTTP2_HCAT_REQUEST {
            index = openSlot(header.stream_id)
            lastProcessedID = max(lastProcessedID, header.stream_id)
            nghttp2_session_set_stream_user_data(
                session, header.stream_id, UnsafeMutableRawPointer(bitPattern: index &+ 1))
            if streams.activeCount > Int(clamping: options.maxConcurrentStreams) { return refuse(index, .refused) }
        } else {
            index = findSlot(header.stream_id)
            guard index >= 0 else { return 0 }
        }
        if streams.slots[index].has(.headReceived) {
            streams.slots[index].state.insert(.inTrailers)
        }
        // Of a stream that the driver let go of, what still comes is decoded and dropped.
        if !streams.slots[index].has(.reported) { fieldSlot = index }
        return 0
    }

    /// Takes a place for a stream that begins now.
    func openSlot(_ id: Int32) -> Int {
        let index = streams.take()
        streams.slots[index].id = id
        streams.slots[index].opened = now.nanoseconds
        lastID = id
        lastSlot = index
        return index
    }

    /// SETTINGS_MAX_FRAME_SIZE, which is not raised (RFC 9113 §6.5.2).
    static let maxFrameSize = 16_384

    func onField(
        _ name: UnsafePointer<UInt8>, _ nameLength: Int, _ value: UnsafePointer<UInt8>, _ valueLength: Int
    ) -> Int32 {
        let index = fieldSlot
        guard index >= 0 else { return 0 }
        // RFC 9113 §6.5.2 counts 32 bytes for each field; fields that are dropped below count too (attack ledger 38, 39).
        fieldBytes &+= nameLength &+ valueLength &+ 32
        fieldCount &+= 1
        if fieldBytes > options.maxHeaderBytes { return refuse(index, .headerOverflow) }
        if fieldCount > options.maxHeaderFields { return refuse(index, .tooManyHeaders) }
        if !allowsUnderscores, nameLength > 0, name[0] != UInt8(ascii: ":"), HTTP2Session.hasUnderscore(name, nameLength) {
            if options.underscores == .reject { return refuse(index, .underscore) }
            droppedFields &+= 1
            return 0
        }
        if HTTP2Session.isPadded(value, valueLength) { return refuse(index, .invalidHeaderField) }
        let token = HeaderToken.find(lowercase: name, nameLength)
        if HTTP2Session.specialFields.contains(token) {
            if token == .host, role == .server { return storeHost(index, value, valueLength) }
            if token == .http2Settings { return 0 }
            if streams.slots[index].has(.inTrailers), HTTP2Session.isForbiddenTrailer(token) {
                return refuse(index, .messagingError)
            }
        }
        let stored = incoming.headers.appendDecoded(
            name: name, nameLength: nameLength, value: value, valueLength: valueLength, token: token, from: pool)
        return stored ? 0 : refuse(index, .headerOverflow)
    }

    /// Fields that are not simply stored, wherever they stand.
    private static var specialFields: HeaderTokenSet {
        HeaderTokenSet(.host, .http2Settings, .contentLength, .transferEncoding, .connection)
    }

    /// Host of a request: the authority where there is no `:authority`, otherwise the same as it (RFC 9113 §8.3.1).
    private func storeHost(_ index: Int, _ value: UnsafePointer<UInt8>, _ length: Int) -> Int32 {
        let host = UnsafeRawBufferPointer(start: value, count: length)
        if streams.slots[index].has(.inTrailers) { return refuse(index, .messagingError) }
        if let authority = incoming.headers.value(of: .authority) {
            return authority.equalsIgnoringCase(host) ? 0 : refuse(index, .messagingError)
        }
        return incoming.headers.append(.authority, host, from: pool) ? 0 : refuse(index, .headerOverflow)
    }

    func onInvalidField(_ frame: UnsafePointer<nghttp2_frame>) -> Int32 {
        let index = findSlot(frame.pointee.hd.stream_id)
        guard index >= 0, !streams.slots[index].has(.reported) else { return 0 }
        return refuse(index, .invalidHeaderField)
    }

    /// Resets a stream for what the peer sent. nghttp2 goes on decoding the block, so that its table stays right.
    func refuse(_ index: Int, _ failure: HTTP2Failure) -> Int32 {
        resetSlot(index, failure.code, failure)
        if failure.isInvalidMessage { suspected = failure }
        return self.failure == .none ? Wire.refuse : Wire.stop
    }

    // MARK: Frames

    func onFrame(_ frame: UnsafePointer<nghttp2_frame>) -> Int32 {
        let header = frame.pointee.hd
        switch header.type {
        case Wire.data:
            let isEmpty = header.length <= frame.pointee.data.padlen && header.flags & Wire.endStream == 0
            let failure = floods.receivedPayload(isEmpty: isEmpty, options)
            if failure != .none { return stop(failure) }
            let index = findSlot(header.stream_id)
            guard index >= 0 else { return 0 }
            if header.flags & Wire.endStream != 0 { streams.slots[index].state.insert(.remoteEnded) }
            guard !streams.slots[index].has(.reported) else { return 0 }
            if header.flags & Wire.endStream != 0 {
                endRemote(index)
            } else {
                // Padding is paid for by its sender: a frame that carries enough of it is not tiny.
                countTiny(index, header.length)
            }
        case Wire.headers: return onHeadersComplete(header)
        case Wire.settings:
            if header.flags & Wire.acknowledgement == 0 {
                records.append(HTTP2Record(.settings))
                hasNewSettings = true
            }
        case Wire.ping:
            if header.flags & Wire.acknowledgement != 0 { records.append(HTTP2Record(.pingAcknowledged)) }
        case Wire.goAway:
            let goAway = frame.pointee.goaway
            peerLastStreamID = goAway.last_stream_id
            records.append(
                HTTP2Record(.goAway, first: UInt32(bitPattern: goAway.last_stream_id), second: goAway.error_code))
        default: break
        }
        return 0
    }

    /// END_STREAM: on the body before it, if that is still unread, or in a record of its own.
    private func endRemote(_ index: Int) {
        let (slot, epoch) = (UInt32(truncatingIfNeeded: index), streams.slots[index].epoch)
        if !records.endLast(slot: slot, epoch: epoch) {
            records.append(HTTP2Record(.end, slot: slot, epoch: epoch, endStream: true))
        }
    }

    func onData(_ id: Int32, _ bytes: UnsafePointer<UInt8>, _ count: Int) -> Int32 {
        let index = findSlot(id)
        guard index >= 0, !streams.slots[index].has(.reported), let start = inputStart, input >= 0 else {
            nghttp2_session_consume_connection(session, count)
            return 0
        }
        heldBytes &+= count
        streams.slots[index].unconsumed &+= count
        // The connection's window opens at once while little is held, so that one slow stream does not stop the others;
        // beyond that it opens as bytes are consumed, and what is held stays below twice the window.
        if heldBytes <= Int(options.initialConnectionWindowSize) {
            nghttp2_session_consume_connection(session, count)
        } else {
            owedConnectionBytes &+= count
        }
        // Bytes of a frame lie in the buffer given to mem_recv.
        let offset = UnsafeRawPointer(bytes) - start
        let place = slices.put(slices.part(of: input, offset: offset, length: count))
        records.append(
            HTTP2Record(
                .body, slot: UInt32(truncatingIfNeeded: index), epoch: streams.slots[index].epoch,
                first: UInt32(bitPattern: place)))
        return 0
    }

    /// Tiny frames that nobody consumes cost more memory than their window says (attack ledger 40). Half of the window is
    /// allowed; what was consumed is forgiven, so that traffic that flows is never punished.
    private func countTiny(_ index: Int, _ length: Int) {
        guard length < FloodGuard.tinyFrame, streams.slots[index].unconsumed > 0 else { return }
        let debt = FloodGuard.tinyFrame &- length
        streams.slots[index].tinyDebt &+= debt
        floods.tinyDebt &+= debt
    }

    /// A frame that breaks the protocol. nghttp2 resets the stream or ends the connection by itself.
    func onInvalidFrame(_ frame: UnsafePointer<nghttp2_frame>, _ error: Int32) -> Int32 {
        switch error {
        case NGHTTP2_ERR_HTTP_HEADER.rawValue: suspected = .invalidHeaderField
        case NGHTTP2_ERR_HTTP_MESSAGING.rawValue: suspected = .messagingError
        case NGHTTP2_ERR_REFUSED_STREAM.rawValue: suspected = .refused
        default: suspected = .connectionError
        }
        let index = findSlot(frame.pointee.hd.stream_id)
        if index < 0 { earlyEnds.insert(frame.pointee.hd.stream_id) }
        if index >= 0, !streams.slots[index].has(.reported) {
            // The client made us reset it: that counts as its own reset (attack ledger 36).
            report(index, code: suspected.code, failure: suspected)
            countReset(index)
        }
        return stop(floods.queuedControl(options))
    }

    func onStreamClosed(_ id: Int32, _ code: UInt32) {
        let index = findSlot(id)
        if id == lastID { lastID = 0 }
        guard index >= 0 else { return }
        floods.streamClosed(options)
        if !streams.slots[index].has(.remoteEnded) { earlyEnds.insert(id) }
        if code == 0 { countEnd(index) } else { countReset(index) }
        if !streams.slots[index].has(.reported) {
            // A response that is whole stays so, whatever code ends the stream behind it (RFC 9113 §8.1).
            if streams.slots[index].has(.remoteEnded), code == 0 || role == .client {
                appendClosed(index, HTTP2ErrorCode(rawValue: code), .none)
            } else {
                report(index, code: code == 0 ? .cancel : HTTP2ErrorCode(rawValue: code), failure: .none)
            }
        }
        dropQueues(index)
        streams.slots[index].state.insert(.closed)
        streams.leave(index)
        if streams.slots[index].has(.finished) { freeSlot(index) }
    }

    /// A stream of the client's ended as it should, or as we chose.
    func countEnd(_ index: Int) {
        guard role == .server, !streams.slots[index].has(.counted) else { return }
        streams.slots[index].state.insert(.counted)
        _ = resets.streamEnded(isPremature: false, options)
    }

    /// A stream of the client's was reset, by it or for what it sent.
    func countReset(_ index: Int) {
        guard role == .server, !streams.slots[index].has(.counted) else { return }
        streams.slots[index].state.insert(.counted)
        let age = now.nanoseconds &- min(now.nanoseconds, streams.slots[index].opened)
        let isPremature = age < options.prematureResetLifetimeNanoseconds
        if resets.streamEnded(isPremature: isPremature, options) { fail(.tooManyPrematureResets) }
    }

    private static func hasUnderscore(_ name: UnsafePointer<UInt8>, _ length: Int) -> Bool {
        var index = 0
        while index < length {
            if name[index] == UInt8(ascii: "_") { return true }
            index &+= 1
        }
        return false
    }

    /// A value may not begin or end with a space or tab (RFC 9113 §8.2.1).
    @inline(__always) private static func isPadded(_ value: UnsafePointer<UInt8>, _ length: Int) -> Bool {
        guard length > 0 else { return false }
        return value[0] == 0x20 || value[0] == 0x09 || value[length &- 1] == 0x20 || value[length &- 1] == 0x09
    }

    /// Fields of framing have no place in trailers (RFC 9110 §6.5.1).
    private static func isForbiddenTrailer(_ token: HeaderToken) -> Bool {
        token == .contentLength || token == .transferEncoding || token == .host || token == .connection
    }
}
