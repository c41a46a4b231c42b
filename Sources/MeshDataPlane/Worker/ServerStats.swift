// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshIO
import MeshModel
package import MeshStats

/// Stats of the process that workers touch. Scope `server.`.
package struct ServerStats: Sendable {
    let totalConnections: GaugeID

    init(in scope: inout StatScope) {
        totalConnections = scope.gauge("total_connections", "Downstream connections open.")
    }
}

/// The stat groups every worker needs, declared once by the control thread.
package struct WorkerStats: Sendable {
    let server: ServerStats
    let http1: HTTP1CodecStats
    let http2: HTTP2CodecStats
    let resetHeaviestCount: CounterID
    /// What the proxy answers by itself, of all workers.
    let replies: ReplyJournal

    package init(catalog: StatCatalog, replies: ReplyJournal = ReplyJournal()) {
        self.replies = replies
        resetHeaviestCount = catalog.declare(.literal("overload.envoy.overload_actions.reset_high_memory_stream.")) {
            $0.counter("count", "Streams reset because they held most memory.")
        }
        server = catalog.declare(.literal("server.")) { ServerStats(in: &$0) }
        http1 = catalog.declare(.literal("http1.")) { HTTP1CodecStats(in: &$0) }
        http2 = catalog.declare(.literal("http2.")) { HTTP2CodecStats(in: &$0) }
    }
}
