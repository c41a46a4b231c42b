// SPDX-License-Identifier: Apache-2.0
package import Glibc

/// One run of bytes waiting to be written: a counted reference to a slab and the range in it.
@frozen @usableFromInline struct OutputRecord {
    @usableFromInline let slab: Slab
    @usableFromInline var start: UInt32
    @usableFromInline var length: UInt32

    @inlinable init(slab: Slab, start: UInt32, length: UInt32) {
        self.slab = slab
        self.start = start
        self.length = length
    }
}

/// What a stream has to write, as slices of slabs in order; written by one `writev`.
///
/// Short pieces are copied behind each other into the open slab; pieces of `copyLimit` bytes or more are queued as they
/// are. The queue counts pinned bytes (capacity of the slabs it holds), because that is what a slow reader costs; a slab
/// that comes again behind another one counts again, so the figure is an upper bound.
///
/// Invariants:
/// - records are in write order, none is empty; `byteCount` is their sum;
/// - the open slab's bytes behind `openUsed` are free; the queue holds one reference to it beside those of its records.
@frozen @usableFromInline package struct OutputQueue: ~Copyable {
    /// Pieces shorter than this are copied: a record plus an iovec costs about as much as copying 2 KiB.
    @inlinable package static var copyLimit: Int { 2048 }
    /// Most buffers handed to one `writev`.
    @inlinable package static var maxVectors: Int { 64 }

    @usableFromInline var records: UnsafeMutablePointer<OutputRecord>?
    @usableFromInline var recordCapacity: Int
    @usableFromInline var first: Int
    @usableFromInline var recordCount: Int
    @usableFromInline var open: Slab?
    @usableFromInline var openUsed: Int
    /// Bytes waiting to be written.
    @usableFromInline package private(set) var byteCount: Int
    /// Capacity of the slabs held by records, in bytes; watermarks compare with this.
    @usableFromInline package private(set) var pinnedBytes: Int

    @inlinable package init() {
        records = nil
        recordCapacity = 0
        first = 0
        recordCount = 0
        open = nil
        openUsed = 0
        byteCount = 0
        pinnedBytes = 0
    }

    deinit {
        for index in 0..<recordCount { record(at: index).pointee.slab.release() }
        records?.deallocate()
        open?.release()
    }

    @inlinable package var isEmpty: Bool { byteCount == 0 }

    /// Contiguous room for `count` bytes at the end of the queue; follow with `commit`.
    @inlinable package mutating func reserve(_ count: Int, from pool: SlabPool) -> UnsafeMutableRawPointer {
        if let open, open.capacity &- openUsed >= count { return open.bytes + openUsed }
        return openSlab(count, from: pool)
    }

    /// Queues `count` bytes that were written to the room `reserve` returned.
    @inlinable package mutating func commit(_ count: Int) {
        guard count > 0, let open else { return }
        assert(openUsed + count <= open.capacity)
        if recordCount > 0 {
            let last = record(at: recordCount &- 1)
            if last.pointee.slab == open, Int(last.pointee.start &+ last.pointee.length) == openUsed {
                last.pointee.length &+= UInt32(truncatingIfNeeded: count)
                openUsed &+= count
                byteCount &+= count
                return
            }
        }
        open.retain()
        push(OutputRecord(
            slab: open, start: UInt32(truncatingIfNeeded: openUsed), length: UInt32(truncatingIfNeeded: count)))
        openUsed &+= count
        byteCount &+= count
    }

    /// Copies `bytes` to the end of the queue.
    @inlinable package mutating func append(copying bytes: UnsafeRawBufferPointer, from pool: SlabPool) {
        var rest = bytes
        while let base = rest.baseAddress, rest.count > 0 {
            let piece = min(rest.count, SlabPool.standardCapacity)
            reserve(piece, from: pool).copyMemory(from: base, byteCount: piece)
            commit(piece)
            rest = UnsafeRawBufferPointer(rebasing: rest[piece...])
        }
    }

    /// Queues a slice: short ones are copied, long ones keep their slab pinned until written.
    @inlinable package mutating func append(_ slice: consuming SlabSlice, from pool: SlabPool) {
        let count = slice.count
        if count < OutputQueue.copyLimit {
            append(copying: slice.bytes, from: pool)
            return
        }
        slice.slab.retain()
        push(OutputRecord(slab: slice.slab, start: slice.start, length: slice.length))
        byteCount &+= count
    }

    /// Fills `vectors` with the first pieces; returns how many.
    package func fill(_ vectors: UnsafeMutableBufferPointer<iovec>) -> Int {
        let count = min(recordCount, vectors.count)
        for index in 0..<count {
            let piece = record(at: index).pointee
            vectors[index] = iovec(iov_base: piece.slab.bytes + Int(piece.start), iov_len: Int(piece.length))
        }
        return count
    }

    /// The first piece alone, for a single `send`. Empty when nothing waits.
    @inlinable package var firstPiece: UnsafeRawBufferPointer {
        guard recordCount > 0 else { return UnsafeRawBufferPointer(start: nil, count: 0) }
        let piece = record(at: 0).pointee
        return UnsafeRawBufferPointer(start: piece.slab.bytes + Int(piece.start), count: Int(piece.length))
    }

    /// Number of pieces waiting.
    @inlinable package var pieceCount: Int { recordCount }

    /// Drops `count` written bytes from the front. When nothing is left, the open slab returns to its pool.
    @inlinable package mutating func consume(_ count: Int) {
        var rest = count
        byteCount &-= count
        while rest > 0 {
            let piece = record(at: 0)
            if rest < Int(piece.pointee.length) {
                piece.pointee.start &+= UInt32(truncatingIfNeeded: rest)
                piece.pointee.length &-= UInt32(truncatingIfNeeded: rest)
                return
            }
            rest &-= Int(piece.pointee.length)
            popFirst()
        }
        if recordCount == 0 { closeOpenSlab() }
    }

    /// Drops everything that waits.
    package mutating func removeAll() {
        consume(byteCount)
        closeOpenSlab()
    }

    /// Gives the list of pieces back while nothing waits; the next piece makes it again. For a queue that may long stay empty.
    package mutating func settle() {
        guard recordCount == 0, let records else { return }
        records.deallocate()
        self.records = nil
        recordCapacity = 0
        first = 0
    }

    /// Hands every waiting piece to `body` and empties the queue; for streams that are not sockets.
    package mutating func drain(_ body: (consuming SlabSlice) -> Void) {
        while recordCount > 0 {
            let piece = record(at: 0).pointee
            body(SlabSlice(retaining: piece.slab, offset: Int(piece.start), length: Int(piece.length)))
            consume(Int(piece.length))
        }
    }

    /// Hands a copy of every waiting piece to `body` and keeps the pieces.
    package func forEach(_ body: (consuming SlabSlice) -> Void) {
        for index in 0..<recordCount {
            let piece = record(at: index).pointee
            body(SlabSlice(retaining: piece.slab, offset: Int(piece.start), length: Int(piece.length)))
        }
    }

    @inlinable func record(at index: Int) -> UnsafeMutablePointer<OutputRecord> {
        // The ring exists whenever a record does; capacity is a power of two.
        records.unsafelyUnwrapped + ((first &+ index) & (recordCapacity &- 1))
    }

    @inlinable mutating func push(_ piece: OutputRecord) {
        if recordCount == recordCapacity { grow() }
        if recordCount == 0 || record(at: recordCount &- 1).pointee.slab != piece.slab {
            pinnedBytes &+= piece.slab.capacity
        }
        recordCount &+= 1
        record(at: recordCount &- 1).initialize(to: piece)
    }

    @inlinable mutating func popFirst() {
        let slab = record(at: 0).pointee.slab
        first = (first &+ 1) & (recordCapacity &- 1)
        recordCount &-= 1
        if recordCount == 0 || record(at: 0).pointee.slab != slab { pinnedBytes &-= slab.capacity }
        slab.release()
    }

    @usableFromInline mutating func closeOpenSlab() {
        open?.release()
        open = nil
        openUsed = 0
    }

    @usableFromInline mutating func openSlab(_ count: Int, from pool: SlabPool) -> UnsafeMutableRawPointer {
        closeOpenSlab()
        let slab = pool.take(max(count, SlabPool.standardCapacity))
        open = slab
        return slab.bytes
    }

    @usableFromInline mutating func grow() {
        let wider = max(4, recordCapacity * 2)
        let fresh = UnsafeMutablePointer<OutputRecord>.allocate(capacity: wider)
        for index in 0..<recordCount { fresh[index] = record(at: index).pointee }
        records?.deallocate()
        records = fresh
        recordCapacity = wider
        first = 0
    }
}
