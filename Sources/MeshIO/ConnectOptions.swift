// SPDX-License-Identifier: Apache-2.0

/// How to open an upstream connection. A whole value, so that it can be part of a pool key.
public struct ConnectOptions: Hashable, Sendable {
    /// Source address (`upstream_bind_config.source_address`); nil lets the kernel choose.
    package var bindAddress: Address?
    /// SO_MARK; 0 sets none.
    package var mark: UInt32 = 0
    /// TCP keep-alive (`upstream_connection_options.tcp_keepalive`); nil leaves the kernel's default (off).
    package var keepAlive: TCPKeepAlive?
    /// Set on the socket before it is bound or connected (`upstream_bind_config.socket_options`).
    package var socketOptions: [SocketOption] = []
    /// More addresses of the same host, in the order to try them when the first does not answer soon (RFC 8305).
    package var alternatives: [Alternative] = []

    package struct Alternative: Hashable, Sendable {
        package var address: Address
        package var bindAddress: Address?

        package init(_ address: Address, bindAddress: Address? = nil) {
            self.address = address
            self.bindAddress = bindAddress
        }
    }

    package init(bindAddress: Address? = nil, mark: UInt32 = 0, keepAlive: TCPKeepAlive? = nil) {
        self.bindAddress = bindAddress
        self.mark = mark
        self.keepAlive = keepAlive
    }
}

/// An option as setsockopt(2) takes it. Source: `envoy.config.core.v3.SocketOption`.
package struct SocketOption: Hashable, Sendable {
    package var level: Int32
    package var name: Int32
    /// The value's bytes; of an integer, the kernel's `int`.
    package var value: [UInt8]
    /// Set after the socket was bound, where it is. Source: `state`; default: before.
    package var isAfterBind: Bool

    package init(level: Int32, name: Int32, value: [UInt8], isAfterBind: Bool = false) {
        self.level = level
        self.name = name
        self.value = value
        self.isAfterBind = isAfterBind
    }

    package init(level: Int32, name: Int32, number: Int32, isAfterBind: Bool = false) {
        self.init(level: level, name: name, value: withUnsafeBytes(of: number) { Array($0) }, isAfterBind: isAfterBind)
    }
}

/// TCP keep-alive settings; 0 leaves the kernel's default of that setting.
package struct TCPKeepAlive: Hashable, Sendable {
    /// Unanswered probes before the connection is dropped.
    package var probes: Int32
    /// Idle seconds before the first probe.
    package var idleSeconds: Int32
    /// Seconds between probes.
    package var intervalSeconds: Int32

    package init(probes: Int32 = 0, idleSeconds: Int32 = 0, intervalSeconds: Int32 = 0) {
        self.probes = probes
        self.idleSeconds = idleSeconds
        self.intervalSeconds = intervalSeconds
    }
}

/// A bound and listening socket made by the control thread and handed to a worker.
public struct ListeningSocket: Sendable {
    package let descriptor: Int32
    package let address: Address
    /// Whether other workers accept from the same queue through duplicates of the descriptor (unix sockets): it outlives
    /// this one, so nothing has to be taken out of it before closing.
    package let isShared: Bool
    /// Whether connections keep a destination that is not `address` (TPROXY), so that each has to be asked for its own.
    package let isTransparent: Bool

    package init(descriptor: Int32, address: Address, isShared: Bool, isTransparent: Bool = false) {
        self.descriptor = descriptor
        self.address = address
        self.isShared = isShared
        self.isTransparent = isTransparent
    }
}
