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
            switch format {
            case "json": return scrape(query, .json, LocalResponse.json)
            case "prometheus": return prometheus(query)
            // There is no page for people here; the text says the same.
            default: return scrape(query, .text, LocalResponse.text)
            }
        }
    }

    /// `/stats/prometheus`.
    func prometheus(_ request: LocalRequest) -> LocalResponse {
        switch query(request) {
        case .failure(let refusal): refusal.response
        case .success(let query): prometheus(query)
        }
    }

    private func prometheus(_ query: StatQuery) -> LocalResponse {
        switch query.histogramForm {
        case .disjoint, .detailed: LocalResponse(400, "unsupported prometheus histogram bucket mode")
        case nil, .summary, .cumulative: scrape(query, .prometheus, LocalResponse.text)
        }
    }

    private func scrape(_ query: StatQuery, _ format: StatScrape.Format, _ contentType: String) -> LocalResponse {
        context.process.refresh()
        let scrape = StatScrape(context.catalog, query, format)
        return LocalResponse(contentType: contentType) { scrape.next(into: &$0) }
    }

    /// `/stats/recentlookups` and what is below it: Apus never looks a stat up by its name while it serves, so that there is
    /// nothing to track, and answers as Envoy does while tracking is off.
    static let recentLookups = "Lookup tracking is not enabled. Use /stats/recentlookups/enable to enable.\n\ntotal: 0\n"

    /// The answer to a wrong parameter.
    struct Refusal: Error {
        let status: Int
        let text: String
        var contentType = LocalResponse.text
        var response: LocalResponse {
            LocalResponse(status: status, bytes: Array(text.utf8), contentType: contentType)
        }
    }

    private func query(_ request: LocalRequest) -> Result<StatQuery, Refusal> {
        var query = StatQuery()
        query.usedOnly = request.has("usedonly")
        context.view.current.statRules.apply(to: &query)
        query.intervals = context.intervals
        switch request.parameter("histogram_buckets") {
        case nil, "", "none": break
        case "summary": query.histogramForm = .summary
        case "cumulative": query.histogramForm = .cumulative
        case "disjoint": query.histogramForm = .disjoint
        case "detailed": query.histogramForm = .detailed
        default:
            return .failure(Refusal(
                status: 400,
                text: "usage: /stats?histogram_buckets=(cumulative|disjoint|detailed|summary|prometheusnative)\n"))
        }
        switch request.parameter("type") {
        case nil, "", "All": break
        case "Counters": query.kinds = [.counter]
        case "Gauges": query.kinds = [.gauge]
        case "Histograms": query.kinds = [.histogram]
        // There are none.
        case "TextReadouts": query.kinds = []
        default: return .failure(Refusal(status: 400, text: "invalid &type= param"))
        }
        // No stat of Apus is hidden.
        if request.parameter("hidden") == "only" { query.kinds = [] }
        switch nameFilter(request.parameter("filter")) {
        case .failure(let refusal): return .failure(refusal)
        case .success(let matches):
            let isInverted = request.has("invert_filter")
            query.matches = matches.map { matches in isInverted ? { !matches($0) } : matches }
        }
        return .success(query)
    }

    /// A predicate that finds the pattern anywhere in a name, or nil without a pattern.
    func nameFilter(_ pattern: String?) -> Result<((String) -> Bool)?, Refusal> {
        guard let pattern, !pattern.isEmpty else { return .success(nil) }
        do throws(RegexError) {
            let program = try RegexProgram(pattern)
            guard let regex = Regex(program) else {
                return .failure(Refusal(status: 503, text: "no memory for the filter"))
            }
            return .success { regex.firstGroups(in: $0, count: 1) != nil }
        } catch {
            return .failure(Refusal(status: 400, text: "Invalid re2 regex: \(error)"))
        }
    }
}
