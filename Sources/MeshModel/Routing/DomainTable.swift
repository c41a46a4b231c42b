// SPDX-License-Identifier: Apache-2.0
import MeshHTTP

/// Finds the virtual host of a host name: exact, then the longest `*suffix`, then the longest `prefix*`, then `*`.
///
/// ASCII case does not matter. A wildcard stands for at least one byte. One open-addressing hash table holds all kinds;
/// each distinct wildcard length costs one probe.
struct DomainTable: Sendable {
    struct Entry: BitwiseCopyable {
        var hash: UInt32 = 0
        var virtualHost: Int32 = -1
        /// Lower case, without the `*`.
        var text = TableRange()
        var kind = Kind.exact
    }

    enum Kind: UInt8 { case exact, suffix, prefix }

    private let places: FlatArray<Entry>
    private let mask: Int
    /// Lengths of the suffixes and prefixes that occur, longest first.
    private let suffixLengths: FlatArray<UInt32>
    private let prefixLengths: FlatArray<UInt32>
    /// The virtual host of `*`; -1 without one.
    private let fallback: Int32
    private let hasOnlyFallback: Bool

    init(entries: [Entry], fallback: Int32, text: UnsafeRawBufferPointer) {
        var capacity = 4
        while capacity < entries.count * 2 { capacity *= 2 }
        mask = capacity - 1
        var places = [Entry](repeating: Entry(), count: capacity)
        for var entry in entries {
            entry.hash = Self.hash(UnsafeRawBufferPointer(rebasing: text[entry.text.indices]), entry.kind)
            var place = Int(entry.hash) & mask
            while places[place].virtualHost >= 0 { place = (place + 1) & mask }
            places[place] = entry
        }
        self.places = FlatArray(places)
        func lengths(_ kind: Kind) -> FlatArray<UInt32> {
            FlatArray(Set(entries.filter { $0.kind == kind }.map(\.text.count)).sorted(by: >))
        }
        suffixLengths = lengths(.suffix)
        prefixLengths = lengths(.prefix)
        self.fallback = fallback
        hasOnlyFallback = entries.isEmpty
    }

    func deallocate() {
        places.deallocate()
        suffixLengths.deallocate()
        prefixLengths.deallocate()
    }

    /// The virtual host for `host`, or -1. `text` is the table's text.
    func find(_ host: UnsafeRawBufferPointer, text: UnsafePointer<UInt8>) -> Int32 {
        if hasOnlyFallback { return fallback }
        guard host.count > 0 else { return -1 }
        let exact = find(host, .exact, text)
        if exact >= 0 { return exact }
        for index in 0..<suffixLengths.count {
            let length = Int(suffixLengths[index])
            guard length < host.count else { continue }
            let found = find(UnsafeRawBufferPointer(rebasing: host[(host.count - length)...]), .suffix, text)
            if found >= 0 { return found }
        }
        for index in 0..<prefixLengths.count {
            let length = Int(prefixLengths[index])
            guard length < host.count else { continue }
            let found = find(UnsafeRawBufferPointer(rebasing: host[..<length]), .prefix, text)
            if found >= 0 { return found }
        }
        return fallback
    }

    private func find(_ name: UnsafeRawBufferPointer, _ kind: Kind, _ text: UnsafePointer<UInt8>) -> Int32 {
        let hash = Self.hash(name, kind)
        var place = Int(hash) & mask
        while true {
            let entry = places[place]
            if entry.virtualHost < 0 { return -1 }
            if entry.hash == hash, entry.kind == kind, Int(entry.text.count) == name.count,
                name.equalsIgnoringCase(UnsafeRawBufferPointer(start: text + Int(entry.text.start), count: name.count))
            {
                return entry.virtualHost
            }
            place = (place &+ 1) & mask
        }
    }

    /// FNV-1a over the lower-case bytes. Names come from the configuration, so nobody gains by finding collisions.
    private static func hash(_ name: UnsafeRawBufferPointer, _ kind: Kind) -> UInt32 {
        var hash: UInt32 = 2_166_136_261 ^ UInt32(kind.rawValue)
        for byte in name { hash = (hash ^ UInt32(ASCII.lowercase(byte))) &* 16_777_619 }
        return hash ^ (hash &>> 15)
    }
}

/// Host names without their ports.
package enum HostText {
    /// Length of the host without its port: up to the last `:` that is followed by digits only, brackets respected.
    package static func lengthWithoutPort(_ host: UnsafeRawBufferPointer) -> Int {
        var index = host.count
        while index > 0, host[index &- 1] &- UInt8(ascii: "0") <= 9 { index &-= 1 }
        guard index > 0, index < host.count, host[index &- 1] == UInt8(ascii: ":") else { return host.count }
        let colon = index &- 1
        // `::1` has no port: an IPv6 literal needs its brackets before one.
        if colon > 0, host[colon &- 1] == UInt8(ascii: "]") { return colon }
        for earlier in 0..<colon where host[earlier] == UInt8(ascii: ":") { return host.count }
        return colon
    }
}
