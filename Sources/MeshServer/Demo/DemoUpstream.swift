// SPDX-License-Identifier: Apache-2.0
import MeshIO
import MeshUV

/// The upstream of `apus demo`: says what it received.
enum DemoUpstream {
    /// Starts it on a free loopback port.
    static func start() throws(ListenError) -> (server: LocalServer, port: UInt16) {
        let socket = try LocalSocket.listen(on: .ipv4(0x7F00_0001, port: 0))
        return (LocalServer(socket: socket, name: "upstream", server: "demo-upstream", handler: answer), socket.address.port ?? 0)
    }

    /// The request, told back.
    private static func answer(_ request: LocalRequest) -> LocalResponse {
        var text = "Hello from the demo upstream. It received:\n\n\(request.method) \(request.path)"
        if !request.parameters.isEmpty {
            text += "?" + request.parameters.map { $0.value.isEmpty ? $0.name : "\($0.name)=\($0.value)" }.joined(separator: "&")
        }
        text += "\n"
        for (name, value) in request.headers { text += "\(name): \(value)\n" }
        if !request.body.isEmpty { text += "\n(\(request.body.count) bytes of body)\n" }
        return LocalResponse(text)
    }
}
