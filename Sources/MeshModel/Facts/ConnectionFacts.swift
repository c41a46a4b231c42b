// SPDX-License-Identifier: Apache-2.0
package import MeshIO

/// What is known of a downstream connection when its filter chain is chosen.
package struct ConnectionFacts: Sendable {
    /// The address the client spoke to, restored by a redirect's original destination or a PROXY header.
    package var localAddress: Address
    /// The client, as a PROXY header or another listener filter named it.
    package var remoteAddress: Address
    /// The peer of the socket.
    package var directRemoteAddress: Address
    /// The local address of the socket, before any restoring.
    package var directLocalAddress: Address
    /// Whether `localAddress` was restored from before a redirect.
    package var isLocalAddressRestored = false
    /// Server name of the TLS ClientHello, lower case; empty without one.
    package var serverName = ""
    /// `raw_buffer` or `tls`.
    package var transportProtocol = TransportProtocol.rawBuffer
    /// Protocols the client offered (ALPN) or an inspector found, in the client's order.
    package var applicationProtocols: [String] = []
    /// What the handshake ended with; nil on a plain connection, and until the handshake is complete.
    package var tls: ConnectionTLS?

    /// The protocol that TLS agreed on (ALPN): `h2`, `http/1.1`, another, or empty.
    package var negotiatedProtocol = ""

    /// What runs directly over TCP.
    package enum TransportProtocol: UInt8, Sendable {
        case rawBuffer
        case tls

        /// Envoy's name.
        package var text: StaticString {
            switch self {
            case .rawBuffer: "raw_buffer"
            case .tls: "tls"
            }
        }
    }

    package init(localAddress: Address, remoteAddress: Address) {
        self.localAddress = localAddress
        self.remoteAddress = remoteAddress
        directLocalAddress = localAddress
        directRemoteAddress = remoteAddress
    }
}
