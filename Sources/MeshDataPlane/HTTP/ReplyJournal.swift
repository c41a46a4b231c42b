// SPDX-License-Identifier: Apache-2.0
import MeshIO
package import MeshModel
import Synchronization

/// What the proxy answered by itself, or cut off, of late: gathered for people by reason, status and cluster.
///
/// Shared by all workers. A worker that finds it in use writes nothing and goes on: the list is to show what goes wrong, the
/// stats and the access log count it.
package final class ReplyJournal: Sendable {
    /// Answers of one kind.
    package struct Entry: Sendable {
        package let reason: ReplyReason
        /// 0 where the client got none.
        package let status: UInt16
        let cluster: CompiledCluster?
        package internal(set) var count: UInt64
        /// When the last one was. - Unit: nanoseconds since 1970.
        package internal(set) var last: UInt64

        /// Nil for a request that no cluster was found for.
        package var clusterName: String? { cluster?.cluster.name }
    }

    /// Kinds that are kept; the one that was seen longest ago makes room.
    package static let limit = 64

    private let entries = Mutex<[Entry]>([])

    package init() {}

    /// The kinds, the latest first.
    package var latest: [Entry] { entries.withLock { $0 }.sorted { $0.last > $1.last } }

    /// - Parameter now: nanoseconds since 1970.
    package func note(_ reason: ReplyReason, status: UInt16, cluster: CompiledCluster?, now: UInt64) {
        _ = entries.withLockIfAvailable { entries in
            let known = entries.firstIndex { $0.reason == reason && $0.status == status && $0.cluster === cluster }
            if let known {
                entries[known].count += 1
                entries[known].last = now
                return
            }
            let entry = Entry(reason: reason, status: status, cluster: cluster, count: 1, last: now)
            if entries.count < ReplyJournal.limit {
                entries.append(entry)
            } else if let oldest = entries.indices.min(by: { entries[$0].last < entries[$1].last }) {
                entries[oldest] = entry
            }
        }
    }
}

extension ActiveStream {
    /// Writes down how this stream ended, unless it was answered by an upstream or by the configuration.
    func noteReply() {
        guard let reason = ReplyReason(ReplyReason.Facts(self)), reason != .directResponse else { return }
        worker.replies.note(reason, status: info.status, cluster: cluster, now: loop.wallClock)
    }
}
