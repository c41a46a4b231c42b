// SPDX-License-Identifier: Apache-2.0
import CNghttp2
package import MeshHTTP
package import MeshIO

// Messages to send. Fields are handed over by pointer and their memory is pinned until the frame was made.
extension HTTP2Session {
    /// Opens a stream with a request (client). Fields that belong to one connection are left out; `:`-fields go first.
    ///
    /// Until the next flush no field of `head` may be replaced or trimmed; it may be reset.
    /// - Returns: nil when no stream can be opened: the connection failed, goes away or has no numbers left. Whether the
    ///   peer takes one more is `openableStreams`.
    package func sendRequest(
        _ head: borrowing RequestHead, endStream: Bool, owner: UnsafeMutableRawPointer?, now: MonotonicInstant
    ) -> HTTP2StreamKey? {
        guard failure == .none, !isGoingAway, let session, nghttp2_session_check_request_allowed(session) != 0
        else { return nil }
        self.now = now
        let index = openSlot(0)
        let count = gather(head.headers, isRequest: true)
        var provider = self.provider(for: index)
        let isTunnel = head.method == .connect
        let id = withUnsafeMutablePointer(to: &provider) { provider in
            nghttp2_submit_request(
                session, nil, fields, count, endStream ? nil : UnsafePointer(provider), provider.pointee.source.ptr)
        }
        guard id > 0 else {
            lastID = 0
            freeSlot(index)
            return nil
        }
        // The stream does not exist for nghttp2 before its HEADERS are made.
        lastID = 0
        streams.slots[index].id = id
        streams.slots[index].method = head.method
        streams.slots[index].owner = owner
        streams.slots[index].state.insert(isTunnel ? [.announced, .connect] : .announced)
        streams.slots[index].state.insert(endStream ? .localEnded : .hasSource)
        pin(head.headers, for: index)
        return HTTP2StreamKey(slot: UInt32(truncatingIfNeeded: index), turn: streams.slots[index].turn)
    }

    /// Sends a final response head (server). As `sendRequest` for the fields.
    package func sendResponse(_ key: HTTP2StreamKey, _ head: borrowing ResponseHead, endStream: Bool) {
        guard failure == .none, let session, let index = slot(of: key),
            streams.slots[index].state.isDisjoint(with: [.localEnded, .hasSource, .closed])
        else { return }
        let count = gather(head.headers, isRequest: false, status: head.status)
        var provider = self.provider(for: index)
        let result = withUnsafeMutablePointer(to: &provider) { provider in
            nghttp2_submit_response(
                session, streams.slots[index].id, fields, count, endStream ? nil : UnsafePointer(provider))
        }
        guard result == 0 else { return }
        streams.slots[index].state.insert(endStream ? .localEnded : .hasSource)
        pin(head.headers, for: index)
    }

    /// Sends a 1xx head before the final one (server). As `sendRequest` for the fields.
    package func sendInformational(_ key: HTTP2StreamKey, _ head: borrowing ResponseHead) {
        // 101 does not exist in HTTP/2 (RFC 9113 §8.6).
        guard failure == .none, let session, head.status != 101, let index = slot(of: key),
            streams.slots[index].state.isDisjoint(with: [.localEnded, .hasSource, .closed])
        else { return }
        let count = gather(head.headers, isRequest: false, status: head.status)
        let result = nghttp2_submit_headers(
            session, UInt8(NGHTTP2_FLAG_NONE.rawValue), streams.slots[index].id, nil, fields, count, nil)
        if result == 0 { pin(head.headers, for: index) }
    }

    /// Queues body bytes behind the head.
    ///
    /// - Returns: whether more may follow now; when not, a `writable` record says when. Bytes are taken all the same.
    @discardableResult
    package func sendBody(_ key: HTTP2StreamKey, _ slice: consuming SlabSlice) -> Bool {
        guard let index = slot(of: key), isSending(index), slice.count > 0 else { return true }
        let slot = streams.slots + index
        slot.pointee.queuedBytes &+= slice.count
        slot.pointee.pinnedBytes &+= slices.append(slice, to: &slot.pointee.body)
        resume(index)
        guard slot.pointee.pinnedBytes > options.streamBufferLimit else { return true }
        slot.pointee.state.insert(.blocked)
        return false
    }

    /// The message is whole: END_STREAM goes with the last byte that was queued.
    package func sendEnd(_ key: HTTP2StreamKey) {
        guard let index = slot(of: key), isSending(index) else { return }
        streams.slots[index].state.insert(.localEnded)
        resume(index)
    }

    /// The message is whole, with trailers behind the last byte that was queued. Takes the block's fields.
    package func sendTrailers(_ key: HTTP2StreamKey, _ trailers: inout HeaderBlock) {
        guard let index = slot(of: key), isSending(index) else { return }
        streams.slots[index].state.insert(.localEnded)
        if trailers.liveCount > 0 {
            let place = heads.take()
            swap(&heads.head(place).pointee.headers, &trailers)
            streams.slots[index].trailers = place
        }
        resume(index)
    }

