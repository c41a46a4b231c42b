// SPDX-License-Identifier: Apache-2.0
import CNghttp2
import MeshHTTP
import MeshIO

// Heads: what nghttp2 lets through is checked once more, strictly, and what framing needs is read.
extension HTTP2Session {
    /// A header block is whole.
    func onHeadersComplete(_ header: nghttp2_frame_hd) -> Int32 {
        let index = findSlot(header.stream_id)
        guard index >= 0 else { return 0 }
        let endStream = header.flags & Wire.endStream != 0
        if streams.slots[index].has(.reported) {
            if endStream { streams.slots[index].state.insert(.remoteEnded) }
            return 0
        }
        var kind = HTTP2Record.Kind.head
        if streams.slots[index].has(.inTrailers) {
            kind = .trailers
            // nghttp2 refuses a request's; a response's are refused here (attack ledger 49).
            guard endStream else { return refused(index, .messagingError) }
            streams.slots[index].state.remove(.inTrailers)
        } else if role == .server {
            guard readRequest(index, endStream) else { return refused(index, .messagingError) }
            streams.slots[index].state.insert(.headReceived)
        } else {
            guard readResponse(index, endStream) else { return refused(index, .messagingError) }
            if incoming.status / 100 == 1 {
                kind = .informationalHead
                streams.slots[index].informationalHeads &+= 1
                if streams.slots[index].informationalHeads > options.maxInformationalHeads {
                    return refused(index, .tooManyInformationalHeads)
                }
            } else {
                streams.slots[index].state.insert(.headReceived)
            }
        }
        guard incoming.headers.joinCookies(from: pool) else { return refused(index, .headerOverflow) }
        if endStream { streams.slots[index].state.insert(.remoteEnded) }
        let place = heads.take()
        swap(&heads.head(place).pointee, &incoming)
        records.append(
            HTTP2Record(
                kind, slot: UInt32(truncatingIfNeeded: index), epoch: streams.slots[index].epoch, endStream: endStream,
                first: UInt32(bitPattern: place)))
        return 0
    }

    /// As `refuse`, where the block is whole already and nghttp2 wants no error back.
    private func refused(_ index: Int, _ failure: HTTP2Failure) -> Int32 {
        refuse(index, failure) == Wire.stop ? Wire.stop : 0
    }

    /// Checks a request head and reads its facts. nghttp2 has made sure of the pseudo-headers' number and order.
    private func readRequest(_ index: Int, _ endStream: Bool) -> Bool {
        guard let text = incoming.headers.value(of: .method), text.isToken else { return false }
        let method = HTTPMethod.parse(text, allowsCustom: true) ?? .other
        incoming.method = method
        incoming.expectsContinue = false
        incoming.isUpgrade = false
        if let authority = incoming.headers.value(of: .authority), !Authority.isValid(authority) { return false }
        if method == .connect {
            streams.slots[index].state.insert(.connect)
            incoming.isUpgrade = incoming.headers.contains(.protocol)
            incoming.framing = .none
            if !incoming.isUpgrade {
                guard let authority = incoming.headers.value(of: .authority), Authority.isValidWithPort(authority) else {
                    return false
                }
                return true
            }
        }
        guard let scheme = incoming.headers.value(of: .scheme),
            scheme.equalsIgnoringCase("http") || scheme.equalsIgnoringCase("https"),
            let path = incoming.headers.value(of: .path), HTTP2Session.isPath(path, method)
        else { return false }
        if let value = incoming.headers.value(of: .expect) {
            incoming.expectsContinue = value.equalsIgnoringCase("100-continue")
        }
        return method == .connect || readFraming(endStream)
    }

    /// Checks a response head and reads its facts.
    private func readResponse(_ index: Int, _ endStream: Bool) -> Bool {
        guard let text = incoming.headers.value(of: .status), text.count == 3, let status = DecimalText.parse(text),
            status >= 100
        else { return false }
        incoming.status = UInt16(truncatingIfNeeded: status)
        let isTunnel = streams.slots[index].has(.connect) && status / 100 == 2
        let isInformational = status / 100 == 1
        incoming.isBodyless =
            isInformational || isTunnel || status == 204 || status == 304 || streams.slots[index].method == .head
        if isInformational { return !endStream && status != 101 && readFraming(true) }
        if isTunnel {
            incoming.framing = .none
            return true
        }
        guard readFraming(endStream && !incoming.isBodyless) else { return false }
        if incoming.isBodyless, incoming.framing == .chunked {
            let declaresNothing = streams.slots[index].method == .head && status != 204 && status != 304
            incoming.framing = declaresNothing ? .untilClose : .none
        }
        return true
    }

    /// How long the body is. nghttp2 holds DATA against content-length; here it is one plain number, given once.
    private func readFraming(_ endStream: Bool) -> Bool {
        let index = incoming.headers.firstIndex(of: .contentLength)
        guard index >= 0 else {
            incoming.framing = endStream ? .none : .chunked
            return true
        }
        if incoming.headers.nextIndex(of: .contentLength, after: index) >= 0 { return false }
        let value = incoming.headers.value(at: index)
        if value.count > 1, value[0] == UInt8(ascii: "0") { return false }
        guard let length = DecimalText.parse(value), length <= UInt64(Int64.max) else { return false }
        incoming.framing = endStream ? .none : .length(length)
        return true
    }

    /// A path begins with a slash (or is `*` for OPTIONS) and holds visible ASCII only. A fragment is the manager's to
    /// refuse.
    private static func isPath(_ path: UnsafeRawBufferPointer, _ method: HTTPMethod) -> Bool {
        guard path.count > 0 else { return false }
        if path[0] != UInt8(ascii: "/") { return method == .options && path.equals("*") }
        for byte in path where byte &- 0x21 > 0x7E - 0x21 { return false }
        return true
    }
}
