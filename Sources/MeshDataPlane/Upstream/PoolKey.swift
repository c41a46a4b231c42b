// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
package import MeshIO
import MeshModel
import MeshStats

/// Everything that must be equal for two requests to share upstream connections to one endpoint. Compared whole.
package struct PoolKey: Hashable {
    package enum WireProtocol: UInt8 {
        case http1
        case http2
        /// The bytes of a tunnel that ends here, nothing around them.
        case tcp
    }

    package var wireProtocol = WireProtocol.http1
    package var options = ConnectOptions()
    /// The route's priority is HIGH: such requests have limits of their own, and connections of their own with them.
    package var isHighPriority = false
    /// The server name that a request asks for (`auto_sni`); empty for the cluster's own.
    package var serverName = ""
    /// The name that the server's certificate must be for (`auto_san_validation`); empty for what the cluster asks for.
    package var subjectName = ""

    package init() {}
}
