// SPDX-License-Identifier: Apache-2.0
import CBytes

/// The authority of a request: host and optional port, without userinfo (RFC 9110 §7.2).
package enum Authority {
    /// Whether `bytes` may stand in Host: empty, or a reg-name, IPv4 or bracketed IPv6 address with a port up to 65535.
    package static func isValid(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard let start = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self), bytes.count > 0 else { return true }
        if apus_is_plain_authority(start, bytes.count) != 0 { return true }
        guard apus_scan_authority(start, start + bytes.count) == start + bytes.count else { return false }
        guard let port = portStart(bytes) else { return false }
        return port > bytes.count || isPort(bytes, from: port)
    }

    /// Whether a port is named, as CONNECT demands (RFC 9110 §9.3.6), and the authority is valid and not empty.
    package static func isValidWithPort(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard isValid(bytes), let port = portStart(bytes) else { return false }
        return port > 1 && port < bytes.count
    }

    /// Where the port's digits start; behind the end plus one when there is none; nil when brackets or colons are wrong.
    private static func portStart(_ bytes: UnsafeRawBufferPointer) -> Int? {
        let none = bytes.count &+ 1
        var index = 0
        if bytes.count > 0, bytes[0] == UInt8(ascii: "[") {
            index = 1
            while index < bytes.count, bytes[index] != UInt8(ascii: "]") {
                if !isAddressByte(bytes[index]) { return nil }
                index &+= 1
            }
            guard index < bytes.count, index > 1 else { return nil }
            index &+= 1
            if index == bytes.count { return none }
            return bytes[index] == UInt8(ascii: ":") ? index &+ 1 : nil
        }
        var colon = -1
        while index < bytes.count {
            let byte = bytes[index]
            if byte == UInt8(ascii: ":") {
                if colon >= 0 { return nil }
                colon = index
            } else if byte == UInt8(ascii: "[") || byte == UInt8(ascii: "]") {
                return nil
            }
            index &+= 1
        }
        return colon < 0 ? none : colon &+ 1
    }

    /// A byte of an IPv6 literal with its zone, or of an IPvFuture one.
    private static func isAddressByte(_ byte: UInt8) -> Bool {
        byte != UInt8(ascii: "[") && byte != UInt8(ascii: ",")
    }

    /// Digits to the end, at most 65535. RFC 3986 §3.2.3 lets the digits be empty.
    private static func isPort(_ bytes: UnsafeRawBufferPointer, from start: Int) -> Bool {
        var value = 0
        var index = start
        while index < bytes.count {
            let digit = bytes[index] &- UInt8(ascii: "0")
            guard digit <= 9 else { return false }
            value = value &* 10 &+ Int(digit)
            if value > 65535 { return false }
            index &+= 1
        }
        return true
    }
}
