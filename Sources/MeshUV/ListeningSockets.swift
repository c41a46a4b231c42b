// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc
package import MeshIO

/// How to open listening sockets.
package struct ListenOptions: Equatable, Sendable {
    /// Length of the accept queue (`tcp_backlog_size`); the kernel cuts it to net.core.somaxconn. Default: 4096, its
    /// default there.
    package var backlog: Int32 = 4096
    /// Lets an IPv6 wildcard accept IPv4 too (`ipv4_compat`). Default: false.
    package var isIPv4Compatible = false
    /// IP_TRANSPARENT, for TPROXY (`transparent`); needs CAP_NET_ADMIN. Default: false.
    package var isTransparent = false
    /// Permission bits of a unix socket's file (`pipe.mode`); nil leaves the umask's.
    package var mode: UInt32?

    package init() {}
}

/// Why an address cannot be listened on.
package struct ListenError: Error, Equatable, Sendable, CustomStringConvertible {
    package enum Step: String, Sendable {
        case open, configure, bind, listen
    }

    package let step: Step
    /// - Unit: errno.
    package let code: Int32
    package let address: Address

    package init(step: Step, code: Int32, address: Address) {
        self.step = step
        self.code = code
        self.address = address
    }

    package var description: String {
        "cannot \(step) \(address): \(String(cString: strerror(code)))"
    }
}

/// Makes the sockets that workers listen on. Needs no loop: the control thread does it before publishing a listener, so
/// that a bind failure is a rejection of the configuration.
package enum ListeningSockets {
    /// Binds and listens; one socket per worker.
    ///
    /// IP sockets share the address by SO_REUSEPORT, each with its own accept queue; unix sockets are duplicates of one
    /// and share its queue. Port 0 is chosen by the first bind and the same for all.
    ///
    /// - Throws: `ListenError`; then nothing stays open.
    package static func make(
        for address: Address, count: Int, options: ListenOptions = ListenOptions()
    ) throws(ListenError) -> [ListeningSocket] {
        if case .pipe = address { return try makeUnix(for: address, count: count, options: options) }
        var sockets: [ListeningSocket] = []
        var bound = address
        do throws(ListenError) {
            for _ in 0..<max(count, 1) {
                let descriptor = try open(bound, options: options)
                if bound.port == 0 { bound = OutgoingSocket.localName(descriptor) ?? bound }
                sockets.append(ListeningSocket(
                    descriptor: descriptor, address: bound, isShared: false, isTransparent: options.isTransparent))
            }
        } catch {
            close(sockets)
            throw error
        }
        return sockets
    }

    /// Closes sockets that no loop has taken over.
    package static func close(_ sockets: [ListeningSocket]) {
        for socket in sockets { apus_close(socket.descriptor) }
    }

    private static func open(_ address: Address, options: ListenOptions) throws(ListenError) -> Int32 {
        guard let family = address.family else {
            throw ListenError(step: .open, code: EAFNOSUPPORT, address: address)
        }
        let descriptor = apus_socket(family)
        guard descriptor >= 0 else { throw ListenError(step: .open, code: -descriptor, address: address) }
        var step = ListenError.Step.configure
        var status: Int32 = 0
        if family != AF_UNIX {
            status = configure(descriptor, family: family, options: options)
        }
        if status >= 0 {
            step = .bind
            status = address.withSocketAddress { apus_bind(descriptor, $0, $1) } ?? -ENAMETOOLONG
        }
        if status >= 0 {
            step = .listen
            status = apus_listen(descriptor, options.backlog)
        }
        guard status >= 0 else {
            apus_close(descriptor)
            throw ListenError(step: step, code: -status, address: address)
        }
        return descriptor
    }

    private static func configure(_ descriptor: Int32, family: Int32, options: ListenOptions) -> Int32 {
        var status = apus_set_reuse_address(descriptor)
        if status >= 0 { status = apus_set_reuse_port(descriptor) }
        if status >= 0 { status = apus_set_no_delay(descriptor) }
        if status >= 0, family == AF_INET6 {
            status = apus_set_v6_only(descriptor, options.isIPv4Compatible ? 0 : 1)
        }
        if status >= 0, options.isTransparent { status = apus_set_transparent(descriptor, family) }
        return status
    }

    private static func makeUnix(
        for address: Address, count: Int, options: ListenOptions
    ) throws(ListenError) -> [ListeningSocket] {
        var path: String?
        if case .pipe(let text) = address, !text.hasPrefix("@") { path = text }
        if let path {
            // A file left behind by a process that died; one that is in use stays.
            let status = apus_unlink_stale(path)
            if status < 0 { throw ListenError(step: .bind, code: -status, address: address) }
        }
        let first = try open(address, options: options)
        var sockets = [ListeningSocket(descriptor: first, address: address, isShared: count > 1)]
        do throws(ListenError) {
            if let path, let mode = options.mode {
                let status = apus_chmod(path, mode)
                if status < 0 { throw ListenError(step: .configure, code: -status, address: address) }
            }
            while sockets.count < count {
                let copy = apus_duplicate(first)
                if copy < 0 { throw ListenError(step: .open, code: -copy, address: address) }
                sockets.append(ListeningSocket(descriptor: copy, address: address, isShared: true))
            }
        } catch {
            close(sockets)
            throw error
        }
        return sockets
    }
}
