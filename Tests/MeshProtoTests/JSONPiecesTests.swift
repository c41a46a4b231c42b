// SPDX-License-Identifier: Apache-2.0
import MeshProto
import Testing

struct JSONPiecesTests {
    static let clusters = "envoy.admin.v3.ClustersConfigDump"
    static let secret = "envoy.extensions.transport_sockets.tls.v3.Secret"
    let transcoder = Transcoder()

    private func wire(_ text: String, type: String) throws -> [UInt8] {
        try transcoder.wire(try ConfigText.read(Array(text.utf8), source: "t.yaml"), type: type, source: "t.yaml").wire
    }

    private func pieces(_ wire: [UInt8], type: String, pretty: Bool = true) throws -> [[UInt8]] {
        var rest = try JSONPieces(transcoder, wire: wire, type: type, pretty: pretty)
        var pieces: [[UInt8]] = []
        var more = true
        while more {
            var piece: [UInt8] = []
            more = rest.next(into: &piece)
            pieces.append(piece)
        }
        return pieces
    }

    /// Many elements, an `Any` in each, and one that is long itself.
    private func manyClusters() throws -> [UInt8] {
        let anyCluster = "\"@type\": type.googleapis.com/envoy.config.cluster.v3.Cluster"
        let hosts = (1...3_000).map { "{endpoint: {address: {socket_address: {address: 10.0.0.1, port_value: \($0)}}}}" }
        let long = "{\(anyCluster), name: long, load_assignment: {cluster_name: long, endpoints: [{lb_endpoints: [\(hosts.joined(separator: ", "))]}]}}"
        let entries = (0..<2_000).map { "{cluster: {\(anyCluster), name: cluster-\($0), connect_timeout: 0.25s}, last_updated: 2024-01-01T00:00:00Z}" }
        return try wire(
            "{version_info: v, static_clusters: [\(entries.joined(separator: ", ")), {cluster: \(long)}]}", type: Self.clusters)
    }

    @Test(arguments: [true, false])
    func togetherTheyAreTheWholeText(pretty: Bool) throws {
        let wire = try manyClusters()
        let text = String(decoding: try pieces(wire, type: Self.clusters, pretty: pretty).flatMap { $0 }, as: UTF8.self)
        #expect(try text == transcoder.json(fromWire: wire, type: Self.clusters, pretty: pretty))
    }

    @Test func noneIsMuchLongerThanAskedFor() throws {
        let made = try pieces(try manyClusters(), type: Self.clusters)
        #expect(made.count > 5)
        #expect(made.allSatisfy { $0.count < 80 << 10 })
    }

    @Test func aShortMessageIsOnePiece() throws {
        let wire = try wire("{name: a}", type: "envoy.config.cluster.v3.Cluster")
        #expect(try pieces(wire, type: "envoy.config.cluster.v3.Cluster").map { String(decoding: $0, as: UTF8.self) } == ["{\n \"name\": \"a\"\n}"])
    }

    @Test func longKeysAreRedactedToo() throws {
        let key = String(repeating: "K", count: 70_000)
        let wire = try wire("{name: s, tls_certificate: {private_key: {inline_string: \(key)}, certificate_chain: {inline_string: \(key)}}}", type: Self.secret)
        let text = String(decoding: try pieces(wire, type: Self.secret).flatMap { $0 }, as: UTF8.self)
        #expect(try text == transcoder.json(fromWire: wire, type: Self.secret))
        #expect(text.contains("[redacted]"))
    }

    @Test func bytesThatAreNoMessageEndTheText() throws {
        var wire = try manyClusters()
        // The length of the last record reaches beyond the end.
        wire += [0x12, 0x7F, 0x01]
        #expect(throws: ConfigError.self) { _ = try pieces(wire, type: Self.clusters) }
    }
}
