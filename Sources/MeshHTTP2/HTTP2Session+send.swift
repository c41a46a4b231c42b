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
        if most > memory.fieldCapacity { memory.growFields(to: most) }
        let fields = memory.fields
        var target = fields
        if isRequest {
            put(.method, of: headers, to: &target)
            put(.scheme, of: headers, to: &target)
            put(.authority, of: headers, to: &target)
            put(.path, of: headers, to: &target)
            put(.protocol, of: headers, to: &target)
        } else if status > 0 {
            let name = HeaderToken.status.name
            target.initialize(
                to: nghttp2_nv(
                    name: UnsafeMutableRawPointer(mutating: name.baseAddress)?.assumingMemoryBound(to: UInt8.self),
                    value: memory.digits(of: status), namelen: name.count, valuelen: 3, flags: HTTP2Session.borrowed))
            target += 1
        }
        var index = 0
        while index < headers.fieldCount {
            let field = headers.field(at: index)
            if field.isLive, isSent(field, of: headers) { put(field, to: &target) }
            index &+= 1
        }
        return target - fields
    }

    /// nghttp2 copies neither name nor value.
    private static var borrowed: UInt8 {
        UInt8(truncatingIfNeeded: NGHTTP2_NV_FLAG_NO_COPY_NAME.rawValue | NGHTTP2_NV_FLAG_NO_COPY_VALUE.rawValue)
    }

    @inline(__always) private func put(
        _ token: HeaderToken, of headers: borrowing HeaderBlock, to target: inout UnsafeMutablePointer<nghttp2_nv>
    ) {
        if headers.contains(token) { put(headers.field(at: headers.firstIndex(of: token)), to: &target) }
    }

    @inline(__always) private func put(_ field: HeaderFieldView, to target: inout UnsafeMutablePointer<nghttp2_nv>) {
        target.initialize(
            to: nghttp2_nv(
                name: field.name, value: field.value, namelen: field.nameLength, valuelen: field.valueLength,
                flags: HTTP2Session.borrowed))
        target += 1
    }

    /// Fields that do not go out behind the pseudo-headers: these themselves, and those of one connection (RFC 9113 §8.2.2).
    private static var unsent: UInt64 {
        bit(.method) | bit(.path) | bit(.authority) | bit(.scheme) | bit(.status) | bit(.protocol) | bit(.connection)
            | bit(.keepAlive) | bit(.proxyConnection) | bit(.transferEncoding) | bit(.upgrade) | bit(.http2Settings)
    }

    /// Fields whose sending depends on more than their name, and those without a token.
    private static var conditional: UInt64 { bit(.none) | bit(.host) | bit(.te) }

    private static func bit(_ token: HeaderToken) -> UInt64 { 1 &<< UInt64(token.rawValue) }

    @inline(__always) private func isSent(_ field: HeaderFieldView, of headers: borrowing HeaderBlock) -> Bool {
        let bit = HTTP2Session.bit(field.token)
        if bit & (HTTP2Session.unsent | HTTP2Session.conditional) == 0 { return true }
        if bit & HTTP2Session.unsent != 0 { return false }
        switch field.token {
        case .host: return !headers.contains(.authority)
        case .te:
            return UnsafeRawBufferPointer(start: field.value, count: field.valueLength).equalsIgnoringCase("trailers")
        default: return field.nameLength > 0 && field.name[0] != UInt8(ascii: ":")
        }
    }
}
