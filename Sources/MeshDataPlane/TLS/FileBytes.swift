// SPDX-License-Identifier: Apache-2.0
import Glibc

/// Small files read whole: PEM text and keys. For the control thread.
enum FileBytes {
    /// A CA bundle of a distribution has 200 KiB, a revocation list of a large authority some MiB.
    private static let limit = 64 << 20

    /// The bytes of `path`, or in words why there are none.
    static func read(_ path: String) -> Result<[UInt8], FileFailure> {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return .failure(FileFailure(reason: String(cString: strerror(errno)))) }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16 << 10)
        while true {
            let count = Glibc.read(descriptor, &chunk, chunk.count)
            if count == 0 { return .success(bytes) }
            if count < 0 {
                if errno == EINTR { continue }
                return .failure(FileFailure(reason: String(cString: strerror(errno))))
            }
            bytes += chunk[..<count]
            guard bytes.count <= limit else { return .failure(FileFailure(reason: "it is larger than 64 MiB")) }
        }
    }

    /// A file that could not be read.
    struct FileFailure: Error { let reason: String }
}

/// What a file's directory entry says: two that differ may hold other bytes. All zero where there is no file.
struct FileStamp: Equatable {
    private var device: UInt = 0
    private var inode: UInt = 0
    private var size: Int = 0
    private var seconds: Int = 0
    private var nanoseconds: Int = 0

    /// Follows links, so it changes when a link is turned to another file (as Kubernetes replaces mounted secrets).
    init(_ path: String) {
        var status = stat()
        guard stat(path, &status) == 0 else { return }
        device = UInt(status.st_dev)
        inode = UInt(status.st_ino)
        size = Int(status.st_size)
        seconds = Int(status.st_mtim.tv_sec)
        nanoseconds = Int(status.st_mtim.tv_nsec)
    }
}
