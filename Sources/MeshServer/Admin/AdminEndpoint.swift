// SPDX-License-Identifier: Apache-2.0

/// One admin path.
struct AdminEndpoint: Sendable {
    let path: String
    let help: String
    /// Envoy's texts of the parameters, for `/help`.
    var parameters: [(name: String, help: String)] = []
    /// Needs POST, for it changes something.
    var isMutating = false
    let handle: @Sendable (AdminEndpoints, LocalRequest) -> LocalResponse
}

/// The admin paths, and how a request finds its own.
package struct AdminEndpoints: Sendable {
    let context: AdminContext

    package init(context: AdminContext) { self.context = context }

    /// Answers a request.
    package func answer(_ request: LocalRequest) -> LocalResponse {
        if let refusal = context.access.refusal(of: request) { return LocalResponse(403, refusal) }
        let path = request.path.isEmpty ? "/" : request.path
        context.log.debug("admin", "request: \(request.method) \(path)")
        guard let endpoint = AdminEndpoints.all.first(where: { $0.path == path }) else {
            return LocalResponse(404, "invalid path. " + AdminEndpoints.helpText)
        }
        if endpoint.isMutating, request.method != "POST" {
            context.log.error(
                "admin", "admin path \"\(path)\" mutates state, method=\(request.method) rather than POST")
            var response = LocalResponse(405, "Method \(request.method) not allowed, POST required.")
            response.headers = [("allow", "POST")]
            return response
        }
        return endpoint.handle(self, request.withFormParameters)
    }

    /// What `/help` prints.
    static let helpText: String = {
        var text = "admin commands are:\n"
        for endpoint in all {
            text += "  \(endpoint.path)\(endpoint.isMutating ? " (POST)" : ""): \(endpoint.help)\n"
            for (name, help) in endpoint.parameters { text += "      \(name): \(help)\n" }
        }
        return text
    }()
}
