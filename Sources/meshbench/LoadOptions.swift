// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Foundation
import MeshLoad
import MeshIO

/// What `run` and `find` share: where the load goes and what it is made of.
struct LoadOptions: ParsableArguments {
    @Argument(help: "http://HOST:PORT/PATH, https://…, ws://…, wss://…, tcp://HOST:PORT or tls://HOST:PORT. Path and host may hold ranges: /items/{1..500}.")
    var target: String
    @Option(name: [.customShort("p"), .customLong("protocol")], help: "http1, http2, grpc, websocket or tcp; from the target where it is not given.")
    var loadProtocol: LoadProtocol?
    @Option(name: .shortAndLong, help: "Connections.")
    var connections = 10
    @Option(name: .shortAndLong, help: "Streams on each connection (http2, grpc).")
    var streams = 1
    @OptionGroup var threads: ThreadOptions
    @Option(name: .shortAndLong, help: "Measured time.")
    var duration = Seconds(10)
    @Option(help: "Load before it, not counted.")
    var warmUp = Seconds(2)
    @Option(help: "An answer that takes longer is a failure.")
    var timeout = Seconds(10)
    @Flag(help: "A new connection for every request.")
    var connectPerRequest = false
    @Option(name: [.customShort("X"), .long], help: "Method.")
    var method = "GET"
    @Option(name: [.customShort("H"), .customLong("header")], help: "A header field, 'name: value'. May be repeated.")
    var headers: [HeaderArgument] = []
    @Option(name: .customLong("headers"), help: "File with one 'name: value' a line.")
    var headerFile: String?
    @Option(help: "File with one request a line, as JSON: {\"method\":…, \"host\":…, \"path\":…, \"headers\":{…}, \"size\":…}.")
    var requests: String?
    @Option(help: "File with one path a line; takes the place of the target's.")
    var paths: String?
    @Option(help: "File with one host (authority) a line; takes the place of the target's.")
    var hosts: String?
    @Option(help: "Body bytes: 1000, or with weights 100*9,100000*1, or uniform:100-10000, exp:5000, lognormal:2000:1.5. Of a gRPC or WebSocket message; TCP: of a block.")
    var bodySize: BodySizes?
    @Option(help: "File that bodies and messages are made of.")
    var bodyFile: String?
    @Option(help: "gRPC: unary, client-stream, server-stream or bidi.")
    var grpcCall = GRPCCall.unary
    @Option(help: "gRPC: messages on the side that streams.")
    var messages = 1
    @Option(help: "TCP: echo (a block there and back), or bulk: upload, download, duplex.")
    var tcpMode = TCPMode.echo
    @Option(help: "Name for SNI; the target's host where it is not given.")
    var sni: String?
    @Option(help: "PEM file of the CA; without it any certificate will do.")
    var ca: String?
    @Option(help: "PEM file of a client certificate's chain.")
    var cert: String?
    @Option(help: "PEM file of its key.")
    var key: String?
    @Flag(help: "Resume TLS sessions.")
    var resume = false
    @Option(help: "For random arrivals.")
    var seed: UInt64 = 1
    @Option(help: "Name of the run in reports.")
    var name: String?

    /// - Parameter other: a target in place of the one given.
    func scenario(_ shape: LoadShape, at other: String? = nil) throws -> LoadScenario {
        let target = other ?? self.target
        let place = try TargetText(target)
        let chosen = loadProtocol ?? place.usualProtocol
        guard place.fits(chosen) else {
            throw ValidationError("target '\(target)': \(chosen.rawValue) needs \(TargetText.schemes(of: chosen))")
        }
        let plan: RequestPlan
        do throws(ScenarioError) { plan = try self.plan(place, chosen) } catch { throw ValidationError(error) }
        var tls: LoadTLS?
        if place.usesTLS {
            tls = LoadTLS(
                serverName: sni ?? place.host, trustedCA: try bytes(ca), clientChain: try bytes(cert), clientKey: try bytes(key),
                resumes: resume)
        }
        let scenario = LoadScenario(
            name: name ?? "\(chosen.rawValue) \(place.host):\(place.port)", target: place.address, loadProtocol: chosen, tls: tls,
            requests: plan, shape: shape, connections: connections, streams: streams, connectsPerRequest: connectPerRequest,
            workers: threads.workers, firstCPU: threads.pin, duration: duration.value, warmUp: warmUp.value, timeout: timeout.value, seed: seed,
            grpcCall: grpcCall, messages: messages, tcpMode: tcpMode)
        try threads.check()
        do throws(ScenarioError) { try scenario.check() } catch { throw ValidationError(error) }
        return scenario
    }

