// SPDX-License-Identifier: Apache-2.0
import Glibc
import MeshModel
import MeshRegex
import MeshStats
import MeshTLS

/// Why TLS cannot be had as configured, in words for the operator.
struct TLSConfigError: Error, Equatable {
    let reason: String
}

/// Makes TLS contexts out of configuration, on the control thread. Equal contexts are made once and shared, so that a
/// thousand chains with one certificate cost one.
final class TLSContextFactory {
    /// Remembers a context while somebody else holds it.
    private struct Shared { weak var context: TLSContext? }

    private let catalog: StatCatalog
    private let read: (String) -> Result<[UInt8], FileBytes.FileFailure>
    private var contexts: [TLSContextOptions: Shared] = [:]
    /// What was understood otherwise than written, in words; the owner empties it.
    var warnings: [String] = []

    /// - Parameter read: how a file is read.
    init(catalog: StatCatalog, read: @escaping (String) -> Result<[UInt8], FileBytes.FileFailure> = FileBytes.read) {
        self.catalog = catalog
        self.read = read
    }

    // MARK: Sides

    /// - Parameter owner: scope of the listener's stats.
    func make(_ config: DownstreamTLS, owner: StatScopeName) throws(TLSConfigError) -> CompiledDownstreamTLS {
        let (options, files) = try atOneMoment { (sources: inout TLSSources) throws(TLSConfigError) -> TLSContextOptions in
            var options = try common(config.context, role: .server, &sources)
            options.requiresClientCertificate = config.requiresClientCertificate
            options.keepsSessions = config.keepsSessions
            switch config.tickets {
            case .ownKeys: break
            case .disabled: options.allowsResumption = false
            case .keys(let keys):
                for (index, key) in keys.enumerated() {
                    options.ticketKeys.append(try sources.bytes(key, "session_ticket_keys.keys[\(index)]"))
                }
            }
            // 0 is the library's default, as in BoringSSL.
            if let seconds = config.sessionTimeoutSeconds, seconds > 0 {
                options.sessionTimeoutSeconds = seconds
                // A key opens tickets for one to two periods: as long as they live, but no key longer than BoringSSL's two days.
                options.ticketKeyPeriodSeconds = min(UInt64(seconds), 172_800)
            }
            return options
        }
        return CompiledDownstreamTLS(
            context: try context(options), policy: try policy(config.context.validation),
            stats: TLSStats(of: owner, isUpstream: false, catalog: catalog), files: files)
    }

    /// - Parameter owner: scope of the cluster's stats.
    func make(_ config: UpstreamTLS, owner: StatScopeName) throws(TLSConfigError) -> CompiledUpstreamTLS {
        let (options, files) = try atOneMoment { (sources: inout TLSSources) throws(TLSConfigError) -> TLSContextOptions in
            var options = try common(config.context, role: .client, &sources)
            options.allowsResumption = config.maxSessionKeys > 0
            options.maxSessions = Int(config.maxSessionKeys)
            return options
        }
        let validation = config.context.validation
        if config.validatesServerName, validation?.trustedCA == nil {
            throw TLSConfigError(reason: "auto_sni_san_validation: found no trusted_ca; names mean nothing without one")
        }
        return CompiledUpstreamTLS(
            config, context: try context(options), policy: try policy(validation),
            stats: TLSStats(of: owner, isUpstream: true, catalog: catalog), files: files)
    }

    /// Reads files until none of them changed in the meantime, so that a certificate and a key that are replaced together
    /// are read together. After a few times takes what is there: a pair that does not fit is refused, and its files are
    /// remembered as they were before they were read, so the next look finds them changed.
    private func atOneMoment(
        _ gather: (inout TLSSources) throws(TLSConfigError) -> TLSContextOptions
    ) throws(TLSConfigError) -> (TLSContextOptions, [String: FileStamp]) {
        let said = warnings.count
        for _ in 1..<TLSContextFactory.readings {
            var sources = TLSSources(read: read)
            do throws(TLSConfigError) {
                let options = try gather(&sources)
                if sources.areUnchanged { return (options, sources.files) }
            } catch {
                if sources.areUnchanged { throw error }
            }
            warnings.removeSubrange(said...)
        }
        var sources = TLSSources(read: read)
        return (try gather(&sources), sources.files)
    }

    /// A renewal is over in a moment; what changes all the time is not waited for.
    private static let readings = 5

    private func policy(_ validation: CertificateValidation?) throws(TLSConfigError) -> SANPolicy {
        guard let names = validation?.names, !names.isEmpty else { return SANPolicy.any }
        do throws(RegexError) {
            return try SANPolicy(names)
        } catch {
            throw TLSConfigError(reason: "match_typed_subject_alt_names: \(error.description)")
        }
    }

    private func context(_ options: TLSContextOptions) throws(TLSConfigError) -> TLSContext {
        if let known = contexts[options]?.context { return known }
        do throws(TLSContextError) {
            let made = try TLSContext(options, now: Int64(time(nil)))
            warnings += made.warnings
            contexts[options] = Shared(context: made)
            return made
        } catch {
            throw TLSConfigError(reason: error.description)
        }
    }

