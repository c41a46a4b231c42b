// SPDX-License-Identifier: Apache-2.0
package import Glibc

/// Where a connection comes from or goes to.
///
/// - Source: `envoy.config.core.v3.Address`; the kernel's socket addresses.
public enum Address: Hashable, Sendable {
    /// An IPv4 address in host byte order.
    case ipv4(UInt32, port: UInt16)
    /// An IPv6 address as two big-endian halves in host byte order, with its scope (0 for none).
    case ipv6(high: UInt64, low: UInt64, port: UInt16, scope: UInt32)
    /// A unix socket path; a leading `@` names the abstract namespace.
    case pipe(String)
    /// An internal listener of this process.
    case `internal`(String)

    /// The port of an IP address, else nil.
    package var port: UInt16? {
        switch self {
        case .ipv4(_, let port), .ipv6(_, _, let port, _): port
        case .pipe, .internal: nil
        }
    }

    /// The same address with another port; pipes are unchanged.
    package func withPort(_ port: UInt16) -> Address {
        switch self {
        case .ipv4(let host, _): .ipv4(host, port: port)
        case .ipv6(let high, let low, _, let scope): .ipv6(high: high, low: low, port: port, scope: scope)
        case .pipe, .internal: self
        }
    }

    /// Whether this is an IP address of any family.
    package var isIP: Bool { port != nil }

    /// Whether the address is loopback (127.0.0.0/8 or ::1).
    package var isLoopback: Bool {
        switch self {
        case .ipv4(let host, _): host >> 24 == 127
        case .ipv6(let high, let low, _, _): high == 0 && low == 1
        case .pipe, .internal: false
        }
    }

    /// Whether this is the host's name for itself, 127.0.0.1 or ::1. The rest of 127.0.0.0/8 is not, for Envoy.
    package var isLocalhost: Bool {
        if case .ipv4(let host, _) = self { return host == 0x7F00_0001 }
        return isLoopback
    }

    /// Whether the address is the wildcard of its family (0.0.0.0 or ::).
    package var isWildcard: Bool {
        switch self {
        case .ipv4(let host, _): host == 0
        case .ipv6(let high, let low, _, _): high == 0 && low == 0
        case .pipe, .internal: false
        }
    }
}

extension Address {
    /// Parses a literal IPv4 or IPv6 address (no brackets, no name). Nil when it is neither.
    package init?(ip text: String, port: UInt16) {
        var v4 = in_addr()
        if inet_pton(AF_INET, text, &v4) == 1 {
            self = .ipv4(UInt32(bigEndian: v4.s_addr), port: port)
            return
        }
        var v6 = in6_addr()
        guard inet_pton(AF_INET6, text, &v6) == 1 else { return nil }
        self = withUnsafeBytes(of: &v6) { raw in
            .ipv6(
                high: UInt64(bigEndian: raw.loadUnaligned(fromByteOffset: 0, as: UInt64.self)),
                low: UInt64(bigEndian: raw.loadUnaligned(fromByteOffset: 8, as: UInt64.self)), port: port, scope: 0)
        }
    }

    /// Reads a kernel socket address of `length` bytes. Nil for a family that is neither IP nor unix.
    package init?(_ storage: UnsafeRawPointer, length: Int) {
        guard length >= MemoryLayout<sa_family_t>.size else { return nil }
        let family = storage.loadUnaligned(as: sa_family_t.self)
        if family == sa_family_t(AF_INET), length >= MemoryLayout<sockaddr_in>.size {
            let raw = storage.loadUnaligned(as: sockaddr_in.self)
            self = .ipv4(UInt32(bigEndian: raw.sin_addr.s_addr), port: UInt16(bigEndian: raw.sin_port))
        } else if family == sa_family_t(AF_INET6), length >= MemoryLayout<sockaddr_in6>.size {
            let port = UInt16(bigEndian: storage.loadUnaligned(fromByteOffset: 2, as: UInt16.self))
            let high = UInt64(bigEndian: storage.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
            let low = UInt64(bigEndian: storage.loadUnaligned(fromByteOffset: 16, as: UInt64.self))
            let scope = storage.loadUnaligned(fromByteOffset: 24, as: UInt32.self)
            if high == 0, low >> 32 == 0xFFFF {
                // An IPv4 peer of a dual-stack socket: the rest of the program knows one form per address.
                self = .ipv4(UInt32(truncatingIfNeeded: low), port: port)
            } else {
                self = .ipv6(high: high, low: low, port: port, scope: scope)
            }
        } else if family == sa_family_t(AF_UNIX) {
            let start = MemoryLayout<sa_family_t>.size
            var path = UnsafeRawBufferPointer(start: storage + start, count: length - start)
            let isAbstract = path.first == 0
            if isAbstract { path = UnsafeRawBufferPointer(rebasing: path.dropFirst()) }
            if !isAbstract, let end = path.firstIndex(of: 0) { path = UnsafeRawBufferPointer(rebasing: path[..<end]) }
            self = .pipe((isAbstract ? "@" : "") + String(decoding: path, as: UTF8.self))
        } else {
            return nil
        }
    }

    /// Calls `body` with the kernel's form of the address. Nil for an internal address or a path that is too long.
    package func withSocketAddress<Result>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result? {
        var storage = sockaddr_storage()
        let length: Int? = withUnsafeMutableBytes(of: &storage) { raw in
            switch self {
            case .ipv4(let host, let port):
                raw.storeBytes(of: sa_family_t(AF_INET), as: sa_family_t.self)
                raw.storeBytes(of: port.bigEndian, toByteOffset: 2, as: UInt16.self)
                raw.storeBytes(of: host.bigEndian, toByteOffset: 4, as: UInt32.self)
                return MemoryLayout<sockaddr_in>.size
            case .ipv6(let high, let low, let port, let scope):
                raw.storeBytes(of: sa_family_t(AF_INET6), as: sa_family_t.self)
                raw.storeBytes(of: port.bigEndian, toByteOffset: 2, as: UInt16.self)
                raw.storeBytes(of: high.bigEndian, toByteOffset: 8, as: UInt64.self)
                raw.storeBytes(of: low.bigEndian, toByteOffset: 16, as: UInt64.self)
                raw.storeBytes(of: scope, toByteOffset: 24, as: UInt32.self)
                return MemoryLayout<sockaddr_in6>.size
            case .pipe(let path):
                raw.storeBytes(of: sa_family_t(AF_UNIX), as: sa_family_t.self)
                let isAbstract = path.utf8.first == UInt8(ascii: "@")
                var name = Array(path.utf8)
                if isAbstract { name[0] = 0 } else { name.append(0) }
                let room = MemoryLayout<sockaddr_un>.size - MemoryLayout<sa_family_t>.size
                guard name.count <= room else { return nil }
                UnsafeMutableRawBufferPointer(rebasing: raw[MemoryLayout<sa_family_t>.size...]).copyBytes(from: name)
                return MemoryLayout<sa_family_t>.size + name.count
            case .internal:
                return nil
            }
        }
        guard let length else { return nil }
        return withUnsafePointer(to: &storage) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(length)) }
        }
    }

    /// The address family for `socket(2)`; nil for an internal address.
    package var family: Int32? {
        switch self {
        case .ipv4: AF_INET
        case .ipv6: AF_INET6
        case .pipe: AF_UNIX
        case .internal: nil
        }
    }
}

