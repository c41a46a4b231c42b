// SPDX-License-Identifier: Apache-2.0
import MeshModel
import MeshTLS

/// TLS of one filter chain, ready to run.
package final class CompiledDownstreamTLS: Sendable {
    let context: TLSContext
    let policy: SANPolicy
    let stats: TLSStats
    /// Files that were read to make it, each as it looked before.
    let files: [String: FileStamp]

    init(context: TLSContext, policy: SANPolicy, stats: TLSStats, files: [String: FileStamp]) {
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
    let files: [String: FileStamp]
    let serverName: String
    let usesHostNameAsServerName: Bool
    let validatesServerName: Bool

    init(_ config: UpstreamTLS, context: TLSContext, policy: SANPolicy, stats: TLSStats, files: [String: FileStamp]) {
        self.context = context
        self.policy = policy
        self.stats = stats
        self.files = files
        serverName = config.serverName
        usesHostNameAsServerName = config.usesHostNameAsServerName
        validatesServerName = config.validatesServerName
    }
}
