// SPDX-License-Identifier: Apache-2.0
import MeshHTTP

/// What the session knows of one stream.
struct StreamSlot {
    struct State: OptionSet {
        let rawValue: UInt16

        /// The place is taken.
        static let open = State(rawValue: 1 << 0)
        /// The driver has seen a record of the stream, or opened it.
        static let announced = State(rawValue: 1 << 1)
        /// A final head was received.
        static let headReceived = State(rawValue: 1 << 2)
        /// END_STREAM was received.
        static let remoteEnded = State(rawValue: 1 << 3)
        /// The driver said how its message ends.
        static let localEnded = State(rawValue: 1 << 4)
        /// nghttp2 has our data source.
        static let hasSource = State(rawValue: 1 << 5)
        /// The source had nothing to give and waits to be resumed.
        static let deferred = State(rawValue: 1 << 6)
        /// `sendBody` said stop.
        static let blocked = State(rawValue: 1 << 7)
        /// The `closed` record was queued, or is not wanted: nothing that arrives is recorded any more.
        static let reported = State(rawValue: 1 << 8)
        /// nghttp2 closed the stream.
        static let closed = State(rawValue: 1 << 9)
        /// The header block in progress is of trailers.
        static let inTrailers = State(rawValue: 1 << 10)
        /// The request was CONNECT: no content-length, and a 2xx opens a tunnel.
        static let connect = State(rawValue: 1 << 11)
        /// The driver read the `closed` record or abandoned the stream; with `closed`, the place is free.
        static let finished = State(rawValue: 1 << 12)
        /// The reset budget knows of the stream's end.
        static let counted = State(rawValue: 1 << 13)
        /// The stream is over for the peer, and no longer counts for SETTINGS_MAX_CONCURRENT_STREAMS.
        static let left = State(rawValue: 1 << 14)
    }

    var owner: UnsafeMutableRawPointer?
    var id: Int32 = 0
    var state: State = []
    /// Of the stream's records only those with this epoch live.
    var epoch: UInt16 = 0
    /// How often the place was freed.
    var turn: UInt32 = 0
    var method = HTTPMethod.get
    var failure = HTTP2Failure.none
    var informationalHeads: UInt8 = 0
    /// Nanoseconds of the loop's clock.
    var opened: UInt64 = 0
    /// Body bytes received and not consumed.
    var unconsumed = 0
    /// What unconsumed DATA frames are short of `FloodGuard.tinyFrame`.
    var tinyDebt = 0
    var queuedBytes = 0
    var pinnedBytes = 0
    var body = SliceList()
    var pins = SliceList()
    /// Index of the trailers to send behind the body, or -1.
    var trailers: Int32 = -1
    var nextFree: Int32 = -1

    func has(_ state: State) -> Bool { self.state.contains(state) }
}

/// A session's streams by number, with a list of free places. Grows to the most streams that were open at once.
struct StreamTable: ~Copyable {
    private(set) var slots: UnsafeMutablePointer<StreamSlot>
    private(set) var capacity: Int
    private var firstFree: Int32 = -1
    /// Places in use.
    private(set) var count = 0
    /// Places of streams that are not over for the peer (RFC 9113 §5.1.2). Their ends may wait to be read.
    private(set) var activeCount = 0

    init() {
        capacity = 4
        slots = .allocate(capacity: capacity)
        for index in (0..<capacity).reversed() { addFree(index) }
    }

    deinit { slots.deallocate() }

    private mutating func addFree(_ index: Int) {
        var slot = StreamSlot()
        slot.nextFree = firstFree
        (slots + index).initialize(to: slot)
        firstFree = Int32(truncatingIfNeeded: index)
    }

    /// A place for a new stream.
    mutating func take() -> Int {
        if firstFree < 0 { grow() }
        let index = Int(firstFree)
        firstFree = slots[index].nextFree
        let (epoch, turn) = (slots[index].epoch, slots[index].turn)
        slots[index] = StreamSlot()
        slots[index].epoch = epoch
        slots[index].turn = turn
        slots[index].state = .open
        count &+= 1
        activeCount &+= 1
        return index
    }

    /// A stream was reset or ended; its place is taken until its end was read.
    mutating func leave(_ index: Int) {
        guard !slots[index].has(.left) else { return }
        slots[index].state.insert(.left)
        activeCount &-= 1
    }

    /// Frees a place; its records are dead and its key names nothing.
    mutating func free(_ index: Int) {
        leave(index)
        slots[index].state = []
        slots[index].owner = nil
        slots[index].epoch &+= 1
        slots[index].turn &+= 1
        slots[index].nextFree = firstFree
        firstFree = Int32(truncatingIfNeeded: index)
        count &-= 1
    }

    private mutating func grow() {
        let wider = UnsafeMutablePointer<StreamSlot>.allocate(capacity: capacity * 2)
        wider.moveInitialize(from: slots, count: capacity)
        slots.deallocate()
        slots = wider
        let old = capacity
        capacity *= 2
        for index in (old..<capacity).reversed() { addFree(index) }
    }
}
