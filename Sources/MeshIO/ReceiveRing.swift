// SPDX-License-Identifier: Apache-2.0

/// The bytes a stream received and its reader has not consumed: one slab with a head and a tail.
///
/// The slab is attached only while bytes are pending, so an idle connection holds none. Bytes are always contiguous.
///
/// Invariants:
/// - `head <= tail <= slab.capacity`; without a slab both are 0;
/// - a slab with slices out is never rewound or compacted: a fresh one is taken and pending bytes move there.
@frozen @usableFromInline package struct ReceiveRing: ~Copyable {
    @usableFromInline var slab: Slab?
    @usableFromInline var head: Int
    @usableFromInline var tail: Int

    @inlinable package init() {
        slab = nil
        head = 0
        tail = 0
    }

    @inlinable deinit { slab?.release() }

    /// Pending bytes.
    @inlinable package var count: Int { tail &- head }
    @inlinable package var isEmpty: Bool { tail == head }

    /// Bytes of memory held, pending or not.
    @inlinable package var pinnedBytes: Int { slab?.capacity ?? 0 }

    /// The pending bytes. Valid until the next mutation of this ring.
    @inlinable package var readable: UnsafeRawBufferPointer {
        guard let slab else { return UnsafeRawBufferPointer(start: nil, count: 0) }
        return UnsafeRawBufferPointer(start: slab.bytes + head, count: tail &- head)
    }

    /// Room for at least `minimum` bytes behind the pending ones; `preferred` sizes a slab that has to be taken.
    ///
    /// Valid until the next mutation; follow with `commit`.
    @inlinable package mutating func prepare(
        minimum: Int, preferred: Int, from pool: SlabPool
    ) -> UnsafeMutableRawBufferPointer {
        if let slab, slab.capacity &- tail >= minimum {
            return UnsafeMutableRawBufferPointer(start: slab.bytes + tail, count: slab.capacity &- tail)
        }
        return makeRoom(minimum: minimum, preferred: preferred, from: pool)
    }

    @usableFromInline mutating func makeRoom(
        minimum: Int, preferred: Int, from pool: SlabPool
    ) -> UnsafeMutableRawBufferPointer {
        let pending = count
        if let slab, slab.isUnique, slab.capacity - pending >= minimum {
            // Compaction beats a second slab: what is pending is an incomplete head or frame, hence short.
            slab.bytes.copyMemory(from: slab.bytes + head, byteCount: pending)
            head = 0
            tail = pending
        } else {
            let fresh = pool.take(max(preferred, pending + minimum))
            if let slab {
                fresh.bytes.copyMemory(from: slab.bytes + head, byteCount: pending)
                slab.release()
            }
            slab = fresh
            head = 0
            tail = pending
        }
        guard let slab else { return UnsafeMutableRawBufferPointer(start: nil, count: 0) }
        return UnsafeMutableRawBufferPointer(start: slab.bytes + tail, count: slab.capacity - tail)
    }

    /// Declares that `count` bytes were written to the room `prepare` returned.
    @inlinable package mutating func commit(_ count: Int) {
        tail &+= count
        assert(tail <= (slab?.capacity ?? 0))
    }

    /// Drops `count` bytes from the front; an emptied ring gives its slab back.
    @inlinable package mutating func consume(_ count: Int) {
        assert(count >= 0 && head + count <= tail)
        head &+= count
        if head == tail { detach() }
    }

    /// A counted view of pending bytes; `offset` counts from the first pending byte.
    @inlinable package func slice(offset: Int, length: Int) -> SlabSlice? {
        guard let slab, offset >= 0, length > 0, head &+ offset &+ length <= tail else { return nil }
        return SlabSlice(retaining: slab, offset: head &+ offset, length: length)
    }

    /// Gives the slab back (also with nothing committed, after a read that found nothing) and forgets pending bytes.
    @inlinable package mutating func detach() {
        slab?.release()
        slab = nil
        head = 0
        tail = 0
    }

    /// At the end of a read callback: releases an empty slab, and moves a short remainder to a small slab, so that ten
    /// thousand clients with an unfinished line pin 10 MB and not 160.
    @inlinable package mutating func settle(from pool: SlabPool) {
        guard let slab else { return }
        if tail == head {
            detach()
        } else if tail &- head <= SlabPool.modestCapacity, slab.capacity > SlabPool.modestCapacity {
            shrink(from: pool)
        }
    }

    @usableFromInline mutating func shrink(from pool: SlabPool) {
        guard let slab else { return }
        let pending = count
        let smaller = pool.take(pending)
        smaller.bytes.copyMemory(from: slab.bytes + head, byteCount: pending)
        slab.release()
        self.slab = smaller
        head = 0
        tail = pending
    }
}
