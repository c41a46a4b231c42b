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

    /// Appends a field read from the wire, its name lower-cased, and returns its token. Host is only recognised, not stored: the
    /// caller checks it and stores it as `:authority`.
    ///
    /// - Parameter end: bytes up to here are readable.
    /// - Returns: nil when the block cannot hold the field.
    @inline(__always)
    mutating func appendScanned(
        name: UnsafePointer<UInt8>, nameLength: Int, value: UnsafePointer<UInt8>, valueLength: Int,
        end: UnsafePointer<UInt8>, from pool: SlabPool
    ) -> HeaderToken? {
        guard accepts(nameLength: nameLength, valueLength: valueLength) else { return nil }
        let place = startField(nameLength &+ valueLength &+ HeaderBlock.copySlack, from: pool)
            .assumingMemoryBound(to: UInt8.self)
        apus_copy_lowercase(place, name, nameLength, end - name)
        let token = HeaderToken.find(place, nameLength)
        if token == .host { return token }
        apus_copy_short(place + nameLength, value, valueLength, end - value)
        finishField(nameLength: nameLength, valueLength: valueLength, token: token)
        return token
    }

    /// Appends a well-known field; `name` is its name as the caller's constant, so that no table is read for it.
    @inline(__always)
    mutating func appendKnown(
        _ token: HeaderToken, _ name: StaticString, value: UnsafePointer<UInt8>, valueLength: Int,
        end: UnsafePointer<UInt8>, from pool: SlabPool
    ) -> Bool {
        let nameLength = name.utf8CodeUnitCount
        guard accepts(nameLength: nameLength, valueLength: valueLength) else { return false }
        let place = startField(nameLength &+ valueLength &+ HeaderBlock.copySlack, from: pool)
            .assumingMemoryBound(to: UInt8.self)
        place.update(from: name.utf8Start, count: nameLength)
        apus_copy_short(place + nameLength, value, valueLength, end - value)
        finishField(nameLength: nameLength, valueLength: valueLength, token: token)
        return true
    }
}
