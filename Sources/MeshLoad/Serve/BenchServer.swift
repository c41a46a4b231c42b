// SPDX-License-Identifier: Apache-2.0
import Glibc
public import MeshIO
import MeshTLS
import MeshUV

/// The server that a load can be sent to: HTTP/1, HTTP/2, gRPC and WebSocket on one port, or TCP.
public final class BenchServer {
    /// Where it listens; the port is known even where 0 was asked for.
    public let address: Address
    private var threads: [LoopThread] = []

    /// - Parameters:
    ///   - certificate: PEM chain and key; nil serves plain text.
    ///   - clientAuthority: PEM of a CA whose certificates clients must have; nil asks for none.
    /// - Throws: `ScenarioError` when the address is taken or the certificate is none.
    public init(
        _ address: Address, behaviour: ServedBehaviour = ServedBehaviour(), speaksTCP: Bool = false, workers: Int = 1,
        firstCPU: Int? = nil, certificate: (chain: [UInt8], key: [UInt8])? = nil, clientAuthority: [UInt8]? = nil
    ) throws(ScenarioError) {
        var context: TLSContext?
        if let certificate {
            var options = TLSContextOptions(role: .server)
            options.certificates = [TLSCertificateSource(chain: certificate.chain, key: certificate.key)]
            options.trustedCA = clientAuthority
            options.requiresClientCertificate = clientAuthority != nil
            options.protocols = speaksTCP ? [] : [Array("h2".utf8), Array("http/1.1".utf8)]
            do throws(TLSContextError) {
                context = try TLSContext(options, now: Int64(time(nil)))
            } catch {
                throw ScenarioError("certificate: \(error.description)")
            }
        }
        let sockets: [ListeningSocket]
        do throws(ListenError) {
            sockets = try ListeningSockets.make(for: address, count: workers)
        } catch {
            throw ScenarioError("\(error.description)")
        }
        self.address = sockets.first?.address ?? address
        let epoch = BenchClock.now()
        for (index, socket) in sockets.enumerated() {
            let tls = context
            threads.append(
                LoopThread(name: "serve:\(index)", cpu: firstCPU.map { $0 + index }) { loop in
                    ServedWorker(
                        behaviour, socket: socket, speaksTCP: speaksTCP, tls: tls, loop: loop, epoch: epoch,
                        seed: UInt64(index) + 1)
                })
        }
    }

    /// Ends every connection and gives the port back.
    public func stop() {
        for thread in threads { thread.stop() }
        for thread in threads { thread.join() }
        threads = []
    }

    deinit { stop() }
}
