// SPDX-License-Identifier: Apache-2.0
import Glibc
package import MeshIO
import Synchronization

/// A blocking client for one exchange on loopback: the demo's first request.
package enum LocalClient {
    /// A connected socket with a timeout of five seconds on reads and writes, or nil.
    package static func connect(_ address: Address) -> Int32? {
        guard let family = address.family else { return nil }
        let descriptor = socket(family, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return nil }
        var patience = timeval(tv_sec: 5, tv_usec: 0)
        for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
            setsockopt(descriptor, SOL_SOCKET, option, &patience, socklen_t(MemoryLayout<timeval>.size))
        }
        guard address.withSocketAddress({ Glibc.connect(descriptor, $0, $1) }) == 0 else {
            close(descriptor)
            return nil
        }
        return descriptor
    }

    /// Sends `request` and reads until the peer closes; nil when the connection fails or nothing comes back.
    package static func exchange(_ address: Address, _ request: String) -> String? {
        guard let descriptor = connect(address) else { return nil }
        defer { close(descriptor) }
        let bytes = Array(request.utf8)
        guard send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count else { return nil }
        var answer: [UInt8] = []
        var chunk: [UInt8] = Array(repeating: 0, count: 16 << 10)
        while true {
            let count = recv(descriptor, &chunk, chunk.count, 0)
            if count <= 0 { break }
            answer += chunk[..<count]
        }
        return answer.isEmpty ? nil : String(decoding: answer, as: UTF8.self)
    }
}

/// What the demo's own thread found out.
final class FirstRequestOutcome: Sendable {
    let succeeded = Mutex(false)
    let thread: Mutex<NamedThread?> = Mutex(nil)
}
