// SPDX-License-Identifier: Apache-2.0
import CNghttp2
package import MeshHTTP
package import MeshIO

/// One HTTP/2 connection (RFC 9113): bytes in, records out, frames out. It knows no socket and no timer.
///
/// The driver feeds what it received, reads every record, acts, and flushes once per turn of the loop; flushing may make
/// records too, so they are read again after it:
///
///     session.receive(slice, now: loop.now)
///     while let record = session.nextRecord() { … }
///     session.flush(into: stream)
///     while let record = session.nextRecord() { … }
///
/// nghttp2 does framing, HPACK and states. Its callbacks append records and enforce limits; nothing is called back into
/// the driver. Fields go straight into a header block, DATA becomes slices of the received slab, and what is sent leaves
/// as slices.
///
/// Invariants:
/// - a stream's place is taken from its first HEADERS until nghttp2 closed it and its `closed` record was read (or the
///   driver abandoned it); every stream gets exactly one `closed` record unless it was abandoned;
/// - a record whose epoch is not its place's is dead and never shown;
/// - after a failure no byte is given to nghttp2 any more (a receive after terminate was CVE-2026-27135).
package final class HTTP2Session {
    package let role: HTTP2Role
    package let options: HTTP2Options
    /// The nghttp2 session; nil when it could not be made.
    var session: OpaquePointer?

    var streams = StreamTable()
    var slices = SliceStore()
    var heads = HeadStore()
    var records = RecordQueue()
    var floods = FloodGuard()
    var resets = ResetBudget()
    var earlyEnds = EarlyEnds()
    /// What the record handed out last still holds: a head or a slice nobody took yet.
    var current: HTTP2Record?

    // The header block being received; there is one at a time on a connection.
    var incoming = StoredHead()
    /// The stream whose fields are stored; -1 while those that come are dropped.
    var fieldSlot = -1
    /// Comparing an enum of another module is a call; this is asked for every field.
    let allowsUnderscores: Bool
    var continuations = 0
    var fieldBytes = 0
    var fieldCount = 0

    /// The bytes being received: DATA callbacks point into them.
    var inputStart: UnsafeRawPointer?
    /// Where `slices` keeps them; -1 outside `receive`.
    var input: Int32 = -1
    /// The loop's clock at the last `receive`.
    var now = MonotonicInstant(nanoseconds: 0)

    /// Where frames go while `flush` runs.
    var output: UnsafeMutablePointer<OutputQueue>?
    var outputLimit = 0

    /// Where `gather` puts the fields of a message; valid until it is called for any session of the loop.
    var fields: UnsafeMutablePointer<nghttp2_nv> { memory.fields }

    /// The stream of the last callback, so that frames in a row find it without a look-up.
    var lastID: Int32 = 0
    var lastSlot = -1

    /// Why the connection is lost; `none` while it is not.
    package internal(set) var failure = HTTP2Failure.none
    /// What nghttp2 found wrong last, for the GOAWAY it sends by itself.
    var suspected = HTTP2Failure.none
    /// Received body bytes that were not consumed, over all streams.
    var heldBytes = 0
    /// Bytes of the connection's window that are given back when held bytes are consumed.
    var owedConnectionBytes = 0
    /// The server's first SETTINGS was not sent yet.
    var isGreeting = false
    /// Fields dropped for an underscore since `takeDroppedFields`.
    var droppedFields = 0
    /// SETTINGS arrived in the last `receive`: a stream whose window they lifted too far ends the connection.
    var hasNewSettings = false
    /// The frame that nghttp2 has just made is not sent.
    var withholdsFrame = false
    /// Whether `shutdown` or `fail` queued the last GOAWAY.
    var isGoingAway = false
    /// Last stream of the peer's GOAWAY, `Int32.max` before one came.
    package internal(set) var peerLastStreamID = Int32.max
    /// The highest stream of the peer's that a record was made for.
    package internal(set) var lastProcessedID: Int32 = 0

    // Last, for properties are released in order: what is above gives slabs back.
    let memory: HTTP2Memory
    let pool: SlabPool

    /// - Parameters:
    ///   - memory: shared by the loop's sessions.
    ///   - pool: the loop's; header blocks come from it.
    package init(role: HTTP2Role, options: HTTP2Options, memory: HTTP2Memory, pool: SlabPool) {
        self.role = role
        self.options = options
        allowsUnderscores = options.underscores == .allow
        self.memory = memory
        self.pool = pool
        session = makeSession()
        if session == nil { failure = .internalError }
    }

    deinit {
        // Closes no stream by callback; the tables drop their slices and blocks themselves.
        if let session { nghttp2_session_del(session) }
    }

    // MARK: Receiving

    /// Takes all of `slice`, whose slab is kept by body slices for as long as they live.
    package func receive(_ slice: borrowing SlabSlice, now: MonotonicInstant) {
        guard failure == .none, let session, slice.count > 0 else { return }
        self.now = now
        suspected = .none
        hasNewSettings = false
        let bytes = slice.bytes
        // What one read brings nobody could have consumed yet; what is left of those before it waits for a slow reader.
        if floods.tinyDebt > Int(options.initialStreamWindowSize) / 2 { return fail(.inboundTinyFramesFlood) }
        inputStart = bytes.baseAddress
        input = slices.put(slice.part(offset: 0, length: slice.count))
        let taken = nghttp2_session_mem_recv(session, bytes.baseAddress?.assumingMemoryBound(to: UInt8.self), bytes.count)
        _ = slices.take(input)
        input = -1
        inputStart = nil
        if taken < 0 {
            fail(HTTP2Session.failure(of: taken))
        } else if nghttp2_session_get_outbound_queue_size(session) > options.maxOutboundFrames {
            fail(.outboundFlood)
        } else if suspected.isInvalidMessage, !options.resetsStreamOnInvalidMessage {
            fail(suspected)
        }
    }

    /// Takes everything that a stream has received; false when that is nothing.
    package func receive(from stream: ByteStream) -> Bool {
        let count = stream.input.count
        guard count > 0, let slice = stream.input.slice(offset: 0, length: count) else { return false }
        stream.input.consume(count)
        receive(slice, now: stream.loop.now)
        return true
    }

    private static func failure(of error: Int) -> HTTP2Failure {
        switch Int32(truncatingIfNeeded: error) {
        case NGHTTP2_ERR_FLOODED.rawValue: .outboundControlFlood
        case NGHTTP2_ERR_BAD_CLIENT_MAGIC.rawValue: .badPreface
        case NGHTTP2_ERR_TOO_MANY_CONTINUATIONS.rawValue: .inboundContinuationFlood
        default: .internalError
        }
    }

    /// Gives the connection up: GOAWAY is queued, nothing is received any more. The first failure counts.
    func fail(_ failure: HTTP2Failure, code: HTTP2ErrorCode? = nil) {
        guard self.failure == .none else { return }
        self.failure = failure
        let code = code ?? failure.code
        records.append(HTTP2Record(.connectionFailed, first: code.rawValue))
        if let session { nghttp2_session_terminate_session(session, code.rawValue) }
    }

    /// Fields that were dropped for an underscore in their name since the last call.
    package func takeDroppedFields() -> Int {
        defer { droppedFields = 0 }
        return droppedFields
    }

    // MARK: Records

    /// The next record, nil when all were read. What the one before it held and nobody took is dropped, and the place of a
    /// stream whose `closed` was read is free.
    package func nextRecord() -> HTTP2Record? {
        if current != nil { finishCurrent() }
        while let record = records.popFirst() {
            guard record.slot != .max else { return record }
            let slot = streams.slots + Int(record.slot)
            if slot.pointee.epoch == record.epoch {
                slot.pointee.state.insert(.announced)
                // The others hold nothing that would have to be let go of.
                if record.needsFinish { current = record }
                return record
            }
            drop(record)
        }
        return nil
    }

    private func finishCurrent() {
        guard let record = current else { return }
        current = nil
        guard record.kind == .closed else {
            drop(record)
            return
        }
        let index = Int(record.slot)
        guard streams.slots[index].epoch == record.epoch else { return }
        // Our RST_STREAM may still have to be sent; nothing more is said about the stream.
        streams.slots[index].owner = nil
        streams.slots[index].state.insert(.finished)
        if streams.slots[index].has(.closed) { freeSlot(index) }
    }

    /// Frees what a record that is not shown, or was not taken, holds. A body's bytes count as consumed.
    private func drop(_ record: HTTP2Record) {
        if record.holdsHead {
            heads.free(Int32(bitPattern: record.first))
        } else if record.kind == .body {
            let slice = slices.take(Int32(bitPattern: record.first))
            // What a dead stream held was given back when it died.
            let index = Int(record.slot)
            if streams.slots[index].epoch == record.epoch { consumed(index, slice.count) }
        }
    }

    /// The stream of a record. Valid until the record after its `closed` one is read.
    package func key(of record: HTTP2Record) -> HTTP2StreamKey {
        guard record.slot != .max else { return .none }
        return HTTP2StreamKey(slot: record.slot, turn: streams.slots[Int(record.slot)].turn)
    }

    /// The place of a stream, nil when it is over.
    @inline(__always) func slot(of key: HTTP2StreamKey) -> Int? {
        guard key.slot < UInt32(truncatingIfNeeded: streams.capacity) else { return nil }
        let index = Int(key.slot)
        guard streams.slots[index].turn == key.turn, streams.slots[index].has(.open) else { return nil }
        return index
    }

    /// What `setOwner` stored for the stream of a record; nil before that and for connection records.
    @inline(__always) package func owner(of record: HTTP2Record) -> UnsafeMutableRawPointer? {
        record.slot == .max ? nil : streams.slots[Int(record.slot)].owner
    }

    /// Stores the driver's object for a stream, unretained; the driver takes it back at `closed` or by `abandon`.
    package func setOwner(_ key: HTTP2StreamKey, _ owner: UnsafeMutableRawPointer?) {
        if let index = slot(of: key) { streams.slots[index].owner = owner }
    }

    /// The number of a stream, 0 when it is over.
    package func streamID(_ key: HTTP2StreamKey) -> Int32 { slot(of: key).map { streams.slots[$0].id } ?? 0 }

    /// Takes the request head of a `head` record; what `head` held is dropped.
    package func takeRequestHead(_ record: HTTP2Record, into head: inout RequestHead) {
        guard record.kind == .head, let stored = takeHead(record) else { return }
        head.reset()
        swap(&head.headers, &stored.pointee.headers)
        head.method = stored.pointee.method
        head.version = .http2
        head.framing = stored.pointee.framing
        head.expectsContinue = stored.pointee.expectsContinue
        head.isUpgrade = stored.pointee.isUpgrade
        heads.free(Int32(bitPattern: record.first))
    }

    /// Takes the head of a `head` or `informationalHead` record; what `head` held is dropped.
    package func takeResponseHead(_ record: HTTP2Record, into head: inout ResponseHead) {
        guard record.kind == .head || record.kind == .informationalHead, let stored = takeHead(record) else { return }
        head.reset()
        swap(&head.headers, &stored.pointee.headers)
        head.status = stored.pointee.status
        head.version = .http2
        head.framing = stored.pointee.framing
        head.isBodyless = stored.pointee.isBodyless
        heads.free(Int32(bitPattern: record.first))
    }

    /// Takes the fields of a `trailers` record; what `trailers` held is dropped.
    package func takeTrailers(_ record: HTTP2Record, into trailers: inout HeaderBlock) {
        guard record.kind == .trailers, let stored = takeHead(record) else { return }
        trailers.reset()
        swap(&trailers, &stored.pointee.headers)
        heads.free(Int32(bitPattern: record.first))
    }

    private func takeHead(_ record: HTTP2Record) -> UnsafeMutablePointer<StoredHead>? {
        guard current == record else { return nil }
        current = nil
        return heads.head(Int32(bitPattern: record.first))
    }

    /// Takes the bytes of a `body` record. The caller tells `consume` when they were passed on.
    package func takeBody(_ record: HTTP2Record) -> SlabSlice? {
        guard record.kind == .body, current == record else { return nil }
        current = nil
        return slices.take(Int32(bitPattern: record.first))
    }
}
