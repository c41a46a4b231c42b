// SPDX-License-Identifier: Apache-2.0
import Glibc
import MeshDataPlane
import MeshModel

extension AdminEndpoints {
    /// `/recent_errors`: what the log said last of level warning or above, and what the proxy answered by itself, the newest
    /// first.
    func recentErrors() -> LocalResponse {
        let entries = context.log.recentProblems.reversed().map { record in
            JSONValue.object([
                .init("time", .string(AdminEndpoints.timestamp(Int64(record.time.tv_sec)))),
                .init("level", .string(record.level.name)), .init("component", .string(record.component)),
                .init("message", .string(record.message)),
            ])
        }
        return LocalResponse(
            JSONValue.object([.init("errors", .array(entries)), .init("replies", .array(replies))]).text,
            contentType: LocalResponse.json)
    }

    private var replies: [JSONValue] {
        context.replies.latest.map { entry in
            var members: [JSONValue.Member] = [
                .init("time", .string(AdminEndpoints.timestamp(Int64(entry.last / 1_000_000_000)))),
                .init("count", .string(String(entry.count))), .init("status", .integer(UInt32(entry.status))),
                .init("reason", .string("\(entry.reason.row.name)")),
                .init("explanation", .string("\(entry.reason.row.sentence)")),
            ]
            if let cluster = entry.clusterName { members.append(.init("cluster", .string(cluster))) }
            return .object(members)
        }
    }
}
