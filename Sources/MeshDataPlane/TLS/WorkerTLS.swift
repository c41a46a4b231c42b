// SPDX-License-Identifier: Apache-2.0
import MeshIO
import MeshStats
import MeshTLS

/// What one worker keeps between TLS connections, of clients and to upstreams alike.
final class WorkerTLS {
    let workspace = TLSWorkspace()
    let counters: TLSCounters

    init(stats: StatPages) { counters = TLSCounters(pages: stats) }
}

@available(*, unavailable) extension WorkerTLS: Sendable {}

extension ByteStream {
    /// Whether everything written has left for the kernel. Of a TLS session `output` says only that it was encrypted.
    var isOutputSent: Bool {
        guard output.isEmpty else { return false }
        guard let secure = self as? TLSStream else { return true }
        return secure.transport.output.isEmpty
    }
}
