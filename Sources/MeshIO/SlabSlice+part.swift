// SPDX-License-Identifier: Apache-2.0

extension SlabSlice {
    /// A counted view of `length` of these bytes, from `offset` on. The range must lie inside this slice.
    @inlinable package func part(offset: Int, length: Int) -> SlabSlice {
        assert(offset >= 0 && length >= 0 && offset + length <= count)
        return SlabSlice(retaining: slab, offset: Int(start) &+ offset, length: length)
    }

    /// Bytes of memory that this slice keeps from being used again.
    @inlinable package var pinnedBytes: Int { slab.capacity }

    /// Whether both are views of one slab, which then is pinned once.
    @inlinable package func sharesMemory(with other: borrowing SlabSlice) -> Bool { slab == other.slab }
}
