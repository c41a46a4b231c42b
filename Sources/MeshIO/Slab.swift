// SPDX-License-Identifier: Apache-2.0

/// The first 64 bytes of every slab: who owns it and how often it is referenced.
///
/// Invariants:
/// - `references` is at least 1 while the slab is outside its pool, and 0 while it is inside.
/// - The header is only read and written on the loop that owns `pool`; the count is not atomic.
@frozen @usableFromInline package struct SlabHeader {
    @usableFromInline var references: Int32
    @usableFromInline var sizeClass: UInt8
    @usableFromInline var capacity: UInt32
    @usableFromInline var next: UnsafeMutablePointer<SlabHeader>?
    @usableFromInline var pool: Unmanaged<SlabPool>

    @inlinable init(sizeClass: UInt8, capacity: UInt32, pool: Unmanaged<SlabPool>) {
        self.references = 0
        self.sizeClass = sizeClass
        self.capacity = capacity
        self.next = nil
        self.pool = pool
    }
}

/// A counted block of raw bytes from a `SlabPool`; docs/buffers.md has the picture.
///
/// A `Slab` is a plain reference: copying it does not count. Whoever stores one pairs `retain` with `release`;
/// `SlabSlice` does that by ownership and is what most code should hold.
@frozen @usableFromInline package struct Slab: Equatable {
    @usableFromInline let header: UnsafeMutablePointer<SlabHeader>

    /// Bytes before the payload; a cache line, so that the payload of slabs from 4 KiB on starts on one.
    @inlinable package static var headerSize: Int { 64 }

    @inlinable init(header: UnsafeMutablePointer<SlabHeader>) { self.header = header }

    /// First payload byte. Valid while the slab is referenced.
    @inlinable package var bytes: UnsafeMutableRawPointer { UnsafeMutableRawPointer(header) + Slab.headerSize }

    /// Payload size in bytes.
    @inlinable package var capacity: Int { Int(header.pointee.capacity) }

    /// Whether the caller's reference is the only one, so that bytes may be overwritten or moved.
    @inlinable package var isUnique: Bool { header.pointee.references == 1 }

    @inlinable package func retain() { header.pointee.references &+= 1 }

    /// Drops one reference; the last one returns the slab to its pool.
    @inlinable package func release() {
        header.pointee.references &-= 1
        if header.pointee.references == 0 {
            header.pointee.pool._withUnsafeGuaranteedRef { $0.recycle(self) }
        }
    }
}

/// A counted view of bytes inside a slab: owning it keeps the slab alive, dropping it releases the slab.
@frozen @usableFromInline package struct SlabSlice: ~Copyable {
    @usableFromInline let slab: Slab
    @usableFromInline let start: UInt32
    @usableFromInline let length: UInt32

    /// Retains `slab` and views `length` bytes from `offset` of its payload.
    @inlinable package init(retaining slab: Slab, offset: Int, length: Int) {
        assert(offset >= 0 && length >= 0 && offset + length <= slab.capacity)
        slab.retain()
        self.slab = slab
        self.start = UInt32(truncatingIfNeeded: offset)
        self.length = UInt32(truncatingIfNeeded: length)
    }

    @inlinable deinit { slab.release() }

    /// Number of bytes in view.
    @inlinable package var count: Int { Int(length) }

    /// The bytes in view; valid while this slice (or another reference to the slab) lives.
    @inlinable package var bytes: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: slab.bytes + Int(start), count: Int(length))
    }

    /// A second slice of the same bytes, for a retry or mirror buffer.
    @inlinable package func copy() -> SlabSlice {
        SlabSlice(retaining: slab, offset: Int(start), length: Int(length))
    }
}