extension Address: CustomStringConvertible {
    /// Envoy's form: `10.0.0.1:80`, `[::1]:80`, the path of a pipe, `envoy://name/` of an internal listener.
    public var description: String {
        var buffer: (UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0, 0, 0, 0, 0)
        return withUnsafeMutableBytes(of: &buffer) { raw in
            switch self {
            case .pipe(let path): return path
            case .internal(let name): return "envoy://\(name)/"
            case .ipv4, .ipv6:
                let count = write(to: raw, includingPort: true)
                return String(decoding: raw[..<count], as: UTF8.self)
            }
        }
    }

    /// The host part alone, without brackets; the path of a pipe.
    package var hostText: String {
        var buffer: (UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0, 0, 0, 0, 0)
        return withUnsafeMutableBytes(of: &buffer) { raw in
            switch self {
            case .pipe(let path): return path
            case .internal(let name): return name
            case .ipv4, .ipv6:
                let count = write(to: raw, includingPort: false)
                return String(decoding: raw[..<count], as: UTF8.self)
            }
        }
    }

    /// Most bytes `write` produces for an IP address.
    package static let maxTextLength = 64

    /// Writes an IP address without allocating, as the request path needs it; an IPv6 host is in brackets only with its
    /// port. Returns the number of bytes; pipes and internal addresses are cut to the room.
    ///
    /// - Parameter buffer: at least `maxTextLength` bytes.
    package func write(to buffer: UnsafeMutableRawBufferPointer, includingPort: Bool) -> Int {
        switch self {
        case .ipv4(let host, let port):
            var count = 0
            var shift: UInt32 = 32
            while shift > 0 {
                shift -= 8
                count += DecimalText.write(UInt64((host >> shift) & 255), to: buffer, at: count)
                if shift != 0 { buffer[count] = UInt8(ascii: "."); count += 1 }
            }
            if includingPort {
                buffer[count] = UInt8(ascii: ":")
                count += 1
                count += DecimalText.write(UInt64(port), to: buffer, at: count)
            }
            return count
        case .ipv6(let high, let low, let port, _):
            var raw = (high.bigEndian, low.bigEndian)
            var count = 0
            if includingPort { buffer[0] = UInt8(ascii: "["); count = 1 }
            if let start = buffer.baseAddress {
                inet_ntop(AF_INET6, &raw, (start + count).assumingMemoryBound(to: CChar.self), socklen_t(46))
                while count < 50, buffer[count] != 0 { count += 1 }
            }
            if includingPort {
                buffer[count] = UInt8(ascii: "]")
                buffer[count + 1] = UInt8(ascii: ":")
                count += 2
                count += DecimalText.write(UInt64(port), to: buffer, at: count)
            }
            return count
        case .pipe(let text), .internal(let text):
            var count = 0
            for byte in text.utf8 where count < buffer.count {
                buffer[count] = byte
                count += 1
            }
            return count
        }
    }
}

extension Address {
    /// Parses a literal IP address from bytes without making a String; port 0.
    package init?(ipText text: UnsafeRawBufferPointer) {
        guard text.count > 0, text.count < 64 else { return nil }
        let parsed: Address? = withUnsafeTemporaryAllocation(byteCount: 64, alignment: 1) { buffer in
            buffer.copyMemory(from: text)
            buffer[text.count] = 0
            guard let start = buffer.baseAddress?.assumingMemoryBound(to: CChar.self) else { return nil }
            var v4 = in_addr()
            if inet_pton(AF_INET, start, &v4) == 1 { return .ipv4(UInt32(bigEndian: v4.s_addr), port: 0) }
            var v6 = in6_addr()
            guard inet_pton(AF_INET6, start, &v6) == 1 else { return nil }
            return withUnsafeBytes(of: &v6) { raw in
                .ipv6(
                    high: UInt64(bigEndian: raw.loadUnaligned(fromByteOffset: 0, as: UInt64.self)),
                    low: UInt64(bigEndian: raw.loadUnaligned(fromByteOffset: 8, as: UInt64.self)), port: 0, scope: 0)
            }
        }
        guard let parsed else { return nil }
        self = parsed
    }
}
