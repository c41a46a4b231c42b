// SPDX-License-Identifier: Apache-2.0
import CNghttp2
package import MeshIO

// Frames on their way out.
extension HTTP2Session {
    /// Makes every frame that may be sent now and queues it on the transport, which flushes it; stops above the transport's
    /// high watermark. Once a turn, and when the transport fell below its low watermark.
    package func flush(into stream: ByteStream) {
        guard !stream.isClosed else { return }
        flush(into: &stream.output, limit: stream.highWatermark)
        // Nothing new; has the stream look at its watermarks and schedule itself.
        stream.commit(0)
    }

    /// As above, for any queue. - Parameter limit: pinned bytes above which no frame is made.
    package func flush(into queue: inout OutputQueue, limit: Int = .max) {
        guard let session else { return }
        withUnsafeMutablePointer(to: &queue) { queue in
            output = queue
            outputLimit = limit
            defer { output = nil }
            while queue.pointee.pinnedBytes <= limit {
                var bytes: UnsafePointer<UInt8>?
                let count = nghttp2_session_mem_send(session, &bytes)
                if count < 0 {
                    fail(.internalError)
                    break
                }
                guard count > 0 else { break }
                let frame = UnsafeRawBufferPointer(start: bytes, count: count)
                if withholdsFrame {
                    withholdsFrame = false
                } else if isGreeting {
                    isGreeting = false
                    greet(with: frame, on: &queue.pointee)
                } else {
                    queue.pointee.append(copying: frame, from: pool)
                }
            }
        }
    }

    /// The server's first frame, SETTINGS, with the limit on streams put in behind its first entry.
    ///
    /// nghttp2 does not know of the limit, for it would end the connection over one stream too many; `onBeginHeaders` refuses
    /// that stream alone (RFC 9113 §5.1.2).
    private func greet(with frame: UnsafeRawBufferPointer, on queue: inout OutputQueue) {
        let start = 9 + 6
        guard frame.count >= start else { return }
        let length = frame.count - 9 + 6
        withUnsafeTemporaryAllocation(byteCount: start + 6, alignment: 1) { head in
            head.copyMemory(from: UnsafeRawBufferPointer(rebasing: frame[..<start]))
            head[1] = UInt8(truncatingIfNeeded: length >> 8)
            head[2] = UInt8(truncatingIfNeeded: length)
            head[start] = 0
            head[start + 1] = UInt8(truncatingIfNeeded: NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS.rawValue)
            for index in 0..<4 {
                head[start + 2 + index] = UInt8(truncatingIfNeeded: options.maxConcurrentStreams >> UInt32(24 - 8 * index))
            }
            queue.append(copying: UnsafeRawBufferPointer(head), from: pool)
        }
        queue.append(copying: UnsafeRawBufferPointer(rebasing: frame[start...]), from: pool)
    }

    /// Whether frames wait that `flush` could send, now or when the transport drains.
    package var wantsWrite: Bool { session.map { nghttp2_session_want_write($0) != 0 } ?? false }

    /// Whether nothing is left to do: GOAWAY is out and every stream is over. Close the transport when its output is out.
    package var isDone: Bool {
        guard let session else { return true }
        return nghttp2_session_want_read(session) == 0 && nghttp2_session_want_write(session) == 0
    }

    // MARK: Callbacks of nghttp2

    /// How many bytes of a stream go into the next DATA frame.
    func onReadData(_ index: Int, _ length: Int, _ flags: UnsafeMutablePointer<UInt32>) -> Int {
        let slot = streams.slots + index
        let count = min(length, slot.pointee.queuedBytes)
        let isLast = count == slot.pointee.queuedBytes && slot.pointee.has(.localEnded)
        guard count > 0 || isLast else {
            slot.pointee.state.insert(.deferred)
            return Int(NGHTTP2_ERR_DEFERRED.rawValue)
        }
        flags.pointee |= UInt32(truncatingIfNeeded: NGHTTP2_DATA_FLAG_NO_COPY.rawValue)
        guard isLast else { return count }
        flags.pointee |= UInt32(truncatingIfNeeded: NGHTTP2_DATA_FLAG_EOF.rawValue)
        if slot.pointee.trailers >= 0 {
            flags.pointee |= UInt32(truncatingIfNeeded: NGHTTP2_DATA_FLAG_NO_END_STREAM.rawValue)
            submitTrailers(index)
        }
        return count
    }

    private func submitTrailers(_ index: Int) {
        let place = streams.slots[index].trailers
        streams.slots[index].trailers = -1
        let count = gather(heads.head(place).pointee.headers, isRequest: false)
        if nghttp2_submit_trailer(session, streams.slots[index].id, fields, count) == 0 {
            pin(heads.head(place).pointee.headers, for: index)
        }
        heads.free(place)
    }

