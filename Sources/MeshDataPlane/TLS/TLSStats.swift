// SPDX-License-Identifier: Apache-2.0
import MeshStats
import MeshTLS

/// TLS of one listener or cluster. Scope `<owner>.ssl.`.
///
/// What has a name of its own is declared with the configuration. Rows named after a cipher, version, curve or signature
/// algorithm are declared by the worker that meets the first one, as Envoy makes them.
package final class TLSStats: Sendable {
    let catalog: StatCatalog
    let scope: StatScopeName
    /// By `TLSStat.rawValue`.
    let counters: [CounterID]

    /// Envoy's rows for what Apus does not do; they stay 0.
    private static let unused = [
        "ocsp_staple_failed", "ocsp_staple_omitted", "ocsp_staple_requests", "ocsp_staple_responses",
    ]

    /// Counted when a context is made anew while running. Envoy's name, wherever the certificates came from.
    let contextUpdates: CounterID

    /// - Parameter owner: the scope of the listener or cluster, with the dot at its end.
    init(of owner: StatScopeName, isUpstream: Bool, catalog: StatCatalog) {
        self.catalog = catalog
        let factory = owner.appending(isUpstream ? "client_ssl_socket_factory." : "server_ssl_socket_factory.")
        contextUpdates = catalog.declare(factory) { scope in
            for name in ["downstream_context_secrets_not_ready", "upstream_context_secrets_not_ready"] {
                _ = scope.counter(name, "Not used.")
            }
            return scope.counter("ssl_context_update_by_sds", "TLS contexts made anew while running.")
        }
        scope = owner.appending("ssl.")
        counters = catalog.declare(scope) { scope in
            for name in TLSStats.unused { _ = scope.counter(name, "Not used.") }
            return TLSStat.allCases.map { scope.counter("\($0.name)", TLSStats.help($0)) }
        }
    }

    /// The gauges by which the end of certificates is watched.
    func setExpirations(_ context: TLSContext, _ pages: StatPages) {
        // Certificates have names when they come by SDS; the digits are the hash that Envoy makes of no name.
        let named = [
            ("unnamed_cert_e3b0c442", context.certificateDetails), ("unnamed_ca_cert_e3b0c442", context.trustedDetails),
        ]
        for (name, certificates) in named {
            guard let first = certificates.map(\.expirationTime).min() else { continue }
            let owner = scope.appending("certificate.\(name).")
            let gauge = catalog.declare(owner) {
                $0.gauge("expiration_unix_time_seconds", "When the first of the certificates ends.")
            }
            pages.set(gauge, UInt64(clamping: first))
        }
    }

    /// The row that counts what was agreed on.
    func row(_ kind: StaticString, _ value: String) -> CounterID {
        catalog.declare(scope.appending("\(kind).")) { $0.counter(value, "Handshakes by what was agreed on.") }
    }

    private static func help(_ stat: TLSStat) -> String {
        switch stat {
        case .handshake: "Handshakes completed."
        case .sessionReused: "Handshakes that resumed a session."
        case .noCertificate: "Handshakes completed without a certificate of the peer."
        case .failVerifyNoCertificate: "Handshakes failed for want of the peer's certificate."
        case .failVerifyError: "Handshakes failed because the peer's chain is not trusted."
        case .failVerifySAN: "Handshakes failed because no name of the peer's certificate is allowed."
        case .failVerifyCertificateHash: "Handshakes failed because the peer's certificate is not a pinned one."
        case .connectionError: "Sessions failed for another reason."
        }
    }
}

/// One worker's way to the rows of `TLSStats`.
final class TLSCounters {
    private struct Label: Hashable {
        let owner: ObjectIdentifier
        let kind: StaticString
        let value: String

        static func == (one: Label, other: Label) -> Bool {
            one.owner == other.owner && one.kind.utf8Start == other.kind.utf8Start && one.value == other.value
        }

        func hash(into hasher: inout Hasher) {
            hasher.combine(owner)
            hasher.combine(kind.utf8Start)
            hasher.combine(value)
        }
    }

    private let pages: StatPages
    private var rows: [Label: CounterID] = [:]
    /// Keeps owners alive, whose addresses are part of the keys above.
    private var owners: [ObjectIdentifier: TLSStats] = [:]
    /// Replaced configuration leaves owners behind; beyond so many labels everything is looked up anew.
    private static let limit = 4096

    init(pages: StatPages) { self.pages = pages }

    func add(_ stat: TLSStat, _ stats: TLSStats) { pages.add(stats.counters[Int(stat.rawValue)]) }

    /// A handshake is complete.
    func handshake(_ stream: TLSStream, _ stats: TLSStats) {
        add(.handshake, stats)
        if stream.peerIdentity == nil { add(.noCertificate, stats) }
        guard let agreed = stream.parameters else { return }
        if agreed.isResumed { add(.sessionReused, stats) }
        add("ciphers", agreed.cipher, stats)
        add("versions", "\(agreed.version.name)", stats)
        if let curve = agreed.curve { add("curves", curve, stats) }
        if let algorithm = agreed.signatureAlgorithm { add("sigalgs", algorithm, stats) }
    }

    /// A session failed. Where the peer just left, Envoy counts nothing.
    func failure(_ failure: TLSFailure?, _ stats: TLSStats) {
        if let stat = failure?.stat { add(stat, stats) }
    }

    private func add(_ kind: StaticString, _ value: String, _ stats: TLSStats) {
        let label = Label(owner: ObjectIdentifier(stats), kind: kind, value: value)
        if let row = rows[label] { return pages.add(row) }
        if rows.count >= TLSCounters.limit {
            rows = [:]
            owners = [:]
        }
        let row = stats.row(kind, value)
        owners[label.owner] = stats
        rows[label] = row
        pages.add(row)
    }
}

@available(*, unavailable) extension TLSCounters: Sendable {}
