// SPDX-License-Identifier: Apache-2.0
import MeshIO

/// A queue of slices in a `SliceStore`.
struct SliceList {
    var first: Int32 = -1
    var last: Int32 = -1
    var isEmpty: Bool { first < 0 }
}

/// The slices a session holds, in one array whose places are used again: nothing is allocated for a slice.
///
/// Invariant: `slices` is initialised exactly where `links` says full.
struct SliceStore: ~Copyable {
    private struct Link {
        /// Bytes of the slice that are gone.
        var taken = 0
        var next: Int32 = -1
        var isFull = false
    }

    private var slices: UnsafeMutablePointer<SlabSlice>
    private var links: UnsafeMutablePointer<Link>
    private var capacity = 0
    private var firstFree: Int32 = -1

    init() {
        slices = .allocate(capacity: 0)
        links = .allocate(capacity: 0)
    }

    deinit {
        for index in 0..<capacity where links[index].isFull { (slices + index).deinitialize(count: 1) }
        slices.deallocate()
        links.deallocate()
    }

    private mutating func grow() {
        let wider = max(8, capacity * 2)
        let widerSlices = UnsafeMutablePointer<SlabSlice>.allocate(capacity: wider)
        let widerLinks = UnsafeMutablePointer<Link>.allocate(capacity: wider)
        for index in 0..<capacity where links[index].isFull {
            (widerSlices + index).moveInitialize(from: slices + index, count: 1)
        }
        widerLinks.update(from: links, count: capacity)
        slices.deallocate()
        links.deallocate()
        slices = widerSlices
        links = widerLinks
        for index in (capacity..<wider).reversed() {
            (links + index).initialize(to: Link(next: firstFree))
            firstFree = Int32(truncatingIfNeeded: index)
        }
        capacity = wider
    }

    /// Keeps a slice; returns where.
    mutating func put(_ slice: consuming SlabSlice) -> Int32 {
        if firstFree < 0 { grow() }
        let index = firstFree
        firstFree = links[Int(index)].next
        links[Int(index)] = Link(isFull: true)
        (slices + Int(index)).initialize(to: slice)
        return index
    }

    /// Takes the slice at `index`, which must hold one, out.
    mutating func take(_ index: Int32) -> SlabSlice {
        assert(links[Int(index)].isFull)
        links[Int(index)] = Link(next: firstFree)
        firstFree = index
        return (slices + Int(index)).move()
    }

    /// A view of some bytes of the slice at `index`.
    func part(of index: Int32, offset: Int, length: Int) -> SlabSlice {
        slices[Int(index)].part(offset: offset, length: length)
    }

    /// Appends a slice to a list; returns the bytes it pins that the one before it does not.
    mutating func append(_ slice: consuming SlabSlice, to list: inout SliceList) -> Int {
        let last = list.last
        let pinned = last >= 0 && slices[Int(last)].sharesMemory(with: slice) ? 0 : slice.pinnedBytes
        let index = put(slice)
        if last >= 0 { links[Int(last)].next = index } else { list.first = index }
        list.last = index
        return pinned
    }

    /// Drops the first slice of a list; returns the bytes that are not pinned any more.
    mutating func dropFirst(of list: inout SliceList) -> Int {
        guard list.first >= 0 else { return 0 }
        let index = list.first
        list.first = links[Int(index)].next
        if list.first < 0 { list.last = -1 }
        let slice = take(index)
        return list.first >= 0 && slices[Int(list.first)].sharesMemory(with: slice) ? 0 : slice.pinnedBytes
    }

    /// Drops a list.
    mutating func dropAll(of list: inout SliceList) {
        while list.first >= 0 { _ = dropFirst(of: &list) }
    }

    /// A slice of up to `count` bytes from the front of a list, which must not be empty. `released` grows by what is not
    /// pinned any more.
    mutating func takeFront(of list: inout SliceList, upTo count: Int, released: inout Int) -> SlabSlice {
        let index = Int(list.first)
        let taken = links[index].taken
        let rest = slices[index].count &- taken
        let length = min(rest, count)
        let part = slices[index].part(offset: taken, length: length)
        if length == rest {
            released &+= dropFirst(of: &list)
        } else {
            links[index].taken = taken &+ length
        }
        return part
    }
}
