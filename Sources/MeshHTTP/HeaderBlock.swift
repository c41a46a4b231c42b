// SPDX-License-Identifier: Apache-2.0
public import MeshIO

/// One header field of a block: where its name and value are.
@frozen @usableFromInline struct HeaderField {
    @usableFromInline var nameOffset: UInt32
    @usableFromInline var valueOffset: UInt32
    @usableFromInline var valueLength: UInt32
    @usableFromInline var nameLength: UInt16
    @usableFromInline var token: UInt8
    @usableFromInline var flags: UInt8

    @inlinable init(
        nameOffset: UInt32, valueOffset: UInt32, valueLength: UInt32, nameLength: UInt16, token: UInt8, flags: UInt8
    ) {
        self.nameOffset = nameOffset
        self.valueOffset = valueOffset
        self.valueLength = valueLength
        self.nameLength = nameLength
        self.token = token
        self.flags = flags
    }

    /// The field was deleted; its place stays so that indices are stable.
    @inlinable static var removed: UInt8 { 1 }
}

/// The header fields of one message, pseudo-headers included, in one slab: behind the table of first indices bytes grow
/// from its front, 16-byte field records from its back.
///
/// Names are lower case. Order and duplicates are kept. Deleting leaves a tombstone and replacing appends, so an index
/// stays valid while the block lives. Well-known names are found in O(1) by their token.
///
/// Invariants:
/// - `bytesUsed + fieldCount * 16 <= slab.capacity`;
/// - `presence` has the bit of a token exactly when a live field carries it, and then `firstIndices` holds the first one;
/// - a block without fields may hold no slab;
/// - the value itself stays small, for lending a block to a function that is not inlined copies it.
@frozen @usableFromInline package struct HeaderBlock: ~Copyable {
    @usableFromInline var slab: Slab?
    @usableFromInline var bytesUsed: Int
    /// Fields including deleted ones; indices run below this.
    @usableFromInline package private(set) var fieldCount: Int
    /// Fields that were not deleted.
    @usableFromInline package private(set) var liveCount: Int
    @usableFromInline var presence: UInt64

    /// Bytes at the front of the slab: the first field of each token, two bytes each.
    @inlinable static var tableSize: Int { HeaderToken.count &* 2 }

    /// Places of the first fields, by token; meaningful where `presence` has the token's bit.
    @inlinable var firstIndices: UnsafeMutablePointer<UInt16> {
        slab.unsafelyUnwrapped.bytes.assumingMemoryBound(to: UInt16.self)
    }

    /// Most fields one block can hold, whatever its owner allows.
    @inlinable package static var maxFields: Int { 16_000 }

    @inlinable package init() {
        slab = nil
        bytesUsed = HeaderBlock.tableSize
        fieldCount = 0
        liveCount = 0
        presence = 0
    }

    @inlinable deinit { slab?.release() }

    /// Forgets every field and gives the memory back.
    @inlinable package mutating func reset() {
        slab?.release()
        slab = nil
        bytesUsed = HeaderBlock.tableSize
        fieldCount = 0
        liveCount = 0
        presence = 0
    }

    /// A second block over the same memory. While both live, neither may be changed but by `reset`.
    package func sharingMemory() -> HeaderBlock {
        var other = HeaderBlock()
        slab?.retain()
        other.slab = slab
        other.bytesUsed = bytesUsed
        other.fieldCount = fieldCount
        other.liveCount = liveCount
        other.presence = presence
        return other
    }

    // MARK: Reading

    /// Bytes of names and values, deleted ones included: what the block costs beside its records.
    @inlinable package var byteCount: Int { bytesUsed &- HeaderBlock.tableSize }

    @inlinable func record(_ index: Int) -> UnsafeMutablePointer<HeaderField> {
        assert(index >= 0 && index < fieldCount)
        // A block with a field has a slab.
        let slab = slab.unsafelyUnwrapped
        return (slab.bytes + slab.capacity).assumingMemoryBound(to: HeaderField.self) - (index &+ 1)
    }

    /// Whether the field at `index` was not deleted.
    @inlinable package func isLive(_ index: Int) -> Bool { record(index).pointee.flags & HeaderField.removed == 0 }

    /// The lower-case name at `index`. Valid until the block changes.
    @inlinable package func name(at index: Int) -> UnsafeRawBufferPointer {
        let field = record(index).pointee
        return UnsafeRawBufferPointer(
            start: slab.unsafelyUnwrapped.bytes + Int(field.nameOffset), count: Int(field.nameLength))
    }

    /// The value at `index`. Valid until the block changes.
    @inlinable package func value(at index: Int) -> UnsafeRawBufferPointer {
        let field = record(index).pointee
        return UnsafeRawBufferPointer(
            start: slab.unsafelyUnwrapped.bytes + Int(field.valueOffset), count: Int(field.valueLength))
    }

    /// The token at `index`; `none` for an unknown name.
    @inlinable package func token(at index: Int) -> HeaderToken { HeaderToken(rawValue: record(index).pointee.token) }

    /// Whether a live field has this well-known name.
    @inlinable package func contains(_ token: HeaderToken) -> Bool { presence & (1 &<< UInt64(token.rawValue)) != 0 }

    /// The first live field with a well-known name, or -1. O(1).
    @inlinable package func firstIndex(of token: HeaderToken) -> Int {
        contains(token) ? Int(firstIndices[Int(token.rawValue & 63)]) : -1
    }

    /// The next live field with the same name after `index`, or -1.
    package func nextIndex(of token: HeaderToken, after index: Int) -> Int {
        var next = index &+ 1
        while next < fieldCount {
            let field = record(next).pointee
            if field.token == token.rawValue, field.flags & HeaderField.removed == 0 { return next }
            next &+= 1
        }
        return -1
    }

    /// The first live field at or after `start` whose name is `name` (lower case), or -1.
    package func firstIndex(named name: UnsafeRawBufferPointer, from start: Int = 0) -> Int {
        var index = start
        while index < fieldCount {
            let field = record(index).pointee
            if field.nameLength == name.count, field.flags & HeaderField.removed == 0,
                self.name(at: index).hasSameBytes(as: name)
            {
                return index
            }
            index &+= 1
        }
        return -1
    }

    /// The first value of a well-known name; nil when there is none. Valid until the block changes.
    @inlinable package func value(of token: HeaderToken) -> UnsafeRawBufferPointer? {
        let index = firstIndex(of: token)
        return index < 0 ? nil : value(at: index)
    }

    // MARK: Changing

    /// Makes room for a field of `byteCount` bytes; returns where its bytes go. Follow with `finishField`.
    @usableFromInline mutating func startField(_ byteCount: Int, from pool: SlabPool) -> UnsafeMutableRawPointer {
        let needed = bytesUsed &+ byteCount &+ (fieldCount &+ 1) &* MemoryLayout<HeaderField>.size
        if let slab, needed <= slab.capacity { return slab.bytes + bytesUsed }
        grow(to: needed, from: pool)
        return slab.unsafelyUnwrapped.bytes + bytesUsed
    }

    @usableFromInline mutating func finishField(nameLength: Int, valueLength: Int, token: HeaderToken) {
        let index = fieldCount
        fieldCount &+= 1
        liveCount &+= 1
        record(index).initialize(
            to: HeaderField(
                nameOffset: UInt32(truncatingIfNeeded: bytesUsed),
                valueOffset: UInt32(truncatingIfNeeded: bytesUsed &+ nameLength),
                valueLength: UInt32(truncatingIfNeeded: valueLength),
                nameLength: UInt16(truncatingIfNeeded: nameLength), token: token.rawValue, flags: 0))
        bytesUsed &+= nameLength &+ valueLength
        let bit: UInt64 = 1 &<< UInt64(token.rawValue)
        if token.rawValue != 0, presence & bit == 0 {
            presence |= bit
            firstIndices[Int(token.rawValue & 63)] = UInt16(truncatingIfNeeded: index)
        }
    }

    /// Counts a field of `byteCount` bytes whose record the caller writes.
    @inline(__always) mutating func countField(_ byteCount: Int) {
        fieldCount &+= 1
        liveCount &+= 1
        bytesUsed &+= byteCount
    }

    private mutating func grow(to needed: Int, from pool: SlabPool) {
        let capacity: Int
        if needed <= SlabPool.smallCapacity {
            capacity = SlabPool.smallCapacity
        } else if needed <= SlabPool.mediumCapacity {
            capacity = SlabPool.mediumCapacity
        } else if needed <= SlabPool.standardCapacity {
            capacity = SlabPool.standardCapacity
        } else {
            capacity = max(SlabPool.largeCapacity, needed &* 2)
        }
        let wider = pool.take(capacity)
        if let slab {
            wider.bytes.copyMemory(from: slab.bytes, byteCount: bytesUsed)
            let records = fieldCount &* MemoryLayout<HeaderField>.size
            (wider.bytes + wider.capacity - records).copyMemory(
                from: slab.bytes + slab.capacity - records, byteCount: records)
            slab.release()
        }
        slab = wider
    }

    /// Whether a field with these lengths can be stored at all.
    @inlinable package func accepts(nameLength: Int, valueLength: Int) -> Bool {
        fieldCount < HeaderBlock.maxFields && nameLength <= 0xFFFF && valueLength <= 1 << 26 && bytesUsed <= 1 << 27
    }

    /// Appends a field; the name is lower-cased on the way in. Returns false when the block cannot hold it.
    @discardableResult
    package mutating func append(
        name: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer, from pool: SlabPool
    ) -> Bool {
        guard accepts(nameLength: name.count, valueLength: value.count) else { return false }
        let place = startField(name.count &+ value.count, from: pool)
        let bytes = place.assumingMemoryBound(to: UInt8.self)
        var index = 0
        while index < name.count {
            bytes[index] = ASCII.lowercase(name[index])
            index &+= 1
        }
        if let start = value.baseAddress { (place + name.count).copyMemory(from: start, byteCount: value.count) }
        let token = HeaderToken.find(UnsafeRawBufferPointer(start: place, count: name.count))
        finishField(nameLength: name.count, valueLength: value.count, token: token)
        return true
    }

    /// Appends a well-known field. Returns false when the block cannot hold it.
    @discardableResult
    package mutating func append(
        _ token: HeaderToken, _ value: UnsafeRawBufferPointer, from pool: SlabPool
    ) -> Bool {
        appendKnown(token, value, from: pool)
    }

    /// Appends a well-known field with a constant value.
    @discardableResult
    package mutating func append(_ token: HeaderToken, _ value: StaticString, from pool: SlabPool) -> Bool {
        append(token, UnsafeRawBufferPointer(value), from: pool)
    }

    /// Deletes the field at `index`.
    @usableFromInline package mutating func remove(at index: Int) {
        let field = record(index)
        guard field.pointee.flags & HeaderField.removed == 0 else { return }
        field.pointee.flags |= HeaderField.removed
        liveCount &-= 1
        let token = HeaderToken(rawValue: field.pointee.token)
        guard token.rawValue != 0, Int(firstIndices[Int(token.rawValue & 63)]) == index else { return }
        let next = nextIndex(of: token, after: index)
        if next >= 0 {
            firstIndices[Int(token.rawValue & 63)] = UInt16(truncatingIfNeeded: next)
        } else {
            presence &= ~(1 &<< UInt64(token.rawValue))
        }
    }

    /// Deletes every field with a well-known name.
    @inlinable package mutating func removeAll(_ token: HeaderToken) {
        while contains(token) { remove(at: firstIndex(of: token)) }
    }

    /// Deletes every field named `name` (lower case).
    package mutating func removeAll(named name: UnsafeRawBufferPointer) {
        var index = firstIndex(named: name)
        while index >= 0 {
            remove(at: index)
            index = firstIndex(named: name, from: index &+ 1)
        }
    }

    /// Leaves exactly one field with this well-known name. `value` may point into this block.
    package mutating func replace(_ token: HeaderToken, _ value: UnsafeRawBufferPointer, from pool: SlabPool) {
        let index = firstIndex(of: token)
        // In place where it fits: the common case is a value no longer than the one it replaces.
        if index >= 0, nextIndex(of: token, after: index) < 0, value.count <= Int(record(index).pointee.valueLength) {
            if let start = value.baseAddress {
                (slab.unsafelyUnwrapped.bytes + Int(record(index).pointee.valueOffset)).copyMemory(
                    from: start, byteCount: value.count)
            }
            record(index).pointee.valueLength = UInt32(truncatingIfNeeded: value.count)
            return
        }
        // Appending may move the block's memory; keep the old slab alive while `value` is copied out of it.
        let old = slab
        old?.retain()
        removeAll(token)
        append(token, value, from: pool)
        old?.release()
    }

    /// Shortens the value at `index` to `range` of itself, without moving bytes.
    package mutating func trimValue(at index: Int, to range: Range<Int>) {
        let field = record(index)
        guard range.lowerBound >= 0, range.upperBound <= Int(field.pointee.valueLength) else { return }
        field.pointee.valueOffset &+= UInt32(truncatingIfNeeded: range.lowerBound)
        field.pointee.valueLength = UInt32(truncatingIfNeeded: range.count)
    }
}
