// SPDX-License-Identifier: Apache-2.0

/// A ClientHello that a test puts together, right or wrong.
struct ClientHello {
    var version = 0x0303
    var sessionID: [UInt8] = []
    var ciphers: [UInt8] = [0x13, 0x01, 0xC0, 0x2F]
    var compressions: [UInt8] = [0]
    /// Type and content, in order.
    var extensions: [(type: Int, content: [UInt8])] = []

    init(name: String? = nil, protocols: [String]? = nil) {
        if let name { extensions.append((0, Self.nameList(Array(name.utf8)))) }
        if let protocols { extensions.append((16, Self.protocolList(protocols.map { Array($0.utf8) }))) }
    }

    static func nameList(_ name: [UInt8]) -> [UInt8] { block(2, [0] + block(2, name)) }

    static func protocolList(_ names: [[UInt8]]) -> [UInt8] { block(2, names.flatMap { block(1, $0) }) }

    /// Bytes behind their length, which takes `size` bytes.
    static func block(_ size: Int, _ bytes: [UInt8]) -> [UInt8] {
        (0..<size).reversed().map { UInt8(truncatingIfNeeded: bytes.count >> (8 * $0)) } + bytes
    }

    /// The handshake message.
    var message: [UInt8] {
        var body = [UInt8(truncatingIfNeeded: version >> 8), UInt8(truncatingIfNeeded: version)]
        body += [UInt8](repeating: 0x16, count: 32)
        body += Self.block(1, sessionID) + Self.block(2, ciphers) + Self.block(1, compressions)
        if !extensions.isEmpty {
            let all = extensions.flatMap { [UInt8($0.type >> 8), UInt8($0.type & 255)] + Self.block(2, $0.content) }
            body += Self.block(2, all)
        }
        return [1] + Self.block(3, body)
    }

    /// The message in records of at most `length` bytes.
    func records(of length: Int = 16_384) -> [UInt8] {
        var rest = message[...]
        var bytes: [UInt8] = []
        while !rest.isEmpty {
            bytes += [22, 3, 1] + Self.block(2, Array(rest.prefix(length)))
            rest = rest.dropFirst(length)
        }
        return bytes
    }
}
