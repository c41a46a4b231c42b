// SPDX-License-Identifier: Apache-2.0
package import MeshIO

// What a codec with compressed fields needs of a block: HTTP/2 hands fields out one by one and takes them back by pointer.
extension HeaderBlock {
    /// Appends a field whose name is lower case already; returns its token.
    ///
    /// - Returns: nil when the block cannot hold the field.
    package mutating func appendDecoded(
        name: UnsafePointer<UInt8>, nameLength: Int, value: UnsafePointer<UInt8>, valueLength: Int, token: HeaderToken,
        from pool: SlabPool
    ) -> Bool {
        appendLowercase(
            name: name, nameLength: nameLength, value: value, valueLength: valueLength, token: token, from: pool)
    }

    /// Makes one `cookie` of several, joined by `; ` (RFC 9113 §8.2.3).
    ///
    /// - Returns: false when the block cannot hold the joined value.
    @discardableResult
    package mutating func joinCookies(from pool: SlabPool) -> Bool {
        let first = firstIndex(of: .cookie)
        guard first >= 0, nextIndex(of: .cookie, after: first) >= 0 else { return true }
        let name = HeaderToken.cookie.name
        var total = 0
        var index = first
        while index >= 0 {
            total &+= value(at: index).count &+ (index == first ? 0 : 2)
            index = nextIndex(of: .cookie, after: index)
        }
        guard accepts(nameLength: name.count, valueLength: total) else { return false }
        let place = startField(name.count &+ total, from: pool)
        UnsafeMutableRawBufferPointer(start: place, count: name.count).copyMemory(from: name)
        var target = place + name.count + 2
        index = first
        while index >= 0 {
            if index != first {
                target.storeBytes(of: UInt8(ascii: ";"), as: UInt8.self)
                target.storeBytes(of: 0x20, toByteOffset: 1, as: UInt8.self)
                target += 2
            }
            let crumb = value(at: index)
            if let start = crumb.baseAddress { target.copyMemory(from: start, byteCount: crumb.count) }
            target += crumb.count
            index = nextIndex(of: .cookie, after: index)
        }
        let joined = fieldCount
        finishField(nameLength: name.count, valueLength: total, token: .cookie)
        while firstIndex(of: .cookie) != joined { remove(at: firstIndex(of: .cookie)) }
        return true
    }

    /// Keeps the memory of the fields alive while others hold pointers to them; nil for a block without fields.
    ///
    /// While it lives, fields may be appended and removed and the block may be reset, but no value replaced or trimmed.
    package func pin() -> SlabSlice? {
        guard let slab else { return nil }
        return SlabSlice(retaining: slab, offset: 0, length: 0)
    }
}

extension HeaderToken {
    /// The token of `length` lower-case bytes, or `none`.
    package static func find(lowercase name: UnsafePointer<UInt8>, _ length: Int) -> HeaderToken { find(name, length) }
}
