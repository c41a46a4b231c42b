// SPDX-License-Identifier: Apache-2.0
import CBytes
package import MeshIO

extension HeaderBlock {
    /// Free bytes behind a field while it is written, because copies go in steps of sixteen bytes.
    static var copySlack: Int { 16 }

    /// The byte at an offset of a field record. Only for a block with fields; sixteen bytes from it can be read.
    @inline(__always) func bytes(at offset: Int) -> UnsafePointer<UInt8> {
        UnsafePointer((slab.unsafelyUnwrapped.bytes + offset).assumingMemoryBound(to: UInt8.self))
    }

    /// Room for a field of `byteCount` bytes and the slack behind it.
    @inline(__always)
    private mutating func place(_ byteCount: Int, from pool: SlabPool) -> UnsafeMutablePointer<UInt8> {
        let needed = bytesUsed &+ byteCount &+ HeaderBlock.separators &+ HeaderBlock.copySlack
            &+ (fieldCount &+ 1) &* MemoryLayout<HeaderField>.size
        if let slab, needed <= slab.capacity {
            return (slab.bytes + bytesUsed).assumingMemoryBound(to: UInt8.self)
        }
        return startField(byteCount &+ HeaderBlock.copySlack, from: pool).assumingMemoryBound(to: UInt8.self)
    }

    /// Notes the field whose bytes were written to `place`.
    @inline(__always)
    private mutating func note(
        _ place: UnsafeMutablePointer<UInt8>, nameLength: Int, valueLength: Int, token: HeaderToken
    ) {
        let index = fieldCount
        let start = bytesUsed
        HeaderBlock.separate(place, nameLength, valueLength)
        countField(nameLength &+ valueLength &+ HeaderBlock.separators)
        record(index).initialize(
            to: HeaderField(
                nameOffset: UInt32(truncatingIfNeeded: start),
                valueOffset: UInt32(truncatingIfNeeded: start &+ nameLength &+ 2),
                valueLength: UInt32(truncatingIfNeeded: valueLength), nameLength: UInt16(truncatingIfNeeded: nameLength),
                token: token.rawValue, flags: 0))
        let bit: UInt64 = 1 &<< UInt64(token.rawValue)
        if presence & bit == 0 {
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
        end: UnsafePointer<UInt8>, from pool: SlabPool
    ) -> HeaderToken? {
        guard accepts(nameLength: nameLength, valueLength: valueLength) else { return nil }
        let place = place(nameLength &+ valueLength, from: pool)
        apus_copy_lowercase(place, name, nameLength, end - name)
        let token = HeaderToken.find(place, nameLength)
        if token == .host { return token }
        apus_copy_short(place + nameLength + 2, value, valueLength, end - value)
        note(place, nameLength: nameLength, valueLength: valueLength, token: token)
        return token
    }

    /// Appends a well-known field with any value.
    mutating func appendKnown(_ token: HeaderToken, _ value: UnsafeRawBufferPointer, from pool: SlabPool) -> Bool {
        let nameLength = apus_header_length(token.rawValue)
        guard accepts(nameLength: nameLength, valueLength: value.count) else { return false }
        let place = place(nameLength &+ value.count, from: pool)
        // The longest name has 39 letters, and zeros fill its place in the table.
        apus_copy_short(place, apus_header_text(token.rawValue), nameLength, .max)
        if let start = value.baseAddress {
            apus_copy(place + nameLength + 2, start.assumingMemoryBound(to: UInt8.self), value.count)
        }
        note(place, nameLength: nameLength, valueLength: value.count, token: token)
        return true
    }

    /// Leaves exactly one field with this well-known name, a number in decimal.
    package mutating func replace(_ token: HeaderToken, decimal value: UInt64, from pool: SlabPool) {
        // Twenty digits are the most that a number has.
        var digits: (UInt64, UInt64, UInt64) = (0, 0, 0)
        withUnsafeMutableBytes(of: &digits) { buffer in
            let count = DecimalText.write(value, to: buffer, at: 0)
            replace(token, UnsafeRawBufferPointer(start: buffer.baseAddress, count: count), from: pool)
        }
    }

    /// Appends `x-forwarded-proto: http`.
    package mutating func appendPlainProto(from pool: SlabPool) {
        _ = appendConstant(.forwardedProto, "x-forwarded-proto: http\r\n", nameLength: 17, from: pool)
    }

    /// Appends a field that is a constant, as it goes on the wire: `:scheme: http` CRLF.
    @inline(__always)
    mutating func appendConstant(_ token: HeaderToken, _ line: StaticString, nameLength: Int, from pool: SlabPool) -> Bool {
        let valueLength = line.utf8CodeUnitCount &- nameLength &- HeaderBlock.separators
        guard accepts(nameLength: nameLength, valueLength: valueLength) else { return false }
        let place = place(nameLength &+ valueLength, from: pool)
        place.update(from: line.utf8Start, count: line.utf8CodeUnitCount)
        note(place, nameLength: nameLength, valueLength: valueLength, token: token)
        return true
    }

    /// Appends a field whose name is lower case already.
    ///
    /// - Returns: false when the block cannot hold the field.
    @inline(__always)
    mutating func appendLowercase(
        name: UnsafePointer<UInt8>, nameLength: Int, value: UnsafePointer<UInt8>, valueLength: Int, token: HeaderToken,
        from pool: SlabPool
    ) -> Bool {
        guard accepts(nameLength: nameLength, valueLength: valueLength) else { return false }
        let place = place(nameLength &+ valueLength, from: pool)
        apus_copy(place, name, nameLength)
        apus_copy(place + nameLength + 2, value, valueLength)
        note(place, nameLength: nameLength, valueLength: valueLength, token: token)
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
        apus_copy_short(place + nameLength + 2, value, valueLength, end - value)
        note(place, nameLength: nameLength, valueLength: valueLength, token: token)
        return true
    }
}