    private func plan(_ place: TargetText, _ chosen: LoadProtocol) throws(ScenarioError) -> RequestPlan {
        let fields = try headers.map(\.header) + headerLines()
        var plan: RequestPlan
        if let requests {
            guard hosts == nil, paths == nil else { throw ScenarioError("allowed: --requests, or --hosts and --paths") }
            guard let text = FileContents.text(requests) else { throw ScenarioError("\(requests): cannot be read") }
            plan = try RequestFile.parse(text, name: requests, method: method, authority: place.authority, headers: fields)
        } else {
            let path = chosen == .grpc && place.path == "/" ? grpcCall.path(messages: messages) : place.path
            plan = try RequestPlan.expand(
                method: method, hosts: try lines(hosts) ?? [place.authority], paths: try lines(paths) ?? [path], headers: fields)
        }
        if let bodyFile {
            guard let content = FileContents.bytes(bodyFile), !content.isEmpty else {
                throw ScenarioError("\(bodyFile): cannot be read, or is empty")
            }
            plan.content = content
            if bodySize == nil { plan = plan.withBodies(.fixed(content.count), seed: seed) }
        }
        if let bodySize {
            plan = plan.withBodies(bodySize, seed: seed)
        } else if chosen == .tcp, bodyFile == nil {
            plan = plan.withBodies(.fixed(tcpMode == .echo ? 1 : 1 << 20), seed: seed)
        }
        return plan
    }

    private func headerLines() throws(ScenarioError) -> [HeaderText] {
        var fields: [HeaderText] = []
        for line in try lines(headerFile) ?? [] {
            guard let field = HeaderArgument(argument: line) else {
                throw ScenarioError("\(headerFile ?? ""): found '\(line)'; allowed: name: value")
            }
            fields.append(field.header)
        }
        return fields
    }

    private func lines(_ path: String?) throws(ScenarioError) -> [String]? {
        guard let path else { return nil }
        guard let text = FileContents.text(path) else { throw ScenarioError("\(path): cannot be read") }
        return text.split(separator: "\n").map(String.init).filter { !$0.isEmpty && !$0.hasPrefix("#") }
    }

    private func bytes(_ path: String?) throws -> [UInt8]? {
        guard let path else { return nil }
        guard let bytes = FileContents.bytes(path) else { throw ValidationError("\(path): cannot be read") }
        return bytes
    }
}

/// A target taken apart.
struct TargetText {
    let host: String
    let port: UInt16
    let path: String
    let usesTLS: Bool
    private let scheme: String
    let address: Address

    /// What goes into `Host` and `:authority`.
    var authority: String { port == (usesTLS ? 443 : 80) ? host : "\(host):\(port)" }

    /// What is spoken where the user does not say.
    var usualProtocol: LoadProtocol {
        switch scheme {
        case "tcp", "tls": .tcp
        case "ws", "wss": .websocket
        default: .http1
        }
    }

    func fits(_ chosen: LoadProtocol) -> Bool {
        usualProtocol == chosen || (usualProtocol == .http1 && (chosen == .http2 || chosen == .grpc))
    }

    static func schemes(of chosen: LoadProtocol) -> String {
        switch chosen {
        case .tcp: "tcp://HOST:PORT or tls://HOST:PORT"
        case .websocket: "ws://… or wss://…"
        case .http1, .http2, .grpc: "http://… or https://…"
        }
    }

    init(_ text: String) throws {
        guard let mark = text.range(of: "://") else {
            throw ValidationError("target '\(text)': found no scheme; allowed: http://HOST:PORT/PATH, https://…, ws://…, wss://…, tcp://HOST:PORT, tls://HOST:PORT")
        }
        scheme = String(text[..<mark.lowerBound])
        guard ["http", "https", "ws", "wss", "tcp", "tls"].contains(scheme) else {
            throw ValidationError("target '\(text)': found scheme '\(scheme)'; allowed: http, https, ws, wss, tcp, tls")
        }
        usesTLS = ["https", "wss", "tls"].contains(scheme)
        let needsPort = scheme == "tcp" || scheme == "tls"
        let rest = text[mark.upperBound...]
        let slash = rest.firstIndex(of: "/") ?? rest.endIndex
        path = slash == rest.endIndex ? "/" : String(rest[slash...])
        let authority = rest[..<slash]
        let colon = authority.lastIndex(of: ":").flatMap { authority[$0...].contains("]") ? nil : $0 }
        var name = String(colon.map { authority[..<$0] } ?? authority)
        if name.hasPrefix("["), name.hasSuffix("]") { name = String(name.dropFirst().dropLast()) }
        host = name
        if let colon {
            guard let number = UInt16(authority[authority.index(after: colon)...]), number > 0 else {
                throw ValidationError("target '\(text)': found port '\(authority[authority.index(after: colon)...])'; allowed: 1 to 65535")
            }
            port = number
        } else if needsPort {
            throw ValidationError("target '\(text)': found no port; allowed: tcp://HOST:PORT")
        } else {
            port = usesTLS ? 443 : 80
        }
        guard let address = HostLookup.address(host, port) else {
            throw ValidationError("target '\(text)': no address for '\(host)'")
        }
        self.address = address
    }
}
