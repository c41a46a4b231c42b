// SPDX-License-Identifier: Apache-2.0

/// Who may talk to admin. It listens on this machine alone, and so does the operator's browser: a page from elsewhere must
/// neither command the proxy (a form that posts to localhost) nor read it (a name that is made to point to 127.0.0.1).
package struct AdminAccess: Sendable {
    /// Whether `Host` is looked at; a socket file cannot be reached by a name.
    let checksHost: Bool

    package init(checksHost: Bool = true) { self.checksHost = checksHost }

    /// Why the request is refused; nil when it is not. Clients that are no browser send neither `Origin` nor `Sec-Fetch-Site`.
    package func refusal(of request: LocalRequest) -> String? {
        let host = request.header("host") ?? ""
        if checksHost, !AdminAccess.isLocal(host) {
            return "Host not allowed: admin answers to an IP address, to localhost and to names without a dot.\n"
        }
        // GET and HEAD change nothing, and what they return another origin's page cannot read.
        guard request.method != "GET", request.method != "HEAD" else { return nil }
        if let site = request.header("sec-fetch-site"), site != "same-origin", site != "none" { return crossOrigin }
        if let origin = request.header("origin"), origin != "http://" + host, origin != "https://" + host { return crossOrigin }
        return nil
    }

    private var crossOrigin: String { "Cross-origin requests are not allowed.\n" }

    /// Nobody else can own these names: a literal address, `localhost`, what ends in `.localhost`, and a name without a dot,
    /// which public DNS does not have.
    static func isLocal(_ host: String) -> Bool {
        var name = Substring(host)
        if name.hasPrefix("[") { return name.contains("]") }
        if let colon = name.firstIndex(of: ":") { name = name[..<colon] }
        if name.hasSuffix(".") { name = name.dropLast() }
        guard name.contains(".") else { return true }
        if name.lowercased().hasSuffix(".localhost") { return true }
        let parts = name.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4 && parts.allSatisfy { UInt8($0) != nil }
    }
}
