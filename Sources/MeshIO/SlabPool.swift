// SPDX-License-Identifier: Apache-2.0
import CBytes
import Glibc

/// A loop's last-in-first-out pool of slabs in five size classes.
///
/// Last in, first out keeps the slab in use hot in the cache: a connection holds one only while bytes are pending, so a
/// handful of slabs serves thousands of connections.
///
/// Invariants:
/// - used on one thread only; `outstandingBytes` is the sum of the capacities of slabs outside the pool;
/// - a slab larger than the largest class is never pooled.
@usableFromInline package final class SlabPool {
    /// Payload sizes of the pooled classes, in bytes: whole allocations of 0.75, 1.5, 4, 16 and 64 KiB less the header. The
    /// smallest holds the head of most requests, and thousands of them wait at a time.
    @inlinable package static var smallCapacity: Int { 768 - Slab.headerSize }
    @inlinable package static var modestCapacity: Int { 1536 - Slab.headerSize }
    @inlinable package static var mediumCapacity: Int { 4096 - Slab.headerSize }
    /// The size a read starts with.
    @inlinable package static var standardCapacity: Int { 16_384 - Slab.headerSize }
    /// The size a read moves to when it filled the standard one.
    @inlinable package static var largeCapacity: Int { 65_536 - Slab.headerSize }

    private static let oversize: UInt8 = 5

    @usableFromInline struct FreeList {
        @usableFromInline var first: UnsafeMutablePointer<SlabHeader>?
        @usableFromInline var count = 0
        /// The fewest slabs the list held since the last `trim`: that many were not needed in the whole period.
        @usableFromInline var fewest = 0
    }

    @usableFromInline var small = FreeList()
    @usableFromInline var modest = FreeList()
    @usableFromInline var medium = FreeList()
    @usableFromInline var standard = FreeList()
    @usableFromInline var large = FreeList()

    /// Bytes of slabs handed out and not yet returned.
    package private(set) var outstandingBytes = 0
    /// Slabs handed out and not yet returned; 0 when nothing leaks.
    package private(set) var outstandingSlabs = 0
    /// Bytes of slabs waiting in the pool.
    package var pooledBytes: Int {
        small.count * SlabPool.smallCapacity + modest.count * SlabPool.modestCapacity
            + medium.count * SlabPool.mediumCapacity + standard.count * SlabPool.standardCapacity + large.count * SlabPool.largeCapacity
    }

    package init() {}

    deinit {
        assert(outstandingSlabs == 0, "slabs outlive their pool")
        release(&small, keep: 0)
        release(&modest, keep: 0)
        release(&medium, keep: 0)
        release(&standard, keep: 0)
        release(&large, keep: 0)
    }

    /// A slab with at least `capacity` payload bytes, with one reference owned by the caller.
    package func take(_ capacity: Int) -> Slab {
        let slab: Slab
        if capacity <= SlabPool.smallCapacity {
            slab = pop(&small) ?? allocate(sizeClass: 0, capacity: SlabPool.smallCapacity)
        } else if capacity <= SlabPool.modestCapacity {
            slab = pop(&modest) ?? allocate(sizeClass: 1, capacity: SlabPool.modestCapacity)
        } else if capacity <= SlabPool.mediumCapacity {
            slab = pop(&medium) ?? allocate(sizeClass: 2, capacity: SlabPool.mediumCapacity)
        } else if capacity <= SlabPool.standardCapacity {
            slab = pop(&standard) ?? allocate(sizeClass: 3, capacity: SlabPool.standardCapacity)
        } else if capacity <= SlabPool.largeCapacity {
            slab = pop(&large) ?? allocate(sizeClass: 4, capacity: SlabPool.largeCapacity)
        } else {
            slab = allocate(sizeClass: SlabPool.oversize, capacity: capacity)
        }
        slab.header.pointee.references = 1
        outstandingBytes &+= slab.capacity
        outstandingSlabs &+= 1
        return slab
    }

    @usableFromInline func recycle(_ slab: Slab) {
        outstandingBytes &-= slab.capacity
        outstandingSlabs &-= 1
        switch slab.header.pointee.sizeClass {
        case 0: push(&small, slab)
        case 1: push(&modest, slab)
        case 2: push(&medium, slab)
        case 3: push(&standard, slab)
        case 4: push(&large, slab)
        default: free(slab.header)
        }
    }

    /// Frees the slabs that nobody needed since the previous call. The loop calls it every 30 s.
    ///
    /// - Parameter otherBytes: what else went back to the allocator since then.
    /// - Returns: whether the allocator was told to give its free pages back.
    @discardableResult
    package func trim(otherBytes: Int = 0) -> Bool {
        let before = pooledBytes
        release(&small, keep: small.count - small.fewest)
        release(&modest, keep: modest.count - modest.fewest)
        release(&medium, keep: medium.count - medium.fewest)
        release(&standard, keep: standard.count - standard.fewest)
        release(&large, keep: large.count - large.fewest)
        // glibc keeps freed pages in its heap until asked; below 1 MiB the walk costs more than it returns.
        guard before - pooledBytes + otherBytes >= 1 << 20 else { return false }
        apus_release_free_pages()
        return true
    }

    private func pop(_ list: inout FreeList) -> Slab? {
        guard let header = list.first else { return nil }
        list.first = header.pointee.next
        list.count &-= 1
        if list.count < list.fewest { list.fewest = list.count }
        return Slab(header: header)
    }

    private func push(_ list: inout FreeList, _ slab: Slab) {
        slab.header.pointee.next = list.first
        list.first = slab.header
        list.count &+= 1
    }

    private func allocate(sizeClass: UInt8, capacity: Int) -> Slab {
        // Small ones are many: aligned to a cache line each would cost 48 bytes more.
        let memory = UnsafeMutableRawPointer.allocate(
            byteCount: capacity + Slab.headerSize, alignment: capacity < SlabPool.mediumCapacity ? 16 : 64)
        let header = memory.bindMemory(to: SlabHeader.self, capacity: 1)
        header.initialize(
            to: SlabHeader(
                sizeClass: sizeClass, capacity: UInt32(truncatingIfNeeded: capacity), pool: Unmanaged.passUnretained(self)))
        return Slab(header: header)
    }

    private func release(_ list: inout FreeList, keep: Int) {
        while list.count > max(keep, 0), let header = list.first {
            list.first = header.pointee.next
            list.count &-= 1
            free(header)
        }
        list.fewest = list.count
    }
}
