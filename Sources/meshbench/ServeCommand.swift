// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Glibc
import MeshLoad
import MeshIO

/// `meshbench serve`.
struct ServeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve",
        abstract: "A server to send load to: HTTP/1, HTTP/2, gRPC and WebSocket on one port; or TCP.",
        discussion: """
            A request may ask for another answer: /any?size=1024&delay=20&status=500 \
            (bytes, milliseconds). gRPC methods, by the last part of the path: Collect \
            (many messages there, one of --size back), Repeat (one there, ?messages=N \
            back), any other (every message comes back). A WebSocket gets every message \
            back, and what its upgrade asks for holds for all of them.

            --delay and --stall hold back every answer: HTTP, gRPC, a WebSocket's \
            messages and TCP's echo. --errors is a share of HTTP answers that are 503, \
            of gRPC calls that end with status 14, of WebSocket messages that are \
            answered by a close with 1011, and of TCP connections that end at their \
            first byte.

            Examples:
              meshbench serve --port 8080
              meshbench serve --port 8080 --delay 5ms --errors 0.01 \\
                --stall 1s --stall-every 10s
              meshbench serve --port 8443 --cert chain.pem --key key.pem --ca ca.pem
              meshbench serve --port 7000 --tcp --delay 5ms
              meshbench serve --port 7001 --tcp --tcp-answer discard
            """)

    @Option(help: "Port; 0 lets the system choose.")
    var port: UInt16 = 8080
    @Option(help: "Address to listen on.")
    var host = "127.0.0.1"
    @OptionGroup var threads: ThreadOptions
    @Flag(help: "Raw TCP, without HTTP.")
    var tcp = false
    @Option(help: "With --tcp: echo, discard, or source (sends without being asked). (default: echo)")
    var tcpAnswer: TCPAnswer?
    @Option(help: "Body bytes of an answer.")
    var size = 0
    @Option(help: "Wait before an answer.")
    var delay = Seconds(0)
    @Option(help: "How long the server stops answering every --stall-every.")
    var stall = Seconds(0)
    @Option(help: "How often.")
    var stallEvery = Seconds(0)
    @Option(help: "Share of answers that fail, 0 to 1.")
    var errors = 0.0
    @Option(help: "PEM file of the certificate's chain; serves TLS then.")
    var cert: String?
    @Option(help: "PEM file of its key.")
    var key: String?
    @Option(help: "PEM file of a CA; clients must have a certificate of it then.")
    var ca: String?

    func run() throws {
        guard let address = Address(ip: host, port: port) else {
            throw ValidationError("host: found '\(host)'; allowed: an IP address")
        }
        if let tcpAnswer, !tcp { throw ValidationError("tcp-answer: found \(tcpAnswer.rawValue) without --tcp; allowed: with it") }
        try threads.check()
        var behaviour = ServedBehaviour()
        behaviour.size = size
        behaviour.delay = UInt64(delay.value * 1e9)
        behaviour.stallLength = UInt64(stall.value * 1e9)
        behaviour.stallPeriod = stall.value > 0 ? UInt64(stallEvery.value * 1e9) : 0
        behaviour.errorShare = errors
        behaviour.tcpAnswer = tcpAnswer ?? .echo
        do throws(ScenarioError) { try behaviour.check(speaksTCP: tcp) } catch { throw ValidationError(error) }
        var certificate: (chain: [UInt8], key: [UInt8])?
        if let cert, let key {
            guard let chain = FileContents.bytes(cert), let secret = FileContents.bytes(key) else {
                throw ValidationError("\(cert) or \(key): cannot be read")
            }
            certificate = (chain, secret)
        } else if cert != nil || key != nil {
            throw ValidationError("allowed: --cert and --key together")
        }
        var authority: [UInt8]?
        if let ca {
            guard certificate != nil else { throw ValidationError("allowed: --ca with --cert and --key") }
            guard let bytes = FileContents.bytes(ca) else { throw ValidationError("\(ca): cannot be read") }
            authority = bytes
        }
        let server: BenchServer
        do throws(ScenarioError) {
            server = try BenchServer(
                address, behaviour: behaviour, speaksTCP: tcp, workers: threads.workers, firstCPU: threads.pin, certificate: certificate,
                clientAuthority: authority)
        } catch { throw RunFailure(error.description) }
        print("listening on \(server.address)")
        fflush(nil)
        var signals = sigset_t()
        sigemptyset(&signals)
        sigaddset(&signals, SIGTERM)
        sigaddset(&signals, SIGINT)
        sigprocmask(SIG_BLOCK, &signals, nil)
        var received: Int32 = 0
        sigwait(&signals, &received)
        server.stop()
    }
}
