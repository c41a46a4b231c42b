// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc
import MeshIO

/// Makes client sockets, and asks the kernel for the names of connected ones.
enum OutgoingSocket {
    enum Outcome {
        case connecting(Int32)
        /// Unix sockets connect at once.
        case connected(Int32)
        /// - Parameter: errno.
        case failed(Int32)
    }

    /// Opens a non-blocking socket and begins to connect it.
    static func connect(to address: Address, options: ConnectOptions) -> Outcome {
        guard let family = address.family else { return .failed(EAFNOSUPPORT) }
        let socket = apus_socket(family)
        guard socket >= 0 else { return .failed(-socket) }
        var status = address.isIP ? configure(socket, options: options) : 0
        if status >= 0 {
            // No socket address: the path of a unix socket is too long.
            status = address.withSocketAddress { apus_connect(socket, $0, $1) } ?? -ENAMETOOLONG
        }
        if status == -EINPROGRESS { return .connecting(socket) }
        if status >= 0 { return .connected(socket) }
        apus_close(socket)
        return .failed(-status)
    }

    private static func configure(_ socket: Int32, options: ConnectOptions) -> Int32 {
        var status = apus_set_no_delay(socket)
        if status >= 0, options.mark != 0 { status = apus_set_mark(socket, options.mark) }
        if status >= 0, let keepAlive = options.keepAlive {
            status = apus_set_keep_alive(socket, keepAlive.probes, keepAlive.idleSeconds, keepAlive.intervalSeconds)
        }
        if status >= 0 { status = set(options.socketOptions, afterBind: false, on: socket) }
        if status >= 0, let source = options.bindAddress {
            // Best effort: without it a source port is used up by one connection and not by one destination.
            if source.port == 0 { _ = apus_set_late_port(socket) }
            status = source.withSocketAddress { apus_bind(socket, $0, $1) } ?? -EINVAL
        }
        if status >= 0 { status = set(options.socketOptions, afterBind: true, on: socket) }
        return status
    }

    /// One that the kernel refuses, as SO_MARK without the right to it, fails the connection, as in Envoy.
    private static func set(_ options: [SocketOption], afterBind: Bool, on socket: Int32) -> Int32 {
        for option in options where option.isAfterBind == afterBind {
            let status = option.value.withUnsafeBytes {
                apus_set_option(socket, option.level, option.name, $0.baseAddress, UInt32(clamping: $0.count))
            }
            if status < 0 { return status }
        }
        return 0
    }

    /// Where a socket is bound.
    static func localName(_ socket: Int32) -> Address? {
        var storage = sockaddr_storage()
        var length = socklen_t()
        guard apus_local_name(socket, &storage, &length) >= 0 else { return nil }
        return Address(&storage, length: Int(length))
    }

    /// Where a redirected connection wanted to go; nil when it was not redirected.
    static func originalDestination(_ socket: Int32, family: Int32) -> Address? {
        var storage = sockaddr_storage()
        var length = socklen_t()
        guard apus_original_destination(socket, family, &storage, &length) >= 0 else { return nil }
        return Address(&storage, length: Int(length))
    }
}
