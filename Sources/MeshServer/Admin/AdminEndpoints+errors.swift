// SPDX-License-Identifier: Apache-2.0
import Glibc

extension AdminEndpoints {
    /// `/recent_errors`: what the log said last of level warning or above, the newest first.
    func recentErrors() -> LocalResponse {
        let entries = context.log.recentProblems.reversed().map { record in
            JSONValue.object([
                .init("time", .string(AdminEndpoints.timestamp(Int64(record.time.tv_sec)))),
                .init("level", .string(record.level.name)), .init("component", .string(record.component)),
                .init("message", .string(record.message)),
            ])
        }
        return LocalResponse(
            JSONValue.object([.init("errors", .array(entries))]).text, contentType: LocalResponse.json)
    }
}