    /// Bytes queued for a stream that did not leave for the transport.
    package func queuedBytes(_ key: HTTP2StreamKey) -> Int { slot(of: key).map { streams.slots[$0].queuedBytes } ?? 0 }

    private func isSending(_ index: Int) -> Bool {
        let state = streams.slots[index].state
        return state.contains(.hasSource) && state.isDisjoint(with: [.localEnded, .closed]) && failure == .none
    }

    private func resume(_ index: Int) {
        guard streams.slots[index].has(.deferred) else { return }
        streams.slots[index].state.remove(.deferred)
        nghttp2_session_resume_data(session, streams.slots[index].id)
    }

    /// Keeps a block's memory until its frame was made; frames of a stream are made in order.
    func pin(_ headers: borrowing HeaderBlock, for index: Int) {
        // A block without memory has nothing to pin, but its frame will still drop one: an empty slab stands for it.
        var pin = headers.pin()
        if let slice = pin.take() {
            _ = slices.append(slice, to: &streams.slots[index].pins)
        } else {
            let slab = pool.take(0)
            let slice = SlabSlice(retaining: slab, offset: 0, length: 0)
            slab.release()
            _ = slices.append(slice, to: &streams.slots[index].pins)
        }
    }

    private func provider(for index: Int) -> nghttp2_data_provider {
        var provider = nghttp2_data_provider()
        // The place's number plus one, so that the first is not nil.
        provider.source.ptr = UnsafeMutableRawPointer(bitPattern: index &+ 1)
        provider.read_callback = { _, _, _, length, flags, source, context in
            guard let flags, let source else { return Int(NGHTTP2_ERR_CALLBACK_FAILURE.rawValue) }
            let index = Int(bitPattern: source.pointee.ptr) &- 1
            return HTTP2Session.from(context)._withUnsafeGuaranteedRef { $0.onReadData(index, length, flags) }
        }
        return provider
    }

    // MARK: Fields

    /// Puts a block's live fields into `fields`, pseudo-headers first. Returns how many.
    func gather(_ headers: borrowing HeaderBlock, isRequest: Bool, status: UInt16 = 0) -> Int {
        let most = headers.liveCount &+ 1
        if most > fieldCapacity {
            fields.deallocate()
            fieldCapacity = max(most, fieldCapacity * 2)
            fields = .allocate(capacity: fieldCapacity)
        }
        var count = 0
        if isRequest {
            for token in HTTP2Session.pseudoHeaders where headers.contains(token) {
                put(headers, headers.firstIndex(of: token), at: &count)
            }
        } else if status > 0 {
            let name = HeaderToken.status.name
            fields[count] = nghttp2_nv(
                name: UnsafeMutableRawPointer(mutating: name.baseAddress)?.assumingMemoryBound(to: UInt8.self),
                value: memory.digits(of: status), namelen: name.count, valuelen: 3, flags: HTTP2Session.borrowed)
            count &+= 1
        }
        var index = 0
        while index < headers.fieldCount {
            if headers.isLive(index), HTTP2Session.isSent(headers, index) { put(headers, index, at: &count) }
            index &+= 1
        }
        return count
    }

    private static let pseudoHeaders: [HeaderToken] = [.method, .scheme, .authority, .path, .protocol]

    /// nghttp2 copies neither name nor value.
    private static let borrowed = UInt8(
        truncatingIfNeeded: NGHTTP2_NV_FLAG_NO_COPY_NAME.rawValue | NGHTTP2_NV_FLAG_NO_COPY_VALUE.rawValue)

    @inline(__always) private func put(_ headers: borrowing HeaderBlock, _ index: Int, at count: inout Int) {
        let name = headers.name(at: index)
        let value = headers.value(at: index)
        fields[count] = nghttp2_nv(
            name: UnsafeMutableRawPointer(mutating: name.baseAddress)?.assumingMemoryBound(to: UInt8.self),
            value: UnsafeMutableRawPointer(mutating: value.baseAddress)?.assumingMemoryBound(to: UInt8.self),
            namelen: name.count, valuelen: value.count, flags: HTTP2Session.borrowed)
        count &+= 1
    }

    /// Whether a field goes out behind the pseudo-headers: those of one connection do not (RFC 9113 §8.2.2).
    @inline(__always) private static func isSent(_ headers: borrowing HeaderBlock, _ index: Int) -> Bool {
        switch headers.token(at: index) {
        case .none: headers.name(at: index).first != UInt8(ascii: ":")
        case .method, .path, .authority, .scheme, .status, .protocol, .connection, .keepAlive, .proxyConnection,
            .transferEncoding, .upgrade, .http2Settings:
            false
        case .host: !headers.contains(.authority)
        case .te: headers.value(at: index).equalsIgnoringCase("trailers")
        default: true
        }
    }
}
