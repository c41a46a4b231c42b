// SPDX-License-Identifier: Apache-2.0
import MeshModel
import MeshStats
import MeshTLS

/// A filter chain in force with TLS, and what its context was made from.
struct SecureChain {
    let id: ChainID
    let name: String
    let config: DownstreamTLS
    let statName: String
    var compiled: CompiledChain
}

// TLS contexts: made with the chains and clusters they belong to, and made anew when their files change.
extension ConfigCompiler {
    // MARK: Making

    func compileTLS(of chain: FilterChain, named name: String, _ statName: String) throws(Refusal) -> CompiledDownstreamTLS? {
        guard let config = chain.tls else { return nil }
        do throws(TLSConfigError) {
            let tls = try contexts.make(config, owner: .listener(statName))
            tls.stats.setExpirations(tls.context, pages)
            return tls
        } catch {
            throw Refusal(reason: "filter chain '\(chain.name.isEmpty ? name : chain.name)': transport_socket: \(error.reason)")
        }
    }

    func compileTLS(of cluster: Cluster) throws(Refusal) -> CompiledUpstreamTLS? {
        guard let config = cluster.tls else { return nil }
        let validation = config.context.validation
        // Either would have to hold, and a connection has one list of which any suffices.
        if cluster.http.autoSANValidation || config.validatesServerName, validation?.names.isEmpty == false {
            throw Refusal(
                reason: "transport_socket: found match_typed_subject_alt_names beside auto_san_validation or "
                    + "auto_sni_san_validation; allowed: one of them")
        }
        if cluster.http.autoSANValidation, validation?.trustedCA == nil {
            throw Refusal(reason: "auto_san_validation: found no trusted_ca; names mean nothing without one")
        }
        do throws(TLSConfigError) {
            let tls = try contexts.make(config, owner: .cluster(cluster.statName))
            tls.stats.setExpirations(tls.context, pages)
            return tls
        } catch {
            throw Refusal(reason: "transport_socket: \(error.reason)")
        }
    }

    /// Remembers what an accepted listener's contexts were made from.
    func keepSecureChains(of listener: Listener, _ statName: String, _ compiled: [(ChainID, CompiledChain?)]) {
        let chains = listener.filterChains + (listener.defaultFilterChain.map { [$0] } ?? [])
        secureChains[listener.name] = zip(chains, compiled).compactMap { chain, slot in
            guard let config = chain.tls, let made = slot.1 else { return nil }
            return SecureChain(id: slot.0, name: chain.name, config: config, statName: statName, compiled: made)
        }
    }

    /// Follows the files of everything in force. Call when that has changed.
    func watchFiles() {
        contexts.prune()
        var files: [String: FileStamp] = [:]
        for chain in secureChains.values.joined() { files.merge(chain.compiled.tls?.files ?? [:]) { first, _ in first } }
        for cluster in clusters.values { files.merge(cluster.tls?.files ?? [:]) { first, _ in first } }
        watch.watch(files)
    }

    /// Whether anything in force was made from files.
    package var watchesFiles: Bool { !watch.isEmpty }

    /// What was understood otherwise than written since the last call, in words for the log.
    package func takeWarnings() -> [String] {
        let taken = contexts.warnings
        contexts.warnings = []
        return taken
    }

    // MARK: Changed files

    /// Looks at the files once. Chains and clusters whose files changed get a new context, if one can be made of them;
    /// else they keep the last good one. Connections keep the context they began with.
    package func reloadTLS() -> TLSReloadOutcome {
        let changed = watch.changed()
        var outcome = TLSReloadOutcome()
        guard !changed.isEmpty else { return outcome }
        var delta = nextDelta()
        for (listener, chains) in secureChains {
            for (index, chain) in chains.enumerated() where changed.contains(where: { chain.compiled.tls?.files[$0] != nil }) {
                let name = "listener '\(listener)' filter chain '\(chain.name)'"
                do throws(TLSConfigError) {
                    let tls = try contexts.make(chain.config, owner: .listener(chain.statName))
                    let compiled = chain.compiled.with(tls)
                    secureChains[listener]?[index].compiled = compiled
                    delta.chains.append((chain.id, compiled))
                    outcome.updated.append(name)
                    pages.add(tls.stats.contextUpdates)
                    tls.stats.setExpirations(tls.context, pages)
                } catch {
                    outcome.refused.append("\(name): \(error.reason)")
                }
            }
        }
        for (name, cluster) in clusters {
            guard let tls = cluster.tls, changed.contains(where: { tls.files[$0] != nil }), let config = cluster.cluster.tls,
                let id = clusterID(name)
            else { continue }
            do throws(TLSConfigError) {
                let statName = cluster.cluster.statName
                let made = try contexts.make(config, owner: .cluster(statName))
                let compiled = CompiledCluster(
                    cluster: cluster.cluster, stats: cluster.stats, http2Stats: cluster.http2Stats, hosts: hosts,
                    tls: made)
                replace(name, with: compiled)
                delta.clusters.append((id, compiled))
                outcome.updated.append("cluster '\(name)'")
                pages.add(made.stats.contextUpdates)
                made.stats.setExpirations(made.context, pages)
            } catch {
                outcome.refused.append("cluster '\(name)': \(error.reason)")
            }
        }
        watchFiles()
        outcome.updated.sort()
        outcome.refused.sort()
        if !delta.isEmpty { publishDelta(delta) }
        return outcome
    }

    // MARK: Admin

    /// The certificates of every context in force, each context once: of clusters, then of listeners, by name.
    package var certificates: [ContextCertificates] {
        var seen: Set<ObjectIdentifier> = []
        var found: [ContextCertificates] = []
        func add(_ context: TLSContext?) {
            guard let context, seen.insert(ObjectIdentifier(context)).inserted else { return }
            found.append(ContextCertificates(trusted: context.trustedDetails, own: context.certificateDetails))
        }
        for name in clusters.keys.sorted() { add(clusters[name]?.tls?.context) }
        for name in secureChains.keys.sorted() { for chain in secureChains[name] ?? [] { add(chain.compiled.tls?.context) } }
        return found
    }
}
