// SPDX-License-Identifier: Apache-2.0
import CBytes
import MeshIO

extension HeaderBlock {
    /// Free bytes behind a field while it is written, because copies go in steps of sixteen bytes.
    static var copySlack: Int { 16 }

    /// The end of the block's memory, up to which reading is safe. Only for a block with fields.
    @inline(__always) var readableEnd: UnsafeRawPointer {
        let slab = slab.unsafelyUnwrapped
        return UnsafeRawPointer(slab.bytes + slab.capacity)
    }

    /// Room for a field of `byteCount` bytes and the slack behind it.
    @inline(__always)
    private mutating func place(_ byteCount: Int, from pool: SlabPool) -> UnsafeMutablePointer<UInt8> {
        let needed = bytesUsed &+ byteCount &+ HeaderBlock.copySlack &+ (fieldCount &+ 1) &* MemoryLayout<HeaderField>.size
        if let slab, needed <= slab.capacity {
            return (slab.bytes + bytesUsed).assumingMemoryBound(to: UInt8.self)
        }
        return startField(byteCount &+ HeaderBlock.copySlack, from: pool).assumingMemoryBound(to: UInt8.self)
    }

    /// Notes the field whose bytes were written to `place`.
    @inline(__always)
    private mutating func note(nameLength: Int, valueLength: Int, token: HeaderToken) {
        let index = fieldCount
        let start = bytesUsed
        countField(nameLength &+ valueLength)
        record(index).initialize(
            to: HeaderField(
                nameOffset: UInt32(truncatingIfNeeded: start), valueOffset: UInt32(truncatingIfNeeded: start &+ nameLength),
                valueLength: UInt32(truncatingIfNeeded: valueLength), nameLength: UInt16(truncatingIfNeeded: nameLength),
                token: token.rawValue, flags: 0))
        let bit: UInt64 = 1 &<< UInt64(token.rawValue)
        if token.rawValue != 0, presence & bit == 0 {
            presence |= bit
            firstIndices[Int(token.rawValue & 63)] = UInt16(truncatingIfNeeded: index)
        }
    }

    /// Appends a field read from the wire, its name lower-cased, and returns its token. Host is only recognised, not stored:
    /// the caller checks it and stores it as `:authority`.
    ///
    /// - Parameter end: bytes up to here are readable.
    /// - Returns: nil when the block cannot hold the field.
    @inline(__always)
    mutating func appendScanned(
        name: UnsafePointer<UInt8>, nameLength: Int, value: UnsafePointer<UInt8>, valueLength: Int,
        end: UnsafePointer<UInt8>, tokens: HeaderToken.Table, from pool: SlabPool
    ) -> HeaderToken? {
        guard accepts(nameLength: nameLength, valueLength: valueLength) else { return nil }
        let place = place(nameLength &+ valueLength, from: pool)
        apus_copy_lowercase(place, name, nameLength, end - name)
        let token = HeaderToken.find(place, nameLength, in: tokens)
        if token == .host { return token }
        apus_copy_short(place + nameLength, value, valueLength, end - value)
        note(nameLength: nameLength, valueLength: valueLength, token: token)
        return token
    }

    /// Appends a well-known field with any value.
    mutating func appendKnown(_ token: HeaderToken, _ value: UnsafeRawBufferPointer, from pool: SlabPool) -> Bool {
        let name = HeaderToken.paddedName(token)
        guard accepts(nameLength: name.length, valueLength: value.count) else { return false }
        let place = place(name.length &+ value.count, from: pool)
        apus_copy_short(place, name.bytes, name.length, HeaderToken.paddedSize)
        if let start = value.baseAddress { UnsafeMutableRawPointer(place + name.length).copyMemory(from: start, byteCount: value.count) }
        note(nameLength: name.length, valueLength: value.count, token: token)
        return true
    }

    /// Puts a name as received where the next field's lower-case name will stand right behind it.
    mutating func storeOriginalName(
        _ name: UnsafePointer<UInt8>, _ length: Int, end: UnsafePointer<UInt8>, from pool: SlabPool
    ) -> Bool {
        guard accepts(nameLength: length, valueLength: length) else { return false }
        apus_copy_short(place(length, from: pool), name, length, end - name)
        bytesUsed &+= length
        return true
    }

    /// The last field has its original name before it.
    func markOriginalName() { record(fieldCount &- 1).pointee.flags |= HeaderField.keepsCase }

    /// Appends a well-known field; `name` is its name as the caller's constant, so that no table is read for it.
    @inline(__always)
    mutating func appendKnown(
        _ token: HeaderToken, _ name: StaticString, value: UnsafePointer<UInt8>, valueLength: Int,
        end: UnsafePointer<UInt8>, from pool: SlabPool
    ) -> Bool {
        let nameLength = name.utf8CodeUnitCount
        guard accepts(nameLength: nameLength, valueLength: valueLength) else { return false }
        let place = place(nameLength &+ valueLength, from: pool)
        place.update(from: name.utf8Start, count: nameLength)
        apus_copy_short(place + nameLength, value, valueLength, end - value)
        note(nameLength: nameLength, valueLength: valueLength, token: token)
        return true
    }
}
