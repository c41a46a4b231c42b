// SPDX-License-Identifier: Apache-2.0
import Foundation

/// A file of requests, one JSON object a line: `{"method": "POST", "host": "a.test", "path": "/x", "headers": {"k": "v"},
/// "size": 100}`. All but `path` may be left out.
public enum RequestFile {
    private struct Line: Decodable {
        var method: String?
        var host: String?
        var path: String
        var headers: [String: String]?
        var size: Int?
    }

    /// - Parameters:
    ///   - text: the file's content; empty lines and lines that begin with `#` are passed over.
    ///   - name: of the file, for errors.
    ///   - authority: the host of requests that name none; `method` likewise.
    ///   - headers: of every request, before its own.
    /// - Throws: `ScenarioError` that names the line.
    public static func parse(
        _ text: String, name: String, method: String, authority: String, headers: [HeaderText]
    ) throws(ScenarioError) -> RequestPlan {
        var requests: [PlannedRequest] = []
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            let trimmed = line.trimmed
            if trimmed.isEmpty || trimmed.hasPrefix("#") { continue }
            guard let found = try? JSONDecoder().decode(Line.self, from: Data(trimmed.utf8)), found.path.hasPrefix("/"),
                (0...BodySizes.largest).contains(found.size ?? 0)
            else {
                throw ScenarioError(
                    "\(name), line \(index + 1): found '\(trimmed.prefix(80))'; allowed: {\"path\": \"/…\"} with method, host, headers "
                        + "and size (0 to \(BodySizes.largest)) where wanted")
            }
            let own = (found.headers ?? [:]).sorted { $0.key < $1.key }.map { HeaderText(name: $0.key, value: $0.value) }
            requests.append(PlannedRequest(
                method: found.method ?? method, authority: found.host ?? authority, path: found.path, headers: headers + own,
                bodySize: found.size ?? 0))
            guard requests.count <= RequestPlan.limit else {
                throw ScenarioError("\(name): found more than \(RequestPlan.limit) requests; allowed: \(RequestPlan.limit)")
            }
        }
        guard !requests.isEmpty else { throw ScenarioError("\(name): found no request") }
        return RequestPlan(requests: requests)
    }
}
