// SPDX-License-Identifier: Apache-2.0
import MeshIO
import MeshTLS
import MeshTestKit
import Testing

/// One side of a connection: remembers what it was told.
final class Side: StreamHandler {
    var connections = 0
    var received: [UInt8] = []
    var ends = 0
    var reasons: [StreamCloseReason] = []
    var drains = 0
    var isHolding = false
    var whenInput: ((ByteStream) -> Void)?

    override func onConnected(_ stream: ByteStream) { connections += 1 }

    override func onInput(_ stream: ByteStream) {
        guard !isHolding else { return }
        received += stream.input.readable
        stream.input.consume(stream.input.count)
        whenInput?(stream)
    }

    override func onEndOfInput(_ stream: ByteStream) { ends += 1 }
    override func onDrained(_ stream: ByteStream) { drains += 1 }
    override func onClosed(_ stream: ByteStream, _ reason: StreamCloseReason) { reasons.append(reason) }
}

/// A client and a server joined in memory, with their workspaces, which outlive single connections.
final class Rig {
    let loop = ManualLoop()
    let serverWorkspace: TLSWorkspace
    let clientWorkspace: TLSWorkspace
    var serverContext: TLSContext
    var clientContext: TLSContext
    var serverPolicy = SANPolicy([])
    var clientPolicy = SANPolicy([])
    var parameters = TLSClientParameters(serverName: Array("a.test".utf8))

    init(server: TLSContextOptions, client: TLSContextOptions) throws {
        serverContext = try TLSContext(server, now: TestAuthority.now)
        clientContext = try TLSContext(client, now: TestAuthority.now)
        serverWorkspace = TLSWorkspace()
        clientWorkspace = TLSWorkspace()
    }

    /// mTLS with certificates of one authority; `change` makes the case of a test out of that.
    static func mutual(
        _ authority: TestAuthority, client: TestCertificate? = nil, server: TestCertificate? = nil,
        change: (inout TLSContextOptions, inout TLSContextOptions) -> Void = { _, _ in }
    ) throws -> Rig {
        var serving = TLSContextOptions(role: .server)
        serving.certificates = [
            try (server ?? authority.issue("URI:spiffe://cluster.local/ns/b/sa/server,DNS:a.test")).source()
        ]
        serving.trustedCA = authority.root.pem
        serving.requiresClientCertificate = true
        var connecting = TLSContextOptions(role: .client)
        connecting.certificates = [try (client ?? authority.issue("URI:spiffe://cluster.local/ns/a/sa/client")).source()]
        connecting.trustedCA = authority.root.pem
        change(&serving, &connecting)
        return try Rig(server: serving, client: connecting)
    }

    /// Makes a connection and runs it until nothing moves.
    func connect(_ prepare: (PipeStream, PipeStream) -> Void = { _, _ in }) -> Link {
        let link = begin(prepare)
        loop.turn()
        return link
    }

    /// Makes a connection whose first byte is still to come.
    func begin(_ prepare: (PipeStream, PipeStream) -> Void = { _, _ in }) -> Link {
        let pair = PipeStream.pair(on: loop)
        prepare(pair.client, pair.server)
        let link = Link(
            clientPipe: pair.client, serverPipe: pair.server,
            client: TLSStream(
                connecting: pair.client, context: clientContext, workspace: clientWorkspace, policy: clientPolicy,
                parameters: parameters),
            server: TLSStream(
                accepting: pair.server, context: serverContext, workspace: serverWorkspace, policy: serverPolicy))
        link.server.start(handler: link.serverSide)
        link.client.start(handler: link.clientSide)
        return link
    }
}

/// One connection.
final class Link {
    let clientPipe: PipeStream
    let serverPipe: PipeStream
    let client: TLSStream
    let server: TLSStream
    let clientSide = Side()
    let serverSide = Side()

    init(clientPipe: PipeStream, serverPipe: PipeStream, client: TLSStream, server: TLSStream) {
        self.clientPipe = clientPipe
        self.serverPipe = serverPipe
        self.client = client
        self.server = server
    }

    var isEstablished: Bool { client.isHandshakeComplete && server.isHandshakeComplete && !client.isClosed && !server.isClosed }

    func close() {
        client.close()
        server.close()
    }
}

extension ByteStream {
    func write(_ text: [UInt8]) { text.withUnsafeBytes { write(copying: $0) } }
    func write(_ text: String) { write(Array(text.utf8)) }
}

func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }
func pattern(_ count: Int) -> [UInt8] { (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) } }