    /// Forgets contexts that nobody holds any more. Not before everything that may share one was compiled.
    func prune() { contexts = contexts.filter { $0.value.context != nil } }

    // MARK: Options

    private func common(
        _ config: TLSContextConfig, role: TLSContextOptions.Role, _ sources: inout TLSSources
    ) throws(TLSConfigError) -> TLSContextOptions {
        var options = TLSContextOptions(role: role)
        for (index, certificate) in config.certificates.enumerated() {
            let place = "tls_certificates[\(index)]"
            options.certificates.append(TLSCertificateSource(
                chain: try sources.bytes(certificate.chain, place + ".certificate_chain"),
                key: try sources.bytes(certificate.privateKey, place + ".private_key"),
                path: TLSSources.name(certificate.chain)))
        }
        if let validation = config.validation { try apply(validation, to: &options, &sources) }
        options.protocols = config.applicationProtocols.map { Array($0.utf8) }
        try apply(config.parameters, to: &options)
        return options
    }

    private func apply(
        _ validation: CertificateValidation, to options: inout TLSContextOptions, _ sources: inout TLSSources
    ) throws(TLSConfigError) {
        if let ca = validation.trustedCA {
            options.trustedCA = try sources.bytes(ca, "validation_context.trusted_ca")
            options.trustedCAPath = TLSSources.name(ca)
        }
        if let lists = validation.revocationList {
            options.revocationLists = try sources.bytes(lists, "validation_context.crl")
        }
        options.acceptsUntrusted = validation.acceptsUntrusted
        if let depth = validation.maxDepth { options.maxVerifyDepth = Int32(clamping: depth) }
        options.publicKeyPins = try Self.digests(validation.keyPins, "verify_certificate_spki")
        options.certificateHashes = try Self.digests(validation.certificateHashes, "verify_certificate_hash")
        options.allowsExpired = validation.allowsExpired
        options.checksRevocationOfLeafOnly = validation.checksRevocationOfLeafOnly
    }

    /// A pin that cannot be read must not be left out: with none left, any certificate would do.
    private static func digests(_ values: [[UInt8]], _ place: String) throws(TLSConfigError) -> [Digest] {
        var digests: [Digest] = []
        for value in values {
            guard let digest = Digest(bytes: value) else {
                throw TLSConfigError(reason: "\(place): found \(value.count) bytes; allowed: the 32 of a SHA-256 digest")
            }
            digests.append(digest)
        }
        return digests
    }

    private func apply(_ parameters: TLSParameters, to options: inout TLSContextOptions) throws(TLSConfigError) {
        // OpenSSL's security level does not let older versions work; the minimum rises, the maximum cannot fall.
        if parameters.minimumVersion < .tls12 {
            warnings.append("tls_minimum_protocol_version below TLSv1_2 is not supported: TLSv1_2 is the minimum")
        }
        options.minimumVersion = parameters.minimumVersion == .tls13 ? .tls13 : .tls12
        switch parameters.maximumVersion {
        case nil: options.maximumVersion = options.role == .server ? .tls13 : max(.tls12, options.minimumVersion)
        case .tls13: options.maximumVersion = .tls13
        case .tls12: options.maximumVersion = .tls12
        case .tls10, .tls11:
            throw TLSConfigError(
                reason: "tls_maximum_protocol_version: found a version below TLSv1_2; allowed: TLSv1_2, TLSv1_3")
        }
        options.cipherSuites = parameters.cipherSuites
        options.curves = parameters.curves.map { ["secp256r1": "P-256", "prime256v1": "P-256", "secp384r1": "P-384",
            "secp521r1": "P-521", "x25519": "X25519"][$0] ?? $0 }
    }
}

/// The bytes that one context is made of, and the files they came from.
struct TLSSources {
    private let read: (String) -> Result<[UInt8], FileBytes.FileFailure>
    /// Each with what it looked like before it was read.
    private(set) var files: [String: FileStamp] = [:]

    init(read: @escaping (String) -> Result<[UInt8], FileBytes.FileFailure>) { self.read = read }

    /// Whether every file still looks as it did.
    var areUnchanged: Bool { files.allSatisfy { FileStamp($0.key) == $0.value } }

    mutating func bytes(_ source: TLSDataSource, _ place: String) throws(TLSConfigError) -> [UInt8] {
        switch source {
        case .inline(let bytes): return bytes
        case .file(let path):
            if files[path] == nil { files[path] = FileStamp(path) }
            switch read(path) {
            case .success(let bytes): return bytes
            case .failure(let failure): throw TLSConfigError(reason: "\(place): cannot read '\(path)': \(failure.reason)")
            }
        }
    }

    /// Where a source is, as `/certs` shows it.
    static func name(_ source: TLSDataSource) -> String {
        switch source {
        case .inline: "<inline>"
        case .file(let path): path
        }
    }
}
