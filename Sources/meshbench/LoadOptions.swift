// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Foundation
import MeshLoad
import MeshIO

/// What `run` and `find` share: where the load goes and what it is made of.
struct LoadOptions: ParsableArguments {
    @Argument(help: "http://HOST:PORT/PATH, https://… or tcp://HOST:PORT. Path and host may hold ranges: /items/{1..500}.")
    var target: String
    @Option(name: [.customShort("p"), .customLong("protocol")], help: "http1, http2, grpc (unary) or tcp; from the target where it is not given.")
    var loadProtocol: LoadProtocol?
    @Option(name: .shortAndLong, help: "Connections.")
    var connections = 10
    @Option(name: .shortAndLong, help: "Streams on each connection (http2, grpc).")
    var streams = 1
    @Option(name: .shortAndLong, help: "Threads that make the load.")
    var workers = 1
    @Option(help: "Pin the workers to CPUs from this number on.")
    var cpu: Int?
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
    @Option(help: "File with one path a line; takes the place of the target's.")
    var paths: String?
    @Option(help: "File with one host (authority) a line; takes the place of the target's.")
    var hosts: String?
    @Option(help: "Body bytes; may be repeated, sizes are used in turn. TCP: bytes there and back.")
    var bodySize: [Int] = []
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

    func scenario(_ shape: LoadShape) throws -> LoadScenario {
        let place = try TargetText(target)
        let chosen = loadProtocol ?? (place.isTCP ? .tcp : .http1)
        if place.isTCP != (chosen == .tcp) {
            throw ValidationError("target '\(target)': \(chosen.rawValue) needs \(chosen == .tcp ? "tcp://HOST:PORT" : "http://… or https://…")")
        }
        var plan: RequestPlan
        do throws(ScenarioError) {
            plan = try RequestPlan.expand(
                method: method, hosts: try lines(hosts) ?? [place.authority], paths: try lines(paths) ?? [place.path],
                headers: headers.map(\.header), bodySizes: bodySize)
        } catch {
            throw ValidationError(error)
        }
        if chosen == .tcp, bodySize.isEmpty { plan.requests[0].bodySize = 1 }
        var tls: LoadTLS?
        if place.usesTLS {
            tls = LoadTLS(
                serverName: sni ?? place.host, trustedCA: try bytes(ca), clientChain: try bytes(cert), clientKey: try bytes(key),
                resumes: resume)
        }
        let scenario = LoadScenario(
            name: name ?? "\(chosen.rawValue) \(place.host):\(place.port)", target: place.address, loadProtocol: chosen, tls: tls,
            requests: plan, shape: shape, connections: connections, streams: streams, connectsPerRequest: connectPerRequest,
            workers: workers, firstCPU: cpu, duration: duration.value, warmUp: warmUp.value, timeout: timeout.value, seed: seed)
        do throws(ScenarioError) { try scenario.check() } catch { throw ValidationError(error) }
        return scenario
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
    let isTCP: Bool
    let address: Address

    /// What goes into `Host` and `:authority`.
    var authority: String { port == (usesTLS ? 443 : 80) ? host : "\(host):\(port)" }

    init(_ text: String) throws {
        guard let mark = text.range(of: "://") else {
            throw ValidationError("target '\(text)': found no scheme; allowed: http://HOST:PORT/PATH, https://…, tcp://HOST:PORT")
        }
        let scheme = text[..<mark.lowerBound]
        guard ["http", "https", "tcp", "tls"].contains(scheme) else {
            throw ValidationError("target '\(text)': found scheme '\(scheme)'; allowed: http, https, tcp, tls")
        }
        usesTLS = scheme == "https" || scheme == "tls"
        isTCP = scheme == "tcp" || scheme == "tls"
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
        } else if isTCP {
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
