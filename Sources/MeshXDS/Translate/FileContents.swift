// SPDX-License-Identifier: Apache-2.0
import Glibc

/// What a `DataSource` points to outside of the configuration.
enum FileContents {
    /// All of a file; nil when it cannot be read.
    static func read(_ path: String) -> [UInt8]? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = Glibc.read(descriptor, &chunk, chunk.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { return nil }
            if count == 0 { return bytes }
            bytes.append(contentsOf: chunk[..<count])
        }
    }

    /// Value of an environment variable; nil when it is not set.
    static func environment(_ name: String) -> [UInt8]? {
        getenv(name).map { Array(String(cString: $0).utf8) }
    }
}
