// SPDX-License-Identifier: Apache-2.0
import Glibc
import MeshIO
import MeshModel
import MeshTLS
import MeshTestKit
import Testing

/// The other end of a TLS connection of the proxy.
final class SecurePeer: StreamHandler {
    let stream: TLSStream
    private(set) var received: [UInt8] = []
    private(set) var isConnected = false
    private(set) var hasFailed = false
    private(set) var sawEnd = false

    init(_ stream: TLSStream) {
        self.stream = stream
        super.init()
        stream.start(handler: self)
    }

    /// A client of the rig's listener that trusts `authority`.
    convenience init(
        _ rig: DataPlaneRig, _ authority: TestAuthority, credential: TestCertificate? = nil,
        changing change: (inout TLSContextOptions) -> Void = { _ in }
    ) throws {
        var options = TLSContextOptions(role: .client)
        options.trustedCA = authority.root.pem
        if let credential { options.certificates = [credential.source()] }
        change(&options)
        let pipe = try #require(
            rig.loop.connectClient(to: DataPlaneRig.listenAddress, from: .ipv4(0x0A00_0009, port: 5555), redirectedFrom: nil))
        self.init(TLSStream(
            connecting: pipe, context: try TLSContext(options, now: TestAuthority.now), workspace: TLSWorkspace(),
            policy: SANPolicy([MeshTLS.SANMatcher]()), parameters: TLSClientParameters(serverName: Array("a.test".utf8))))
        rig.loop.turn()
    }

    /// An upstream with `credential`.
    convenience init(accepting pipe: PipeStream, _ credential: TestCertificate) throws {
        var options = TLSContextOptions(role: .server)
        options.certificates = [credential.source()]
        self.init(TLSStream(
            accepting: pipe, context: try TLSContext(options, now: TestAuthority.now), workspace: TLSWorkspace(),
            policy: SANPolicy([MeshTLS.SANMatcher]())))
    }

    var text: String { String(decoding: received, as: UTF8.self) }

    func send(_ text: String) { Array(text.utf8).withUnsafeBytes { stream.write(copying: $0) } }

    override func onConnected(_ stream: ByteStream) { isConnected = true }
    override func onInput(_ stream: ByteStream) {
        received += Array(stream.input.readable)
        stream.input.consume(stream.input.count)
    }
    override func onEndOfInput(_ stream: ByteStream) { sawEnd = true }
    override func onClosed(_ stream: ByteStream, _ reason: StreamCloseReason) { hasFailed = true }
}

/// A directory of certificate files that goes with the test.
final class CertificateFiles {
    let directory: String

    init() throws {
        var template = Array("/tmp/apus-tls-XXXXXX".utf8CString)
        let made = template.withUnsafeMutableBufferPointer { $0.baseAddress.flatMap { mkdtemp($0) } != nil }
        #expect(made)
        directory = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit {
        for name in ["chain.pem", "key.pem", "new.pem"] { unlink(path(name)) }
        rmdir(directory)
    }

    func path(_ name: String) -> String { directory + "/" + name }

    /// Puts a new file in the place of the old one, as a renewal does.
    func write(_ bytes: [UInt8], to name: String) throws {
        let descriptor = open(path("new.pem"), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        try #require(descriptor >= 0)
        defer { close(descriptor) }
        try #require(Glibc.write(descriptor, bytes, bytes.count) == bytes.count)
        try #require(rename(path("new.pem"), path(name)) == 0)
    }

    func write(_ certificate: TestCertificate) throws {
        try write(certificate.pem, to: "chain.pem")
        try write(certificate.keyPEM, to: "key.pem")
    }

    var config: TLSCertificateConfig {
        TLSCertificateConfig(chain: .file(path("chain.pem")), privateKey: .file(path("key.pem")))
    }
}

extension DownstreamTLS {
    /// A server with one certificate.
    static func fixture(_ certificate: TestCertificate) -> DownstreamTLS {
        var tls = DownstreamTLS()
        tls.context.certificates = [
            TLSCertificateConfig(chain: .inline(certificate.pem), privateKey: .inline(certificate.keyPEM)),
        ]
        return tls
    }
}
