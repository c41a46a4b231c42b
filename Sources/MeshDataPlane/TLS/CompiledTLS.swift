// SPDX-License-Identifier: Apache-2.0
import MeshModel
import MeshTLS

/// TLS of one filter chain, ready to run.
package final class CompiledDownstreamTLS: Sendable {
    let context: TLSContext
    let policy: SANPolicy
    let stats: TLSStats
    /// Files that were read to make it.
    package let files: Set<String>

    init(context: TLSContext, policy: SANPolicy, stats: TLSStats, files: Set<String>) {
        self.context = context
        self.policy = policy
        self.stats = stats
        self.files = files
    }
}

/// TLS toward one cluster, ready to run.
package final class CompiledUpstreamTLS: Sendable {
    let context: TLSContext
    let policy: SANPolicy
    let stats: TLSStats
    package let files: Set<String>
    let serverName: String
    let usesHostNameAsServerName: Bool
    let validatesServerName: Bool

    init(_ config: UpstreamTLS, context: TLSContext, policy: SANPolicy, stats: TLSStats, files: Set<String>) {
        self.context = context
        self.policy = policy
        self.stats = stats
        self.files = files
        serverName = config.serverName
        usesHostNameAsServerName = config.usesHostNameAsServerName
        validatesServerName = config.validatesServerName
    }
}
