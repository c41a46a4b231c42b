// SPDX-License-Identifier: Apache-2.0
import Glibc
package import MeshIO
package import MeshUV

/// The listening socket of admin and of the demo's upstream: one, and not shared, so that a second process on the same port
/// is told so.
package enum LocalSocket {
    /// Binds and listens, non-blocking.
    ///
    /// - Throws: `ListenError` naming the step that failed.
    package static func listen(on address: Address) throws(ListenError) -> ListeningSocket {
        guard let family = address.family else { throw ListenError(step: .open, code: EAFNOSUPPORT, address: address) }
        let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        let descriptor = socket(family, kind, 0)
        guard descriptor >= 0 else { throw ListenError(step: .open, code: errno, address: address) }
        var on: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
        if case .pipe(let path) = address, !path.hasPrefix("@") { unlink(path) }
        var step = ListenError.Step.bind
        var status = address.withSocketAddress { bind(descriptor, $0, $1) } ?? -1
        if status == 0 {
            step = .listen
            status = Glibc.listen(descriptor, 128)
        }
        guard status == 0 else {
            let code = errno
            close(descriptor)
            throw ListenError(step: step, code: code, address: address)
        }
        return ListeningSocket(descriptor: descriptor, address: boundAddress(descriptor) ?? address, isShared: false)
    }

    /// The address the kernel gave, which tells the port where 0 was asked for.
    private static func boundAddress(_ descriptor: Int32) -> Address? {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        return withUnsafeMutablePointer(to: &storage) { pointer in
            let status = pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &length) }
            return status == 0 ? Address(UnsafeRawPointer(pointer), length: Int(length)) : nil
        }
    }
}
