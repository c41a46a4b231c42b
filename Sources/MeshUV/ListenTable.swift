// SPDX-License-Identifier: Apache-2.0
import Glibc
package import MeshIO

/// How many sockets listen on an address, in whatever process: the kernel's list of TCP sockets begins with them.
package enum ListenTable {
    /// Sockets that listen on exactly `address` in this network namespace; 0 where that cannot be found out.
    static func count(_ address: Address) -> Int {
        guard let key = key(of: address) else { return 0 }
        let path = if case .ipv4 = address { "/proc/self/net/tcp" } else { "/proc/self/net/tcp6" }
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return 0 }
        defer { close(descriptor) }
        var text: [UInt8] = []
        var chunk: [UInt8] = Array(repeating: 0, count: 32 << 10)
        while text.count < maxBytes {
            let got = read(descriptor, &chunk, chunk.count)
            guard got > 0 else { break }
            text += chunk[..<got]
            // The rest are connections, which may be many.
            if hasOtherStates(chunk[..<got]) { break }
        }
        return count(key, in: String(decoding: text, as: UTF8.self))
    }

    /// Ten thousand listening sockets.
    private static let maxBytes = 2 << 20
    private static let listening = "0A"

    /// Rows of `text` that listen on the address written `key`.
    package static func count(_ key: String, in text: String) -> Int {
        var count = 0
        for row in text.split(separator: "\n") {
            let fields = row.split(separator: " ")
            if fields.count > 3, fields[1] == key, fields[3] == listening { count += 1 }
        }
        return count
    }

    private static func hasOtherStates(_ bytes: ArraySlice<UInt8>) -> Bool {
        String(decoding: bytes, as: UTF8.self).split(separator: "\n").contains { row in
            let fields = row.split(separator: " ")
            return fields.count > 3 && fields[0] != "sl" && fields[3] != listening && fields[3].count == 2
        }
    }

    /// The address as the kernel prints it: words of network byte order read in the host's, and the port.
    package static func key(of address: Address) -> String? {
        let words: [UInt32]
        let number: UInt16
        switch address {
        case .ipv4(let host, let port):
            words = [host]
            number = port
        case .ipv6(let high, let low, let port, _):
            words = [high >> 32, high, low >> 32, low].map { UInt32(truncatingIfNeeded: $0) }
            number = port
        case .pipe, .internal: return nil
        }
        return words.map { hex($0.bigEndian, digits: 8) }.joined() + ":" + hex(UInt32(number), digits: 4)
    }

    private static func hex(_ value: UInt32, digits: Int) -> String {
        let text = String(value, radix: 16, uppercase: true)
        return String(repeating: "0", count: max(0, digits - text.count)) + text
    }
}