    /// Puts a DATA frame on the queue: its nine bytes copied, its payload as slices.
    func onSendData(
        _ index: Int, _ frame: UnsafePointer<nghttp2_frame>, _ header: UnsafePointer<UInt8>, _ length: Int
    ) -> Int32 {
        guard let output, index >= 0 else { return Wire.stop }
        if output.pointee.pinnedBytes > outputLimit { return NGHTTP2_ERR_WOULDBLOCK.rawValue }
        floods.sentData()
        output.pointee.append(copying: UnsafeRawBufferPointer(start: header, count: 9), from: pool)
        let slot = streams.slots + index
        var rest = length
        var released = 0
        while rest > 0, !slot.pointee.body.isEmpty {
            let part = slices.takeFront(of: &slot.pointee.body, upTo: rest, released: &released)
            rest &-= part.count
            output.pointee.append(part, from: pool)
        }
        slot.pointee.queuedBytes &-= length &- rest
        slot.pointee.pinnedBytes &-= released
        if slot.pointee.has(.blocked), slot.pointee.pinnedBytes <= options.streamBufferLimit / 2 {
            slot.pointee.state.remove(.blocked)
            records.append(
                HTTP2Record(.writable, slot: UInt32(truncatingIfNeeded: index), epoch: slot.pointee.epoch))
        }
        return 0
    }

    func onFrameSent(_ frame: UnsafePointer<nghttp2_frame>) {
        let header = frame.pointee.hd
        switch header.type {
        case Wire.headers:
            let index = findSlot(header.stream_id)
            unpin(index)
            if header.flags & Wire.endStream != 0 { stopSender(index) }
        case Wire.data:
            if header.flags & Wire.endStream != 0 { stopSender(findSlot(header.stream_id)) }
        case Wire.reset:
            floods.sentControl()
            noticeReset(findSlot(header.stream_id), HTTP2ErrorCode(rawValue: frame.pointee.rst_stream.error_code))
        case Wire.settings, Wire.ping:
            if header.flags & Wire.acknowledgement != 0 { floods.sentControl() }
        case Wire.goAway:
            let code = frame.pointee.goaway.error_code
            // nghttp2 ends the connection by itself for what breaks framing or compression.
            if failure == .none, code != 0, !isGoingAway {
                failure = .connectionError
                records.append(HTTP2Record(.connectionFailed, first: code))
            }
        default: break
        }
    }

    /// nghttp2 resets a stream whose DATA does not add up to its content-length without saying so before.
    private func noticeReset(_ index: Int, _ code: HTTP2ErrorCode) {
        guard index >= 0 else { return }
        // RFC 9113 §6.9.2: by SETTINGS a window may not be lifted too far on any stream. nghttp2 ends the stream only; the
        // connection's GOAWAY goes out in place of that.
        if code == .flowControlError, hasNewSettings {
            withholdsFrame = true
            if !streams.slots[index].has(.reported) { report(index, code: code, failure: .connectionError) }
            fail(.connectionError, code: .flowControlError)
            return
        }
        guard !streams.slots[index].has(.reported) else { return }
        report(index, code: code, failure: .messagingError)
        countReset(index)
        if !options.resetsStreamOnInvalidMessage { fail(.messagingError) }
    }

    /// The response is out and nobody reads the rest of the request.
    private func stopSender(_ index: Int) {
        guard role == .server, index >= 0, streams.slots[index].has(.finished), !streams.slots[index].has(.remoteEnded)
        else { return }
        nghttp2_submit_rst_stream(
            session, UInt8(NGHTTP2_FLAG_NONE.rawValue), streams.slots[index].id, HTTP2ErrorCode.noError.rawValue)
    }

    func onFrameNotSent(_ frame: UnsafePointer<nghttp2_frame>, _ error: Int32) {
        let header = frame.pointee.hd
        switch header.type {
        case Wire.headers:
            let index = findSlot(header.stream_id)
            unpin(index)
            if role == .client, index < 0 { requestNotSent(header.stream_id) }
        case Wire.reset: floods.sentControl()
        case Wire.settings, Wire.ping:
            if header.flags & Wire.acknowledgement != 0 { floods.sentControl() }
        default: break
        }
    }

    /// A request that never left: the connection goes away, or has no numbers left. Rare, so the table is searched.
    private func requestNotSent(_ id: Int32) {
        for index in 0..<streams.capacity where streams.slots[index].id == id && streams.slots[index].has(.open) {
            if !streams.slots[index].has(.reported) { report(index, code: .refusedStream, failure: .refused) }
            dropQueues(index)
            streams.slots[index].state.insert(.closed)
            if streams.slots[index].has(.finished) { freeSlot(index) }
            return
        }
    }

    private func unpin(_ index: Int) {
        if index >= 0 { _ = slices.dropFirst(of: &streams.slots[index].pins) }
    }
}
