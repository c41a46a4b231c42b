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
    /// The value begins elsewhere than right behind the name: the field does not lie there as it goes on the wire.
    static var trimmed: UInt8 { 4 }
}

/// A field of a block, for code that hands it on by pointer.
@frozen @usableFromInline package struct HeaderFieldView {
    @usableFromInline package let name: UnsafeMutablePointer<UInt8>
    @usableFromInline package let nameLength: Int
    @usableFromInline package let value: UnsafeMutablePointer<UInt8>
    @usableFromInline package let valueLength: Int
    @usableFromInline package let token: HeaderToken
    @usableFromInline package let isLive: Bool

    @inlinable init(
        name: UnsafeMutablePointer<UInt8>, nameLength: Int, value: UnsafeMutablePointer<UInt8>, valueLength: Int,
        token: HeaderToken, isLive: Bool
    ) {
        self.name = name
        self.nameLength = nameLength
        self.value = value
        self.valueLength = valueLength
        self.token = token
        self.isLive = isLive
    }
}

/// The header fields of one message, pseudo-headers included, in one slab: behind the table of first indices bytes grow
/// from its front, 16-byte field records from its back. Fields lie there as HTTP/1 writes them, `name: value` CRLF, so that
/// those that follow each other are written by one copy.
///
/// Names are lower case. Order and duplicates are kept. Deleting leaves a tombstone and replacing appends, so an index
/// stays valid while the block lives. Well-known names are found in O(1) by their token.
///
/// Invariants:
/// - `bytesUsed + fieldCount * 16 <= slab.capacity`;
/// - `presence` has the bit of a token exactly when a live field carries it, and then `firstIndices` holds the first one; the
///   bit of `none` is set by the first field with an unknown name and stays;
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

    /// Bytes of the fields as HTTP/1 writes them, deleted ones included: what the block costs beside its records.
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

    /// Everything about the field at `index`, by pointer. Valid until the block changes.
    @inlinable package func field(at index: Int) -> HeaderFieldView {
        let field = record(index).pointee
        let bytes = slab.unsafelyUnwrapped.bytes.assumingMemoryBound(to: UInt8.self)
        return HeaderFieldView(
            name: bytes + Int(field.nameOffset), nameLength: Int(field.nameLength), value: bytes + Int(field.valueOffset),
            valueLength: Int(field.valueLength), token: HeaderToken(rawValue: field.token),
            isLive: field.flags & HeaderField.removed == 0)
    }

    /// The token at `index`; `none` for an unknown name.
    @inlinable package func token(at index: Int) -> HeaderToken { HeaderToken(rawValue: record(index).pointee.token) }

    /// Whether a live field has this well-known name.
    @inlinable package func contains(_ token: HeaderToken) -> Bool { presence & ~1 & (1 &<< UInt64(token.rawValue)) != 0 }

    /// False when every field has a well-known name.
    @inlinable package var mayHaveUnknownNames: Bool { presence & 1 != 0 }

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

    /// Bytes of names and values, as Envoy counts them.
    package var textSize: UInt64 {
        var size = 0
        for index in 0..<fieldCount where isLive(index) { size &+= name(at: index).count &+ value(at: index).count }
        return UInt64(size)
    }

    /// Bytes of names and values as HTTP/1 has them, with `separators` bytes more for each field: the authority is named Host,
    /// and the other pseudo-headers are in no field.
    package func lineSize(separators: Int) -> UInt64 {
        var size = 0
        for index in 0..<fieldCount where isLive(index) {
            let name = name(at: index)
            if name.first != UInt8(ascii: ":") {
                size &+= name.count &+ value(at: index).count &+ separators
            } else if name.equals(":authority") {
                size &+= 4 &+ value(at: index).count &+ separators
            }
        }
        return UInt64(size)
    }

    // MARK: Changing

    /// Bytes of `: ` and CRLF.
    @inlinable static var separators: Int { 4 }

    /// Writes what stands between and behind the name and the value of a field.
    @inline(__always) static func separate(_ field: UnsafeMutablePointer<UInt8>, _ nameLength: Int, _ valueLength: Int) {
        field[nameLength] = 0x3A
        field[nameLength &+ 1] = 0x20
        let end = nameLength &+ 2 &+ valueLength
        field[end] = 0x0D
        field[end &+ 1] = 0x0A
    }

    /// Makes room for a field whose name and value have `byteCount` bytes; returns where the name goes. The value goes two
    /// bytes behind it. Follow with `finishField`.
    @usableFromInline mutating func startField(_ byteCount: Int, from pool: SlabPool) -> UnsafeMutableRawPointer {
        let needed = bytesUsed &+ byteCount &+ HeaderBlock.separators &+ (fieldCount &+ 1) &* MemoryLayout<HeaderField>.size
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
                valueOffset: UInt32(truncatingIfNeeded: bytesUsed &+ nameLength &+ 2),
                valueLength: UInt32(truncatingIfNeeded: valueLength),
                nameLength: UInt16(truncatingIfNeeded: nameLength), token: token.rawValue, flags: 0))
        let place = slab.unsafelyUnwrapped.bytes + bytesUsed
        HeaderBlock.separate(place.assumingMemoryBound(to: UInt8.self), nameLength, valueLength)
        bytesUsed &+= nameLength &+ valueLength &+ HeaderBlock.separators
        let bit: UInt64 = 1 &<< UInt64(token.rawValue)
        if presence & bit == 0 {
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
        } else if needed <= SlabPool.modestCapacity {
            capacity = SlabPool.modestCapacity
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
        if let start = value.baseAddress { (place + name.count + 2).copyMemory(from: start, byteCount: value.count) }
        let token = HeaderToken.find(bytes, name.count)
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
            let place = slab.unsafelyUnwrapped.bytes + Int(record(index).pointee.valueOffset)
            if let start = value.baseAddress { place.copyMemory(from: start, byteCount: value.count) }
            place.storeBytes(of: 0x0D, toByteOffset: value.count, as: UInt8.self)
            place.storeBytes(of: 0x0A, toByteOffset: value.count &+ 1, as: UInt8.self)
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
        field.pointee.flags |= HeaderField.trimmed
    }
}
