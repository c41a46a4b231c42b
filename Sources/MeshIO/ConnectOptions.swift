// SPDX-License-Identifier: Apache-2.0

/// How to open an upstream connection. A whole value, so that it can be part of a pool key.
public struct ConnectOptions: Hashable, Sendable {
    /// Source address (`upstream_bind_config.source_address`); nil lets the kernel choose.
    package var bindAddress: Address?
    /// SO_MARK; 0 sets none.
    package var mark: UInt32 = 0
    /// TCP keep-alive (`upstream_connection_options.tcp_keepalive`); nil leaves the kernel's default (off).
    package var keepAlive: TCPKeepAlive?

    package init(bindAddress: Address? = nil, mark: UInt32 = 0, keepAlive: TCPKeepAlive? = nil) {
        self.bindAddress = bindAddress
        self.mark = mark
        self.keepAlive = keepAlive
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
