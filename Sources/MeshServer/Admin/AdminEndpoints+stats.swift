// SPDX-License-Identifier: Apache-2.0
import MeshRegex
import MeshStats

extension AdminEndpoints {
    /// `/stats`.
    func stats(_ request: LocalRequest) -> LocalResponse {
        let format = request.parameter("format") ?? "text"
        guard ["text", "json", "prometheus", "html", "active-html"].contains(format) else {
            return LocalResponse(400, "usage: /stats?format=(html|active-html|json|prometheus|text)\n\n")
        }
        switch query(request) {
        case .failure(let refusal): return refusal.response
        case .success(let query):
            context.process.refresh()
            switch format {
            case "json": return LocalResponse(bytes: context.catalog.json(query), contentType: LocalResponse.json)
            case "prometheus": return LocalResponse(bytes: context.catalog.prometheus(query))
            // There is no page for people; the text says the same.
            default: return LocalResponse(bytes: context.catalog.text(query))
            }
        }
    }

    /// `/stats/prometheus`.
    func prometheus(_ request: LocalRequest) -> LocalResponse {
        switch query(request) {
        case .failure(let refusal): return refusal.response
        case .success(let query):
            context.process.refresh()
            return LocalResponse(bytes: context.catalog.prometheus(query))
        }
    }

    /// The answer to a wrong parameter.
    struct Refusal: Error {
        let response: LocalResponse
    }

    private func query(_ request: LocalRequest) -> Result<StatQuery, Refusal> {
        var query = StatQuery()
        query.usedOnly = request.has("usedonly")
        context.view.current.statRules.apply(to: &query)
        switch request.parameter("histogram_buckets") {
        case nil, "", "cumulative", "disjoint", "detailed": break
        case "summary": query.printsSummaries = true
        default:
            return .failure(Refusal(response: LocalResponse(
                400, "usage: /stats?histogram_buckets=(none|cumulative|disjoint|detailed|summary)\n")))
        }
        switch request.parameter("type") {
        case nil, "", "All": break
        case "Counters": query.kinds = [.counter]
        case "Gauges": query.kinds = [.gauge]
        case "Histograms": query.kinds = [.histogram]
        default:
            return .failure(Refusal(response: LocalResponse(400, "usage: /stats?type=(All|Counters|Gauges|Histograms)\n\n")))
        }
        switch nameFilter(request.parameter("filter")) {
        case .failure(let refusal): return .failure(refusal)
        case .success(let matches): query.matches = matches
        }
        return .success(query)
    }

    /// A predicate that finds the pattern anywhere in a name, or nil without a pattern.
    func nameFilter(_ pattern: String?) -> Result<((String) -> Bool)?, Refusal> {
        guard let pattern, !pattern.isEmpty else { return .success(nil) }
        do throws(RegexError) {
            let program = try RegexProgram(pattern)
            guard let regex = Regex(program) else {
                return .failure(Refusal(response: LocalResponse(503, "no memory for the filter")))
            }
            return .success { regex.firstGroups(in: $0, count: 1) != nil }
        } catch {
            return .failure(Refusal(response: LocalResponse(400, "Invalid re2 regex: \(error)")))
        }
    }
}
