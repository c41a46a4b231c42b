// SPDX-License-Identifier: Apache-2.0

/// What a ClientHello says about the connection that is to be: RFC 8446 §4.1.2.
struct ClientHelloFacts: Equatable {
    /// The server that is asked for, in lower case; empty without one. RFC 6066 §3.
    var serverName = ""
    /// The protocols that are offered, in the client's order; empty without the extension or when it is malformed, for
    /// the handshake itself judges it. RFC 7301 §3.1.
    var applicationProtocols: [String] = []

    private enum Extension {
        static let serverName = 0
        static let applicationProtocols = 16
    }

    /// What `legacy_version` may say: TLS 1.0 to 1.3. The extension with the versions is the handshake's affair.
    private static let knownVersions = 0x0301...0x0304

    /// Reads the body of a ClientHello; nil when it is malformed, has a version that is none of TLS, has an extension
    /// twice, or names no possible server (RFC 6066: not empty, no NUL; 255 bytes is the longest name there is).
    init?(_ body: UnsafeRawBufferPointer) {
        var reader = WireReader(body)
        guard let version = reader.number(2), Self.knownVersions.contains(version), reader.skip(32),
            let session = reader.block(1), session.count <= 32,
            let ciphers = reader.block(2), ciphers.count >= 2, ciphers.count % 2 == 0,
            let compressions = reader.block(1), !compressions.isEmpty
        else { return nil }
        if reader.isAtEnd { return }
        guard let block = reader.block(2), reader.isAtEnd else { return nil }
        var types: [UInt16] = []
        var extensions = WireReader(block)
        while !extensions.isAtEnd {
            guard let type = extensions.number(2), let content = extensions.block(2) else { return nil }
            types.append(UInt16(truncatingIfNeeded: type))
            switch type {
            case Extension.serverName:
                guard let name = Self.hostName(content) else { return nil }
                serverName = name
            case Extension.applicationProtocols: applicationProtocols = Self.names(content)
            default: break
            }
        }
        // Of an extension that is there twice, two readers could take different ones (RFC 8446 §4.2). At most 4096 fit.
        types.sort()
        for index in types.indices.dropFirst() where types[index] == types[index - 1] { return nil }
    }

    /// A list of exactly one name, of type host_name.
    private static func hostName(_ content: UnsafeRawBufferPointer) -> String? {
        var reader = WireReader(content)
        guard let list = reader.block(2), reader.isAtEnd else { return nil }
        var entry = WireReader(list)
        guard entry.number(1) == 0, let name = entry.block(2), entry.isAtEnd, !name.isEmpty, name.count <= 255,
            !name.contains(0)
        else { return nil }
        return String(unsafeUninitializedCapacity: name.count) { buffer in
            for index in 0..<name.count {
                let byte = name[index]
                buffer[index] = byte &- UInt8(ascii: "A") < 26 ? byte | 0x20 : byte
            }
            return name.count
        }
    }

    private static func names(_ content: UnsafeRawBufferPointer) -> [String] {
        var reader = WireReader(content)
        guard let list = reader.block(2), reader.isAtEnd, list.count >= 2 else { return [] }
        var entries = WireReader(list)
        var names: [String] = []
        while !entries.isAtEnd {
            guard let name = entries.block(1), !name.isEmpty else { return [] }
            names.append(String(decoding: name, as: UTF8.self))
        }
        return names
    }

    /// Numbers in network order, and blocks with their length before them.
    private struct WireReader {
        private var rest: UnsafeRawBufferPointer

        init(_ bytes: UnsafeRawBufferPointer) { rest = bytes }

        var isAtEnd: Bool { rest.isEmpty }

        mutating func number(_ size: Int) -> Int? {
            guard rest.count >= size else { return nil }
            var value = 0
            for index in 0..<size { value = value << 8 | Int(rest[index]) }
            rest = UnsafeRawBufferPointer(rebasing: rest[size...])
            return value
        }

        mutating func skip(_ count: Int) -> Bool {
            guard rest.count >= count else { return false }
            rest = UnsafeRawBufferPointer(rebasing: rest[count...])
            return true
        }

        /// A block behind its length of `size` bytes.
        mutating func block(_ size: Int) -> UnsafeRawBufferPointer? {
            guard let length = number(size), rest.count >= length else { return nil }
            let block = UnsafeRawBufferPointer(rebasing: rest[..<length])
            rest = UnsafeRawBufferPointer(rebasing: rest[length...])
            return block
        }
    }
}
